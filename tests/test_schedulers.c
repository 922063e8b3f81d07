/* test_schedulers.c: what is read from the configurations of diffusers' schedulers walks the paths that they walk.
 *
 * schedulers/paths.json, made by schedulers/paths.py from the methods themselves, has for each configuration the path of one
 * sample over a network that is a formula. Here the same configuration goes the way of every pipeline: to a recipe, and from
 * that to process, grid and sampler.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "model/diffusers.h"
#include "support/one_context.h"
#include "support/temporary.h"

enum { N = 3, STEPS_MAX = 64 };

typedef struct formula { ebb_prediction prediction; const ebb_process *process; } formula;

static void predict(void *self, const double *x, const ebb_level *at, double *eps, double *x0)
{
    const formula *f = self;
    ebb_coefficients c = ebb_prediction_coefficients(f->prediction, at->alpha, at->sigma, 0.5);
    double t = ebb_process_position(f->process, at->t);
    for (int i = 0; i < N; i++) {
        double out = 0.3 * c.in * x[i] + 0.2 * sin(t / 100 + i);
        if (eps != NULL)
            eps[i] = c.eps_x * x[i] + c.eps_f * out;
        if (x0 != NULL)
            x0[i] = c.x0_x * x[i] + c.x0_f * out;
    }
}

static void normal(void *random, int64_t draw, double *z)
{
    (void)random;
    for (int i = 0; i < N; i++)
        z[i] = cos(1 + 3 * (double)draw + i);
}

typedef struct path { double x[STEPS_MAX][N]; int count; } path;

static int keep(void *user, int64_t k, const double *x)
{
    path *p = user;
    if (k < STEPS_MAX)
        memcpy(p->x[k], x, sizeof p->x[0]);
    p->count = (int)k + 1;
    return 0;
}

/* The path of one sample by what the recipe says. */
static void walk(const ebb_recipe *r, int steps, const json_t *start, path *out)
{
    const ebb_sampler *sampler;
    ebb_sampler_settings set;
    ebb_grid_options options;
    ebb_process process;
    ebb_grid grid;
    const char *kind;
    double x[N], *work;
    ok(ebb_recipe_process(ctx, r, &process));
    ok(ebb_sampler_parse(ctx, r->sample_sampler, &sampler, &set));
    ok(ebb_grid_parse(ctx, r->sample_grid, &kind, &options));
    options.steps = steps;
    ok(ebb_grid_create(ctx, &process, kind, &options, &grid));
    formula f = {ebb_prediction_find(r->process_prediction), &process};
    ebb_field field = {.n = 1, .count = N, .predict = predict, .self = &f};
    for (size_t i = 0; i < N; i++)
        x[i] = json_number_value(json_array_get(start, i)) * (grid.start > 0 ? grid.start : 1);
    ok(ebb_alloc(ctx, (void **)&work, ebb_walk_work(sampler, 1, N), sizeof *work, "work"));
    ebb_walk w = {.sampler = sampler, .process = &process, .grid = &grid, .field = &field, .set = set, .n = 1, .count = N, .x = x,
                  .work = work, .clip = r->sample_clip, .normal = normal, .step = keep, .user = out};
    ok(ebb_walk_check(ctx, &w));
    assert_int_equal(sampler->run(&w), 0);
    ebb_free(work);
    ebb_grid_free(&grid);
    ebb_process_free(&process);
}

/* A float table makes paths of a few 1e-7: betas are rounded alike, but for the last bits of their formulas. */
static void compare(const char *name, const path *p, const json_t *want)
{
    size_t count = json_array_size(want);
    size_t first = count == 1 ? (size_t)p->count - 1 : 0;      /* where only the end is told */
    if (count != 1)
        assert_int_equal(p->count, count);
    for (size_t k = 0; k < count; k++)
        for (size_t i = 0; i < N; i++) {
            double have = p->x[first + k][i], wanted = json_number_value(json_array_get(json_array_get(want, k), i));
            if (!(fabs(have - wanted) <= 2e-6 * (1 + fabs(wanted))))
                fail_msg("%s, step %zu, number %zu: %.12g, but the scheduler gives %.12g", name, k, i, have, wanted);
        }
}

static void copy(const char *folder, const char *name)
{
    char from[1024], to[1024];
    void *data;
    size_t size;
    ebb_writer *w;
    snprintf(from, sizeof from, EBB_SOURCE_DIR "/tests/refs/unet_ddpm_cifar10_style/unet/%s", name);
    snprintf(to, sizeof to, "%s/%s", folder, name);
    ok(ebb_file_read(ctx, from, 1 << 24, &data, &size));
    ok(ebb_writer_open(ctx, to, &w));
    ok(ebb_writer_write(w, data, size));
    ok(ebb_writer_commit(&w));
    ebb_free(data);
}

static void test_paths(void **state)
{
    (void)state;
    temporary_folder folder;
    char file[300];
    path p;
    size_t i;
    json_t *row, *all = json_load_file(EBB_SOURCE_DIR "/tests/schedulers/paths.json", 0, NULL);
    assert_non_null(all);
    assert_true(temporary_make(folder, "schedulers"));
    copy(folder, "config.json");
    copy(folder, "diffusion_pytorch_model.safetensors");
    snprintf(file, sizeof file, "%s/scheduler_config.json", folder);
    json_array_foreach(json_object_get(all, "rows"), i, row) {
        const char *name = json_string_value(json_object_get(row, "name"));
        ebb_diffusers d;
        assert_int_equal(json_dump_file(json_object_get(row, "config"), file, 0), 0);
        ok(ebb_diffusers_read(ctx, folder, &d));
        if (d.recipe->sample_refused[0] != 0)
            fail_msg("%s is refused: %s", name, d.recipe->sample_refused);
        walk(d.recipe, (int)json_integer_value(json_object_get(row, "steps")), json_object_get(all, "start"), &p);
        compare(name, &p, json_object_get(row, "path"));
        ebb_diffusers_free(&d);
    }
    assert_true(i > 30);
    assert_true(temporary_remove(folder));
    json_decref(all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_paths)};
    return cmocka_run_group_tests(tests, make_context, free_context);
}

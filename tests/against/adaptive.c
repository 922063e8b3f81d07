/* adaptive.c: the adaptive sampler with stored noise, an entry of inverse_samplers.json.
 */
#include "against/refs.h"

#include <math.h>
#include <string.h>

#include "support/walks.h"

static ebb_sampler_settings settings_of(refs *r, const json_t *run, const ebb_process *p)
{
    ebb_sampler_settings set = ebb_settings_default();
    set.atol = refs_number(r, run, "abstol");
    set.rtol = refs_number(r, run, "reltol");
    set.safety = refs_number(r, run, "safety");
    set.exponent = refs_number(r, run, "exponent");
    set.h_first = refs_number(r, run, "h_init") / p->end;
    return set;
}

/* Which tries were accepted: those after which a row is another. What comes after its last move is not ours: the reference
 * goes on with steps of the length of its rounding errors until all rows are there, which moves a row by at most
 * 6 g sqrt(t_end - eps) each time. */
static double check_tries(refs *r, const json_t *run, const ebb_process *p, const walk_job *job, int64_t dim)
{
    const json_t *accepted = refs_get(r, run, "accepted"), *ends = refs_get(r, run, "t_end");
    double eps = refs_number(r, run, "eps"), left = 0;
    for (int64_t i = 0; i < job->n; i++) {
        int64_t last = job->steps;
        const double *x = job->path + i * dim;
        size_t row = (size_t)(dim) * sizeof *x, stride = (size_t)(job->n * dim);
        while (last > 0 && memcmp(x + (size_t)last * stride, x + (size_t)(last - 1) * stride, row) == 0)
            last--;
        for (int64_t k = 0; k < last; k++) {
            bool moved = memcmp(x + (size_t)(k + 1) * stride, x + (size_t)k * stride, row) != 0;
            refs_near(r, "accepted", (long)(k * job->n + i), moved, refs_at(json_array_get(accepted, (size_t)k), (size_t)i), 0, 0);
        }
        double rest = fmax(fabs(refs_at(ends, (size_t)i) - eps), 1e-18);
        left = fmax(left, 6 * sqrt(ebb_process_diffusion2(p, eps) * rest) * (double)(job->steps - last));
        if (!(rest <= 1e-6))
            refs_fail(r, "row %lld of the reference has not arrived", (long long)i);
    }
    return left;
}

static void check_run(refs *r, const json_t *run, const ebb_target *law, const ebb_process *p)
{
    const json_t *start = refs_get(r, r->root, "x_start");
    size_t count, noises;
    double *x = refs_numbers(r, start, &count), *noise = refs_numbers(r, refs_get(r, run, "noise"), &noises);
    int64_t n = (int64_t)json_array_size(start), tries = count > 0 ? (int64_t)(noises / count) : 0;
    void *path = NULL;
    ebb_grid g = {0};
    ebb_sampler_settings set = settings_of(r, run, p);
    ebb_grid_options o = {.steps = 1, .t_end = refs_number(r, run, "eps")};
    walk_job job = {.sampler = "adaptive-sde", .set = &set, .process = p, .grid = &g, .target = law, .n = n, .x = x,
                    .noise = noise, .noise_draws = tries, .path_steps = tries};
    bool walked = ebb_alloc(r->ctx, &path, (size_t)(tries + 1) * count, sizeof(double), "a path") == EBB_OK
                  && ebb_grid_create(r->ctx, p, "uniform", &o, &g) == EBB_OK;
    job.path = path;
    walked = walked && walk_run(r->ctx, &job) == EBB_OK;
    if (walked) {
        refs_near(r, "iterations", 0, (double)job.steps, refs_number(r, run, "iterations"), 0, 0);
        refs_near(r, "nfe", 0, (double)job.nfe, refs_number(r, run, "nfe"), 0, 0);
        double left = check_tries(r, run, p, &job, law->dim);
        refs_near_all(r, "x_end", x, count, refs_get(r, run, "x_end"), 1e-9, left);
    } else
        refs_fail(r, "%s", ebb_message(r->ctx));
    ebb_grid_free(&g);
    ebb_free(path);
    ebb_free(x);
    ebb_free(noise);
}

void refs_adaptive(refs *r, const json_t *run)
{
    ebb_target law;
    ebb_process p;
    if (run == NULL || !refs_target(r, refs_get(r, r->root, "gmm"), &law))
        return;
    if (refs_process(r, refs_get(r, run, "sde"), 0, &p)) {
        check_run(r, run, &law, &p);
        ebb_process_free(&p);
    }
    ebb_target_free(&law);
}

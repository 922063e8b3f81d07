/* inverse_samplers.c: restorations with stored noise, paths as the published systems walk them; and, of the same noise, what
 * ebb does where those have a slip.
 */
#include "against/refs.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "support/restores.h"

#define RTOL 1e-9
#define ATOL 1e-12

enum { MAX = EBB_TARGET_DIM_MAX };

/* ---- replacement ------------------------------------------------------------------------------------------------------------ */

typedef struct replaced {
    refs *r;
    const json_t *run;
    const ebb_target *law;
    const ebb_process *process;
    int64_t n, dim, steps;
    double *start, *data, *mask, *corrector, *predictor, *again;     /* of the reference, all rows */
    double *noise, *path;        /* of one row: (3 steps,dim), (steps+1,dim) */
} replaced;

/* One row by itself, since each has a mask of its own. literal: with all three draws of a step; else without the last. */
static bool walk_row(const replaced *p, int64_t i, bool literal, ebb_operator *op, const ebb_grid *g, double *x)
{
    int64_t dim = p->dim, each = literal ? 3 : 2;
    double y[MAX];
    for (int64_t k = 0; k < p->steps; k++) {
        const double *of[3] = {p->corrector, p->predictor, p->again};
        for (int64_t j = 0; j < each; j++)
            memcpy(p->noise + (k * each + j) * dim, of[j] + (k * p->n + i) * dim, (size_t)dim * sizeof(double));
    }
    for (int64_t d = 0; d < dim; d++)
        x[d] = p->mask[i * dim + d] != 0 ? p->data[i * dim + d] : p->start[i * dim + d];
    op->apply(op, p->data + i * dim, y);
    restore_job job = {.method = literal ? "replacement:predictor=1,literal=1" : "replacement:predictor=1", .process = p->process,
                       .grid = g, .target = p->law, .op = op, .y = y, .n = 1, .x = x, .noise = p->noise,
                       .noise_draws = each * p->steps, .path = p->path, .path_steps = p->steps};
    bool fine = restore_run(p->r->ctx, &job) == EBB_OK;
    if (!fine)
        refs_fail(p->r, "%s", ebb_message(p->r->ctx));
    return fine;
}

/* Standard deviation of the noise of the last step: of the table's linspace(beta_min/N, beta_max/N, N) the entry int(t (N-1)). */
static double last_noise(const replaced *p, double eps)
{
    double n = (double)p->steps, at = n > 1 ? floor(eps * (n - 1)) / (n - 1) : 0;
    return sqrt((p->process->beta_min + at * (p->process->beta_max - p->process->beta_min)) / n);
}

/* As published; then without its slip: the same way of what is not known, data exactly, and no noise at the end. */
static void check_row(const replaced *p, int64_t i, ebb_operator *op, const ebb_grid *g)
{
    refs *r = p->r;
    const json_t *path = refs_get(r, p->run, "path");
    double x[MAX], noise = last_noise(p, refs_number(r, p->run, "eps"));
    if (!walk_row(p, i, true, op, g, x))
        return;
    for (int64_t k = 0; k <= p->steps; k++)
        refs_near_all(r, "path", p->path + k * p->dim, (size_t)p->dim, json_array_get(json_array_get(path, (size_t)k), (size_t)i),
                      RTOL, ATOL);
    refs_near_all(r, "returned_x_mean", x, (size_t)p->dim, json_array_get(refs_get(r, p->run, "returned_x_mean"), (size_t)i), RTOL,
                  ATOL);
    if (!walk_row(p, i, false, op, g, x))
        return;
    for (int64_t d = 0; d < p->dim; d++) {
        const double *z = p->predictor + ((p->steps - 1) * p->n + i) * p->dim;
        bool known = p->mask[i * p->dim + d] != 0;
        for (int64_t k = 1; !known && k < p->steps; k++)
            refs_near(r, "path without the slip", (long)k, p->path[k * p->dim + d],
                      refs_at(json_array_get(json_array_get(path, (size_t)k), (size_t)i), (size_t)d), RTOL, ATOL);
        double want = refs_at(json_array_get(json_array_get(path, (size_t)p->steps), (size_t)i), (size_t)d) - noise * z[d];
        if (known)
            refs_near(r, "known number", (long)d, x[d], p->data[i * p->dim + d], 0, 0);
        else
            refs_near(r, "number without noise", (long)d, x[d], want, RTOL, ATOL);
    }
}

static void check_rows(replaced *p)
{
    ebb_grid_options o = {.steps = (int)p->steps, .t_end = refs_number(p->r, p->run, "eps")};
    ebb_grid g = {0};
    if (ebb_grid_create(p->r->ctx, p->process, "score-sde", &o, &g) != EBB_OK)
        refs_fail(p->r, "%s", ebb_message(p->r->ctx));
    for (int64_t i = 0; g.steps > 0 && i < p->n; i++) {
        uint8_t mask[MAX];
        ebb_operator op;
        for (int64_t d = 0; d < p->dim; d++)
            mask[d] = p->mask[i * p->dim + d] != 0;
        ebb_operator_options of = {.height = 1, .width = (int)p->dim, .channels = 1, .mask = mask};
        if (ebb_operator_create(p->r->ctx, EBB_OPERATOR_INPAINT, &of, &op) == EBB_OK)
            check_row(p, i, &op, &g);
        else
            refs_fail(p->r, "%s", ebb_message(p->r->ctx));
        ebb_operator_free(&op);
    }
    ebb_grid_free(&g);
}

static void check_replacement(refs *r, const json_t *run, const ebb_target *law)
{
    static const char *const keys[] = {"data", "mask", "noise_corrector_stage", "noise_predictor", "noise_predictor_stage"};
    const json_t *start = refs_get(r, r->root, "x_start");
    ebb_process process;
    size_t all, count;
    replaced p = {.r = r, .run = run, .law = law, .process = &process, .dim = law->dim, .n = (int64_t)json_array_size(start),
                  .steps = refs_int(r, run, "N")};
    double **to[] = {&p.data, &p.mask, &p.corrector, &p.predictor, &p.again};
    bool fits = refs_process(r, refs_get(r, run, "sde"), 0, &process);
    if (!fits)
        return;
    p.start = refs_numbers(r, start, &all);
    for (int k = 0; k < 5; k++) {
        *to[k] = refs_numbers(r, refs_get(r, run, keys[k]), &count);
        fits = fits && count == (k < 2 ? all : (size_t)p.steps * all);
    }
    fits = fits && p.dim <= MAX && all == (size_t)(p.n * p.dim) && json_array_size(refs_get(r, run, "path")) == (size_t)p.steps + 1;
    if (!fits)
        refs_fail(r, "its arrays do not fit together");
    else if (ebb_alloc(r->ctx, (void **)&p.noise, (size_t)((4 * p.steps + 1) * p.dim), sizeof(double), "a path") == EBB_OK) {
        p.path = p.noise + 3 * p.steps * p.dim;
        check_rows(&p);
    }
    for (int k = 0; k < 5; k++)
        ebb_free(*to[k]);
    ebb_free(p.start);
    ebb_free(p.noise);
    ebb_process_free(&process);
}

/* ---- DDRM ------------------------------------------------------------------------------------------------------------------- */

typedef struct ddrm {
    refs *r;
    const json_t *run;
    const ebb_target *law;
    const ebb_process *chain;
    int64_t n, dim, steps;
    double *start, *unseen, *weak, *strong;  /* noise_init, _C, _A, _B (only of what is seen) */
    double sigma, y;
} ddrm;

static double k_sigma(ebb_level at)
{
    return at.sigma / at.alpha;
}

/* Of the three noises of the reference each number takes one: which, the levels decide. */
static void choose_noise(const ddrm *d, const ebb_grid *g, const ebb_operator *op, double *noise)
{
    for (int64_t i = 0; i < d->steps * d->n * d->dim; i++) {
        int64_t axis = i % d->dim, row = i / d->dim;
        double k = k_sigma(g->level[row / d->n + 1]), s = op->singular[axis];
        bool seen = s > 0 && k != d->sigma / s;
        noise[i] = !seen ? d->unseen[i] : k < d->sigma / s ? d->weak[i] : d->strong[row];
    }
}

/* Without its slip a number that was measured without noise ends where the measurement is. */
static void check_end(const ddrm *d, const ebb_operator *op, restore_job job)
{
    double told;
    memcpy(job.x, d->start, (size_t)(d->n * d->dim) * sizeof *job.x);
    job.method = "ddrm";
    if (restore_run(d->r->ctx, &job) != EBB_OK)
        refs_fail(d->r, "%s", ebb_message(d->r->ctx));
    for (int64_t i = 0; i < d->n; i++) {
        op->apply(op, job.x + i * d->dim, &told);
        refs_near(d->r, "H x", (long)i, told, d->y, RTOL, ATOL);
    }
}

static void walk_ddrm(const ddrm *d, const ebb_operator *op, const ebb_grid *g, double *room)
{
    refs *r = d->r;
    char method[160];
    int64_t all = d->n * d->dim;
    double *x = room, *noise = x + all, *path = noise + d->steps * all;
    memcpy(x, d->start, (size_t)all * sizeof *x);
    choose_noise(d, g, op, noise);
    snprintf(method, sizeof method, "ddrm:literal=1,eta=%.17g,eta_b=%.17g", refs_number(r, d->run, "eta"), refs_number(r, d->run, "etaB"));
    restore_job job = {.method = method, .process = d->chain, .grid = g, .target = d->law, .op = op, .y = &d->y, .sigma = d->sigma,
                       .n = d->n, .x = x, .noise = noise, .noise_draws = d->steps, .path = path, .path_steps = d->steps};
    const json_t *want = refs_get(r, d->run, "path");
    if (restore_run(r->ctx, &job) != EBB_OK) {
        refs_fail(r, "%s", ebb_message(r->ctx));
        return;
    }
    /* The path of the reference begins behind what makes the first point of the noise. */
    for (int64_t k = 1; k <= d->steps; k++)
        refs_near_all(r, "path", path + k * all, (size_t)all, json_array_get(want, (size_t)k), RTOL, ATOL);
    if (job.draws != d->steps)
        refs_fail(r, "%lld draws in %lld steps", (long long)job.draws, (long long)d->steps);
    if (d->sigma == 0 && refs_number(r, d->run, "etaB") == 1)
        check_end(d, op, job);
}

/* The levels of the timesteps, then clean. */
static bool levels_of(const ddrm *d, const json_t *list, ebb_grid *g)
{
    if (ebb_grid_alloc(d->r->ctx, (int)d->steps, false, g) != EBB_OK)
        return false;
    for (int64_t k = 0; k < d->steps; k++)
        g->level[k] = ebb_process_level(d->chain, refs_at(list, (size_t)k));
    g->level[d->steps] = (ebb_level){.t = NAN, .alpha = 1, .sigma = 0};
    return true;
}

static void with_arrays(ddrm *d, const double *h, size_t columns)
{
    refs *r = d->r;
    ebb_operator op = {0};
    ebb_grid g = {0};
    double *room;
    size_t all = (size_t)(d->n * d->dim);
    if (columns != (size_t)d->dim || d->dim > EBB_OPERATOR_MATRIX_MAX)
        refs_fail(r, "H has %zu numbers, which is not one row of %lld", columns, (long long)d->dim);
    else if (ebb_operator_matrix(r->ctx, 1, (int)d->dim, h, &op) == EBB_OK && levels_of(d, refs_get(r, d->run, "timesteps"), &g) &&
             ebb_alloc(r->ctx, (void **)&room, (2 + 2 * (size_t)d->steps) * all, sizeof *room, "a path") == EBB_OK) {
        walk_ddrm(d, &op, &g, room);
        ebb_free(room);
    } else
        refs_fail(r, "%s", ebb_message(r->ctx));
    ebb_grid_free(&g);
    ebb_operator_free(&op);
}

static void check_ddrm(refs *r, const json_t *run, const ebb_target *law, const ebb_process *chain)
{
    size_t columns, all, c, a, b;
    ddrm d = {.r = r, .run = run, .law = law, .chain = chain, .dim = law->dim, .steps = (int64_t)json_array_size(refs_get(r, run, "timesteps")),
              .sigma = refs_number(r, run, "sigma_0"), .y = refs_number(r, run, "y")};
    double *h = refs_numbers(r, refs_get(r, run, "H"), &columns);
    d.start = refs_numbers(r, refs_get(r, run, "noise_init"), &all);
    d.unseen = refs_numbers(r, refs_get(r, run, "noise_C"), &c);
    d.weak = refs_numbers(r, refs_get(r, run, "noise_A"), &a);
    d.strong = refs_numbers(r, refs_get(r, run, "noise_B"), &b);
    d.n = (int64_t)all / d.dim;
    if (d.steps > 0 && c == (size_t)d.steps * all && a == c && b == (size_t)(d.steps * d.n))
        with_arrays(&d, h, columns);
    else
        refs_fail(r, "its arrays do not fit together");
    ebb_free(h);
    ebb_free(d.start);
    ebb_free(d.unseen);
    ebb_free(d.weak);
    ebb_free(d.strong);
}

void refs_inverse_samplers(refs *r)
{
    ebb_target law;
    ebb_process chain;
    const char *key;
    json_t *value;
    refs_claim_note(r, "gmm");
    refs_claim_note(r, "x_start");
    refs_adaptive(r, refs_claim(r, "gotta_go_fast_vp"));
    if (!refs_target(r, refs_get(r, r->root, "gmm"), &law))
        return;
    if (refs_chain(r, &chain)) {
        json_object_foreach (r->root, key, value)
            if (strncmp(key, "replacement_", 12) == 0)
                check_replacement(r, refs_claim(r, key), &law);
            else if (strncmp(key, "ddrm_", 5) == 0)
                check_ddrm(r, refs_claim(r, key), &law, &chain);
        ebb_process_free(&chain);
    }
    ebb_target_free(&law);
}

/* samplers_stochastic.c: walks with stored noise against samplers_stochastic.json.
 *
 * Each run of the file has a name; the longest row of `handlers` that begins it says what repeats it. A run that none
 * begins is a failure.
 */
#include "against/refs.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "diffusion/guide.h"
#include "support/walks.h"

#define RTOL 1e-9

/* What is common to the runs, and a run's own arrays. */
typedef struct bench {
    refs *r;
    ebb_target all;
    const json_t *start;         /* (n,dim), of deviation 1 */
    ebb_process chain;           /* ddpm */
    int64_t n, numbers;          /* rows; rows x dim */
    int label;                   /* the class that the guided runs name; classifier_guided_mean means it, too */
} bench;

typedef struct handler {
    const char *name;
    void (*run)(bench *b, const json_t *run, const char *sampler);
    const char *sampler;
} handler;

/* ---- walking -------------------------------------------------------------------------------------------------- */

static double *room(bench *b, size_t count)
{
    void *memory;
    if (ebb_alloc(b->r->ctx, &memory, count, sizeof(double), "a reference run") == EBB_OK)
        return memory;
    refs_fail(b->r, "%s", ebb_message(b->r->ctx));
    return NULL;
}

/* Walks job over its grid from `scale` times the start and compares with the path at key, final_mean and step_sizes. The
 * grid is freed. */
static void compare(bench *b, const json_t *run, walk_job job, ebb_grid *grid, double scale, const char *key)
{
    refs *r = b->r;
    const json_t *path = refs_get(r, run, key), *mean = json_object_get(run, "final_mean");
    const json_t *lengths = json_object_get(run, "step_sizes");
    size_t steps = json_array_size(path) > 0 ? json_array_size(path) - 1 : 0, all = (size_t)b->numbers, count;
    double *start = refs_numbers(r, b->start, &count);
    double *memory = room(b, (steps + 2) * all + steps * (size_t)b->n);
    if (memory != NULL && start != NULL) {
        for (size_t i = 0; i < all; i++)
            start[i] *= scale;
        job.grid = grid;
        job.target = &b->all;
        job.n = b->n;
        job.x = start;
        job.path = memory;
        job.path_steps = (int64_t)steps;
        job.mean = memory + (steps + 1) * all;
        job.lengths = lengths != NULL ? job.mean + all : NULL;
        if (walk_run(r->ctx, &job) != EBB_OK)
            refs_fail(r, "%s", ebb_message(r->ctx));
        else if (job.steps != (int64_t)steps)
            refs_fail(r, "%lld steps, but the reference has %zu", (long long)job.steps, steps);
        else
            refs_near_all(r, key, memory, (steps + 1) * all, path, RTOL, 1e-12);
        if (mean != NULL)
            refs_near_all(r, "final_mean", job.mean, all, mean, RTOL, 1e-12);
        for (size_t k = 0; k < json_array_size(lengths); k++)
            for (int64_t i = 0; i < b->n; i++)
                refs_near(r, "step_sizes", (long)k, job.lengths[(int64_t)k * b->n + i], refs_at(lengths, k), RTOL, 0);
    }
    ebb_free(start);
    ebb_free(memory);
    ebb_grid_free(grid);
}

/* The stored noise; free it after compare. */
static double *noise_of(bench *b, const json_t *run, const char *key, walk_job *job)
{
    size_t count;
    double *noise = refs_numbers(b->r, refs_get(b->r, run, key), &count);
    job->noise = noise;
    job->noise_draws = (int64_t)count / b->numbers;
    return noise;
}

/* ---- runs over the chain --------------------------------------------------------------------------------------- */

static bool grid_of_timesteps(bench *b, const json_t *run, ebb_grid *g)
{
    const json_t *list = refs_get(b->r, run, "timesteps");
    int steps = (int)json_array_size(list);
    if (ebb_grid_alloc(b->r->ctx, steps, false, g) != EBB_OK)
        return false;
    for (int k = 0; k < steps; k++)
        g->level[k] = ebb_process_level(&b->chain, refs_at(list, (size_t)k));
    g->level[steps] = (ebb_level){0, 1, 0};
    return true;
}

static void run_chain(bench *b, const json_t *run, const char *sampler)
{
    ebb_grid g;
    walk_job job = {.sampler = sampler, .process = &b->chain};
    ebb_sampler_settings set = ebb_settings_default();
    if (json_object_get(run, "eta") != NULL)
        set.eta = refs_number(b->r, run, "eta");
    job.set = &set;
    double *noise = noise_of(b, run, "noise", &job);
    if (grid_of_timesteps(b, run, &g))
        compare(b, run, job, &g, 1, "path");
    ebb_free(noise);
}

/* Guidance to a class: both conventions that the run names must be the same weight. */
static void run_guided(bench *b, const json_t *run, const char *sampler)
{
    ebb_grid g;
    ebb_target one;
    double w = refs_number(b->r, run, "equivalent_ho_w");
    refs_near(b->r, "weight in the other convention", 0, 1 + w, refs_number(b->r, run, "equivalent_seed003_gamma"), 1e-15, 0);
    if (ebb_target_class(b->r->ctx, &b->all, refs_int(b->r, run, "cls"), &one) != EBB_OK) {
        refs_fail(b->r, "%s", ebb_message(b->r->ctx));
        return;
    }
    walk_job job = {.sampler = sampler, .process = &b->chain, .one = &one, .w = w};
    if (grid_of_timesteps(b, run, &g))
        compare(b, run, job, &g, 1, "path");
    ebb_target_free(&one);
}

/* The mean of one step and the gradient of log p(class|x) there. */
static void guided_row(bench *b, const json_t *run, const ebb_target *one, int64_t row, const double *x, double *out)
{
    enum { MU, GRADIENT, CORRECT, LITERAL };
    int dim = b->all.dim;
    double t = refs_number(b->r, run, "t"), score[EBB_TARGET_DIM_MAX];
    ebb_level at = ebb_process_level(&b->chain, t), next = ebb_process_level(&b->chain, t - 1);
    ebb_between q = ebb_level_between(at, next);
    double *mu = out + MU * b->numbers + row * dim, *g = out + GRADIENT * b->numbers + row * dim;
    ebb_target_at(&b->all, x, at.alpha, at.sigma, NULL, score, NULL, NULL);
    for (int d = 0; d < dim; d++)
        mu[d] = q.keep_x * x[d] + q.keep_x0 * (x[d] + at.sigma * at.sigma * score[d]) / at.alpha;
    ebb_target_at(&b->all, mu, next.alpha, next.sigma, NULL, score, NULL, NULL);
    ebb_target_at(one, mu, next.alpha, next.sigma, NULL, g, NULL, NULL);
    for (int d = 0; d < dim; d++)
        g[d] -= score[d];
    ebb_guide_mean(dim, mu, q.posterior, g, 1, false, out + CORRECT * b->numbers + row * dim);
    ebb_guide_mean(dim, mu, q.posterior, g, 1, true, out + LITERAL * b->numbers + row * dim);
    if (row == 0)
        refs_near(b->r, "tilde_beta", 0, q.posterior, refs_number(b->r, run, "tilde_beta"), RTOL, 0);
}

static void run_mean(bench *b, const json_t *run, const char *sampler)
{
    static const char *const keys[] = {"mu", "grad", "correct_mu_plus_var_g", "seed003_literal_mu_plus_std_g"};
    (void)sampler;
    size_t count, all = (size_t)b->numbers;
    double *start = refs_numbers(b->r, b->start, &count), *out = room(b, 4 * all);
    ebb_target one = {0};
    if (ebb_target_class(b->r->ctx, &b->all, b->label, &one) != EBB_OK)
        refs_fail(b->r, "%s", ebb_message(b->r->ctx));
    else if (start != NULL && out != NULL) {
        for (int64_t i = 0; i < b->n; i++)
            guided_row(b, run, &one, i, start + i * b->all.dim, out);
        for (size_t i = 0; i < 4; i++)
            refs_near_all(b->r, keys[i], out + i * all, all, refs_get(b->r, run, keys[i]), RTOL, 1e-12);
    }
    ebb_target_free(&one);
    ebb_free(start);
    ebb_free(out);
}

/* ---- runs over levels of sigma ----------------------------------------------------------------------------------- */

static bool grid_of_sigmas(bench *b, const json_t *run, ebb_grid *g, ebb_process *p)
{
    const json_t *list = refs_get(b->r, run, "sigmas");
    int steps = (int)json_array_size(list) - 1;
    ebb_process wanted = {.kind = EBB_PROCESS_EDM, .sigma_max = refs_at(list, 0)};
    if (ebb_process_create(b->r->ctx, &wanted, p) != EBB_OK || ebb_grid_alloc(b->r->ctx, steps, false, g) != EBB_OK) {
        refs_fail(b->r, "%s", ebb_message(b->r->ctx));
        return false;
    }
    for (int k = 0; k <= steps; k++)
        g->level[k] = ebb_process_level_sigma(p, refs_at(list, (size_t)k));
    return true;
}

/* Settings of the run by the names of the papers. */
static ebb_sampler_settings settings_of(bench *b, const json_t *run)
{
    static const struct { const char *key, *setting; } known[] = {
        {"S_churn", "churn"}, {"S_min", "s_min"}, {"S_max", "s_max"}, {"S_noise", "s_noise"}, {"eta", "eta"}, {"snr", "snr"},
        {"h", "h"}, {"eps0", "eps"}, {"M", "inner_steps"},
    };
    ebb_sampler_settings set = ebb_settings_default();
    for (const ebb_setting *s = ebb_settings; s->name != NULL; s++)
        for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
            if (strcmp(known[i].setting, s->name) == 0 && json_object_get(run, known[i].key) != NULL)
                *(double *)(void *)((char *)&set + s->offset) = refs_number(b->r, run, known[i].key);
    set.denoise = 0;
    return set;
}

static void run_sigmas(bench *b, const json_t *run, const char *sampler)
{
    ebb_grid g;
    ebb_process p;
    ebb_sampler_settings set = settings_of(b, run);
    const char *solver = json_string_value(json_object_get(run, "solver"));
    bool heun = solver != NULL && strcmp(solver, "heun") == 0;
    if (!grid_of_sigmas(b, run, &g, &p))
        return;
    walk_job job = {.sampler = heun ? "dpmpp-2m-sde-heun" : sampler, .process = &p, .set = &set};
    double *noise = noise_of(b, run, "noise", &job), first = g.level[0].sigma;
    compare(b, run, job, &g, first, "path");
    ebb_free(noise);
}

static void run_annealed(bench *b, const json_t *run, const char *sampler)
{
    ebb_grid g;
    ebb_process p;
    ebb_sampler_settings set = settings_of(b, run);
    set.half_step = strstr(refs_text(b->r, run, "name"), "paper") != NULL;
    if (!grid_of_sigmas(b, run, &g, &p))
        return;
    walk_job job = {.sampler = sampler, .process = &p, .set = &set};
    double *noise = noise_of(b, run, "noise", &job), first = g.level[0].sigma;
    compare(b, run, job, &g, first, "path_per_level");
    ebb_free(noise);
}

/* ---- runs over continuous processes ------------------------------------------------------------------------------- */

/* t in N points from the end to eps, steps of 1/N. */
static bool grid_of_score_sde(bench *b, const json_t *run, const ebb_process *p, ebb_grid *g)
{
    ebb_grid_options o = {.steps = refs_int(b->r, run, "N"), .t_end = refs_number(b->r, run, "eps")};
    if (ebb_grid_create(b->r->ctx, p, "score-sde", &o, g) == EBB_OK)
        return true;
    refs_fail(b->r, "%s", ebb_message(b->r->ctx));
    return false;
}

static void run_sde(bench *b, const json_t *run, const char *sampler)
{
    ebb_grid g;
    ebb_process p;
    ebb_sampler_settings set = settings_of(b, run);
    if (!refs_process(b->r, refs_get(b->r, run, "sde"), 0, &p) || !grid_of_score_sde(b, run, &p, &g))
        return;
    walk_job job = {.sampler = sampler, .process = &p, .set = &set};
    double *noise = noise_of(b, run, "noise", &job);
    compare(b, run, job, &g, ebb_process_prior_std(&p), "path");
    ebb_free(noise);
    ebb_process_free(&p);
}

/* Corrector, then predictor, in turn: their stored noises are interleaved. */
static void run_pc(bench *b, const json_t *run, const char *sampler)
{
    ebb_grid g;
    ebb_process p;
    ebb_sampler_settings set = settings_of(b, run);
    walk_job job = {.sampler = sampler, .process = &p, .set = &set}, other = job;
    set.batch_mean = 1;
    set.predictor_first = strncmp(refs_text(b->r, run, "order"), "predictor", 9) == 0;
    double *corrector = noise_of(b, run, "noise_corrector", &job), *predictor = noise_of(b, run, "noise_predictor", &other);
    double *noise = room(b, (size_t)(2 * job.noise_draws * b->numbers));
    const double *first = set.predictor_first != 0 ? predictor : corrector, *second = first == corrector ? predictor : corrector;
    for (int64_t k = 0; noise != NULL && k < job.noise_draws; k++) {
        memcpy(noise + 2 * k * b->numbers, first + k * b->numbers, (size_t)b->numbers * sizeof *noise);
        memcpy(noise + (2 * k + 1) * b->numbers, second + k * b->numbers, (size_t)b->numbers * sizeof *noise);
    }
    job.noise = noise;
    job.noise_draws *= 2;
    if (noise != NULL && refs_process(b->r, refs_get(b->r, run, "sde"), 0, &p)) {
        if (grid_of_score_sde(b, run, &p, &g))
            compare(b, run, job, &g, ebb_process_prior_std(&p), "path");
        ebb_process_free(&p);
    }
    ebb_free(corrector);
    ebb_free(predictor);
    ebb_free(noise);
}

/* De Bortoli's chain backwards: X_{k+1} at time gamma_1 + ... + gamma_{k+1}, step gamma_{k+1}. */
static void run_debortoli(bench *b, const json_t *run, const char *sampler)
{
    const json_t *gamma = refs_get(b->r, run, "gamma"), *times = refs_get(b->r, run, "times");
    int steps = (int)json_array_size(gamma) - 1;
    ebb_sampler_settings set = settings_of(b, run);
    ebb_process wanted = {.kind = EBB_PROCESS_OU, .end = refs_at(times, (size_t)steps)}, p;
    ebb_grid g;
    if (ebb_process_create(b->r->ctx, &wanted, &p) != EBB_OK || ebb_grid_alloc(b->r->ctx, steps, true, &g) != EBB_OK) {
        refs_fail(b->r, "%s", ebb_message(b->r->ctx));
        return;
    }
    for (int k = 0; k <= steps; k++)
        g.level[k] = ebb_process_level(&p, refs_at(times, (size_t)(steps - k)));
    for (int k = 0; k < steps; k++)
        g.dt[k] = refs_at(gamma, (size_t)(steps - k));
    bool modified = strstr(refs_text(b->r, run, "name"), "modified") != NULL;
    walk_job job = {.sampler = modified ? "em-modified" : sampler, .process = &p, .set = &set};
    double *noise = noise_of(b, run, "noise", &job);
    compare(b, run, job, &g, 1, "path");
    ebb_free(noise);
    ebb_process_free(&p);
}

/* At the law itself; "(eta/2)" in the name tells the other convention. */
static void run_langevin(bench *b, const json_t *run, const char *sampler)
{
    ebb_grid g;
    ebb_process wanted = {.kind = EBB_PROCESS_OU}, p;
    ebb_sampler_settings set = settings_of(b, run);
    set.half_step = strstr(refs_text(b->r, run, "name"), "/2)") != NULL;
    walk_job job = {.sampler = sampler, .process = &p, .set = &set};
    double *noise = noise_of(b, run, "noise", &job);
    if (ebb_process_create(b->r->ctx, &wanted, &p) == EBB_OK
        && ebb_grid_create(b->r->ctx, &p, "uniform", &(ebb_grid_options){.steps = (int)job.noise_draws}, &g) == EBB_OK)
        compare(b, run, job, &g, 1, "path");
    else
        refs_fail(b->r, "%s", ebb_message(b->r->ctx));
    ebb_free(noise);
    ebb_process_free(&p);
}

/* ---- the file ------------------------------------------------------------------------------------------------------ */

static const handler handlers[] = {
    {"ddim_eta", run_chain, "ddim"},
    {"ddim_cfg", run_guided, "ddim"},
    {"ddpm_fixed_small", run_chain, "ddpm"},
    {"ddpm_fixed_large", run_chain, "ddpm-large"},
    {"classifier_guided_mean", run_mean, NULL},
    {"edm_churn_heun", run_sigmas, "edm"},
    {"k_euler_ancestral", run_sigmas, "euler-ancestral"},
    {"k_dpmpp_2m_sde", run_sigmas, "dpmpp-2m-sde"},
    {"euler_maruyama", run_sde, "euler-maruyama"},
    {"reverse_diffusion", run_sde, "reverse-diffusion"},
    {"ancestral", run_sde, "ancestral-sde"},
    {"pc_langevin_reverse_diffusion", run_pc, "pc"},
    {"debortoli_backward", run_debortoli, "euler-maruyama"},
    {"langevin", run_langevin, "langevin"},
    {"annealed_langevin", run_annealed, "annealed-langevin"},
};

static void check_run(bench *b, const json_t *run)
{
    const char *name = refs_text(b->r, run, "name");
    const handler *best = NULL;
    refs_entry(b->r, name);
    for (size_t i = 0; i < sizeof handlers / sizeof handlers[0]; i++) {
        const handler *h = &handlers[i];
        if (strncmp(name, h->name, strlen(h->name)) == 0 && (best == NULL || strlen(h->name) > strlen(best->name)))
            best = h;
    }
    if (best != NULL)
        best->run(b, run, best->sampler);
    else
        refs_fail(b->r, "nothing here repeats a run of this name");
}

void refs_samplers_stochastic(refs *r)
{
    bench b = {.r = r};
    const json_t *runs = refs_claim(r, "runs");
    refs_claim_note(r, "gmm");
    refs_claim_note(r, "x_start");
    b.start = refs_get(r, r->root, "x_start");
    b.n = (int64_t)json_array_size(b.start);
    if (!refs_target(r, refs_get(r, r->root, "gmm"), &b.all))
        return;
    b.numbers = b.n * b.all.dim;
    for (size_t i = 0; i < json_array_size(runs); i++)
        if (json_object_get(json_array_get(runs, i), "cls") != NULL)
            b.label = refs_int(r, json_array_get(runs, i), "cls");
    if (refs_chain(r, &b.chain)) {
        for (size_t i = 0; i < json_array_size(runs); i++)
            check_run(&b, json_array_get(runs, i));
        ebb_process_free(&b.chain);
    }
    ebb_target_free(&b.all);
}

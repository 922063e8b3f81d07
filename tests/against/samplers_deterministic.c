/* samplers_deterministic.c: paths of deterministic samplers, exact ends of the probability flow, rectified flow, and how
 * errors fall with the number of steps.
 *
 * A run is read by its "sampler" and the fields next to it; the levels are those that it lists. Its whole path counts, taken
 * from the points where the field was asked, for a sampler may ask inside of a step.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "against/refs.h"
#include "diffusion/flow.h"
#include "support/walks.h"

enum { CELLS_MAX = 4000 };

typedef struct law {
    ebb_target target;
    ebb_process vp, chain;
    double *start;               /* (n,dim) */
    int64_t n;
} law;

/* ---- the law and its processes ----------------------------------------------------------------------------- */

static bool read_chain(refs *r, const json_t *spec, ebb_process *out)
{
    ebb_process wanted = {.kind = EBB_PROCESS_DDPM};
    if (ebb_schedule_create(r->ctx, EBB_SCHEDULE_LINEAR, refs_int(r, spec, "T"), refs_number(r, spec, "beta_start"),
                            refs_number(r, spec, "beta_end"), &wanted.chain) == EBB_OK
        && ebb_process_create(r->ctx, &wanted, out) == EBB_OK)
        return true;
    refs_fail(r, "its chain cannot be made: %s", ebb_message(r->ctx));
    return false;
}

static bool read_law(refs *r, law *l)
{
    size_t numbers;
    *l = (law){0};
    if (!refs_target(r, refs_claim(r, "gmm"), &l->target) || !refs_process(r, refs_claim(r, "vp"), 0, &l->vp)
        || !read_chain(r, refs_claim(r, "ddpm"), &l->chain))
        return false;
    l->start = refs_numbers(r, refs_claim(r, "x_start"), &numbers);
    l->n = (int64_t)numbers / l->target.dim;
    return l->start != NULL && l->n > 0;
}

static void free_law(law *l)
{
    ebb_target_free(&l->target);
    ebb_process_free(&l->vp);
    ebb_process_free(&l->chain);
    ebb_free(l->start);
}

static ebb_process edm_process(refs *r, double sigma_min, double sigma_max)
{
    ebb_process p = {0}, wanted = {.kind = EBB_PROCESS_EDM, .sigma_min = sigma_min, .sigma_max = sigma_max};
    if (ebb_process_create(r->ctx, &wanted, &p) != EBB_OK)
        refs_fail(r, "%s", ebb_message(r->ctx));
    return p;
}

/* ---- one walk ----------------------------------------------------------------------------------------------- */

/* A walk over the levels of `level`, whose evaluations are kept. */
typedef struct course {
    const law *l;
    const ebb_process *process;
    ebb_level level[CELLS_MAX + 1];
    int steps;
    double scale;                /* of the start */
    const char *sampler;
    /* ---- found */
    double *x, *path, *asked;    /* (n,dim), (steps+1,n,dim), (asked_max,n,dim): the field's points */
    int64_t asked_max, nfe;
    ebb_field under;
} course;

static void asking(void *self, const double *x, const ebb_level *at, double *eps, double *x0)
{
    course *c = self;
    int64_t all = c->l->n * c->l->target.dim;
    if (c->nfe < c->asked_max)
        memcpy(c->asked + c->nfe * all, x, (size_t)all * sizeof *x);
    c->nfe++;
    c->under.predict(c->under.self, x, at, eps, x0);
}

static bool walk(refs *r, course *c)
{
    const law *l = c->l;
    int64_t all = l->n * l->target.dim;
    void *memory;
    c->asked_max = 3 * c->steps + 4;
    c->nfe = 0;
    if (ebb_alloc(r->ctx, &memory, (size_t)(all * (1 + c->steps + 1 + c->asked_max)), sizeof(double), "a path") != EBB_OK)
        return false;
    c->x = memory;
    c->path = c->x + all;
    c->asked = c->path + (c->steps + 1) * all;
    for (int64_t i = 0; i < all; i++)
        c->x[i] = c->scale * l->start[i];
    ebb_target_field self = {.all = &l->target, .n = l->n};
    c->under = ebb_field_of_target(&self);
    ebb_field field = {.n = l->n, .count = l->target.dim, .predict = asking, .self = c};
    ebb_grid grid = {.steps = c->steps, .level = c->level};
    walk_job job = {.sampler = c->sampler, .process = c->process, .grid = &grid, .field = &field, .n = l->n, .x = c->x,
                    .path = c->path, .path_steps = c->steps};
    if (walk_run(r->ctx, &job) == EBB_OK && job.nfe == c->nfe)
        return true;
    refs_fail(r, "%s: %s", c->sampler, ebb_message(r->ctx));
    ebb_free(memory);
    return false;
}

static void check_walk(refs *r, course *c, const json_t *run)
{
    int64_t all = c->l->n * c->l->target.dim;
    if (!walk(r, c))
        return;
    if (c->nfe != refs_int(r, run, "nfe"))
        refs_fail(r, "%s: %lld evaluations, but the reference has %d", c->sampler, (long long)c->nfe, refs_int(r, run, "nfe"));
    const json_t *path = refs_get(r, run, "path");
    if (strcmp(c->sampler, "plms") == 0) {
        /* The reference counts the first step's guess as a point of the path. */
        memcpy(c->asked + c->nfe * all, c->x, (size_t)all * sizeof *c->x);
        refs_near_all(r, "point", c->asked, (size_t)((c->nfe + 1) * all), path, 1e-9, 0);
    } else {
        refs_near_all(r, "point", c->path, (size_t)((c->steps + 1) * all), path, 1e-9, 0);
    }
    ebb_free(c->x);
}

/* ---- runs ----------------------------------------------------------------------------------------------------- */

static bool fits(refs *r, size_t cells)
{
    if (cells >= 1 && cells <= CELLS_MAX)
        return true;
    refs_fail(r, "a path of %zu steps", cells);
    return false;
}

/* Timesteps of the chain, repeated ones once, and the last level. */
static void take_timesteps(course *c, const json_t *t, double last_alphabar)
{
    c->process = &c->l->chain;
    c->steps = 0;
    for (size_t i = 0; i < json_array_size(t); i++)
        if (i == 0 || refs_at(t, i) != refs_at(t, i - 1))
            c->level[c->steps++] = ebb_process_level(c->process, refs_at(t, i));
    c->level[c->steps] = (ebb_level){0, sqrt(last_alphabar), sqrt(1 - last_alphabar)};
}

static void run_chain(refs *r, course *c, const json_t *run)
{
    const json_t *t = refs_get(r, run, "timesteps");
    bool plms = strcmp(c->sampler, "plms") == 0;
    if (!fits(r, json_array_size(t)))
        return;
    c->scale = 1;
    take_timesteps(c, t, plms ? c->l->chain.chain.alpha_bar[0] : refs_number(r, run, "final_alphabar"));
    check_walk(r, c, run);
}

static void run_sigmas(refs *r, course *c, const json_t *run)
{
    const json_t *sigma = refs_get(r, run, "sigmas");
    size_t count = json_array_size(sigma);
    if (!fits(r, count - 1))
        return;
    c->steps = (int)count - 1;
    for (size_t i = 0; i < count; i++)
        c->level[i] = (ebb_level){refs_at(sigma, i), 1, refs_at(sigma, i)};
    ebb_process p = edm_process(r, 0, 0);
    c->process = &p;
    c->scale = c->level[0].sigma;
    check_walk(r, c, run);
}

static void run_times(refs *r, course *c, const json_t *run)
{
    const json_t *t = refs_get(r, run, "t");
    size_t count = json_array_size(t);
    if (!fits(r, count - 1))
        return;
    c->process = &c->l->vp;
    c->scale = 1;
    c->steps = (int)count - 1;
    for (size_t i = 0; i < count; i++)
        c->level[i] = ebb_process_level(c->process, refs_at(t, i));
    check_walk(r, c, run);
}

static bool starts_with(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

static void run_dpm(refs *r, course *c, const json_t *run, bool data)
{
    char name[64];
    int order = refs_int(r, run, "order");
    bool multi = strcmp(refs_text(r, run, "method"), "multistep") == 0;
    bool lower = json_is_true(json_object_get(run, "lower_order_final"));
    if (order == 1)
        snprintf(name, sizeof name, "%s", data ? "ddim" : "dpm-solver-1");
    else if (multi)
        snprintf(name, sizeof name, "%s-%dm:lower_order_final=%d", data ? "dpmpp" : "dpm-solver", order, lower);
    else
        snprintf(name, sizeof name, "%s-%d%s", data ? "dpmpp" : "dpm-solver", order, data ? "s" : "");
    c->sampler = name;
    run_times(r, c, run);
}

static void run_unipc(refs *r, course *c, const json_t *run)
{
    char name[96];
    snprintf(name, sizeof name, "unipc:order=%d,bh=%d,noise_form=%d,lower_order_final=%d", refs_int(r, run, "order"),
             strcmp(refs_text(r, run, "variant"), "bh1") == 0 ? 1 : 2, strcmp(refs_text(r, run, "pred"), "eps") == 0,
             json_is_true(json_object_get(run, "lower_order_final")));
    c->sampler = name;
    run_times(r, c, run);
}

static void check_run(refs *r, const law *l, const json_t *run)
{
    static const struct { const char *says, *sampler; void (*run)(refs *, course *, const json_t *); } kinds[] = {
        {"ddim", "ddim", run_chain},
        {"PNDM skip_prk", "plms", run_chain},
        {"euler (EDM", "euler", run_sigmas},
        {"heun (EDM", "heun", run_sigmas},
        {"k-diffusion sample_dpm_2", "dpm2", run_sigmas},
        {"k-diffusion sample_dpmpp_2m", "dpmpp-2m", run_sigmas},
        {"k-diffusion sample_lms order 4", "lms", run_sigmas},
        {"unipc", NULL, run_unipc},
    };
    static course c;
    const char *sampler = refs_text(r, run, "sampler");
    c = (course){.l = l};
    refs_entry(r, refs_text(r, run, "name"));
    if (starts_with(sampler, "dpmsolver")) {
        run_dpm(r, &c, run, strcmp(sampler, "dpmsolver++") == 0);
        return;
    }
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (starts_with(sampler, kinds[i].says) && json_number_value(json_object_get(run, "eta")) == 0) {
            c.sampler = kinds[i].sampler;
            kinds[i].run(r, &c, run);
            return;
        }
    refs_fail(r, "no sampler here is '%s'", sampler);
}

/* ---- exact flows ---------------------------------------------------------------------------------------------- */

/* The flow over a process from its end (or t = from) to t = to, from the start times scale, at the tightest tolerance. */
static double *exact(refs *r, const law *l, const ebb_process *p, double from, double to, double scale)
{
    int64_t all = l->n * l->target.dim;
    ebb_target_field self = {.all = &l->target, .n = l->n};
    ebb_field field = ebb_field_of_target(&self);
    ebb_flow flow = {.process = p, .field = &field, .rtol = 1e-12, .atol = 1e-13};
    void *memory;
    size_t work = ebb_flow_work(l->n, l->target.dim);
    if (ebb_alloc(r->ctx, &memory, (size_t)all + work, sizeof(double), "a flow") != EBB_OK)
        return NULL;
    double *x = memory;
    for (int64_t i = 0; i < all; i++)
        x[i] = scale * l->start[i];
    if (ebb_flow_solve(r->ctx, &flow, from, to, x, x + all) != EBB_OK)
        refs_fail(r, "the flow: %s", ebb_message(r->ctx));
    return x;
}

static void check_exact(refs *r, const law *l, const char *name, const ebb_process *p, double from, double to, double scale,
                        const json_t *want)
{
    double *x = exact(r, l, p, from, to, scale);
    refs_entry(r, name);
    if (x != NULL)
        refs_near_all(r, "end", x, (size_t)(l->n * l->target.dim), want, 1e-8, 1e-10);
    ebb_free(x);
}

/* Processes of the set's own parameters: those of vp are given; others are the usual ones, or from params.json. */
static json_t *params(refs *r)
{
    char path[1024];
    json_error_t error;
    snprintf(path, sizeof path, "%s/params.json", r->directory);
    return json_load_file(path, 0, &error);
}

static double param(const json_t *all, const char *key, size_t i, double usual)
{
    const json_t *v = json_array_get(json_object_get(all, key), i);
    return v != NULL ? refs_value(v) : usual;
}

static void check_exacts(refs *r, const law *l, const json_t *all)
{
    const json_t *want = refs_claim(r, "exact_pf_ode"), *ou = refs_get(r, want, "ou_T_to_1e-3");
    double low = param(all, "karras", 1, 0.002), high = param(all, "karras", 2, 80);
    ebb_process sub_vp = {0}, ve = {0}, noise = {0}, edm = edm_process(r, low, high);
    ebb_process wanted = {.kind = EBB_PROCESS_SUBVP, .beta_min = l->vp.beta_min, .beta_max = l->vp.beta_max};
    bool made = ebb_process_create(r->ctx, &wanted, &sub_vp) == EBB_OK;
    wanted = (ebb_process){.kind = EBB_PROCESS_VE, .sigma_min = param(all, "ve", 0, 0.01), .sigma_max = param(all, "ve", 1, 50)};
    made = made && ebb_process_create(r->ctx, &wanted, &ve) == EBB_OK;
    wanted = (ebb_process){.kind = EBB_PROCESS_OU, .end = refs_number(r, ou, "T")};
    made = made && ebb_process_create(r->ctx, &wanted, &noise) == EBB_OK;
    if (!made) {
        refs_fail(r, "%s", ebb_message(r->ctx));
        return;
    }
    check_exact(r, l, "exact vp", &l->vp, 1, 1e-3, 1, refs_get(r, want, "vp_t1_to_1e-3"));
    check_exact(r, l, "exact sub-vp", &sub_vp, 1, 1e-3, 1, refs_get(r, want, "subvp_t1_to_1e-3"));
    check_exact(r, l, "exact ve", &ve, 1, 1e-5, ve.sigma_max, refs_get(r, want, "ve_t1_to_1e-5_from_x_times_sigma_max"));
    check_exact(r, l, "exact edm", &edm, high, low, high, refs_get(r, want, "edm_sigma_max_to_sigma_min_from_x_times_sigma_max"));
    check_exact(r, l, "exact ou", &noise, noise.end, 1e-3, 1, refs_get(r, ou, "x"));
    if (json_object_size(want) != 5)
        refs_fail(r, "exact_pf_ode has %zu entries; 5 are known here", json_object_size(want));
}

/* ---- rectified flow ------------------------------------------------------------------------------------------- */

static void check_rectified(refs *r, const law *l)
{
    static course c;
    json_t *want = refs_claim(r, "rectified_flow"), *path;
    const char *steps;
    ebb_process p = {0}, wanted = {.kind = EBB_PROCESS_FLOW};
    if (ebb_process_create(r->ctx, &wanted, &p) != EBB_OK)
        return;
    json_object_foreach (refs_get(r, want, "euler"), steps, path) {
        size_t cells = json_array_size(path) - 1;
        refs_entry(r, "rectified_flow euler");
        if (!fits(r, cells))
            continue;
        c = (course){.l = l, .process = &p, .sampler = "pf-euler", .steps = (int)cells, .scale = 1};
        for (int k = 0; k <= c.steps; k++)
            c.level[k] = ebb_process_level(&p, (double)(c.steps - k) / c.steps);
        if (!walk(r, &c))
            continue;
        refs_near_all(r, "point", c.path, (cells + 1) * (size_t)(l->n * l->target.dim), path, 1e-9, 0);
        ebb_free(c.x);
    }
    check_exact(r, l, "exact rectified_flow", &p, 1, 1e-3, 1, refs_get(r, want, "exact_t_end_1em3"));
}

/* ---- convergence ---------------------------------------------------------------------------------------------- */

/* even in lambda, or Karras' rho grid of the edm process, without a clean end. */
static void take_convergence_levels(course *c, bool karras, double rho)
{
    const ebb_process *p = c->process;
    double from = ebb_process_lambda(p, 1), to = ebb_process_lambda(p, 1e-3);
    for (int k = 0; k <= c->steps; k++) {
        double part = (double)k / c->steps, high = pow(p->sigma_max, 1 / rho);
        double sigma = pow(high + part * (pow(p->sigma_min, 1 / rho) - high), rho);
        c->level[k] = karras ? (ebb_level){sigma, 1, sigma}
                             : ebb_process_level(p, ebb_process_time(p, from + part * (to - from)));
    }
}

static void check_convergence_of(refs *r, course *c, const json_t *want, const double *end, int each, bool karras, double rho)
{
    const json_t *counts = refs_get(r, want, karras ? "steps" : "NFE_nominal"), *rmse = refs_get(r, want, "rmse");
    int64_t all = c->l->n * c->l->target.dim;
    double before = 0;
    for (size_t i = 0; i < json_array_size(counts); i++) {
        double sum = 0;
        c->steps = (int)refs_at(counts, i) / each;
        if (!fits(r, (size_t)c->steps))
            return;
        take_convergence_levels(c, karras, rho);
        c->scale = karras ? c->process->sigma_max : 1;
        if (!walk(r, c))
            return;
        for (int64_t d = 0; d < all; d++)
            sum += (c->x[d] - end[d]) * (c->x[d] - end[d]);
        double error = sqrt(sum / (double)all), order = log2(before / error);
        /* Errors down to 1e-9 are differences of paths and ends, each good to 1e-12. */
        refs_near(r, "rmse", (long)i, error, refs_at(rmse, i), 1e-6, 2e-11);
        if (i > 0)
            refs_near(r, "order", (long)i - 1, order, refs_at(refs_get(r, want, "order"), i - 1), 0, 1e-6 + 1e-10 / error);
        before = error;
        ebb_free(c->x);
    }
}

static void check_convergence(refs *r, const law *l, const json_t *all)
{
    static const struct { const char *name, *sampler; int evaluations; } rows[] = {
        {"dpmsolver-1", "dpm-solver-1", 1},
        {"dpmsolver-2", "dpm-solver-2", 2},
        {"dpmsolver-3", "dpm-solver-3", 3},
        {"dpmpp-2m", "dpmpp-2m:lower_order_final=0", 1},
        {"dpmpp-3m", "dpmpp-3m:lower_order_final=0", 1},
        {"unipc-2", "unipc:order=2", 1},
        {"unipc-3", "unipc:order=3", 1},
        {"edm-euler", "euler", 1},
        {"edm-heun", "heun", 1},
    };
    static course c;
    const json_t *want = refs_claim(r, "convergence");
    ebb_process edm = edm_process(r, param(all, "karras", 1, 0.002), param(all, "karras", 2, 80));
    double *end = exact(r, l, &l->vp, 1, 1e-3, 1), *edm_end = exact(r, l, &edm, edm.sigma_max, edm.sigma_min, edm.sigma_max);
    const char *name;
    json_t *of;
    json_object_foreach ((json_t *)want, name, of) {
        size_t i = 0;
        while (i < sizeof rows / sizeof rows[0] && strcmp(rows[i].name, name) != 0)
            i++;
        refs_entry(r, name);
        if (i == sizeof rows / sizeof rows[0] || end == NULL || edm_end == NULL) {
            refs_fail(r, "no sampler here is '%s'", name);
            continue;
        }
        bool karras = starts_with(name, "edm");
        c = (course){.l = l, .process = karras ? &edm : &l->vp, .sampler = rows[i].sampler};
        check_convergence_of(r, &c, of, karras ? edm_end : end, rows[i].evaluations, karras, param(all, "karras", 3, 7));
    }
    ebb_free(end);
    ebb_free(edm_end);
}

void refs_samplers_deterministic(refs *r)
{
    law l;
    size_t i;
    json_t *run, *runs = refs_claim(r, "runs"), *all = params(r);
    if (read_law(r, &l)) {
        json_array_foreach (runs, i, run)
            check_run(r, &l, run);
        check_exacts(r, &l, all);
        check_rectified(r, &l);
        check_convergence(r, &l, all);
    }
    free_law(&l);
    json_decref(all);
}

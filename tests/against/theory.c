/* theory.c: convergence of the noising process, mixing of Langevin's dynamics, exact laws of samplers over normal data.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "against/refs.h"
#include "diffusion/fokker_planck.h"
#include "diffusion/gaussian.h"

#define RTOL 1e-10
#define QUADRATURE 1e-8          /* of total variation: |p - q| has corners */
#define GAP_RTOL 0.01            /* other points than the reference's */

static void check_convergence(refs *r)
{
    const json_t *want = refs_claim(r, "ou_convergence");
    const json_t *row, *rows = refs_get(r, want, "rows");
    ebb_target law;
    size_t i;
    double first = NAN, far = 12;
    if (!refs_target(r, refs_get(r, want, "gmm"), &law))
        return;
    for (int k = 0; k < law.parts; k++)
        far = fmax(far, fabs(law.mean[k]) + 12 * sqrt(law.cov[k]));
    json_array_foreach (rows, i, row) {
        double t = refs_number(r, row, "T"), sigma = sqrt(-expm1(-2 * t));
        refs_entry(r, "ou_convergence");
        ebb_line_distance d = ebb_target_to_normal(&law, exp(-t), sigma, (ebb_normal){0, 1}, -far, far, 60001);
        refs_near(r, "KL", (long)i, d.kl, refs_number(r, row, "KL"), RTOL, 1e-12);
        refs_near(r, "TV", (long)i, d.tv, refs_number(r, row, "TV"), 1e-6, QUADRATURE);
        refs_near(r, "mean", (long)i, d.mean, refs_number(r, row, "mean"), RTOL, 1e-12);
        refs_near(r, "var", (long)i, d.var, refs_number(r, row, "var"), RTOL, 1e-12);
        first = i == 0 ? d.kl * exp(2 * t) : first;
        if (!(d.kl <= first * exp(-2 * t) * (1 + 1e-9) + 1e-14))
            refs_fail(r, "KL %g at T %g: above exp(-2T) times that at the start", d.kl, t);
    }
    ebb_target_free(&law);
}

static void check_gap(refs *r)
{
    const json_t *want = refs_claim(r, "langevin_gap"), *row;
    double sd = refs_number(r, want, "sd"), var[2] = {sd * sd, sd * sd}, weight[2] = {0.5, 0.5};
    size_t i;
    json_array_foreach (refs_get(r, want, "rows"), i, row) {
        double a = refs_number(r, row, "separation") / 2, mean[2] = {-a, a};
        ebb_target law;
        ebb_fokker_planck f;
        refs_entry(r, "langevin_gap");
        if (ebb_target_create(r->ctx, 2, 1, weight, mean, var, NULL, &law) != EBB_OK ||
            ebb_fokker_planck_create(r->ctx, 1201, -a - 7 * sd, a + 7 * sd, &f) != EBB_OK) {
            refs_fail(r, "%s", ebb_message(r->ctx));
            return;
        }
        double gap = ebb_langevin_gap(&f, &law, 1, 0);
        refs_near(r, "gap", (long)i, gap, refs_number(r, row, "gap"), GAP_RTOL, 0);
        refs_near(r, "relax_time", (long)i, 1 / gap, refs_number(r, row, "relax_time"), GAP_RTOL, 0);
        ebb_fokker_planck_free(&f);
        ebb_target_free(&law);
    }
}

/* ---- samplers -------------------------------------------------------------------------------------------------------- */

static bool normal_data(refs *r, const json_t *spec, ebb_target *law)
{
    double one = 1, mean = refs_number(r, spec, "m"), var = refs_number(r, spec, "s2");
    if (ebb_target_create(r->ctx, 1, 1, &one, &mean, &var, NULL, law) == EBB_OK)
        return true;
    refs_fail(r, "%s", ebb_message(r->ctx));
    return false;
}

static ebb_normal law_of(refs *r, const char *sampler, const ebb_process *p, const char *kind, const ebb_grid_options *o,
                         const ebb_target *law)
{
    ebb_normal out = {NAN, NAN};
    ebb_grid grid = {0};
    if (ebb_grid_create(r->ctx, p, kind, o, &grid) != EBB_OK ||
        ebb_sampler_law(r->ctx, &(ebb_law_of){sampler, p, &grid, law, 0}, &out) != EBB_OK)
        refs_fail(r, "%s", ebb_message(r->ctx));
    ebb_grid_free(&grid);
    return out;
}

static void check_reverse(refs *r)
{
    const json_t *want = refs_claim(r, "reverse_sde_em_gaussian"), *row;
    double t_end = refs_number(r, want, "t_end");
    ebb_target law;
    ebb_process p;
    size_t i;
    if (!normal_data(r, want, &law))
        return;
    if (!refs_process(r, refs_get(r, want, "sde"), 0, &p)) {
        ebb_target_free(&law);
        return;
    }
    ebb_level end = ebb_process_level(&p, t_end);
    ebb_normal exact = ebb_normal_at(&law, end.alpha, end.sigma);
    json_array_foreach (refs_get(r, want, "rows"), i, row) {
        refs_entry(r, "reverse_sde_em_gaussian");
        /* "uniform" ends at its last noisy level, and the chain of the reference adds noise in the last step too. */
        ebb_normal got = law_of(r, "euler-maruyama:denoise=0", &p, "uniform",
                                &(ebb_grid_options){.steps = refs_int(r, row, "N"), .t_end = t_end}, &law);
        const struct { const char *key; double got; } all[] = {
            {"mean", got.mean}, {"var", got.var}, {"target_mean", exact.mean}, {"target_var", exact.var},
            {"KL", ebb_normal_kl(got, exact)}, {"W2", ebb_normal_w2(got, exact)}};
        /* KL is a small difference of numbers near 1. */
        for (size_t k = 0; k < sizeof all / sizeof *all; k++)
            refs_near(r, all[k].key, (long)i, all[k].got, refs_number(r, row, all[k].key), RTOL, 1e-12);
    }
    ebb_process_free(&p);
    ebb_target_free(&law);
}

/* The chain is told by params.json alone. */
static bool chain(refs *r, ebb_process *p)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/params.json", r->directory);
    json_t *params = json_load_file(path, 0, NULL);
    ebb_process wanted = {.kind = EBB_PROCESS_DDPM};
    const json_t *beta = json_object_get(params, "beta");
    bool fine = beta != NULL &&
                ebb_schedule_create(r->ctx, EBB_SCHEDULE_LINEAR, (int)json_integer_value(json_object_get(params, "T")),
                                    refs_at(beta, 0), refs_at(beta, 1), &wanted.chain) == EBB_OK &&
                ebb_process_create(r->ctx, &wanted, p) == EBB_OK;
    if (!fine)
        refs_fail(r, "needs T and beta of params.json: %s", beta != NULL ? ebb_message(r->ctx) : "not there");
    json_decref(params);
    return fine;
}

static void check_chain_row(refs *r, const ebb_process *p, const ebb_target *law, const json_t *row, long i, bool ddim)
{
    const char *sampler = ddim ? "ddim" : strcmp(refs_text(r, row, "variance"), "fixed_large") == 0 ? "ddpm-large" : "ddpm";
    ebb_normal exact = ebb_normal_at(law, 1, 0);
    ebb_normal got = law_of(r, sampler, p, "leading", &(ebb_grid_options){.steps = refs_int(r, row, "N")}, law);
    refs_near(r, "mean", i, got.mean, refs_number(r, row, "mean"), RTOL, 0);
    refs_near(r, "target_mean", i, exact.mean, refs_number(r, row, "target_mean"), RTOL, 0);
    if (ddim) {
        refs_near(r, "sd", i, sqrt(got.var), refs_number(r, row, "sd"), RTOL, 0);
        refs_near(r, "target_sd", i, sqrt(exact.var), refs_number(r, row, "target_sd"), RTOL, 0);
        refs_near(r, "W2", i, ebb_normal_w2(got, exact), refs_number(r, row, "W2"), RTOL, 1e-12);
    } else {
        refs_near(r, "var", i, got.var, refs_number(r, row, "var"), RTOL, 0);
        refs_near(r, "target_var", i, exact.var, refs_number(r, row, "target_var"), RTOL, 0);
    }
}

static void check_chains(refs *r, const char *key, bool ddim)
{
    const json_t *want = refs_claim(r, key), *row;
    ebb_target law;
    ebb_process p;
    size_t i;
    if (!normal_data(r, want, &law))
        return;
    if (chain(r, &p)) {
        json_array_foreach (refs_get(r, want, "rows"), i, row) {
            refs_entry(r, key);
            check_chain_row(r, &p, &law, row, (long)i, ddim);
        }
        ebb_process_free(&p);
    }
    ebb_target_free(&law);
}

void refs_theory(refs *r)
{
    check_convergence(r);
    check_gap(r);
    check_reverse(r);
    check_chains(r, "ddpm_gaussian_exact_law", false);
    check_chains(r, "ddim_gaussian_exact_law", true);
}

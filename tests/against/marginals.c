/* marginals.c: alpha, sigma, drift and diffusion of each process, Gaussian data under them, chains of Ornstein-Uhlenbeck.
 */
#include "against/refs.h"

#include <math.h>
#include <string.h>

#include "diffusion/posterior.h"

#define RTOL 1e-10

static double kernel_from_zero(const ebb_process *p, double t)
{
    return sqrt(ebb_level_kernel(ebb_process_level(p, 0), ebb_process_level(p, t)).variance);
}

static void check_functions(refs *r, const json_t *want, const ebb_process *p)
{
    const json_t *ts = refs_get(r, want, "t"), *integral = json_object_get(want, "int_beta");
    const json_t *kernel = json_object_get(want, "sigma_seed002_sqrt_sig2t_minus_sig20");
    for (size_t i = 0; i < json_array_size(ts); i++) {
        double t = refs_at(ts, i);
        ebb_level at = ebb_process_level(p, t);
        refs_near(r, "alpha", (long)i, at.alpha, refs_at(refs_get(r, want, "alpha"), i), RTOL, 0);
        refs_near(r, "sigma", (long)i, at.sigma, refs_at(refs_get(r, want, "sigma"), i), RTOL, 0);
        refs_near(r, "drift_coef", (long)i, ebb_process_drift(p, t), refs_at(refs_get(r, want, "drift_coef"), i), RTOL, 0);
        refs_near(r, "g", (long)i, sqrt(ebb_process_diffusion2(p, t)), refs_at(refs_get(r, want, "g"), i), RTOL, 0);
        refs_near(r, "half_logsnr", (long)i, ebb_process_lambda(p, t), refs_at(refs_get(r, want, "half_logsnr"), i), RTOL,
                  RTOL);
        if (integral != NULL)    /* alpha = exp(-B/2) */
            refs_near(r, "int_beta", (long)i, -2 * log(at.alpha), refs_at(integral, i), RTOL, 1e-15);
        if (kernel != NULL)
            refs_near(r, "kernel", (long)i, kernel_from_zero(p, t), refs_at(kernel, i), RTOL, 0);
    }
}

static void check_gaussian(refs *r, const json_t *want, const json_t *ts, const ebb_process *p)
{
    double std = ebb_process_prior_std(p), last = refs_at(ts, json_array_size(ts) - 1);
    ebb_gaussian data = {refs_number(r, want, "m"), refs_number(r, want, "s2")}, prior = {0, std * std};
    for (size_t i = 0; i < json_array_size(ts); i++) {
        ebb_gaussian at = ebb_gaussian_at(ebb_process_level(p, refs_at(ts, i)), data);
        refs_near(r, "mean_t", (long)i, at.mean, refs_at(refs_get(r, want, "mean_t"), i), RTOL, 0);
        refs_near(r, "var_t", (long)i, at.variance, refs_at(refs_get(r, want, "var_t"), i), RTOL, 0);
    }
    /* The reference subtracts numbers about 1. */
    refs_near(r, "KL_to_prior_last", 0, ebb_gaussian_kl(ebb_gaussian_at(ebb_process_level(p, last), data), prior),
              refs_number(r, want, "KL_to_prior_last"), RTOL, 1e-15);
}

static void check_process(refs *r, const char *name)
{
    const json_t *want = refs_claim(r, name), *ts = refs_get(r, want, "t");
    bool ou = strcmp(name, "ou") == 0;
    ebb_process p;
    if (!refs_process(r, refs_get(r, want, "spec"), ou ? refs_at(ts, json_array_size(ts) - 1) : 0, &p))
        return;
    check_functions(r, want, &p);
    check_gaussian(r, refs_get(r, want, "gauss_data"), ts, &p);
}

static void check_chains(refs *r)
{
    size_t i;
    json_t *row;
    json_array_foreach (refs_claim(r, "ou_euler_maruyama_seed001"), i, row) {
        double gamma = refs_number(r, row, "gamma");
        ebb_kernel at = ebb_em_kernel(gamma, refs_int(r, row, "k"));
        refs_entry(r, "ou_euler_maruyama_seed001");
        refs_near(r, "mean_coef", (long)i, at.keep, refs_number(r, row, "mean_coef"), RTOL, 0);
        refs_near(r, "var_from_delta", (long)i, at.variance, refs_number(r, row, "var_from_delta"), RTOL, 0);
        refs_near(r, "stationary_var", (long)i, ebb_em_stationary(gamma), refs_number(r, row, "stationary_var"), RTOL, 0);
    }
    json_array_foreach (refs_claim(r, "ar1_seed001"), i, row) {
        ebb_kernel at = ebb_ar1_kernel(refs_number(r, row, "alpha"), refs_int(r, row, "k"));
        refs_entry(r, "ar1_seed001");
        refs_near(r, "mean_coef", (long)i, at.keep, refs_number(r, row, "mean_coef"), RTOL, 0);
        refs_near(r, "var_from_delta", (long)i, at.variance, refs_number(r, row, "var_from_delta"), RTOL, 0);
    }
}

/* DDPM's chain of 1000 steps against VP at t = i/1000, SMLD's against VE at t = i/999; all with the usual numbers. */
static void check_discrete(refs *r)
{
    const json_t *want = refs_claim(r, "ddpm_vs_vp_fig5");
    ebb_schedule s;
    ebb_process vp, ve, smld;
    double alpha = 0, variance = 0, sigma = 0;
    if (ebb_schedule_create(r->ctx, EBB_SCHEDULE_LINEAR, 1000, 1e-4, 0.02, &s) != EBB_OK ||
        ebb_process_create(r->ctx, &(ebb_process){.kind = EBB_PROCESS_VP}, &vp) != EBB_OK ||
        ebb_process_create(r->ctx, &(ebb_process){.kind = EBB_PROCESS_VE}, &ve) != EBB_OK ||
        ebb_process_create(r->ctx, &(ebb_process){.kind = EBB_PROCESS_SMLD}, &smld) != EBB_OK) {
        refs_fail(r, "%s", ebb_message(r->ctx));
        return;
    }
    for (int i = 0; i < 1000; i++) {
        ebb_level at = ebb_process_level(&vp, (i + 1) / 1000.0);
        alpha = fmax(alpha, fabs(sqrt(s.alpha_bar[i]) - at.alpha));
        variance = fmax(variance, fabs(1 - s.alpha_bar[i] - at.sigma * at.sigma));
        sigma = fmax(sigma, fabs(ebb_process_level(&smld, i).sigma / ebb_process_level(&ve, i / 999.0).sigma - 1));
    }
    refs_near(r, "alpha", 0, alpha, refs_number(r, want, "max_abs_diff_sqrt_alphabar_vs_exp"), RTOL, 0);
    refs_near(r, "variance", 0, variance, refs_number(r, want, "max_abs_diff_var"), RTOL, 0);
    /* They are equal; what is left is rounding. */
    refs_near(r, "smld", 0, sigma, refs_number(r, want, "smld_vs_ve_max_rel"), 0, 1e-13);
    ebb_schedule_free(&s);
}

void refs_marginals(refs *r)
{
    check_process(r, "vp");
    check_process(r, "subvp");
    check_process(r, "ve");
    check_process(r, "ou");
    check_chains(r);
    check_discrete(r);
}

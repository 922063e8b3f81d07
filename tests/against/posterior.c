/* posterior.c: the step back given the start: DDPM's chain, whole and respaced, and De Bortoli's.
 */
#include "against/refs.h"

#include <math.h>

#include "diffusion/posterior.h"

#define RTOL 1e-10

static void check_row(refs *r, const json_t *want, size_t i, const ebb_schedule *s, int t)
{
    ebb_chain_posterior q = ebb_chain_posterior_at(s, t);
    const struct { const char *name; double got; } all[] = {
        {"beta", q.beta}, {"alphabar", q.alpha_bar}, {"posterior_var", q.variance},
        {"posterior_logvar_clipped", q.log_variance}, {"fixed_large_var", q.variance_large}, {"coef_x0", q.keep_x0},
        {"coef_xt", q.keep_x}, {"mu_eps_coef", q.keep_eps}, {"recip_sqrt_alpha", q.scale},
    };
    for (size_t k = 0; k < sizeof all / sizeof all[0]; k++)
        refs_near(r, all[k].name, t, all[k].got, refs_at(refs_get(r, want, all[k].name), i), RTOL, 0);
}

static void check_chain(refs *r, const json_t *want, const ebb_schedule *s)
{
    const json_t *idx = refs_get(r, want, "idx0based");
    for (size_t i = 0; i < json_array_size(idx); i++)
        check_row(r, want, i, s, (int)refs_at(idx, i));
}

/* Steps and ends of the table: the last place in it is T-1, and beta is linear. */
static bool linear_of(refs *r, const json_t *want, ebb_schedule *s)
{
    const json_t *idx = refs_get(r, want, "idx0based"), *beta = refs_get(r, want, "beta");
    size_t last = json_array_size(idx) - 1;
    if (ebb_schedule_create(r->ctx, EBB_SCHEDULE_LINEAR, (int)refs_at(idx, last) + 1, refs_at(beta, 0), refs_at(beta, last),
                            s) == EBB_OK)
        return true;
    refs_fail(r, "%s", ebb_message(r->ctx));
    return false;
}

static void check_respaced(refs *r, const ebb_schedule *s)
{
    const json_t *want = refs_claim(r, "respaced10"), *use = refs_get(r, want, "use_timesteps");
    int timesteps[256], n = (int)json_array_size(use);
    ebb_schedule few;
    for (int i = 0; i < n && i < 256; i++)
        timesteps[i] = (int)refs_at(use, (size_t)i);
    if (n > 256 || ebb_schedule_respace(r->ctx, s, timesteps, n, &few) != EBB_OK) {
        refs_fail(r, "%s", ebb_message(r->ctx));
        return;
    }
    for (int t = 0; t < n; t++)
        check_row(r, want, (size_t)t, &few, t);
    ebb_schedule_free(&few);
}

static void check_em_row(refs *r, const json_t *row, long i)
{
    double gamma = refs_number(r, row, "gamma");
    int k = refs_int(r, row, "k");
    ebb_kernel at = ebb_em_kernel(gamma, k);
    ebb_em_posterior q = ebb_em_posterior_at(at, gamma);
    const struct { const char *name; double got; } all[] = {
        {"alpha_k", at.keep}, {"var_k", at.variance}, {"A", q.a}, {"B_noise", q.b_noise}, {"B_score", q.b_score},
        {"var_k_given_k1", q.variance}, {"coef_x0", q.keep_x0}, {"coef_xk1", q.keep_x}, {"em_variance", 2 * gamma},
        {"modified_em_variance_constgamma", ebb_em_modified_variance(gamma, (k + 1) * gamma, k * gamma)},
    };
    for (size_t j = 0; j < sizeof all / sizeof all[0]; j++)
        refs_near(r, all[j].name, i, all[j].got, refs_number(r, row, all[j].name), RTOL, 0);
}

void refs_posterior(refs *r)
{
    ebb_schedule linear, cosine, few;
    size_t i;
    json_t *row;
    const json_t *want = refs_claim(r, "linear");
    if (!linear_of(r, want, &linear))
        return;
    check_chain(r, want, &linear);
    want = refs_claim(r, "cosine");
    if (ebb_schedule_create(r->ctx, EBB_SCHEDULE_COSINE, linear.steps, 0, 0, &cosine) == EBB_OK) {
        check_chain(r, want, &cosine);
        ebb_schedule_free(&cosine);
    } else {
        refs_fail(r, "%s", ebb_message(r->ctx));
    }
    want = refs_claim(r, "linear_T10");
    if (linear_of(r, want, &few)) {
        check_chain(r, want, &few);
        ebb_schedule_free(&few);
    }
    check_respaced(r, &linear);
    ebb_schedule_free(&linear);
    json_array_foreach (refs_get(r, refs_claim(r, "debortoli_em_chain"), "rows"), i, row) {
        refs_entry(r, "debortoli_em_chain");
        check_em_row(r, row, (long)i);
    }
}

/* elbo.c: the variational bound of Gaussian data term by term, with the exact denoiser: its expected square error is
 * Var(x_0 | x_t). The discretised decoder, the divergence of normal laws.
 *
 * A linear chain's betas are not written beside its numbers, but the least of L_simple at its first and last step are
 * alpha_bar s2/(alpha_bar s2 + 1 - alpha_bar), which tells both alpha_bar.
 */
#include "diffusion/elbo.h"

#include <math.h>
#include <string.h>

#include "against/refs.h"
#include "diffusion/posterior.h"

#define RTOL 1e-10
/* Terms near 0 are differences of numbers of the size of 1, in the references too. */
#define ATOL 1e-15

static const struct { const char *key; int variance; } CHOICES[] = {
    {"fixed_small", EBB_VARIANCE_SMALL}, {"fixed_large", EBB_VARIANCE_LARGE}, {"fixed_beta", EBB_VARIANCE_BETA},
    {"optimal", EBB_VARIANCES},
};

typedef struct bound { ebb_process chain; ebb_gaussian data; int steps; } bound;

/* ---- the chain -------------------------------------------------------------------------------------------------- */

static double log_kept(int steps, double first, double last)
{
    double sum = 0;
    for (int t = 0; t < steps; t++)
        sum += log1p(-(first + (last - first) * t / (steps - 1)));
    return sum;
}

static double last_beta(int steps, double first, double log_alpha_bar)
{
    double low = first, high = 1;
    for (int i = 0; i < 200; i++) {
        double middle = 0.5 * (low + high);
        if (log_kept(steps, first, middle) > log_alpha_bar)
            low = middle;
        else
            high = middle;
    }
    return 0.5 * (low + high);
}

static bool chain_of(refs *r, const char *key, const json_t *want, bound *b)
{
    ebb_process wanted = {.kind = EBB_PROCESS_DDPM};
    const json_t *least = refs_get(r, want, "L_simple_per_t_min");
    double q = refs_at(least, 0), end = refs_at(least, 3), s2 = b->data.variance;
    double first = s2 * (1 - q) / (s2 * (1 - q) + q), log_end = log(end / (s2 * (1 - end) + end)), last = 0;
    bool linear = strncmp(key, "linear_", 7) == 0;
    if (linear)
        last = last_beta(b->steps, first, log_end);
    if (ebb_schedule_create(r->ctx, linear ? EBB_SCHEDULE_LINEAR : EBB_SCHEDULE_COSINE, b->steps, first, last, &wanted.chain) ==
            EBB_OK &&
        ebb_process_create(r->ctx, &wanted, &b->chain) == EBB_OK)
        return true;
    refs_fail(r, "%s", ebb_message(r->ctx));
    return false;
}

/* ---- its terms ---------------------------------------------------------------------------------------------------- */

static double term(const bound *b, int t, int variance)
{
    ebb_elbo_law law = ebb_elbo_step_law(&b->chain, t);
    double left = ebb_gaussian_left(ebb_process_level(&b->chain, t), b->data.variance);
    double v = variance < EBB_VARIANCES ? law.variance[variance] : ebb_elbo_best_variance(&law, left, 1);
    return t == 0 ? ebb_elbo_density(v, left, 1) : ebb_elbo_step(&law, v, left, 1);
}

static double prior(const bound *b)
{
    double squares = b->data.mean * b->data.mean + b->data.variance;
    return ebb_elbo_prior(&b->chain, ebb_process_level(&b->chain, b->steps - 1), squares, 1);
}

static void check_five(refs *r, const bound *b, const json_t *want, const char *key, int from, int variance)
{
    const json_t *five = refs_get(r, want, key);
    for (size_t i = 0; i < json_array_size(five); i++)
        refs_near(r, key, (long)i, term(b, from + (int)i, variance), refs_at(five, i), RTOL, ATOL);
}

/* The sum of all terms. */
static double check_choice(refs *r, const bound *b, const json_t *want, int variance)
{
    double first = term(b, 0, variance), sum = 0;
    const json_t *all = refs_get(r, want, "all_terms_nats");
    for (int t = 1; t < b->steps; t++)
        sum += term(b, t, variance);
    double total = prior(b) + first + sum;
    refs_near(r, "L0_nats", variance, first, refs_number(r, want, "L0_nats"), RTOL, ATOL);
    check_five(r, b, want, "L_first5", 1, variance);
    check_five(r, b, want, "L_last5", b->steps - (int)json_array_size(refs_get(r, want, "L_last5")), variance);
    refs_near(r, "sum_L_1_to_Tm1", variance, sum, refs_number(r, want, "sum_L_1_to_Tm1"), RTOL, ATOL);
    refs_near(r, "total_nats", variance, total, refs_number(r, want, "total_nats"), RTOL, ATOL);
    refs_near(r, "total_bits_per_dim", variance, total / log(2), refs_number(r, want, "total_bits_per_dim"), RTOL, ATOL);
    for (size_t t = 0; t < json_array_size(all); t++)
        refs_near(r, "all_terms_nats", (long)t, term(b, (int)t, variance), refs_at(all, t), RTOL, ATOL);
    return total;
}

/* E|eps - E[eps | x_t]|^2 = Var(x_0 | x_t) alpha^2/sigma^2. */
static double least_simple(const bound *b, int t)
{
    ebb_level at = ebb_process_level(&b->chain, t);
    return ebb_gaussian_left(at, b->data.variance) * (at.alpha * at.alpha) / (at.sigma * at.sigma);
}

static void check_losses(refs *r, const bound *b, const json_t *want)
{
    const int simple[] = {0, 1, b->steps / 2, b->steps - 1}, vlb[] = {1, 2, b->steps / 2, b->steps - 1};
    ebb_objective o = {.weighting = EBB_WEIGHT_VLB};
    ebb_network net = {.prediction = EBB_PREDICT_EPSILON};
    const char *key = "vlb_weight_seed003_(1-alpha)^2/(2 tb alpha (1-ab))";
    double sum = 0;
    for (int i = 0; i < 4; i++) {
        refs_near(r, "L_simple_per_t_min", i, least_simple(b, simple[i]), refs_at(refs_get(r, want, "L_simple_per_t_min"), (size_t)i),
                  RTOL, 0);
        refs_near(r, key, i, ebb_weight(&o, &b->chain, &net, vlb[i]), refs_at(refs_get(r, want, key), (size_t)i), RTOL, 0);
    }
    for (int t = 0; t < b->steps; t++)
        sum += least_simple(b, t) / b->steps;
    refs_near(r, "L_simple_min_mean", 0, sum, refs_number(r, want, "L_simple_min_mean"), RTOL, 0);
}

static void check_bound(refs *r, const char *key)
{
    const json_t *want = refs_claim(r, key);
    bound b = {.data = {refs_number(r, want, "m"), refs_number(r, want, "s2")}, .steps = refs_int(r, want, "T")};
    if (!chain_of(r, key, want, &b))
        return;
    ebb_gaussian end = ebb_gaussian_at(ebb_process_level(&b.chain, b.steps - 1), b.data);
    double kl = ebb_gaussian_kl(end, (ebb_gaussian){0, 1}), entropy = 0.5 * log(2 * 3.14159265358979323846 * exp(1) * b.data.variance);
    refs_near(r, "prior_L_T_nats", 0, prior(&b), refs_number(r, want, "prior_L_T_nats"), RTOL, ATOL);
    refs_near(r, "entropy_data_nats", 0, entropy, refs_number(r, want, "entropy_data_nats"), RTOL, ATOL);
    refs_near(r, "KL_qT_prior", 0, kl, refs_number(r, want, "KL_qT_prior"), RTOL, ATOL);
    /* Rounding of as many terms. */
    double rounding = fmax(1e-12, 1e-15 * b.steps);
    for (size_t c = 0; c < sizeof CHOICES / sizeof CHOICES[0]; c++) {
        refs_entry(r, CHOICES[c].key);
        double total = check_choice(r, &b, refs_get(r, want, CHOICES[c].key), CHOICES[c].variance);
        if (CHOICES[c].variance == EBB_VARIANCES)
            refs_near(r, "the best variance: entropy + KL", 0, total - (entropy + kl), 0, 0, rounding);
    }
    refs_near(r, "check_optimal_total_equals_H_plus_KLqT", 0, refs_number(r, want, "check_optimal_total_equals_H_plus_KLqT"), 0, 0,
              rounding);
    check_losses(r, &b, want);
    ebb_process_free(&b.chain);
}

/* ---- the decoder ---------------------------------------------------------------------------------------------------- */

/* total_mass_on_256_grid: of these laws, which are not written beside it. */
static void check_mass(refs *r, const json_t *want)
{
    static const double law[3][2] = {{0.3, -3}, {-0.99, -2}, {1.2, -1}};
    for (size_t i = 0; i < json_array_size(want); i++) {
        double sum = 0;
        for (int b = 0; b < 256; b++)
            sum += exp(ebb_decoder_log_mass(b / 127.5 - 1, law[i % 3][0], exp(law[i % 3][1]), false, 1e-12));
        refs_near(r, "total_mass_on_256_grid", (long)i, sum, refs_at(want, i), RTOL, 0);
    }
}

static void check_decoder(refs *r, const json_t *want)
{
    const json_t *x = refs_get(r, want, "x");
    for (size_t i = 0; i < json_array_size(x); i++) {
        double at = refs_at(x, i), mean = refs_at(refs_get(r, want, "mean"), i);
        double std = exp(refs_at(refs_get(r, want, "log_std"), i));
        refs_near(r, "loglik_exact_cdf", (long)i, ebb_decoder_log_mass(at, mean, std, false, 1e-12),
                  refs_at(refs_get(r, want, "loglik_exact_cdf"), i), RTOL, 0);
        refs_near(r, "loglik_tanh_cdf", (long)i, ebb_decoder_log_mass(at, mean, std, true, 1e-12),
                  refs_at(refs_get(r, want, "loglik_tanh_cdf"), i), RTOL, 0);
    }
    check_mass(r, refs_get(r, want, "total_mass_on_256_grid"));
}

static void check_kl(refs *r, const json_t *rows)
{
    size_t i;
    json_t *row;
    json_array_foreach (rows, i, row) {
        ebb_gaussian a = {refs_number(r, row, "m1"), exp(refs_number(r, row, "lv1"))};
        ebb_gaussian b = {refs_number(r, row, "m2"), exp(refs_number(r, row, "lv2"))};
        refs_near(r, "kl", (long)i, ebb_gaussian_kl(a, b), refs_number(r, row, "kl"), RTOL, ATOL);
    }
}

void refs_elbo(refs *r)
{
    const char *key;
    json_t *value;
    json_object_foreach (r->root, key, value)
        if (json_object_get(value, "prior_L_T_nats") != NULL)
            check_bound(r, key);
    check_decoder(r, refs_claim(r, "discretized_decoder"));
    check_kl(r, refs_claim(r, "normal_kl"));
    refs_loss_weights(r, refs_claim(r, "loss_weights"));
}

/* likelihood.c: log-likelihoods along the probability flow of a mixture, bits a number, Hutchinson's estimate.
 */
#include "against/refs.h"

#include <math.h>
#include <stdio.h>

#include "diffusion/likelihood.h"

/* Of the integration, which is run at a tolerance well below. */
#define RTOL_ODE 1e-7
#define RTOL 1e-10

enum { MAX = 256 };

typedef struct points { ebb_target target; int64_t n, dim; double *x; } points;

/* |p_T at the latent + delta - p_eps at x|: nothing but the integration's error. */
static double self_check(const points *q, const ebb_process *p, double from, double to, const double *latent, const double *delta)
{
    ebb_level first = ebb_process_level(p, from), last = ebb_process_level(p, to);
    double most = 0;
    for (int64_t i = 0; i < q->n; i++) {
        double at_first, at_last;
        ebb_target_at(&q->target, q->x + i * q->dim, first.alpha, first.sigma, &at_first, NULL, NULL, NULL);
        ebb_target_at(&q->target, latent + i * q->dim, last.alpha, last.sigma, &at_last, NULL, NULL, NULL);
        most = fmax(most, fabs(at_last + delta[i] - at_first));
    }
    return most;
}

static void check_result(refs *r, const points *q, const json_t *want)
{
    double from = refs_number(r, want, "eps"), to = refs_number(r, want, "T"), latent[MAX], logp[MAX], prior[MAX], delta[MAX];
    double bits[MAX], exact[MAX], *work;
    ebb_process p;
    if (!refs_process(r, refs_get(r, want, "sde"), to, &p))
        return;
    ebb_target_field self = {.all = &q->target, .n = q->n};
    ebb_field field = ebb_field_of_target(&self);
    ebb_likelihood l = {.process = &p, .field = &field, .rtol = 1e-11, .atol = 1e-12, .from = from, .to = to, .prior = prior,
                        .delta = delta};
    for (int64_t i = 0; i < q->n * q->dim; i++)
        latent[i] = q->x[i];
    ebb_level first = ebb_process_level(&p, from);
    if (ebb_alloc(r->ctx, (void **)&work, ebb_likelihood_work(q->n, q->dim), sizeof *work, "a likelihood") != EBB_OK ||
        ebb_likelihood_solve(r->ctx, &l, latent, logp, work) != EBB_OK)
        refs_fail(r, "%s", ebb_message(r->ctx));
    for (int64_t i = 0; i < q->n; i++) {
        bits[i] = ebb_bits_per_dim(logp[i], q->dim, 0);
        ebb_target_at(&q->target, q->x + i * q->dim, first.alpha, first.sigma, exact + i, NULL, NULL, NULL);
    }
    size_t n = (size_t)q->n;
    refs_near_all(r, "latent", latent, n * (size_t)q->dim, refs_get(r, want, "latent"), RTOL_ODE, RTOL_ODE);
    refs_near_all(r, "delta_logp", delta, n, refs_get(r, want, "delta_logp"), RTOL_ODE, RTOL_ODE);
    refs_near_all(r, "prior_logp", prior, n, refs_get(r, want, "prior_logp"), RTOL_ODE, RTOL_ODE);
    refs_near_all(r, "ode_logp", logp, n, refs_get(r, want, "ode_logp"), RTOL_ODE, RTOL_ODE);
    refs_near_all(r, "bits_per_dim", bits, n, refs_get(r, want, "bits_per_dim"), RTOL_ODE, RTOL_ODE);
    refs_near_all(r, "exact_logp_eps", exact, n, refs_get(r, want, "exact_logp_eps"), RTOL, 0);
    refs_near(r, "self check", 0, self_check(q, &p, from, to, latent, delta), 0, 0, RTOL_ODE);
    ebb_free(work);
    ebb_process_free(&p);
}

/* "VP t=0.3" is in the note alone; the process is the first result's. */
static bool level_of_note(refs *r, const json_t *want, ebb_level *out)
{
    ebb_process p;
    double t;
    const char *note = refs_text(r, want, "note");
    while (*note != 0 && sscanf(note, "t=%lf", &t) != 1)
        note++;
    const json_t *first = json_array_get(json_object_get(r->root, "results"), 0);
    if (*note == 0 || !refs_process(r, refs_get(r, first, "sde"), 0, &p)) {
        refs_fail(r, "says no t=...");
        return false;
    }
    *out = ebb_process_level(&p, t);
    ebb_process_free(&p);
    return true;
}

/* v.J v over all 2^dim vectors of signs, the first of which is + + ..., the last sign changing first. */
static void check_hutchinson(refs *r, const points *q, const json_t *want)
{
    ebb_level at;
    double jacobian[MAX], div[MAX], eps[MAX], mean[MAX] = {0};
    const json_t *each = refs_get(r, want, "each");
    if (!level_of_note(r, want, &at))
        return;
    for (int64_t i = 0; i < q->n; i++) {
        ebb_target_field self = {.all = &q->target, .n = 1};
        ebb_field field = ebb_field_of_target(&self);
        field.divergence(field.self, q->x + i * q->dim, &at, eps, div);
        refs_near(r, "exact", (long)i, -div[0] / at.sigma, refs_at(refs_get(r, want, "exact"), (size_t)i), RTOL, 0);
        ebb_target_at(&q->target, q->x + i * q->dim, at.alpha, at.sigma, NULL, NULL, jacobian, NULL);
        for (size_t v = 0; v < json_array_size(each); v++) {
            double sum = 0;
            for (int64_t a = 0; a < q->dim; a++)
                for (int64_t b = 0; b < q->dim; b++) {
                    bool minus = (v >> (q->dim - 1 - a) & 1) != (v >> (q->dim - 1 - b) & 1);
                    sum += (minus ? -1 : 1) * jacobian[a * q->dim + b];
                }
            refs_near(r, "each", (long)i, sum, refs_at(json_array_get(each, v), (size_t)i), RTOL, 0);
            mean[i] += sum / (double)json_array_size(each);
        }
        refs_near(r, "mean of each", (long)i, mean[i], -div[0] / at.sigma, RTOL, 0);
    }
}

void refs_likelihood(refs *r)
{
    points q = {0};
    size_t numbers, i;
    json_t *row;
    if (!refs_target(r, refs_claim(r, "gmm"), &q.target))
        return;
    q.x = refs_numbers(r, refs_claim(r, "x"), &numbers);
    q.dim = q.target.dim;
    q.n = (int64_t)numbers / q.dim;
    if (numbers > MAX || q.dim * q.dim > MAX) {
        refs_fail(r, "more than %d numbers", MAX);
        return;
    }
    const json_t *want = refs_claim(r, "exact_logp_data");
    for (int64_t k = 0; k < q.n; k++) {
        double logp;
        ebb_target_at(&q.target, q.x + k * q.dim, 1, 0, &logp, NULL, NULL, NULL);
        refs_near(r, "exact_logp_data", (long)k, logp, refs_at(want, (size_t)k), RTOL, 0);
    }
    json_array_foreach (refs_claim(r, "results"), i, row) {
        refs_entry(r, refs_text(r, refs_get(r, row, "sde"), "type"));
        check_result(r, &q, row);
    }
    want = refs_claim(r, "bpd_offsets");
    refs_near(r, "centered_minus1_1", 0, ebb_bits_offset(-1, 1, 256), refs_number(r, want, "centered_minus1_1"), RTOL, 0);
    refs_near(r, "unit_0_1", 0, ebb_bits_offset(0, 1, 256), refs_number(r, want, "unit_0_1"), RTOL, 0);
    check_hutchinson(r, &q, refs_claim(r, "hutchinson"));
    ebb_free(q.x);
    ebb_target_free(&q.target);
}

/* modes.c: which modes samples are in, and whether as often as they should be.
 */
#include <math.h>

#include "eval/distances.h"

ebb_status ebb_mode_shares(ebb_context *ctx, const ebb_target *law, const double *x, int64_t n, double *share, double *error,
                           double *class_share)
{
    ebb_target each;             /* every part its own class */
    double *posterior;
    EBB_TRY(ebb_target_create(ctx, law->parts, law->dim, law->weight, law->mean, law->cov, NULL, &each));
    ebb_status status = ebb_alloc(ctx, (void **)&posterior, (size_t)law->parts, sizeof *posterior, "shares of modes");
    for (int k = 0; k < law->parts; k++)
        share[k] = error[k] = 0;
    for (int64_t i = 0; status == EBB_OK && i < n; i++) {
        ebb_target_at(&each, x + i * law->dim, 1, 0, NULL, NULL, NULL, posterior);
        for (int k = 0; k < law->parts; k++) {
            share[k] += posterior[k] / (double)n;
            error[k] += posterior[k] * posterior[k] / (double)n;
        }
    }
    for (int c = 0; class_share != NULL && c < law->classes; c++)
        class_share[c] = 0;
    for (int k = 0; k < law->parts; k++) {
        error[k] = sqrt(fmax(error[k] - share[k] * share[k], 0) / (double)n);
        if (class_share != NULL)
            class_share[law->label[k]] += share[k];
    }
    ebb_free(posterior);
    ebb_target_free(&each);
    return status;
}

/* Q(a, x) = Gamma(a, x)/Gamma(a): by its series where x < a + 1, else by its continued fraction (Lentz's method). */
static double upper_gamma(double a, double x)
{
    double front = exp(a * log(x) - x - lgamma(a));
    if (x <= 0)
        return 1;
    if (x < a + 1) {
        double term = 1 / a, sum = term;
        for (int k = 1; k < 1000 && term > 1e-17 * sum; k++)
            sum += term *= x / (a + k);
        return 1 - front * sum;
    }
    double b = x + 1 - a, c = 1e300, d = 1 / b, h = d;
    for (int k = 1; k < 1000; k++) {
        double by = -k * (k - a);
        b += 2;
        d = 1 / (by * d + b);
        c = b + by / c;
        h *= c * d;
        if (fabs(c * d - 1) < 1e-15)
            break;
    }
    return front * h;
}

double ebb_chi_square_chance(double value, int freedom)
{
    return freedom < 1 ? 1 : isinf(value) ? 0 : upper_gamma(freedom / 2.0, value / 2);
}

ebb_chi_square ebb_shares_test(const double *share, const double *expected, int count, int64_t n)
{
    ebb_chi_square t = {.freedom = -1};
    for (int k = 0; k < count; k++) {
        t.freedom += expected[k] > 0;
        if (expected[k] > 0)
            t.value += (double)n * (share[k] - expected[k]) * (share[k] - expected[k]) / expected[k];
        else if (share[k] * (double)n > 1e-6)
            t.value = INFINITY;
    }
    t.chance = ebb_chi_square_chance(t.value, t.freedom);
    return t;
}

/* classes.c: inception score, and counts of classes beside others (classes.h).
 */
#include "eval/classes.h"

#include <math.h>
#include <string.h>

typedef struct told { const double *probability; const double *other; int64_t n; int classes, groups; } told;

static double once(const told *s, const double *count, int64_t i)
{
    return count != NULL ? count[i % s->groups] : 1;
}

/* E KL(p||q) = E sum p log p - sum q log q of the mean q. */
static double score(const void *self, const double *count, double *mean)
{
    const told *s = self;
    double all = 0, kl = 0;
    memset(mean, 0, (size_t)s->classes * sizeof *mean);
    for (int64_t i = 0; i < s->n; i++) {
        const double *p = s->probability + i * s->classes;
        double w = once(s, count, i);
        all += w;
        for (int c = 0; w > 0 && c < s->classes; c++) {
            mean[c] += w * p[c];
            kl += p[c] > 0 ? w * p[c] * log(p[c]) : 0;
        }
    }
    kl /= all;
    for (int c = 0; c < s->classes; c++)
        kl -= mean[c] > 0 ? mean[c] / all * log(mean[c] / all) : 0;
    return exp(kl);
}

ebb_status ebb_inception_score(ebb_context *ctx, const double *probability, int64_t n, int classes, int resamples, ebb_measure *out)
{
    told s = {probability, NULL, n, classes, ebb_resample_groups(n)};
    if (n < 1 || classes < 2)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "inception score of %lld samples, %d classes: one and two at least", (long long)n, classes);
    return ebb_resample_measure(ctx, n, 0, resamples, (size_t)classes, score, &s, out);
}

static int class_of(const double *p, int classes)
{
    int best = 0;
    for (int c = 1; c < classes; c++)
        best = p[c] > p[best] ? c : best;
    return best;
}

void ebb_classes_count(const double *probability, int64_t n, int classes, double *count)
{
    memset(count, 0, (size_t)classes * sizeof *count);
    for (int64_t i = 0; i < n; i++)
        count[class_of(probability + i * classes, classes)] += 1;
}

ebb_chi_square ebb_classes_test(const double *a, const double *b, int classes)
{
    ebb_chi_square t = {.freedom = -1};
    double of_a = 0, of_b = 0;
    for (int c = 0; c < classes; c++) {
        of_a += a[c];
        of_b += b[c];
    }
    for (int c = 0; c < classes; c++) {
        double off = a[c] * sqrt(of_b / of_a) - b[c] * sqrt(of_a / of_b), both = a[c] + b[c];
        t.freedom += both > 0;
        t.value += both > 0 ? off * off / both : 0;
    }
    t.chance = ebb_chi_square_chance(t.value, t.freedom);
    return t;
}

static double spread(const void *self, const double *count, double *found)
{
    const told *s = self;
    memset(found, 0, (size_t)s->classes * sizeof *found);
    for (int64_t i = 0; i < s->n; i++)
        found[class_of(s->probability + i * s->classes, s->classes)] += once(s, count, i);
    ebb_chi_square t = ebb_classes_test(found, s->other, s->classes);
    return t.freedom > 0 ? t.value / t.freedom : NAN;
}

ebb_status ebb_classes_measure(ebb_context *ctx, const double *probability, int64_t n, const double *other, int classes, int resamples,
                               ebb_measure *out)
{
    told s = {probability, other, n, classes, ebb_resample_groups(n)};
    return ebb_resample_measure(ctx, n, 0, resamples, (size_t)classes, spread, &s, out);
}

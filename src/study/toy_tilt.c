/* toy_tilt.c: the law that guidance is named after, p^-w p_class^(1+w), on a line: shares of its classes, by sums.
 *
 * Guided walks do not sample it, but for w 0 and -1: the report has both side by side. It can be no law at all, where the power
 * -w of a density that falls faster than the other grows without bound.
 */
#include <math.h>

#include "study/toy.h"

#define POINTS_MAX 4000000

typedef struct span { double lo, hi, step; } span;

/* As far beyond the means as the power can move them, in steps of a small part of the narrowest deviation. */
static span span_of(const ebb_target *law, double w)
{
    double lo = INFINITY, hi = -INFINITY, least = INFINITY, most = 0;
    for (int k = 0; k < law->parts; k++) {
        lo = fmin(lo, law->mean[k]);
        hi = fmax(hi, law->mean[k]);
        least = fmin(least, sqrt(law->cov[k]));
        most = fmax(most, sqrt(law->cov[k]));
    }
    double margin = (1 + fabs(w)) * (hi - lo) + 12 * most;
    return (span){lo - margin, hi + margin, least / 100};
}

static double log_tilt(const ebb_toy_job *t, double w, double x, double *posterior)
{
    double all, one, score;
    ebb_target_at(&t->law, &x, 1, 0, &all, &score, NULL, posterior);
    ebb_target_at(&t->one, &x, 1, 0, &one, NULL, NULL, NULL);
    return (1 + w) * one - w * all;
}

bool ebb_toy_tilt(const ebb_toy_job *t, double *share, double *posterior)
{
    double w = t->o.guidance + t->o.classifier_scale, top = -INFINITY, sum = 0;
    if (t->law.dim != 1 || t->o.label == EBB_LABEL_NONE || w == 0 || w == -1)
        return false;
    span s = span_of(&t->law, w);
    if (!(s.step > 0) || (s.hi - s.lo) / s.step > POINTS_MAX)
        return false;
    for (double x = s.lo; x < s.hi; x += s.step)
        top = fmax(top, log_tilt(t, w, x, NULL));
    double ends = fmax(log_tilt(t, w, s.lo, NULL), log_tilt(t, w, s.hi, NULL));
    if (!isfinite(top) || ends > top - 30)
        return false;
    for (int c = 0; c < t->law.classes; c++)
        share[c] = 0;
    for (double x = s.lo; x < s.hi; x += s.step) {
        double weight = exp(log_tilt(t, w, x, posterior) - top);
        sum += weight;
        for (int c = 0; c < t->law.classes; c++)
            share[c] += weight * posterior[c];
    }
    for (int c = 0; c < t->law.classes; c++)
        share[c] /= sum;
    return true;
}

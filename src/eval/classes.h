/* classes.h: what a classifier says of samples: the inception score, and how many there are of each class.
 *
 *   inception score   exp of the mean over samples of KL(p(y|x) || p(y)), p(y) the mean of p(y|x)    (Salimans et al. 2016)
 * from 1 to the number of classes: high where each sample is of one class for sure and all classes are there; it never sees
 * the data. Of all samples at once, not of ten parts. Classes are those of the greatest probability.
 */
#ifndef EBB_CLASSES_H
#define EBB_CLASSES_H

#include "eval/distances.h"
#include "eval/resample.h"

/* probability (n, classes), each row a law. */
ebb_status ebb_inception_score(ebb_context *ctx, const double *probability, int64_t n, int classes, int resamples, ebb_measure *out);
/* count (classes). */
void ebb_classes_count(const double *probability, int64_t n, int classes, double *count);
/* Pearson's test whether two samples have the same shares of classes: sum (a sqrt(M/N) - b sqrt(N/M))^2/(a + b) over classes that
 * either has, N and M their sizes. */
ebb_chi_square ebb_classes_test(const double *a, const double *b, int classes);
/* That value over its degrees of freedom, which is about 1 between samples of one law; the interval is of the first drawn anew.
 * NaN where there is but one class. */
ebb_status ebb_classes_measure(ebb_context *ctx, const double *probability, int64_t n, const double *other, int classes, int resamples,
                               ebb_measure *out);

#endif

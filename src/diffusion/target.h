/* target.h: laws whose scores are known: mixtures of normal laws in any dimension.
 *
 * Under x_t = alpha x_0 + sigma eps a mixture stays one: weights w_k, means alpha m_k, covariances alpha^2 C_k +
 * sigma^2 I. So log-density, score, Jacobian and the probability of each class are closed forms at every level.
 */
#ifndef EBB_TARGET_H
#define EBB_TARGET_H

#include "diffusion/field.h"

#define EBB_TARGET_DIM_MAX 64
#define EBB_TARGET_PARTS_MAX 4096
typedef struct ebb_target {
    int parts, dim, classes;
    double *weight;              /* (parts), sum 1 */
    double *mean;                /* (parts, dim) */
    double *cov;                 /* (parts, dim, dim) */
    int32_t *label;              /* (parts) class of each, 0 .. classes-1 */
    double *eigen, *axes;        /* (parts, dim), (parts, dim, dim): of each covariance, made by create; one allocation */
} ebb_target;
/* Copies; checks weights (made to sum to 1) and that covariances are symmetric and not negative. label NULL: each part
 * its own class. */
ebb_status ebb_target_create(ebb_context *ctx, int parts, int dim, const double *weight, const double *mean,
                             const double *cov, const int32_t *label, ebb_target *out);
void ebb_target_free(ebb_target *t);
/* The parts of one class. */
ebb_status ebb_target_class(ebb_context *ctx, const ebb_target *t, int label, ebb_target *out);
/* By name and options, from targets.def: "gaussian", "ring:modes=6,sd=0.05", ... Unknown ones are EBB_E_USAGE with the
 * nearest (targets.c). */
ebb_status ebb_target_named(ebb_context *ctx, const char *name, ebb_target *out);
typedef struct ebb_target_kind { const char *name, *options, *help; } ebb_target_kind;
const ebb_target_kind *ebb_target_kind_at(int i);           /* NULL: past the end */

/* One point x (dim) at a level; results may be NULL. jacobian: of the score, (dim,dim); posterior: of the classes. */
void ebb_target_at(const ebb_target *t, const double *x, double alpha, double sigma, double *logp, double *score,
                   double *jacobian, double *posterior);
/* n points of the law itself, sample i a function of (seed, i). label: (n) or NULL. */
void ebb_target_sample(const ebb_target *t, uint64_t seed, int64_t first, int64_t n, double *x, int32_t *label);
/* Mean (dim) and covariance (dim,dim). */
void ebb_target_moments(const ebb_target *t, double *mean, double *cov);

/* Symmetric a (n,n), destroyed; eigen (n), axes (n,n): eigenvectors as columns. Jacobi's method. */
void ebb_symmetric_eigen(int n, double *a, double *eigen, double *axes);

/* A field over the law, n rows; guided: score = (1+w) of the class - w of all (label < 0: no class). The target must
 * outlive it. */
typedef struct ebb_target_field {
    const ebb_target *all, *one; /* one: the class, or NULL */
    double w;
    int64_t n;
} ebb_target_field;
ebb_field ebb_field_of_target(ebb_target_field *f);

#endif

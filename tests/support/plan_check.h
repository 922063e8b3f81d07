/* plan_check.h: plans beside the double-precision oracle, for tests of the planner.
 *
 * cmocka.h and what it needs come before this header.
 */
#ifndef EBB_TEST_PLAN_CHECK_H
#define EBB_TEST_PLAN_CHECK_H

#include "nn/nn.h"
#include "plan/internal.h"
#include "support/oracle.h"

#define OK(ctx, call)                                    \
    do {                                                 \
        ebb_status ok_ = (call);                         \
        if (ok_ != EBB_OK)                               \
            print_message("%s\n", ebb_message(ctx));     \
        assert_int_equal(ok_, EBB_OK);                   \
    } while (0)

/* Own kernels of that instruction set (NULL: the best), two threads. */
ebb_context *plan_context(const char *cpu);

/* Data of every leaf, as the plan and the oracle take it. */
typedef struct plan_leaves {
    const ebb_graph *g;
    double **wide;               /* by node */
    float **narrow;
} plan_leaves;
plan_leaves plan_leaves_make(const ebb_graph *g, uint64_t seed);
void plan_leaves_free(plan_leaves *l);

/* A plan with the leaves' parameters bound and prepared; a run of it on their inputs. */
ebb_plan *plan_of(ebb_context *ctx, const plan_leaves *l, const ebb_value *y, int ny, ebb_plan_options options);
void plan_run(ebb_context *ctx, ebb_plan *p, int worker, const plan_leaves *l);

/* What the oracle makes of the leaves; scale: by node, what its rounding is relative to. */
typedef struct plan_reference {
    plan_leaves leaves;
    oracle *o;
    double *scale;
} plan_reference;
plan_reference plan_reference_make(const ebb_graph *g, uint64_t seed);
void plan_reference_free(plan_reference *r);
/* What the rounding of one operation on known numbers is relative to. */
double plan_step_scale(const oracle_cell *c);
enum { PLAN_ROUNDINGS = 16 };     /* |got - want| <= PLAN_ROUNDINGS * 2^-24 * scale */
/* got is the oracle's value v up to rounding; seed: for the message. */
void plan_assert_close(const plan_reference *r, ebb_value v, const float *got, uint64_t seed);

/* A class-conditional U-Net on n pictures: y[0] its output and, with gradients, d sum(eps^2)/d parameters.
 * plan_tiny: with attention, of few channels. */
ebb_graph *plan_unet_graph(ebb_context *ctx, const ebb_unet_config *c, int64_t n, bool gradients, ebb_value *y, int *ny);
extern const ebb_unet_config plan_tiny;
ebb_graph *plan_tiny_graph(ebb_context *ctx, int64_t n, bool gradients, ebb_value *y, int *ny);
/* A random graph: its outputs and its gradients in all leaves, to y; how many. */
enum { PLAN_RANDOM_OUTPUTS = 24 };
int plan_random_graph(ebb_context *ctx, uint64_t seed, ebb_graph **g, ebb_value *y);

#endif

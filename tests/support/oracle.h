/* oracle.h: a naive interpreter of graphs in double precision.
 *
 * It is the other opinion about what each unfused operation of ops.def means: plain loops, written from
 * the formulas in graph.h, sharing nothing with the library's kernels or derivative rules.
 *
 *     oracle *o = oracle_create(g);            the graph must not grow or be freed meanwhile
 *     oracle_set(o, x, data);                  every input and parameter that is needed; copied
 *     oracle_run(o);
 *     const double *y = oracle_get(o, v);      any node; owned by the oracle, valid until the next run
 *     oracle_free(o);
 *
 * Leaves may be set again and the oracle run again. Nodes that depend on a leaf that was never set, and
 * nodes of class FUSED and what depends on them, are left out; to ask for them ends the test. All values
 * are double, indices (i32) too.
 */
#ifndef EBB_TESTS_ORACLE_H
#define EBB_TESTS_ORACLE_H

#include "graph/graph.h"

typedef struct oracle oracle;

oracle *oracle_create(const ebb_graph *g);
void oracle_free(oracle *o);
void oracle_set(oracle *o, ebb_value leaf, const double *data);
void oracle_set_f32(oracle *o, ebb_value leaf, const float *data);
void oracle_set_i32(oracle *o, ebb_value leaf, const int32_t *data);
void oracle_run(oracle *o);
const double *oracle_get(const oracle *o, ebb_value v);
/* From now on values of type bf16 are rounded to it, and so are weights that are multiplied with them into others. */
void oracle_round(oracle *o);
double oracle_bf16(double x);    /* to nearest even */

/* The formulas (oracle_ops.c): one node from its inputs. */
typedef struct oracle_cell {
    const ebb_node *n;
    const double *x[EBB_INPUTS_MAX];        /* inputs; of part: the part in question */
    ebb_shape s[EBB_INPUTS_MAX];
    double *y[EBB_PARTS_MAX];               /* outputs */
    int64_t count;                          /* of y[0] */
} oracle_cell;
typedef void (*oracle_formula)(const oracle_cell *c);
oracle_formula oracle_formula_of(ebb_op op);    /* NULL: leaf from outside, or fused */

#endif

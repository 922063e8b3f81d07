/* rules.h: what the files of the graph layer share and nobody else needs.
 *
 * Each rule table (infer.c, diagonal.c, vjp.c, jvp.c, expand.c) is expanded from ops.def and names its
 * functions <rule>_<op>, so that an operation without a rule does not compile.
 */
#ifndef EBB_GRAPH_RULES_H
#define EBB_GRAPH_RULES_H

#include "graph/graph.h"

int ebb_op_inputs(ebb_op op);      /* -1: varies */

/* Latches EBB_E_SHAPE with "conv (8x4x4x3, 3x3x4x8) in down.0.: <why>". Returns EBB_NONE. */
ebb_value ebb_graph_reject(ebb_graph *g, const ebb_node *n, const char *why, ...)
    __attribute__((format(printf, 3, 4)));

/* infer.c: checks the inputs of *n (which exist) and sets its type and shape; false: latched. */
bool ebb_infer(ebb_graph *g, ebb_node *n);
/* False when the two do not stretch to a common shape. */
bool ebb_shape_broadcast(ebb_shape a, ebb_shape b, ebb_shape *out);

/* diagonal.c: t * dy/dx_i of the pointwise node v and its input i; EBB_NONE where that is zero. */
ebb_value ebb_diagonal(ebb_graph *g, ebb_value v, int i, ebb_value t);

/* attention.c: derivatives of attention in ordinary operations, with values of tokens x tokens numbers.
 * n: attention, and the tangents of its inputs, EBB_NONE for zero (not all are). */
ebb_value ebb_attention_tangent(ebb_graph *g, const ebb_node *n, const ebb_value t[3]);
/* n: attention_vjp; dq, and in parts[1], parts[2] dk and dv. */
ebb_value ebb_attention_cotangents(ebb_graph *g, const ebb_node *n, ebb_value *parts);

/* derivatives.c: what a mode knows of each node while the graph grows under it. */
typedef struct ebb_derivatives {
    ebb_graph *g;
    int32_t known;                      /* nodes below have entries */
    ebb_value (*d)[EBB_PARTS_MAX];      /* (co)tangent of each part; EBB_NONE: zero */
    int32_t d_capacity;
    uint8_t *mark;                      /* vjp: depends on some x; jvp: bit k, some y depends on part k */
    int32_t mark_capacity;
} ebb_derivatives;
/* Entries for the nodes that are new since the last call; latches out of memory on the graph. */
void ebb_derivatives_cover(ebb_derivatives *s);
void ebb_derivatives_free(ebb_derivatives *s);
/* The part that a node reads of its input. */
int ebb_part_of(const ebb_node *n);

#endif

/* randgraph.h: random valid graphs of all unfused operations, for tests of derivatives and plans.
 *
 *     ebb_graph_create(ctx, &g);
 *     ny = randgraph_make(g, seed, 20, EBB_OP_COUNT, y, 4);
 *     for each leaf of g->inputs and g->params: randgraph_fill(g, leaf, seed, data), then run something
 *
 * Shapes are small (pictures NHWC with odd and even sizes and channels, at most RANDGRAPH_COUNT numbers),
 * values are shared, some are dead. Numbers stay in a sane range: logarithms, roots and quotients are kept
 * away from their poles and what grows is squashed. The same seed makes the same graph.
 */
#ifndef EBB_TESTS_RANDGRAPH_H
#define EBB_TESTS_RANDGRAPH_H

#include "graph/graph.h"

#define RANDGRAPH_COUNT 1500

/* Appends about `operations` random operations (and the leaves and helpers that they need) to g, none of
 * them `without` (EBB_OP_COUNT: any). Returns how many outputs it put into y: f32 values that nothing
 * uses, the latest first, at most max. */
int randgraph_make(ebb_graph *g, uint64_t seed, int operations, ebb_op without, ebb_value *y, int max);

/* Data of an input or parameter of any graph: U(-1,1) rounded to f32; for an i32 leaf, indices that are
 * in range for everything that reads it. */
void randgraph_fill(const ebb_graph *g, ebb_value leaf, uint64_t seed, double *data);

#endif

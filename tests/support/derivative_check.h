/* derivative_check.h: the identities that derivatives of any graph must obey, put to the oracle.
 *
 *   first order    <u, J v> = <J' u, v>; J v against differences of the values
 *   second order   of S = sum u.sin(y), H its Hessian: reverse over reverse, forward over reverse and
 *                  reverse over forward agree; <v, H w> = <w, H v>; H v against differences of the gradient
 *
 * Fill in a case (graph, x, y), call derivative_check; it adds nodes to the graph. On failure it ends the
 * cmocka test with a message that begins with `name`.
 */
#ifndef EBB_TESTS_DERIVATIVE_CHECK_H
#define EBB_TESTS_DERIVATIVE_CHECK_H

#include "graph/graph.h"

#define DERIVATIVE_X 96
#define DERIVATIVE_Y 4

typedef struct derivative_case {
    char name[64];
    ebb_graph *g;
    int nx, ny;
    ebb_value x[DERIVATIVE_X], y[DERIVATIVE_Y];
    double low[DERIVATIVE_X], high[DERIVATIVE_X];   /* x is drawn from this range */
    int kinks;                   /* differences that derivative_check left out for a kink among their places */
} derivative_case;

/* An f32 input of the case: a new x, drawn from [low, high). */
ebb_value derivative_x(derivative_case *c, ebb_shape shape, double low, double high);
void derivative_y(derivative_case *c, ebb_value y);
/* Returns whether the derivative is other than zero. */
bool derivative_check(derivative_case *c);

#endif

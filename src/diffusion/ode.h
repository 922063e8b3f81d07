/* ode.h: adaptive integration of ordinary differential equations, row by row.
 *
 * Dormand & Prince 1980, 5(4), first same as last. Each row keeps its own time and step, so that a row's result does
 * not depend on what it is computed with; rows that have arrived wait.
 */
#ifndef EBB_ODE_H
#define EBB_ODE_H

#include "graph/graph.h"

typedef struct ebb_ode {
    int64_t n, count;            /* rows, numbers a row */
    /* dy (n,count) at y and the time t (n) of each row; rows with active[i] == 0 need not be computed. Non-zero: stop. */
    int (*f)(void *self, const double *t, const uint8_t *active, const double *y, double *dy);
    void *self;
    double from, to;             /* either direction */
    double rtol, atol;
    int64_t most;                /* evaluations of f at most; 0: a million */
    int64_t nfe;                 /* calls of f */
    int64_t *row_nfe;            /* (n) evaluations that each row needed; NULL: not wanted */
} ebb_ode;
size_t ebb_ode_work(int64_t n, int64_t count);      /* doubles */
/* y (n,count) in place. EBB_E_NUMERIC: step underflow, NaN or too many evaluations: which row, where. EBB_E_ARGUMENT
 * with "stopped" in the message when f says stop. */
ebb_status ebb_ode_solve(ebb_context *ctx, ebb_ode *ode, double *y, double *work);

#endif

/* own_cut.c: how the run of a step is cut into parts for the threads of a team.
 *
 * One idea: products have two axes to cut along, rows (pixels, tokens) and columns (channels). A cut of the rows
 * makes every thread read all weights, one of the columns makes every thread read (and transform) all of the
 * picture; which of them takes less time is told by a sum over what a part does, in clock cycles. Weights count
 * little there: threads that read the same ones at once get them from memory once.
 */
#include "backend/own.h"

ebb_span ebb_own_span(int64_t n, int64_t unit, int part, int parts)
{
    int64_t units = (n + unit - 1) / unit, end = units * (part + 1) / parts * unit;
    return (ebb_span){units * part / parts * unit, end < n ? end : n};
}

int ebb_own_parts(const ebb_executor *e, int64_t units, int64_t numbers, int64_t fewest)
{
    int64_t most = numbers / fewest < units ? numbers / fewest : units;
    most = most < e->team ? most : e->team;
    return most > 1 ? (int)most : 1;
}

static int64_t share(int64_t n, int64_t parts) { return (n + parts - 1) / parts; }

void ebb_own_cut_grid(ebb_executor *e, const ebb_own_grid *g)
{
    enum { MEETING = 2000 };         /* what two threads must save to be worth waiting for each other */
    double all = (double)g->rows * ((double)g->columns * g->each + g->row) + (double)g->columns * g->column;
    double best = all - MEETING;
    e->parts = e->across = 1;
    for (int64_t columns = 1; columns <= e->team && columns <= g->columns; columns++) {
        int64_t rows = e->team / columns < g->rows ? e->team / columns : g->rows;
        double high = (double)share(g->rows, rows), wide = (double)share(g->columns, columns);
        double cycles = high * (wide * g->each + g->row) + wide * g->column;
        if (cycles < best) {
            best = cycles;
            e->parts = (int)(rows * columns);
            e->across = (int)columns;
        }
    }
}

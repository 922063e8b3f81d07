/* bench_curves.c: what plots of a benchmark show: a curve for each sampler over a grid, the floor and the reference (bench.h).
 */
#include <math.h>
#include <string.h>

#include "study/bench.h"

static bool same_curve(const json_t *a, const json_t *b)
{
    return strcmp(ebb_bench_text(a, "sampler"), ebb_bench_text(b, "sampler")) == 0 &&
           strcmp(ebb_bench_text(a, "grid"), ebb_bench_text(b, "grid")) == 0 &&
           ebb_bench_number(a, "guidance") == ebb_bench_number(b, "guidance");
}

static bool on_front(const json_t *results, const char *cost, const json_t *cell)
{
    const json_t *fronts = json_object_get(json_object_get(results, "front"), cost);
    return ebb_bench_holds(json_object_get(fronts, ebb_bench_text(results, "metric")), ebb_bench_text(cell, "key"));
}

void ebb_bench_curve_from(const json_t *results, const char *cost, size_t from, ebb_bench_curve *c)
{
    size_t i;
    json_t *cell;
    const json_t *cells = json_object_get(results, "cells"), *first = json_array_get(cells, from);
    *c = (ebb_bench_curve){.of = first};
    json_array_foreach (cells, i, cell) {
        const json_t *found = json_object_get(json_object_get(cell, "metrics"), ebb_bench_text(results, "metric"));
        double y = ebb_bench_number(found, "value"), x = ebb_bench_cost(cell, cost);
        if (strcmp(ebb_bench_text(cell, "role"), "cell") != 0 || !same_curve(cell, first) || c->n == EBB_BENCH_CURVE)
            continue;
        if (i < from) {
            c->n = 0;
            return;
        }
        if (y > 0 && x > 0) {
            c->x[c->n] = x;
            c->low[c->n] = ebb_bench_number(found, "low");
            c->high[c->n] = ebb_bench_number(found, "high");
            c->y[c->n++] = y;
            c->front = c->front || on_front(results, cost, cell);
        }
    }
}

double ebb_bench_floor(const json_t *results)
{
    size_t i;
    json_t *metric;
    json_array_foreach (json_object_get(results, "metrics"), i, metric)
        if (strcmp(ebb_bench_text(metric, "name"), ebb_bench_text(results, "metric")) == 0)
            return ebb_bench_number(metric, "floor");
    return NAN;
}

double ebb_bench_reference(const json_t *results)
{
    size_t i;
    json_t *cell;
    json_array_foreach (json_object_get(results, "cells"), i, cell)
        if (strcmp(ebb_bench_text(cell, "role"), "reference") == 0)
            return ebb_bench_number(json_object_get(json_object_get(cell, "metrics"), ebb_bench_text(results, "metric")), "value");
    return NAN;
}

static void widen(ebb_bench_range *r, int k, double value)
{
    r->lo[k] = fmin(r->lo[k], value);
    r->hi[k] = fmax(r->hi[k], value);
}

bool ebb_bench_range_of(const json_t *results, const char *cost, ebb_bench_range *r)
{
    ebb_bench_curve c;
    double level[] = {ebb_bench_floor(results), ebb_bench_reference(results)};
    *r = (ebb_bench_range){.lo = {INFINITY, INFINITY}};
    for (size_t i = 0; i < json_array_size(json_object_get(results, "cells")); i++) {
        ebb_bench_curve_from(results, cost, i, &c);
        for (int k = 0; k < c.n; k++) {
            widen(r, 0, c.x[k]);
            widen(r, 1, c.y[k]);
        }
    }
    for (int k = 0; k < 2; k++)
        if (level[k] > 0)
            widen(r, 1, level[k]);
    for (int k = 0; k < 2; k++) {
        r->lo[k] /= 1.25;
        r->hi[k] *= 1.25;
    }
    return isfinite(r->lo[0]);
}

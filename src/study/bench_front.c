/* bench_front.c: which cells are worth their cost: the Pareto front by each metric, and the best within each budget.
 *
 * What is best is only known within the intervals of measurements: whoever's interval overlaps the best one's is named beside it.
 */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "study/bench.h"

#define METRICS_MAX 32
#define TIES_SHOWN 4

/* ---- points ----------------------------------------------------------------------------------------------------------------- */

ebb_bench_point ebb_bench_point_of(double cost, const char *better, double floor, double value, double low, double high)
{
    ebb_bench_point p = {cost, value, isfinite(low) ? low : value, isfinite(high) ? high : value};
    if (strcmp(better, "higher") == 0)
        return (ebb_bench_point){cost, -value, -p.high, -p.low};
    if (strcmp(better, "near") != 0)
        return p;
    double a = fabs(p.low - floor), b = fabs(p.high - floor);
    bool around = p.low <= floor && floor <= p.high;
    return (ebb_bench_point){cost, fabs(value - floor), around ? 0 : fmin(a, b), fmax(a, b)};
}

static bool counts(const ebb_bench_point *p)
{
    return isfinite(p->cost) && isfinite(p->loss);
}

static bool beats(const ebb_bench_point *a, const ebb_bench_point *b)
{
    return counts(a) && a->cost <= b->cost && a->loss <= b->loss && (a->cost < b->cost || a->loss < b->loss);
}

void ebb_bench_front(const ebb_bench_point *p, int n, bool *front)
{
    for (int i = 0; i < n; i++) {
        front[i] = counts(&p[i]);
        for (int j = 0; front[i] && j < n; j++)
            front[i] = !beats(&p[j], &p[i]);
    }
}

int ebb_bench_best(const ebb_bench_point *p, int n, double budget)
{
    int best = -1;
    for (int i = 0; i < n; i++) {
        if (!counts(&p[i]) || p[i].cost > budget)
            continue;
        if (best < 0 || p[i].loss < p[best].loss || (p[i].loss == p[best].loss && p[i].cost < p[best].cost))
            best = i;
    }
    return best;
}

bool ebb_bench_ties(const ebb_bench_point *p, int i, int best)
{
    return counts(&p[i]) && p[i].low <= p[best].high && p[i].high >= p[best].low;
}

/* ---- results ----------------------------------------------------------------------------------------------------------------- */

static bool has_role(const json_t *cell, ebb_bench_role role)
{
    return strcmp(ebb_bench_text(cell, "role"), ebb_bench_role_name(role)) == 0;
}

/* Of all cells, in their order; what is no ordinary cell counts as not measured. */
static void points_of(const json_t *cells, const json_t *metric, const char *cost, ebb_bench_point *p)
{
    size_t i;
    json_t *cell;
    json_array_foreach (cells, i, cell) {
        const json_t *found = json_object_get(json_object_get(cell, "metrics"), ebb_bench_text(metric, "name"));
        p[i] = ebb_bench_point_of(ebb_bench_cost(cell, cost), ebb_bench_text(metric, "better"), ebb_bench_number(metric, "floor"),
                                  ebb_bench_number(found, "value"), ebb_bench_number(found, "low"), ebb_bench_number(found, "high"));
        p[i].cost = has_role(cell, EBB_BENCH_CELL) ? p[i].cost : NAN;
    }
}

static json_t *key_of(const json_t *cells, size_t i)
{
    return json_string(ebb_bench_text(json_array_get(cells, i), "key"));
}

static json_t *front_of(const json_t *cells, const ebb_bench_point *p, bool *on)
{
    int n = (int)json_array_size(cells);
    json_t *keys = json_array();
    ebb_bench_front(p, n, on);
    for (int i = 0; i < n; i++)
        if (on[i])
            json_array_append_new(keys, key_of(cells, (size_t)i));
    return keys;
}

/* ---- words -------------------------------------------------------------------------------------------------------------------- */

static void add(char text[1024], const char *format, ...) __attribute__((format(printf, 2, 3)));
static void add(char text[1024], const char *format, ...)
{
    va_list args;
    size_t length = strlen(text);
    va_start(args, format);
    vsnprintf(text + length, 1024 - length, format, args);
    va_end(args);
}

static void add_name(char text[1024], const json_t *cell)
{
    add(text, "%s over %s", ebb_bench_text(cell, "sampler"), ebb_bench_text(cell, "grid"));
    if (ebb_bench_number(cell, "guidance") != 0)
        add(text, ", guidance %g", ebb_bench_number(cell, "guidance"));
    add(text, " (%d evaluations)", (int)ebb_bench_number(cell, "nfe"));
}

/* Times the floor or the reference: of metrics of which less is better, and that are not around 0. */
static json_t *ratio(const json_t *metric, double value, double beside)
{
    bool tells = strcmp(ebb_bench_text(metric, "better"), "lower") == 0 && beside > 0 && value > 0;
    return tells ? json_real(value / beside) : json_null();
}

static double reference_value(const json_t *cells, const json_t *metric, double guidance)
{
    size_t i;
    json_t *cell;
    json_array_foreach (cells, i, cell)
        if (has_role(cell, EBB_BENCH_REFERENCE) && ebb_bench_number(cell, "guidance") == guidance)
            return ebb_bench_number(json_object_get(json_object_get(cell, "metrics"), ebb_bench_text(metric, "name")), "value");
    return NAN;
}

static void say(json_t *row, const json_t *cells, const json_t *metric, const json_t *cell, char text[1024])
{
    size_t i, shown = 0;
    json_t *tie;
    const json_t *found = json_object_get(json_object_get(cell, "metrics"), ebb_bench_text(metric, "name"));
    const json_t *ties = json_object_get(row, "ties");
    add_name(text, cell);
    add(text, ": %s %.3g", ebb_bench_text(metric, "name"), ebb_bench_number(found, "value"));
    if (isfinite(ebb_bench_number(found, "low")))
        add(text, " (%.3g to %.3g)", ebb_bench_number(found, "low"), ebb_bench_number(found, "high"));
    if (json_is_number(json_object_get(row, "over_floor")))
        add(text, ", %.2f times the floor", ebb_bench_number(row, "over_floor"));
    if (json_is_number(json_object_get(row, "over_reference")))
        add(text, ", %.2f times the reference", ebb_bench_number(row, "over_reference"));
    json_array_foreach (ties, i, tie) {
        size_t k;
        json_t *other;
        if (shown == TIES_SHOWN)
            break;
        add(text, shown++ == 0 ? "; not told apart from it: " : ", ");
        json_array_foreach (cells, k, other)
            if (strcmp(ebb_bench_text(other, "key"), json_string_value(tie)) == 0) {
                add_name(text, other);
                break;
            }
    }
    if (json_array_size(ties) > shown)
        add(text, " and %d more", (int)(json_array_size(ties) - shown));
}

/* ---- recommendations ----------------------------------------------------------------------------------------------------------- */

static json_t *budget_row(const json_t *cells, const json_t *metric, const ebb_bench_point *p, int budget)
{
    int n = (int)json_array_size(cells), best = ebb_bench_best(p, n, budget);
    char text[1024] = "";
    if (best < 0)
        return NULL;
    const json_t *cell = json_array_get(cells, (size_t)best);
    json_t *found = json_object_get(json_object_get(cell, "metrics"), ebb_bench_text(metric, "name")), *ties = json_array();
    double value = ebb_bench_number(found, "value");
    for (int i = 0; i < n; i++)
        if (i != best && p[i].cost <= budget && ebb_bench_ties(p, i, best))
            json_array_append_new(ties, key_of(cells, (size_t)i));
    json_t *row = json_pack("{s:i, s:o, s:O, s:O, s:O, s:o, s:o, s:o}", "nfe", budget, "key", key_of(cells, (size_t)best), "value",
                            json_object_get(found, "value"), "low", json_object_get(found, "low"), "high", json_object_get(found, "high"),
                            "over_floor", ratio(metric, value, ebb_bench_number(metric, "floor")), "over_reference",
                            ratio(metric, value, reference_value(cells, metric, ebb_bench_number(cell, "guidance"))), "ties", ties);
    say(row, cells, metric, cell, text);
    json_object_set_new(row, "text", json_string(text));
    return row;
}

static int next_budget(const json_t *cells, int after)
{
    size_t i;
    json_t *cell;
    int least = 0;
    json_array_foreach (cells, i, cell) {
        int budget = (int)json_integer_value(json_object_get(cell, "budget"));
        if (has_role(cell, EBB_BENCH_CELL) && budget > after && (least == 0 || budget < least))
            least = budget;
    }
    return least;
}

static void recommend(json_t *results, ebb_bench_point *p, bool *on)
{
    size_t i;
    json_t *metric, *row, *budgets = json_array(), *by_nfe = json_object(), *by_seconds = json_object();
    const json_t *cells = json_object_get(results, "cells");
    json_array_foreach (json_object_get(results, "metrics"), i, metric) {
        points_of(cells, metric, "seconds", p);
        json_object_set_new(by_seconds, ebb_bench_text(metric, "name"), front_of(cells, p, on));
        points_of(cells, metric, "nfe", p);
        json_object_set_new(by_nfe, ebb_bench_text(metric, "name"), front_of(cells, p, on));
        if (strcmp(ebb_bench_text(metric, "name"), ebb_bench_text(results, "metric")) != 0)
            continue;
        for (int budget = 0; (budget = next_budget(cells, budget)) > 0;)
            if ((row = budget_row(cells, metric, p, budget)) != NULL)
                json_array_append_new(budgets, row);
    }
    json_object_set_new(results, "front", json_pack("{s:o, s:o}", "nfe", by_nfe, "seconds", by_seconds));
    json_object_set_new(results, "budgets", budgets);
}

ebb_status ebb_bench_recommend(ebb_context *ctx, json_t *results)
{
    size_t n = json_array_size(json_object_get(results, "cells"));
    ebb_bench_point *p;
    EBB_TRY(ebb_alloc(ctx, (void **)&p, n + 1, sizeof *p + sizeof(bool), "a front"));
    recommend(results, p, (bool *)(void *)(p + n + 1));
    ebb_free(p);
    return EBB_OK;
}

ebb_status ebb_bench_choose_metric(ebb_bench_job *b)
{
    const char *names[METRICS_MAX];
    char near[80];
    size_t i;
    json_t *metric;
    int n = 0;
    json_array_foreach (b->subject.metrics, i, metric) {
        const char *name = ebb_bench_text(metric, "name");
        if (n < METRICS_MAX)
            names[n++] = name;
        if (b->o.metric != NULL && strcmp(b->o.metric, name) == 0)
            b->subject.metric = name;
    }
    if (b->o.metric == NULL || *b->o.metric == 0 || strcmp(b->subject.metric, b->o.metric) == 0)
        return EBB_OK;
    return ebb_fail(b->ctx, EBB_E_USAGE, "no metric '%.60s' here%s", b->o.metric, ebb_suggest(b->o.metric, names, n, near, sizeof near));
}

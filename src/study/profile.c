/* profile.c: the time of a plan's steps as a report: what takes how long, and how near the machine's limits.
 *
 * One idea: a row's milliseconds are those of one walk of one worker through the plan (or of one preparation),
 * while its share is of all the time that the workers had, walks, preparations and the rest together.
 */
#include <stdlib.h>
#include <string.h>

#include "study/profile.h"

typedef struct row {
    ebb_plan_cost cost;      /* of the first step; seconds, flops and bytes of all, summed over their calls */
    int count;               /* steps of the plan */
    double ms, flops, bytes;
} row;

static double ms_of_one(const ebb_plan_cost *c)
{
    return c->calls > 0 ? 1e3 * c->seconds / (double)c->calls : 0;
}

static row *find(row *rows, int *count, const ebb_plan_cost *c)
{
    for (int i = 0; i < *count; i++)
        if (rows[i].cost.prepare == c->prepare && strcmp(rows[i].cost.op, c->op) == 0 &&
            strcmp(rows[i].cost.implementation, c->implementation) == 0 &&
            strcmp(rows[i].cost.backend, c->backend) == 0)
            return &rows[i];
    rows[*count] = (row){.cost = *c};
    rows[*count].cost.seconds = 0;
    return &rows[(*count)++];
}

static int collect(const ebb_plan *plan, int steps, row *rows)
{
    int count = 0;
    for (int t = 0; t < steps; t++) {
        ebb_plan_cost c = ebb_plan_step_cost(plan, t);
        row *r = find(rows, &count, &c);
        r->count++;
        r->ms += ms_of_one(&c);
        r->cost.seconds += c.seconds;
        r->flops += (double)c.calls * (double)c.flops;
        r->bytes += (double)c.calls * (double)c.bytes;
    }
    return count;
}

static int longer(const void *a, const void *b)
{
    double x = ((const row *)a)->cost.seconds, y = ((const row *)b)->cost.seconds;
    return (x < y) - (x > y);
}

/* Billions a second. */
static double rate(double amount, double seconds)
{
    return seconds > 0 ? 1e-9 * amount / seconds : 0;
}

static json_t *rows_json(const row *rows, int count, double total)
{
    json_t *list = json_array();
    double busy = 0;
    for (int i = 0; i < count; i++) {
        const row *r = &rows[i];
        busy += r->cost.seconds;
        json_array_append_new(
            list, json_pack("{s:s, s:s, s:s, s:s, s:i, s:f, s:f, s:f, s:f}", "phase",
                            r->cost.prepare ? "prepare" : "run", "op", r->cost.op, "backend", r->cost.backend,
                            "implementation", r->cost.implementation, "count", r->count, "ms", r->ms, "share",
                            r->cost.seconds / total, "GFLOP/s", rate(r->flops, r->cost.seconds), "GB/s",
                            rate(r->bytes, r->cost.seconds)));
    }
    json_array_append_new(list, json_pack("{s:s, s:s, s:f}", "phase", "outside", "op", "waiting and the rest",
                                          "share", 1 - busy / total));
    return list;
}

static json_t *steps_json(const ebb_plan *plan, int steps)
{
    json_t *list = json_array();
    for (int t = 0; t < steps; t++) {
        char shape[96];
        ebb_plan_cost c = ebb_plan_step_cost(plan, t);
        ebb_shape_text(c.shape, shape, sizeof shape);
        json_array_append_new(
            list, json_pack("{s:i, s:s, s:s, s:s, s:s, s:I, s:f, s:f, s:I, s:I}", "step", t, "phase",
                            c.prepare ? "prepare" : "run", "op", c.op, "implementation", c.implementation, "shape",
                            shape, "calls", (json_int_t)c.calls, "ms", ms_of_one(&c), "least_ms", 1e3 * c.least,
                            "flops", (json_int_t)c.flops, "bytes", (json_int_t)c.bytes));
    }
    return list;
}

ebb_status ebb_profile_report(ebb_context *ctx, const ebb_plan *plan, double seconds, int workers, json_t **out)
{
    row *rows;
    int steps = ebb_plan_measure(plan).steps;
    *out = NULL;
    EBB_TRY(ebb_alloc(ctx, (void **)&rows, (size_t)steps + 1, sizeof *rows, "rows of a profile"));
    int count = collect(plan, steps, rows);
    qsort(rows, (size_t)count, sizeof *rows, longer);
    *out = json_pack("{s:o, s:o}", "rows", rows_json(rows, count, seconds * workers), "steps",
                     steps_json(plan, steps));
    ebb_free(rows);
    return *out ? EBB_OK : ebb_fail(ctx, EBB_E_MEMORY, "no memory for a profile");
}

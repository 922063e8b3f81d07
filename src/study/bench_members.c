/* bench_members.c: what the parts of a benchmark share: members of cells in JSON, names of files, progress (bench.h).
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "study/bench.h"

const char *ebb_bench_role_name(ebb_bench_role role)
{
    static const char *const names[] = {"cell", "reference", "score"};
    return names[role];
}

double ebb_bench_number(const json_t *json, const char *key)
{
    const json_t *value = json_object_get(json, key);
    return json_is_number(value) ? json_number_value(value) : NAN;
}

const char *ebb_bench_text(const json_t *json, const char *key)
{
    const char *text = json_string_value(json_object_get(json, key));
    return text != NULL ? text : "";
}

bool ebb_bench_holds(const json_t *keys, const char *key)
{
    size_t i;
    json_t *value;
    json_array_foreach (keys, i, value)
        if (strcmp(json_string_value(value), key) == 0)
            return true;
    return false;
}

double ebb_bench_cost(const json_t *cell, const char *cost)
{
    return strcmp(cost, "nfe") == 0 ? ebb_bench_number(cell, "nfe") : 1 / ebb_bench_number(cell, "per_second");
}

ebb_status ebb_bench_path(const ebb_bench_job *b, const char *name, char path[EBB_BENCH_PATH])
{
    int n = snprintf(path, EBB_BENCH_PATH, "%s/%s", b->o.dir, name);
    return n >= 0 && n < EBB_BENCH_PATH ? EBB_OK : ebb_fail(b->ctx, EBB_E_ARGUMENT, "the name of the directory is too long: %s", b->o.dir);
}

int ebb_bench_progress(ebb_bench_job *b, const char *doing, double done)
{
    double cost = b->index < b->cells.count ? b->cells.cell[b->index].cost : 0;
    double part = b->cells.count == 0 ? done : b->work > 0 ? (b->worked + done * cost) / b->work : 0;
    if (!b->stopped && b->o.progress != NULL && b->o.progress(b->o.user, doing, b->index, b->cells.count, fmin(part, 1)) != 0)
        b->stopped = true;
    return b->stopped;
}

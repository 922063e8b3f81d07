/* bench_files.c: results as files: results.json, results.csv with a row for each cell and metric, and what bench_plots.c and
 * bench_gnuplot.c draw (bench.h).
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "study/bench.h"

/* ---- results.csv ------------------------------------------------------------------------------------------------------------ */

/* A name with its settings may have commas: then it is quoted. */
static const char *quoted(const char *name, char out[EBB_BENCH_NAME + 3])
{
    bool plain = strpbrk(name, ",\"") == NULL;
    snprintf(out, EBB_BENCH_NAME + 3, plain ? "%s" : "\"%s\"", name);
    return out;
}

/* Nothing where a number is not told. */
static const char *shown(double value, char out[32])
{
    snprintf(out, 32, isfinite(value) ? "%.9g" : "", value);
    return out;
}

static ebb_status put_row(ebb_writer *w, const json_t *cell, const json_t *metric, const json_t *found)
{
    static const char *const of_found[] = {"value", "low", "high"}, *const of_cell[] = {"seconds", "per_second"};
    char line[900], name[2][EBB_BENCH_NAME + 3], text[32];
    int n = snprintf(line, sizeof line, "%s,%s,%s,%g,%d,%d,%d,%s", ebb_bench_text(cell, "role"),
                     quoted(ebb_bench_text(cell, "sampler"), name[0]), quoted(ebb_bench_text(cell, "grid"), name[1]),
                     ebb_bench_number(cell, "guidance"), (int)ebb_bench_number(cell, "budget"), (int)ebb_bench_number(cell, "steps"),
                     (int)ebb_bench_number(cell, "nfe"), ebb_bench_text(metric, "name"));
    for (int k = 0; k < 3; k++)
        n += snprintf(line + n, sizeof line - (size_t)n, ",%s", shown(ebb_bench_number(found, of_found[k]), text));
    n += snprintf(line + n, sizeof line - (size_t)n, ",%s", shown(ebb_bench_number(metric, "floor"), text));
    for (int k = 0; k < 2; k++)
        n += snprintf(line + n, sizeof line - (size_t)n, ",%s", shown(ebb_bench_number(cell, of_cell[k]), text));
    n += snprintf(line + n, sizeof line - (size_t)n, "\n");
    return ebb_writer_write(w, line, (size_t)n);
}

static ebb_status put_rows(ebb_writer *w, const json_t *results)
{
    static const char head[] = "role,sampler,grid,guidance,budget,steps,nfe,metric,value,low,high,floor,seconds,per_second\n";
    size_t i, k;
    json_t *cell, *metric;
    EBB_TRY(ebb_writer_write(w, head, strlen(head)));
    json_array_foreach (json_object_get(results, "cells"), i, cell)
        json_array_foreach (json_object_get(results, "metrics"), k, metric) {
            const json_t *found = json_object_get(json_object_get(cell, "metrics"), ebb_bench_text(metric, "name"));
            if (found != NULL)
                EBB_TRY(put_row(w, cell, metric, found));
        }
    return EBB_OK;
}

/* ---- all files ---------------------------------------------------------------------------------------------------------------- */

static ebb_status write_text(ebb_bench_job *b, const json_t *results, const char *name, ebb_status (*put)(ebb_writer *, const json_t *))
{
    char path[EBB_BENCH_PATH];
    ebb_writer *w;
    EBB_TRY(ebb_bench_path(b, name, path));
    EBB_TRY(ebb_writer_open(b->ctx, path, &w));
    ebb_status status = put(w, results);
    if (status == EBB_OK)
        status = ebb_writer_commit(&w);
    ebb_writer_abort(&w);
    return status;
}

ebb_status ebb_bench_write(ebb_bench_job *b, const json_t *results)
{
    char path[EBB_BENCH_PATH];
    EBB_TRY(ebb_bench_path(b, "results.json", path));
    EBB_TRY(ebb_json_write(b->ctx, path, results));
    EBB_TRY(write_text(b, results, "results.csv", put_rows));
    EBB_TRY(write_text(b, results, "plots.gp", ebb_bench_put_gnuplot));
    return ebb_bench_plots(b, results);
}

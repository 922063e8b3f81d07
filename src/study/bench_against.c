/* bench_against.c: results held against others: those of an earlier run, or the table of a paper (bench.h).
 *
 * A row is one metric of one cell. Two of them are told apart where their 90% intervals do not overlap: of rows that are alike in
 * fact about 2 in 100 are. A table need not have intervals, nor grids: then a row stands for itself, and is held against the best of
 * our grids.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "study/bench.h"

#define TABLE_BYTES ((size_t)64 << 20)
#define COLUMNS_MAX 32

typedef struct reading {
    ebb_context *ctx;
    const char *path;
    json_t *rows;                /* [{sampler, grid (none: any), guidance, nfe, metric, value, low, high}] */
} reading;

/* ---- results as rows ------------------------------------------------------------------------------------------------------- */

static void read_results(const json_t *results, json_t *rows)
{
    size_t i;
    const char *metric;
    json_t *cell, *found;
    json_array_foreach (json_object_get(results, "cells"), i, cell) {
        if (strcmp(ebb_bench_text(cell, "role"), ebb_bench_role_name(EBB_BENCH_SCORE)) == 0)
            continue;
        json_object_foreach (json_object_get(cell, "metrics"), metric, found) {
            json_t *row = json_pack("{s:s, s:s, s:f, s:f, s:s}", "sampler", ebb_bench_text(cell, "sampler"), "grid",
                                    ebb_bench_text(cell, "grid"), "guidance", ebb_bench_number(cell, "guidance"), "nfe",
                                    ebb_bench_number(cell, "nfe"), "metric", metric);
            if (row == NULL)
                continue;
            json_object_update(row, found);
            json_array_append_new(rows, row);
        }
    }
}

/* ---- tables ------------------------------------------------------------------------------------------------------------------ */

/* Cuts a line at its commas, in place; a field may be quoted. Returns how many fields there are. */
static int cut(char *line, char *field[COLUMNS_MAX])
{
    int n = 0;
    for (char *at = line; n < COLUMNS_MAX; at++) {
        bool quoted = *at == '"';
        field[n++] = at += quoted;
        at += strcspn(at, quoted ? "\"" : ",");
        if (quoted && *at == '"') {
            *at++ = 0;
            at += strcspn(at, ",");
        }
        if (*at == 0)
            break;
        *at = 0;
    }
    return n;
}

static ebb_status field_number(const reading *r, int line, const char *name, const char *text, json_t *row)
{
    char *end;
    if (*text == 0)
        return EBB_OK;
    double value = strtod(text, &end);
    if (end == text || *end != 0 || !isfinite(value))
        return ebb_fail(r->ctx, EBB_E_FORMAT, "%s: line %d: %s '%.40s' is no number", r->path, line, name, text);
    json_object_set_new(row, name, json_real(value));
    return EBB_OK;
}

/* Columns that are not known are left aside, as those of results.csv. */
static ebb_status read_row(const reading *r, int line, char *const *name, int names, char *const *field, int fields)
{
    json_t *row = json_object();
    ebb_status status = EBB_OK;
    bool other = false;
    for (int k = 0; k < names && k < fields && status == EBB_OK; k++) {
        const char *key = name[k];
        if (strcmp(key, "sampler") == 0 || strcmp(key, "grid") == 0 || strcmp(key, "metric") == 0) {
            if (*field[k] != 0)
                json_object_set_new(row, key, json_string(field[k]));
        } else if (strcmp(key, "nfe") == 0 || strcmp(key, "value") == 0 || strcmp(key, "low") == 0 || strcmp(key, "high") == 0 ||
                   strcmp(key, "guidance") == 0) {
            status = field_number(r, line, key, field[k], row);
        } else if (strcmp(key, "role") == 0) {
            other = strcmp(field[k], ebb_bench_role_name(EBB_BENCH_SCORE)) == 0;
        }
    }
    bool whole = *ebb_bench_text(row, "sampler") != 0 && *ebb_bench_text(row, "metric") != 0 && isfinite(ebb_bench_number(row, "nfe")) &&
                 isfinite(ebb_bench_number(row, "value"));
    if (status == EBB_OK && !whole)
        status = ebb_fail(r->ctx, EBB_E_FORMAT, "%s: line %d: sampler, nfe, metric and value are needed", r->path, line);
    if (status == EBB_OK && !other)
        json_array_append(r->rows, row);
    json_decref(row);
    return status;
}

static ebb_status read_lines(const reading *r, char *text)
{
    char *name[COLUMNS_MAX], *field[COLUMNS_MAX], *next;
    int names = 0, line = 0;
    for (char *at = text; *at != 0; at = next) {
        size_t n = strcspn(at, "\n");
        next = at + n + (at[n] == '\n');
        at[n] = 0;
        at[strcspn(at, "\r")] = 0;
        line++;
        if (*at == 0 || *at == '#')
            continue;
        if (names == 0) {
            names = cut(at, name);
            continue;
        }
        EBB_TRY(read_row(r, line, name, names, field, cut(at, field)));
    }
    return json_array_size(r->rows) > 0 ? EBB_OK : ebb_fail(r->ctx, EBB_E_FORMAT, "%s: no rows: a table has a first line as "
                                                            "sampler,nfe,metric,value and a line for each value", r->path);
}

static ebb_status read_table(const reading *r)
{
    void *text;
    size_t size;
    EBB_TRY(ebb_file_read(r->ctx, r->path, TABLE_BYTES, &text, &size));
    ebb_status status = memchr(text, 0, size) == NULL ? read_lines(r, text)
                                                      : ebb_fail(r->ctx, EBB_E_FORMAT, "%s: not a table of text", r->path);
    ebb_free(text);
    return status;
}

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n > m && strcmp(text + n - m, end) == 0;
}

/* *of: the results themselves, where it is a run; NULL: a table. */
static ebb_status read_reference(const reading *r, json_t **of)
{
    *of = NULL;
    if (ends_with(r->path, ".csv"))
        return read_table(r);
    EBB_TRY(ebb_json_read(r->ctx, r->path, of));
    if (!json_is_array(json_object_get(*of, "cells")))
        return ebb_fail(r->ctx, EBB_E_FORMAT, "%s: no results of ebb bench: \"cells\" is missing", r->path);
    read_results(*of, r->rows);
    return EBB_OK;
}

/* ---- comparing ----------------------------------------------------------------------------------------------------------------- */

static bool same_text(const json_t *a, const json_t *b, const char *key, bool may_lack)
{
    const json_t *of_a = json_object_get(a, key);
    return (may_lack && of_a == NULL) || strcmp(ebb_bench_text(a, key), ebb_bench_text(b, key)) == 0;
}

/* Whether our row is what the reference's is of. */
static bool matches(const json_t *theirs, const json_t *ours)
{
    return same_text(theirs, ours, "metric", false) && same_text(theirs, ours, "sampler", false) && same_text(theirs, ours, "grid", true) &&
           ebb_bench_number(theirs, "nfe") == ebb_bench_number(ours, "nfe") &&
           (json_object_get(theirs, "guidance") == NULL || ebb_bench_number(theirs, "guidance") == ebb_bench_number(ours, "guidance"));
}

static const json_t *metric_of(const json_t *results, const json_t *row)
{
    size_t i;
    json_t *metric;
    json_array_foreach (json_object_get(results, "metrics"), i, metric)
        if (strcmp(ebb_bench_text(metric, "name"), ebb_bench_text(row, "metric")) == 0)
            return metric;
    return NULL;
}

static ebb_bench_point point_of(const json_t *row, const json_t *metric)
{
    return ebb_bench_point_of(ebb_bench_number(row, "nfe"), ebb_bench_text(metric, "better"), ebb_bench_number(metric, "floor"),
                              ebb_bench_number(row, "value"), ebb_bench_number(row, "low"), ebb_bench_number(row, "high"));
}

/* The best of ours that matches; taken: which of ours stand for a row. */
static const json_t *find_ours(const json_t *results, const json_t *ours, const json_t *theirs, bool *taken)
{
    size_t i;
    json_t *row;
    const json_t *best = NULL, *metric = metric_of(results, theirs);
    json_array_foreach (ours, i, row) {
        if (metric == NULL || !matches(theirs, row))
            continue;
        taken[i] = true;
        if (best == NULL || point_of(row, metric).loss < point_of(best, metric).loss)
            best = row;
    }
    return best;
}

static const char *verdict_of(const json_t *results, const json_t *theirs, const json_t *ours)
{
    const json_t *metric = metric_of(results, theirs);
    ebb_bench_point was = point_of(theirs, metric), is = point_of(ours, metric);
    return is.low > was.high ? "worse" : is.high < was.low ? "better" : "same";
}

static void add_row(json_t *rows, const json_t *of, const json_t *theirs, const json_t *ours, const char *verdict)
{
    json_t *row = json_pack("{s:s, s:s, s:f, s:f, s:s, s:s}", "sampler", ebb_bench_text(of, "sampler"), "grid", ebb_bench_text(of, "grid"),
                            "guidance", json_object_get(of, "guidance") != NULL ? ebb_bench_number(of, "guidance") : 0.0, "nfe",
                            ebb_bench_number(of, "nfe"), "metric", ebb_bench_text(of, "metric"), "verdict", verdict);
    static const char *const members[] = {"value", "low", "high"};
    static const char *const was[] = {"was", "was_low", "was_high"}, *const is[] = {"is", "low", "high"};
    for (int k = 0; k < 3 && row != NULL; k++) {
        const json_t *then = theirs != NULL ? json_object_get(theirs, members[k]) : NULL;
        const json_t *now = ours != NULL ? json_object_get(ours, members[k]) : NULL;
        json_object_set_new(row, was[k], then != NULL ? json_copy((json_t *)(uintptr_t)then) : json_null());
        json_object_set_new(row, is[k], now != NULL ? json_copy((json_t *)(uintptr_t)now) : json_null());
    }
    json_array_append_new(rows, row);
}

/* What else is not alike, so that rows may differ for another reason. */
static json_t *differences(const json_t *results, const json_t *of)
{
    static const char *const members[] = {"ebb", "what", "samples", "seed"};
    json_t *list = json_array();
    for (int k = 0; of != NULL && k < 4; k++) {
        const json_t *was = json_object_get(of, members[k]), *is = json_object_get(results, members[k]);
        if (was != is && !json_equal(was, is))
            json_array_append_new(list, json_pack("{s:s, s:O*, s:O*}", "member", members[k], "was", was, "is", is));
    }
    return list;
}

static void count(json_t *out, const json_t *rows, const char *verdict)
{
    size_t i;
    json_t *row;
    int n = 0;
    json_array_foreach (rows, i, row)
        n += strcmp(ebb_bench_text(row, "verdict"), verdict) == 0;
    json_object_set_new(out, verdict, json_integer(n));
}

static json_t *compare(const json_t *results, const reading *r, const json_t *ours, bool *taken)
{
    static const char *const verdicts[] = {"better", "worse", "same", "new", "missing"};
    size_t i;
    json_t *row, *rows = json_array(), *out = json_pack("{s:s}", "reference", r->path);
    json_array_foreach (r->rows, i, row) {
        const json_t *mine = find_ours(results, ours, row, taken);
        add_row(rows, mine != NULL ? mine : row, row, mine, mine != NULL ? verdict_of(results, row, mine) : "missing");
    }
    json_array_foreach (ours, i, row)
        if (!taken[i])
            add_row(rows, row, NULL, row, "new");
    for (int k = 0; k < 5; k++)
        count(out, rows, verdicts[k]);
    json_object_set_new(out, "rows", rows);
    return out;
}

ebb_status ebb_bench_against(ebb_context *ctx, const json_t *results, const char *path, json_t **out)
{
    reading r = {.ctx = ctx, .path = path, .rows = json_array()};
    json_t *of, *ours = json_array();
    bool *taken = NULL;
    *out = NULL;
    read_results(results, ours);
    ebb_status status = read_reference(&r, &of);
    if (status == EBB_OK)
        status = ebb_alloc(ctx, (void **)&taken, json_array_size(ours) + 1, sizeof *taken, "rows of results");
    if (status == EBB_OK) {
        *out = compare(results, &r, ours, taken);
        json_object_set_new(*out, "differs", differences(results, of));
    }
    ebb_free(taken);
    json_decref(of);
    json_decref(ours);
    json_decref(r.rows);
    return status;
}

/* bench_html.c: report.html: the results, the pictures of what is on a front, and the page that draws them, in one file (bench.h).
 *
 * The page, its style and its script are data/report, which are part of the library; results and pictures become JSON within it.
 */
#include <string.h>

#include "study/bench.h"

#define PICTURE_BYTES ((size_t)16 << 20)

/* ---- pictures as text -------------------------------------------------------------------------------------------------------- */

/* RFC 4648; 4 letters for each 3 bytes. */
static void base64(const uint8_t *from, size_t n, char *to)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < n; i += 3, to += 4) {
        uint32_t three = (uint32_t)from[i] << 16 | (i + 1 < n ? (uint32_t)from[i + 1] << 8 : 0) | (i + 2 < n ? from[i + 2] : 0);
        for (int k = 0; k < 4; k++)
            to[k] = i + (size_t)k > n ? '=' : letters[three >> (18 - 6 * k) & 63];
    }
    *to = 0;
}

static ebb_status add_picture(ebb_bench_job *b, const char *key, const char *name, json_t *pictures)
{
    static const char head[] = "data:image/png;base64,";
    char path[EBB_BENCH_PATH], *text;
    void *png;
    size_t size;
    EBB_TRY(ebb_bench_path(b, name, path));
    if (*name == 0 || !ebb_file_exists(path) || json_object_get(pictures, key) != NULL)
        return EBB_OK;
    EBB_TRY(ebb_file_read(b->ctx, path, PICTURE_BYTES, &png, &size));
    ebb_status status = ebb_alloc(b->ctx, (void **)&text, sizeof head + (size + 2) / 3 * 4, 1, "a picture in the report");
    if (status == EBB_OK) {
        memcpy(text, head, sizeof head - 1);
        base64(png, size, text + sizeof head - 1);
        json_object_set_new(pictures, key, json_string(text));
        ebb_free(text);
    }
    ebb_free(png);
    return status;
}

/* On the front of evaluations by any metric: the page lets its reader choose. */
static bool is_shown(const json_t *results, const json_t *cell)
{
    const char *metric;
    json_t *keys;
    if (strcmp(ebb_bench_text(cell, "role"), ebb_bench_role_name(EBB_BENCH_REFERENCE)) == 0)
        return true;
    json_object_foreach (json_object_get(json_object_get(results, "front"), "nfe"), metric, keys)
        if (ebb_bench_holds(keys, ebb_bench_text(cell, "key")))
            return true;
    return false;
}

static ebb_status add_pictures(ebb_bench_job *b, const json_t *results, json_t *pictures)
{
    size_t i;
    json_t *cell;
    json_array_foreach (json_object_get(results, "cells"), i, cell)
        if (is_shown(results, cell))
            EBB_TRY(add_picture(b, ebb_bench_text(cell, "key"), ebb_bench_text(cell, "picture"), pictures));
    return EBB_OK;
}

/* ---- the page ------------------------------------------------------------------------------------------------------------------ */

static const char *part_of_page(const char *name)
{
    for (const ebb_embedded *e = ebb_embedded_report; e->name != NULL; e++)
        if (strcmp(e->name, name) == 0)
            return e->text;
    return "";
}

/* Within the page no text may end its script: "<" is written as JSON can. */
static ebb_status write_data(ebb_writer *w, const char *json)
{
    for (size_t n; *json != 0; json += n) {
        n = strcspn(json, "<");
        EBB_TRY(ebb_writer_write(w, json, n));
        if (json[n] == '<') {
            EBB_TRY(ebb_writer_write(w, "\\u003c", 6));
            n++;
        }
    }
    return EBB_OK;
}

/* @STYLE@, @DATA@ and @SCRIPT@ are replaced, in this order. */
static ebb_status write_page(ebb_writer *w, const char *json)
{
    static const char *const marks[] = {"@STYLE@", "@DATA@", "@SCRIPT@"};
    const char *page = part_of_page("page"), *const parts[] = {part_of_page("style"), json, part_of_page("script")};
    for (int k = 0; k < 3; k++) {
        const char *mark = strstr(page, marks[k]);
        size_t n = mark != NULL ? (size_t)(mark - page) : 0;
        EBB_TRY(ebb_writer_write(w, page, n));
        EBB_TRY(k == 1 ? write_data(w, parts[k]) : ebb_writer_write(w, parts[k], strlen(parts[k])));
        page += n + strlen(marks[k]);
    }
    return ebb_writer_write(w, page, strlen(page));
}

static ebb_status write_report(ebb_bench_job *b, const json_t *report)
{
    char path[EBB_BENCH_PATH], *json;
    ebb_writer *w;
    EBB_TRY(ebb_bench_path(b, "report.html", path));
    EBB_TRY(ebb_json_text(b->ctx, report, 0, &json));
    ebb_status status = ebb_writer_open(b->ctx, path, &w);
    if (status == EBB_OK)
        status = write_page(w, json);
    if (status == EBB_OK)
        status = ebb_writer_commit(&w);
    ebb_writer_abort(&w);
    ebb_free(json);
    return status;
}

ebb_status ebb_bench_html(ebb_bench_job *b, const json_t *results)
{
    json_t *report = json_copy((json_t *)(uintptr_t)results), *pictures = json_object();
    json_object_set_new(report, "pictures", pictures);
    ebb_status status = add_pictures(b, results, pictures);
    if (status == EBB_OK)
        status = write_report(b, report);
    json_decref(report);
    return status;
}

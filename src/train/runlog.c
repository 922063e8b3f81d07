/* runlog.c: appends lines to log.jsonl, and cuts it back to a checkpoint when a run is resumed.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "train/runlog.h"

#define LOG_BYTES_MAX ((size_t)1 << 30)

ebb_status ebb_runlog_append(ebb_context *ctx, const char *path, const ebb_log_line *l)
{
    char text[512], accuracy[40] = "";
    if (isfinite(l->accuracy))
        snprintf(accuracy, sizeof accuracy, "\"accuracy\": %.6g, ", l->accuracy);
    snprintf(text, sizeof text,
             "{\"step\": %lld, \"loss\": %.9g, \"loss_mean\": %.9g, %s\"gradient_norm\": %.9g, \"lr\": %.9g, "
             "\"images_per_second\": %.2f, \"seconds\": %.3f}\n",
             (long long)l->step, l->loss, l->loss_mean, accuracy, l->gradient_norm, l->lr, l->images_per_second,
             l->seconds);
    return ebb_file_append(ctx, path, text);
}

/* Whether a line is whole and of a step up to `step`. */
static bool keeps(const char *line, size_t size, int64_t step, double *seconds)
{
    json_t *json = json_loadb(line, size, 0, NULL);
    json_t *number = json_object_get(json, "step");
    bool keep = json_is_integer(number) && json_integer_value(number) <= step;
    if (keep && json_is_number(json_object_get(json, "seconds")))
        *seconds = json_number_value(json_object_get(json, "seconds"));
    json_decref(json);
    return keep;
}

static ebb_status copy_lines(ebb_writer *w, const char *text, size_t size, int64_t step, double *seconds)
{
    const char *stop = text + size;
    for (const char *end; (end = memchr(text, '\n', (size_t)(stop - text))) != NULL; text = end + 1)
        if (keeps(text, (size_t)(end - text), step, seconds))
            EBB_TRY(ebb_writer_write(w, text, (size_t)(end - text) + 1));
    return EBB_OK;
}

ebb_status ebb_runlog_trim(ebb_context *ctx, const char *path, int64_t step, double *seconds)
{
    void *text;
    size_t size;
    ebb_writer *w;
    *seconds = 0;
    if (!ebb_file_exists(path))
        return EBB_OK;
    EBB_TRY(ebb_file_read(ctx, path, LOG_BYTES_MAX, &text, &size));
    ebb_status status = ebb_writer_open(ctx, path, &w);
    if (status == EBB_OK) {
        status = copy_lines(w, text, size, step, seconds);
        if (status == EBB_OK)
            status = ebb_writer_commit(&w);
        else
            ebb_writer_abort(&w);
    }
    ebb_free(text);
    return status;
}

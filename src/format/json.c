/* json.c: JSON by jansson, with our errors and our text.
 *
 * One idea: text that we write is the same bytes for the same content: keys in insertion order, 17
 * digits for every double (enough to read the same double back).
 */
#include <string.h>

#include "format/format.h"

#define FILE_LIMIT ((size_t)64 << 20)

/* where: a path or what the text is. */
static ebb_status parse(ebb_context *ctx, const char *text, size_t size, const char *where, json_t **out)
{
    json_error_t error;
    *out = json_loadb(text, size, JSON_REJECT_DUPLICATES, &error);
    if (*out)
        return EBB_OK;
    if (json_error_code(&error) == json_error_out_of_memory)
        return ebb_fail(ctx, EBB_E_MEMORY, "%s: out of memory while parsing JSON", where);
    return ebb_fail(ctx, EBB_E_FORMAT, "%s: line %d, column %d: not valid JSON: %s", where, error.line,
                    error.column, error.text);
}

ebb_status ebb_json_parse(ebb_context *ctx, const char *text, const char *where, json_t **out)
{
    return parse(ctx, text, strlen(text), where, out);
}

ebb_status ebb_json_read(ebb_context *ctx, const char *path, json_t **out)
{
    void *data;
    size_t size;
    *out = NULL;
    EBB_TRY(ebb_file_read(ctx, path, FILE_LIMIT, &data, &size));
    ebb_status status = parse(ctx, data, size, path, out);
    ebb_free(data);
    return status;
}

ebb_status ebb_json_text(ebb_context *ctx, const json_t *json, int indent, char **out)
{
    size_t flags = JSON_REAL_PRECISION(17) | JSON_ENCODE_ANY;
    flags |= indent > 0 ? JSON_INDENT((size_t)indent) : (size_t)JSON_COMPACT;
    void *text;
    *out = NULL;
    size_t size = json_dumpb(json, NULL, 0, flags);
    if (size == 0)
        return ebb_fail(ctx, EBB_E_INTERNAL,
                        "JSON text could not be made: the value is missing or out of memory");
    EBB_TRY(ebb_alloc(ctx, &text, size + 1, 1, "JSON text"));
    json_dumpb(json, text, size, flags);
    *out = text;
    return EBB_OK;
}

ebb_status ebb_json_write(ebb_context *ctx, const char *path, const json_t *json)
{
    char *text;
    EBB_TRY(ebb_json_text(ctx, json, 2, &text));
    ebb_status status = ebb_file_write(ctx, path, text, strlen(text));
    ebb_free(text);
    return status;
}

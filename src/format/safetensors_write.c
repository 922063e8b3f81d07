/* safetensors_write.c: named arrays to a file.
 *
 * One idea: the same tensors and metadata give the same bytes: entries in the order given, offsets
 * without gaps, spaces up to a multiple of 64. The checksum is computed over everything with zeros in
 * its own place, which is then filled in.
 */
#include <stdio.h>
#include <string.h>
#include <zlib.h>

#include "format/safetensors.h"

enum { DATA_ALIGN = 64 };

static ebb_status check_tensor(ebb_context *ctx, const char *path, const ebb_st_tensor *t, const json_t *root)
{
    size_t bytes;
    if (t->rank < 0 || t->rank > EBB_ST_RANK_MAX ||
        !ebb_st_shape_bytes(t->type, t->rank, t->dim, &bytes) || bytes != t->bytes)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "%s: tensor '%s': type, shape and %zu bytes do not fit together",
                        path, t->name, t->bytes);
    if (json_object_get(root, t->name) || strcmp(t->name, "__metadata__") == 0)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "%s: the name '%s' is taken by another tensor or by the format",
                        path, t->name);
    return EBB_OK;
}

/* NULL when out of memory. */
static json_t *tensor_entry(const ebb_st_tensor *t, size_t offset)
{
    json_t *shape = json_array();
    for (int i = 0; i < t->rank; i++)
        if (json_array_append_new(shape, json_integer(t->dim[i])) != 0) {
            json_decref(shape);
            return NULL;
        }
    json_int_t begin = (json_int_t)offset, end = (json_int_t)(offset + t->bytes);
    return json_pack("{s:s, s:o, s:[I, I]}", "dtype", ebb_st_type_name(t->type), "shape", shape,
                     "data_offsets", begin, end);
}

static ebb_status fill_header(ebb_context *ctx, const char *path, const ebb_st_tensor *tensor, int32_t count,
                              const json_t *metadata, json_t *root)
{
    if (metadata)
        EBB_TRY(ebb_st_check_metadata(ctx, path, metadata));
    json_t *copy = metadata ? json_copy((json_t *)metadata) : json_object();
    bool failed = json_object_set_new(copy, "ebb.crc32", json_string("00000000")) != 0;
    failed |= json_object_set_new(root, "__metadata__", copy) != 0;
    size_t offset = 0;
    for (int32_t i = 0; i < count && !failed; i++) {
        EBB_TRY(check_tensor(ctx, path, &tensor[i], root));
        failed = json_object_set_new(root, tensor[i].name, tensor_entry(&tensor[i], offset)) != 0;
        offset += tensor[i].bytes;
    }
    if (failed)
        return ebb_fail(ctx, EBB_E_MEMORY, "%s: out of memory for the header (or a name is no UTF-8)", path);
    return EBB_OK;
}

/* Header text padded so that the data begin at a multiple of 64; without checksum yet. */
static ebb_status header_text(ebb_context *ctx, const char *path, const ebb_st_tensor *tensor, int32_t count,
                              const json_t *metadata, char **text, size_t *size)
{
    char *plain;
    json_t *root = json_object();
    ebb_status status = fill_header(ctx, path, tensor, count, metadata, root);
    if (status == EBB_OK)
        status = ebb_json_text(ctx, root, 0, &plain);
    json_decref(root);
    EBB_TRY(status);
    size_t length = strlen(plain);
    size_t padded = (length + 8 + DATA_ALIGN - 1) / DATA_ALIGN * DATA_ALIGN - 8;
    void *memory = NULL;
    if (padded > EBB_ST_HEADER_LIMIT)
        status = ebb_fail(ctx, EBB_E_ARGUMENT, "%s: a header of %zu bytes is more than the format allows",
                          path, padded);
    else
        status = ebb_alloc(ctx, &memory, padded, 1, "a safetensors header");
    if (status == EBB_OK) {
        memset(memory, ' ', padded);
        memcpy(memory, plain, length);
    }
    ebb_free(plain);
    *text = memory;
    *size = padded;
    return status;
}

typedef struct source { const ebb_st_tensor *tensor; int32_t count; ebb_st_fill fill; void *arg; } source;

static const ebb_st_tensor *tensor_at(const source *s, int32_t i)
{
    if (s->fill)
        s->fill(s->arg, i);
    return &s->tensor[i];
}

static void put_crc(char *header, size_t size, const source *s)
{
    char *digits = header + (ebb_st_find_crc(header, size) - header);
    uLong crc = ebb_st_header_crc(header, size, digits);
    for (int32_t i = 0; i < s->count; i++) {
        const ebb_st_tensor *t = tensor_at(s, i);
        if (t->bytes)
            crc = crc32_z(crc, t->data, t->bytes);
    }
    char text[EBB_ST_CRC_DIGITS + 1];
    snprintf(text, sizeof text, "%08lx", crc & 0xffffffffu);
    memcpy(digits, text, EBB_ST_CRC_DIGITS);
}

ebb_status ebb_st_write_filled(ebb_context *ctx, const char *path, const ebb_st_tensor *tensor, int32_t count,
                               const json_t *metadata, ebb_st_fill fill, void *arg)
{
    source s = {tensor, count, fill, arg};
    char *header;
    size_t size;
    ebb_writer *w;
    EBB_TRY(header_text(ctx, path, tensor, count, metadata, &header, &size));
    put_crc(header, size, &s);
    ebb_status status = ebb_writer_open(ctx, path, &w);
    if (status == EBB_OK) {
        unsigned char length[8];
        for (int i = 0; i < 8; i++)
            length[i] = (unsigned char)((uint64_t)size >> 8 * i);
        /* A failed write is remembered by the writer: commit reports it. */
        ebb_writer_write(w, length, sizeof length);
        ebb_writer_write(w, header, size);
        for (int32_t i = 0; i < count; i++) {
            const ebb_st_tensor *t = tensor_at(&s, i);
            ebb_writer_write(w, t->data, t->bytes);
        }
        status = ebb_writer_commit(&w);
    }
    ebb_free(header);
    return status;
}

ebb_status ebb_st_write(ebb_context *ctx, const char *path, const ebb_st_tensor *tensor, int32_t count,
                        const json_t *metadata)
{
    return ebb_st_write_filled(ctx, path, tensor, count, metadata, NULL, NULL);
}

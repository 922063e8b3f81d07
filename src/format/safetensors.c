/* safetensors.c: named arrays in a file, https://github.com/huggingface/safetensors#format.
 *
 *   u64 n, little endian | n bytes of JSON, padded with spaces | data
 *   {"name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [begin, end]}, ..., "__metadata__": {...}}
 *
 * One idea: the tensors, sorted by offset, must tile the data exactly; then nothing can overlap, hide
 * or be missing. Beyond the standard, "ebb.crc32" in the metadata is the CRC-32 of header and data
 * (its own eight digits taken as zeros), so that a flipped bit anywhere is seen.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "format/safetensors.h"

#define FILE_LIMIT ((size_t)64 << 30)

static const struct { const char *name; size_t bytes;
} types[] = {
    [EBB_ST_F32] = { "F32", 4 },   [EBB_ST_F16] = { "F16", 2 }, [EBB_ST_BF16] = { "BF16", 2 },
    [EBB_ST_F64] = { "F64", 8 },   [EBB_ST_I64] = { "I64", 8 }, [EBB_ST_I32] = { "I32", 4 },
    [EBB_ST_U8] = { "U8", 1 },     [EBB_ST_I8] = { "I8", 1 },   [EBB_ST_I16] = { "I16", 2 },
    [EBB_ST_U16] = { "U16", 2 },   [EBB_ST_U32] = { "U32", 4 }, [EBB_ST_U64] = { "U64", 8 },
    [EBB_ST_BOOL] = { "BOOL", 1 },
};
enum { TYPES = sizeof types / sizeof *types };

const char *ebb_st_type_name(ebb_st_type type)
{
    return (unsigned)type < TYPES ? types[type].name : "?";
}

size_t ebb_st_type_bytes(ebb_st_type type)
{
    return (unsigned)type < TYPES ? types[type].bytes : 0;
}

bool ebb_st_shape_bytes(ebb_st_type type, int rank, const int64_t *dim, size_t *bytes)
{
    size_t product = ebb_st_type_bytes(type);
    if (product == 0)
        return false;
    for (int i = 0; i < rank; i++)
        if (dim[i] < 0 || __builtin_mul_overflow(product, (size_t)dim[i], &product))
            return false;
    *bytes = product;
    return true;
}

/* Before a key stands '{' or ','. That tells it from the end of a longer key with an escaped quote. */
const char *ebb_st_find_crc(const char *header, size_t size)
{
    static const char key[] = "\"ebb.crc32\":\"";
    const size_t length = sizeof key - 1;
    const char *end = header + size, *at = header;
    while ((at = memmem(at, (size_t)(end - at), key, length))) {
        bool begins = at > header && (at[-1] == '{' || at[-1] == ',');
        at += length;
        if (begins)
            return end - at >= EBB_ST_CRC_DIGITS ? at : NULL;
    }
    return NULL;
}

uint32_t ebb_st_header_crc(const char *header, size_t size, const char *digits)
{
    size_t before = (size_t)(digits - header);
    size_t after = size - before - EBB_ST_CRC_DIGITS;
    uLong crc = crc32_z(0, (const Bytef *)header, before);
    crc = crc32_z(crc, (const Bytef *)"00000000", EBB_ST_CRC_DIGITS);
    return (uint32_t)crc32_z(crc, (const Bytef *)digits + EBB_ST_CRC_DIGITS, after);
}

/* The file while it is taken apart. */
typedef struct parts {
    ebb_context *ctx;
    const char *path;
    const char *header; size_t header_size;
    const char *data; size_t data_size;
} parts;

static ebb_status split(parts *p, const unsigned char *bytes, size_t size)
{
    if (size < 8)
        return ebb_fail(p->ctx, EBB_E_FORMAT,
                        "%s: not a safetensors file: %zu bytes, but the header length alone has 8", p->path,
                        size);
    uint64_t n = 0;
    for (int i = 7; i >= 0; i--)
        n = n << 8 | bytes[i];
    if (n < 2 || n > EBB_ST_HEADER_LIMIT || n > size - 8)
        return ebb_fail(p->ctx, EBB_E_FORMAT,
                        "%s: offset 0: header length %llu is impossible in a file of %zu bytes; "
                        "not a safetensors file, or cut short",
                        p->path, (unsigned long long)n, size);
    if (bytes[8] != '{')
        return ebb_fail(p->ctx, EBB_E_FORMAT, "%s: offset 8: the header does not begin with '{'", p->path);
    p->header = (const char *)bytes + 8;
    p->header_size = (size_t)n;
    p->data = p->header + n;
    p->data_size = size - 8 - (size_t)n;
    size_t end = p->header_size;
    while (end > 0 && p->header[end - 1] == ' ')
        end--;
    if (p->header[end - 1] != '}')
        return ebb_fail(p->ctx, EBB_E_FORMAT, "%s: offset %zu: the header does not end with '}' and spaces",
                        p->path, end + 7);
    return EBB_OK;
}

static ebb_status fail_tensor(const parts *p, const char *name, const char *what)
{
    return ebb_fail(p->ctx, EBB_E_FORMAT, "%s: tensor '%s': %s", p->path, name, what);
}

static ebb_status read_type(const parts *p, const char *name, const json_t *dtype, ebb_st_type *type)
{
    const char *text = json_string_value(dtype);
    if (!text)
        return fail_tensor(p, name, "\"dtype\" is missing or no string");
    for (int i = 0; i < TYPES; i++)
        if (strcmp(text, types[i].name) == 0) {
            *type = (ebb_st_type)i;
            return EBB_OK;
        }
    return ebb_fail(p->ctx, EBB_E_FORMAT, "%s: tensor '%s': dtype \"%s\" is unknown", p->path, name, text);
}

static ebb_status read_shape(const parts *p, const char *name, const json_t *shape, ebb_st_tensor *t)
{
    if (!json_is_array(shape))
        return fail_tensor(p, name, "\"shape\" is missing or no array");
    if (json_array_size(shape) > EBB_ST_RANK_MAX)
        return fail_tensor(p, name, "\"shape\" has more than 8 dimensions");
    t->rank = (int)json_array_size(shape);
    for (int i = 0; i < t->rank; i++) {
        const json_t *dim = json_array_get(shape, (size_t)i);
        if (!json_is_integer(dim) || json_integer_value(dim) < 0)
            return fail_tensor(p, name, "\"shape\" has an element that is no whole number >= 0");
        t->dim[i] = json_integer_value(dim);
    }
    if (!ebb_st_shape_bytes(t->type, t->rank, t->dim, &t->bytes))
        return fail_tensor(p, name, "\"shape\" is larger than any memory");
    return EBB_OK;
}

static ebb_status read_offsets(const parts *p, const char *name, const json_t *offsets, ebb_st_tensor *t)
{
    const json_t *first = json_array_get(offsets, 0), *second = json_array_get(offsets, 1);
    if (json_array_size(offsets) != 2 || !json_is_integer(first) || !json_is_integer(second))
        return fail_tensor(p, name, "\"data_offsets\" is not a pair of whole numbers");
    json_int_t begin = json_integer_value(first), end = json_integer_value(second);
    if (begin < 0 || begin > end || (uint64_t)end > p->data_size)
        return ebb_fail(p->ctx, EBB_E_FORMAT,
                        "%s: tensor '%s': data_offsets %lld to %lld are not within the %zu bytes of "
                        "data; is the file cut short?",
                        p->path, name, (long long)begin, (long long)end, p->data_size);
    if ((uint64_t)(end - begin) != t->bytes)
        return ebb_fail(p->ctx, EBB_E_FORMAT,
                        "%s: tensor '%s': shape and type ask for %zu bytes, data_offsets give %lld", p->path,
                        name, t->bytes, (long long)(end - begin));
    t->data = p->data + begin;
    return EBB_OK;
}

static ebb_status read_tensor(const parts *p, const char *name, const json_t *entry, ebb_st_tensor *t)
{
    if (!json_is_object(entry) || json_object_size(entry) != 3)
        return fail_tensor(p, name, "is not an object of exactly \"dtype\", \"shape\", \"data_offsets\"");
    EBB_TRY(read_type(p, name, json_object_get(entry, "dtype"), &t->type));
    EBB_TRY(read_shape(p, name, json_object_get(entry, "shape"), t));
    return read_offsets(p, name, json_object_get(entry, "data_offsets"), t);
}

ebb_status ebb_st_check_metadata(ebb_context *ctx, const char *path, const json_t *metadata)
{
    const char *key;
    json_t *value;
    if (!json_is_object(metadata))
        return ebb_fail(ctx, EBB_E_FORMAT, "%s: \"__metadata__\" is no object", path);
    json_object_foreach((json_t *)metadata, key, value)
        if (!json_is_string(value))
            return ebb_fail(ctx, EBB_E_FORMAT, "%s: __metadata__: '%s' is no string", path, key);
    return EBB_OK;
}

/* By place in the file; tensors without bytes go before those that start at the same place. */
static int by_offset(const void *a, const void *b)
{
    const ebb_st_tensor *s = a, *t = b;
    if (s->data != t->data)
        return (const char *)s->data < (const char *)t->data ? -1 : 1;
    if (s->bytes != t->bytes)
        return s->bytes < t->bytes ? -1 : 1;
    return strcmp(s->name, t->name);
}

static ebb_status check_tiling(const parts *p, ebb_safetensors *st)
{
    const char *at = p->data;
    if (st->count)
        qsort(st->tensor, (size_t)st->count, sizeof *st->tensor, by_offset);
    for (int32_t i = 0; i < st->count; i++) {
        const ebb_st_tensor *t = &st->tensor[i];
        const char *begin = t->data;
        if (begin != at)
            return ebb_fail(p->ctx, EBB_E_FORMAT, "%s: tensor '%s': its data at %td %s", p->path, t->name,
                            begin - p->data,
                            begin < at ? "overlap those of another tensor" : "leave a gap before them");
        at += t->bytes;
    }
    if (at != p->data + p->data_size)
        return ebb_fail(p->ctx, EBB_E_FORMAT,
                        "%s: %td bytes of data are followed by %td bytes that belong to no tensor", p->path,
                        at - p->data, p->data + p->data_size - at);
    return EBB_OK;
}

/* Tensors and their names in one block. */
static ebb_status read_tensors(const parts *p, json_t *root, ebb_safetensors *st)
{
    size_t count = 0, text = 0;
    const char *key;
    json_t *value;
    json_object_foreach(root, key, value) {
        count += strcmp(key, "__metadata__") != 0;
        text += strlen(key) + 1;
    }
    if (count > INT32_MAX)
        return ebb_fail(p->ctx, EBB_E_FORMAT, "%s: too many tensors", p->path);
    void *block;
    EBB_TRY(ebb_alloc(p->ctx, &block, 1, count * sizeof(ebb_st_tensor) + text, "a list of tensors"));
    st->tensor = block;
    char *names = (char *)(st->tensor + count);
    json_object_foreach(root, key, value) {
        if (strcmp(key, "__metadata__") == 0) {
            EBB_TRY(ebb_st_check_metadata(p->ctx, p->path, value));
            st->metadata = json_incref(value);
            continue;
        }
        ebb_st_tensor *t = &st->tensor[st->count];
        EBB_TRY(read_tensor(p, key, value, t));
        t->name = strcpy(names, key);
        names += strlen(key) + 1;
        st->count++;
    }
    return check_tiling(p, st);
}

static ebb_status check_crc(const parts *p, const ebb_safetensors *st)
{
    const char *said = ebb_st_metadata(st, "ebb.crc32");
    if (!said)
        return EBB_OK;
    const char *digits = ebb_st_find_crc(p->header, p->header_size);
    char found[EBB_ST_CRC_DIGITS + 1] = "none";
    if (digits && strlen(said) == EBB_ST_CRC_DIGITS) {
        uLong crc = ebb_st_header_crc(p->header, p->header_size, digits);
        crc = crc32_z(crc, (const Bytef *)p->data, p->data_size);
        snprintf(found, sizeof found, "%08lx", crc & 0xffffffffu);
        if (strcmp(said, found) == 0)
            return EBB_OK;
    }
    return ebb_fail(p->ctx, EBB_E_FORMAT,
                    "%s: the checksum does not match (ebb.crc32 says %.16s, the content gives %s): "
                    "the file is damaged; take another copy. If another program rewrote it, let that drop "
                    "ebb.crc32 from the metadata",
                    p->path, said, found);
}

static ebb_status read_parts(ebb_context *ctx, ebb_safetensors *st)
{
    parts p = { .ctx = ctx, .path = st->path };
    EBB_TRY(split(&p, st->memory, st->size));
    json_error_t error;
    json_t *root = json_loadb(p.header, p.header_size, JSON_REJECT_DUPLICATES, &error);
    if (!root)
        return ebb_fail(ctx, EBB_E_FORMAT, "%s: offset %d: the header is not valid JSON: %s", st->path,
                        8 + error.position, error.text);
    ebb_status status = read_tensors(&p, root, st);
    if (status == EBB_OK)
        status = check_crc(&p, st);
    json_decref(root);
    return status;
}

ebb_status ebb_st_read(ebb_context *ctx, const char *path, ebb_safetensors *out)
{
    *out = (ebb_safetensors){ 0 };
    EBB_TRY(ebb_strdup(ctx, &out->path, path));
    ebb_status status = ebb_file_read(ctx, path, FILE_LIMIT, &out->memory, &out->size);
    if (status == EBB_OK)
        status = read_parts(ctx, out);
    if (status != EBB_OK)
        ebb_st_free(out);
    return status;
}

void ebb_st_free(ebb_safetensors *st)
{
    json_decref(st->metadata);
    ebb_free(st->tensor);
    ebb_free(st->memory);
    ebb_free(st->path);
    *st = (ebb_safetensors){ 0 };
}

const ebb_st_tensor *ebb_st_find(const ebb_safetensors *st, const char *name)
{
    for (int32_t i = 0; i < st->count; i++)
        if (strcmp(st->tensor[i].name, name) == 0)
            return &st->tensor[i];
    return NULL;
}

const char *ebb_st_metadata(const ebb_safetensors *st, const char *key)
{
    return json_string_value(json_object_get(st->metadata, key));
}

/* npy.c: one array in a file, NumPy's format:
 * https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
 *
 *   93 "NUMPY" major minor | header length, u16 (1.0) or u32 (2.0, 3.0), little endian |
 *   {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), } spaces newline | data
 *
 * One idea: the header is a Python literal, of which we read just the dictionary above, its keys in any
 * order, by a cursor that can only move forward within the header.
 */
#include <stdio.h>
#include <string.h>

#include "format/format.h"

#define FILE_LIMIT ((size_t)64 << 30)
enum { RANK_MAX = 8, DATA_ALIGN = 64, MAGIC = 6 };
static const char magic[] = "\x93NUMPY";

typedef struct cursor {
    ebb_context *ctx;
    const char *path;
    const char *text;      /* the whole file */
    size_t at, end;        /* offsets in the file; end of the header */
    bool has_descr, has_order, has_shape;
} cursor;

static ebb_status fail_at(const cursor *c, const char *what)
{
    return ebb_fail(c->ctx, EBB_E_FORMAT, "%s: offset %zu: %s", c->path, c->at, what);
}

static void skip_space(cursor *c)
{
    while (c->at < c->end && (c->text[c->at] == ' ' || c->text[c->at] == '\n' || c->text[c->at] == '\t'))
        c->at++;
}

/* Steps over `symbol` if it comes next. */
static bool accept(cursor *c, char symbol)
{
    skip_space(c);
    if (c->at >= c->end || c->text[c->at] != symbol)
        return false;
    c->at++;
    return true;
}

/* A quoted text without escapes of less than `size` bytes. */
static ebb_status read_quoted(cursor *c, char *out, size_t size)
{
    skip_space(c);
    char quote = c->at < c->end ? c->text[c->at] : 0;
    if (quote != '\'' && quote != '"')
        return fail_at(c, "a quoted text is missing in the header");
    size_t length = 0;
    for (c->at++; c->at < c->end && c->text[c->at] != quote; c->at++) {
        if (length + 1 >= size || c->text[c->at] == '\\')
            return fail_at(c, "an unexpected text in the header; structured types are not supported");
        out[length++] = c->text[c->at];
    }
    out[length] = 0;
    return accept(c, quote) ? EBB_OK : fail_at(c, "a quote is not closed");
}

/* "<f4": byte order, kind, bytes. */
static ebb_status read_descr(cursor *c, ebb_npy *npy)
{
    static const char known[][3] = { "b1", "u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "f2", "f4", "f8" };
    char text[32];
    EBB_TRY(read_quoted(c, text, sizeof text));
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (!text[0] || strcmp(text + 1, known[i]) != 0)
            continue;
        npy->kind = known[i][0];
        npy->item = known[i][1] - '0';
        if (text[0] == '<' || (text[0] == '|' && npy->item == 1))
            return EBB_OK;
    }
    return ebb_fail(c->ctx, EBB_E_FORMAT,
                    "%s: type '%s' is not supported; little-endian numbers of 1 to 8 bytes are: "
                    "convert with astype",
                    c->path, text);
}

static ebb_status read_order(cursor *c)
{
    skip_space(c);
    if (c->end - c->at >= 4 && memcmp(c->text + c->at, "True", 4) == 0)
        return fail_at(c, "the array is in Fortran order; save np.ascontiguousarray of it");
    if (c->end - c->at < 5 || memcmp(c->text + c->at, "False", 5) != 0)
        return fail_at(c, "'fortran_order' is neither True nor False");
    c->at += 5;
    return EBB_OK;
}

static ebb_status read_number(cursor *c, int64_t *out)
{
    skip_space(c);
    size_t start = c->at;
    *out = 0;
    for (; c->at < c->end && c->text[c->at] >= '0' && c->text[c->at] <= '9'; c->at++)
        if (__builtin_mul_overflow(*out, (int64_t)10, out) ||
            __builtin_add_overflow(*out, c->text[c->at] - '0', out))
            return fail_at(c, "a dimension is too large");
    return c->at > start ? EBB_OK : fail_at(c, "a number is missing in 'shape'");
}

/* (), (3,), (3, 4) */
static ebb_status read_shape(cursor *c, ebb_npy *npy)
{
    npy->rank = 0;
    if (!accept(c, '('))
        return fail_at(c, "'shape' is no tuple");
    while (!accept(c, ')')) {
        if (npy->rank == RANK_MAX)
            return fail_at(c, "more than 8 dimensions");
        EBB_TRY(read_number(c, &npy->dim[npy->rank++]));
        if (accept(c, ','))
            continue;
        if (!accept(c, ')'))
            return fail_at(c, "'shape' is not closed");
        break;
    }
    return EBB_OK;
}

static ebb_status read_entry(cursor *c, ebb_npy *npy)
{
    char key[32];
    EBB_TRY(read_quoted(c, key, sizeof key));
    bool *seen = strcmp(key, "descr") == 0           ? &c->has_descr
                 : strcmp(key, "fortran_order") == 0 ? &c->has_order
                 : strcmp(key, "shape") == 0         ? &c->has_shape
                                                     : NULL;
    if (!seen || *seen)
        return ebb_fail(c->ctx, EBB_E_FORMAT, "%s: offset %zu: key '%s' is unknown or there twice", c->path,
                        c->at, key);
    *seen = true;
    if (!accept(c, ':'))
        return fail_at(c, "':' is missing after a key");
    if (seen == &c->has_descr)
        return read_descr(c, npy);
    return seen == &c->has_order ? read_order(c) : read_shape(c, npy);
}

static ebb_status read_dictionary(cursor *c, ebb_npy *npy)
{
    if (!accept(c, '{'))
        return fail_at(c, "the header does not begin with '{'");
    while (!accept(c, '}')) {
        EBB_TRY(read_entry(c, npy));
        if (accept(c, ','))
            continue;
        if (!accept(c, '}'))
            return fail_at(c, "the header is not closed by '}'");
        break;
    }
    skip_space(c);
    if (c->at != c->end)
        return fail_at(c, "unexpected text after the header's '}'");
    if (!c->has_descr || !c->has_order || !c->has_shape)
        return fail_at(c, "the header lacks 'descr', 'fortran_order' or 'shape'");
    return EBB_OK;
}

/* Finds where the header lies: c->at to c->end. */
static ebb_status find_header(cursor *c, size_t size)
{
    const unsigned char *bytes = (const unsigned char *)c->text;
    if (size < MAGIC + 2 || memcmp(bytes, magic, MAGIC) != 0)
        return fail_at(c, "not an npy file: it does not begin with \\x93NUMPY");
    c->at = MAGIC;
    if (bytes[MAGIC] < 1 || bytes[MAGIC] > 3)
        return fail_at(c, "a version other than 1.0, 2.0 or 3.0");
    size_t wide = bytes[MAGIC] == 1 ? 2 : 4, length = 0;
    c->at = MAGIC + 2 + wide;
    if (size < c->at)
        return fail_at(c, "cut short within the header length");
    for (size_t i = 0; i < wide; i++)
        length |= (size_t)bytes[MAGIC + 2 + i] << 8 * i;
    if (length > size - c->at)
        return fail_at(c, "cut short within the header");
    c->end = c->at + length;
    return EBB_OK;
}

static ebb_status read_array(cursor *c, size_t size, ebb_npy *npy)
{
    EBB_TRY(find_header(c, size));
    EBB_TRY(read_dictionary(c, npy));
    size_t bytes = (size_t)npy->item;
    for (int i = 0; i < npy->rank; i++)
        if (__builtin_mul_overflow(bytes, (size_t)npy->dim[i], &bytes))
            return fail_at(c, "'shape' is larger than any memory");
    if (bytes != size - c->end)
        return ebb_fail(c->ctx, EBB_E_FORMAT,
                        "%s: offset %zu: %zu bytes of data follow, but shape and type ask for %zu", c->path,
                        c->end, size - c->end, bytes);
    npy->data = (char *)npy->memory + c->end;
    /* Old writers align to less than the type needs: then the data move to the front. */
    if (c->end % (size_t)npy->item != 0)
        npy->data = memmove(npy->memory, npy->data, bytes);
    return EBB_OK;
}

ebb_status ebb_npy_read(ebb_context *ctx, const char *path, ebb_npy *out)
{
    size_t size;
    void *memory;
    *out = (ebb_npy){ 0 };
    EBB_TRY(ebb_file_read(ctx, path, FILE_LIMIT, &memory, &size));
    return ebb_npy_parse(ctx, path, memory, size, out);
}

ebb_status ebb_npy_parse(ebb_context *ctx, const char *path, void *memory, size_t size, ebb_npy *out)
{
    *out = (ebb_npy){ .memory = memory };
    cursor c = { .ctx = ctx, .path = path, .text = out->memory };
    ebb_status status = read_array(&c, size, out);
    if (status != EBB_OK)
        ebb_npy_free(out);
    return status;
}

void ebb_npy_free(ebb_npy *npy)
{
    ebb_free(npy->memory);
    *npy = (ebb_npy){ 0 };
}

/* ---- writing ------------------------------------------------------------------------------- */

/* The header with magic, padded to a multiple of 64; returns its size. At most 8 dimensions of 19
 * digits: 256 bytes are enough. */
static size_t make_header(char text[256], char kind, int item, int rank, const int64_t *dim)
{
    size_t n = MAGIC + 4;
    memset(text, ' ', 256);
    n += (size_t)snprintf(text + n, 256 - n, "{'descr': '%c%c%d', 'fortran_order': False, 'shape': (",
                          item == 1 ? '|' : '<', kind, item);
    for (int i = 0; i < rank; i++)
        n += (size_t)snprintf(text + n, 256 - n, "%s%lld", i ? ", " : "", (long long)dim[i]);
    n += (size_t)snprintf(text + n, 256 - n, "%s), }", rank == 1 ? "," : "");
    text[n] = ' ';
    size_t size = (n + 1 + DATA_ALIGN - 1) / DATA_ALIGN * DATA_ALIGN;
    text[size - 1] = '\n';
    memcpy(text, magic, MAGIC);
    text[MAGIC] = 1;
    text[MAGIC + 1] = 0;
    text[MAGIC + 2] = (char)((size - MAGIC - 4) & 255);
    text[MAGIC + 3] = (char)((size - MAGIC - 4) >> 8);
    return size;
}

ebb_status ebb_npy_write(ebb_context *ctx, const char *path, char kind, int item, const void *data, int rank,
                         const int64_t *dim)
{
    size_t bytes = (size_t)item;
    bool valid = strchr("uifb", kind) && kind && (item == 1 || item == 2 || item == 4 || item == 8);
    if (!valid || rank < 0 || rank > RANK_MAX)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "%s: type %c%d or rank %d cannot be written as npy", path, kind,
                        item, rank);
    for (int i = 0; i < rank; i++)
        if (dim[i] < 0 || __builtin_mul_overflow(bytes, (size_t)dim[i], &bytes))
            return ebb_fail(ctx, EBB_E_ARGUMENT, "%s: dimension %d is %lld: negative or too large", path, i,
                            (long long)dim[i]);
    char header[256];
    size_t size = make_header(header, kind, item, rank, dim);
    ebb_writer *w;
    EBB_TRY(ebb_writer_open(ctx, path, &w));
    ebb_writer_write(w, header, size);
    ebb_writer_write(w, data, bytes);
    return ebb_writer_commit(&w);
}

ebb_status ebb_npy_write_u8(ebb_context *ctx, const char *path, const uint8_t *data, int rank,
                            const int64_t *shape)
{
    return ebb_npy_write(ctx, path, 'u', 1, data, rank, shape);
}

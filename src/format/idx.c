/* idx.c: the format of the MNIST files, http://yann.lecun.com/exdb/mnist, plain or through gzip.
 *
 *   00 00 08 rank | rank sizes, u32 big endian | bytes, last index fastest
 *
 * One idea: header and content are taken from one source that either copies or inflates. What the
 * header claims is believed only as far as the file can hold it: deflate packs at most 1032 to 1.
 */
#include <string.h>
#include <zlib.h>

#include "format/format.h"

#define FILE_LIMIT ((size_t)16 << 30)
#define DEFLATE_RATIO 1032

typedef struct source {
    ebb_context *ctx;
    const char *path;
    const unsigned char *bytes; size_t size, used;   /* of the file */
    size_t offset;                                   /* in the content */
    bool packed, ended;
    z_stream z;
} source;

static ebb_status source_begin(source *s)
{
    s->packed = s->size >= 2 && s->bytes[0] == 0x1f && s->bytes[1] == 0x8b;
    if (s->packed && inflateInit2(&s->z, 15 + 16) != Z_OK)
        return ebb_fail(s->ctx, EBB_E_MEMORY, "%s: out of memory for inflating", s->path);
    return EBB_OK;
}

static void source_end(source *s)
{
    if (s->packed)
        inflateEnd(&s->z);
}

/* Inflates n bytes; *got is less when the stream ends before. */
static ebb_status inflate_some(source *s, void *out, size_t n, size_t *got)
{
    enum { PIECE = 1 << 30 };   /* zlib counts in 32 bits */
    *got = 0;
    while (!s->ended && *got < n) {
        size_t in = s->size - s->used < PIECE ? s->size - s->used : PIECE;
        size_t room = n - *got < PIECE ? n - *got : PIECE;
        if (in == 0)
            return ebb_fail(s->ctx, EBB_E_FORMAT, "%s: offset %zu: the gzip data are cut short", s->path,
                            s->used);
        s->z.next_in = (Bytef *)s->bytes + s->used;
        s->z.avail_in = (uInt)in;
        s->z.next_out = (Bytef *)out + *got;
        s->z.avail_out = (uInt)room;
        int result = inflate(&s->z, Z_NO_FLUSH);
        s->used += in - s->z.avail_in;
        *got += room - s->z.avail_out;
        s->ended = result == Z_STREAM_END;
        if (result == Z_MEM_ERROR)
            return ebb_fail(s->ctx, EBB_E_MEMORY, "%s: out of memory for inflating", s->path);
        if (result != Z_OK && result != Z_STREAM_END)
            return ebb_fail(s->ctx, EBB_E_FORMAT, "%s: offset %zu: the gzip data are damaged: %s", s->path,
                            s->used, s->z.msg ? s->z.msg : "unknown reason");
    }
    return EBB_OK;
}

static ebb_status take(source *s, void *out, size_t n, const char *what)
{
    size_t got;
    if (s->packed) {
        EBB_TRY(inflate_some(s, out, n, &got));
    } else {
        got = s->size - s->used < n ? s->size - s->used : n;
        memcpy(out, s->bytes + s->used, got);
        s->used += got;
    }
    s->offset += got;
    if (got < n)
        return ebb_fail(s->ctx, EBB_E_FORMAT, "%s: offset %zu%s: cut short: %s needs %zu more bytes", s->path,
                        s->offset, s->packed ? " (unpacked)" : "", what, n - got);
    return EBB_OK;
}

/* Nothing may follow, neither content nor bytes behind the gzip stream; its checksum is verified. */
static ebb_status expect_end(source *s)
{
    size_t got = 0;
    unsigned char extra;
    if (s->packed)
        EBB_TRY(inflate_some(s, &extra, 1, &got));
    if (got > 0 || s->used < s->size)
        return ebb_fail(s->ctx, EBB_E_FORMAT, "%s: offset %zu%s: bytes follow after the last element",
                        s->path, got > 0 ? s->offset : s->used, got > 0 ? " (unpacked)" : "");
    return EBB_OK;
}

static ebb_status read_header(source *s, ebb_idx *idx, size_t *count)
{
    unsigned char magic[4], size[4];
    EBB_TRY(take(s, magic, 4, "the magic number"));
    if (magic[0] || magic[1] || magic[3] < 1 || magic[3] > 4)
        return ebb_fail(s->ctx, EBB_E_FORMAT,
                        "%s: offset 0: not an IDX file of 1 to 4 dimensions: it begins with "
                        "%02x %02x %02x %02x",
                        s->path, magic[0], magic[1], magic[2], magic[3]);
    if (magic[2] != 8)
        return ebb_fail(s->ctx, EBB_E_FORMAT,
                        "%s: offset 2: element type 0x%02x; only unsigned bytes (0x08) are read", s->path,
                        magic[2]);
    idx->rank = magic[3];
    *count = 1;
    for (int i = 0; i < idx->rank; i++) {
        EBB_TRY(take(s, size, 4, "a dimension"));
        idx->dim[i] =
            (int64_t)((uint32_t)size[0] << 24 | (uint32_t)size[1] << 16 | (uint32_t)size[2] << 8 | size[3]);
        if (idx->dim[i] == 0 || __builtin_mul_overflow(*count, (size_t)idx->dim[i], count))
            return ebb_fail(s->ctx, EBB_E_FORMAT,
                            "%s: offset %d: dimension %d is %lld: none or too many elements", s->path,
                            4 + 4 * i, i, (long long)idx->dim[i]);
    }
    return EBB_OK;
}

static ebb_status read_content(source *s, ebb_idx *idx)
{
    size_t count = 0;
    EBB_TRY(read_header(s, idx, &count));
    size_t most = s->packed ? s->size * DEFLATE_RATIO : s->size - s->used;
    if (count > most)
        return ebb_fail(s->ctx, EBB_E_FORMAT,
                        "%s: the header promises %zu elements, but a file of %zu bytes holds at most "
                        "%zu; cut short or damaged",
                        s->path, count, s->size, most);
    void *data;
    EBB_TRY(ebb_alloc(s->ctx, &data, count, 1, s->path));
    idx->data = data;
    EBB_TRY(take(s, idx->data, count, "the data"));
    return expect_end(s);
}

ebb_status ebb_idx_read(ebb_context *ctx, const char *path, ebb_idx *out)
{
    void *bytes;
    source s = { .ctx = ctx, .path = path };
    *out = (ebb_idx){ 0 };
    EBB_TRY(ebb_file_read(ctx, path, FILE_LIMIT, &bytes, &s.size));
    s.bytes = bytes;
    ebb_status status = source_begin(&s);
    if (status == EBB_OK) {
        status = read_content(&s, out);
        source_end(&s);
    }
    ebb_free(bytes);
    if (status != EBB_OK)
        ebb_idx_free(out);
    return status;
}

void ebb_idx_free(ebb_idx *idx)
{
    ebb_free(idx->data);
    *idx = (ebb_idx){ 0 };
}

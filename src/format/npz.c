/* npz.c: NumPy's archives of arrays: a zip file with one NAME.npy a member, stored or deflated.
 *
 * The one idea: the central directory at the end of a zip file tells where each member lies, how large it is and its CRC-32
 * (PKWARE's APPNOTE, 4.3); what the members' own headers repeat is only skipped. Archives beyond 4 GB are not read.
 */
#include <stdio.h>
#include <string.h>
#include <zlib.h>

#include "format/format.h"

#define FILE_LIMIT ((size_t)4 << 30)
enum { END_SIZE = 22, ENTRY_SIZE = 46, LOCAL_SIZE = 30, COMMENT_MAX = 65535, STORED = 0, DEFLATED = 8, DEFLATE_MOST = 1032, NAME_MAX_BYTES = 200 };

typedef struct archive {
    ebb_context *ctx;
    const char *path;
    const unsigned char *bytes;
    size_t size;
} archive;

typedef struct member {
    int method;
    size_t packed, size, at;     /* at: of the local header */
    uint32_t crc;
    char name[NAME_MAX_BYTES];
} member;

static size_t number(const archive *a, size_t at, int bytes)
{
    size_t value = 0;
    for (int i = 0; i < bytes; i++)
        value |= (size_t)a->bytes[at + (size_t)i] << 8 * i;
    return value;
}

static ebb_status damaged(const archive *a, size_t at, const char *what)
{
    return ebb_fail(a->ctx, EBB_E_FORMAT, "%s: offset %zu: %s", a->path, at, what);
}

/* Where the directory begins, and its count of members. */
static ebb_status find_directory(const archive *a, size_t *at, size_t *count)
{
    for (size_t back = END_SIZE; back <= a->size && back <= END_SIZE + COMMENT_MAX; back++)
        if (number(a, a->size - back, 4) == 0x06054b50) {
            *count = number(a, a->size - back + 10, 2);
            *at = number(a, a->size - back + 16, 4);
            return *at <= a->size ? EBB_OK : damaged(a, a->size - back, "the directory lies behind the end");
        }
    return damaged(a, a->size, "no directory: not an npz file, or cut short");
}

/* Steps over the entry at *at. */
static ebb_status read_entry(const archive *a, size_t *at, member *m)
{
    if (*at > a->size || a->size - *at < ENTRY_SIZE || number(a, *at, 4) != 0x02014b50)
        return damaged(a, *at, "no entry of the directory");
    size_t name = number(a, *at + 28, 2), rest = number(a, *at + 30, 2) + number(a, *at + 32, 2);
    m->method = (int)number(a, *at + 10, 2);
    m->crc = (uint32_t)number(a, *at + 16, 4);
    m->packed = number(a, *at + 20, 4);
    m->size = number(a, *at + 24, 4);
    m->at = number(a, *at + 42, 4);
    if (name >= NAME_MAX_BYTES || a->size - *at - ENTRY_SIZE < name + rest)
        return damaged(a, *at, "an entry of the directory is cut short, or its name too long");
    memcpy(m->name, a->bytes + *at + ENTRY_SIZE, name);
    m->name[name] = 0;
    *at += ENTRY_SIZE + name + rest;
    return EBB_OK;
}

static bool inflate_all(const unsigned char *from, size_t packed, void *to, size_t size)
{
    z_stream z = {.next_in = (Bytef *)(uintptr_t)from, .avail_in = (uInt)packed, .next_out = to, .avail_out = (uInt)size};
    if (inflateInit2(&z, -15) != Z_OK)
        return false;
    bool fine = inflate(&z, Z_FINISH) == Z_STREAM_END && z.avail_out == 0;
    inflateEnd(&z);
    return fine;
}

/* The member's bytes in a block of their own. */
static ebb_status unpack(const archive *a, const member *m, void **out)
{
    if (m->at > a->size || a->size - m->at < LOCAL_SIZE || number(a, m->at, 4) != 0x04034b50)
        return damaged(a, m->at, "no member where the directory says");
    size_t start = m->at + LOCAL_SIZE + number(a, m->at + 26, 2) + number(a, m->at + 28, 2);
    if (start > a->size || m->packed > a->size - start)
        return damaged(a, m->at, "a member is cut short");
    if (m->method != STORED && m->method != DEFLATED)
        return damaged(a, m->at, "a member is packed by another method than deflate: use np.savez or np.savez_compressed");
    if (m->size > m->packed * DEFLATE_MOST)
        return damaged(a, m->at, "a member says that it is larger than its bytes can make");
    EBB_TRY(ebb_alloc(a->ctx, out, m->size + 1, 1, "member of an npz file"));
    bool fine = m->method == DEFLATED ? inflate_all(a->bytes + start, m->packed, *out, m->size) : m->packed == m->size;
    if (fine && m->method == STORED)
        memcpy(*out, a->bytes + start, m->size);
    if (fine && crc32_z(crc32_z(0, NULL, 0), *out, m->size) == m->crc)
        return EBB_OK;
    ebb_free(*out);
    *out = NULL;
    return damaged(a, m->at, "a member is damaged: its checksum does not match");
}

static ebb_status read_member(const archive *a, member *m, ebb_npz_member take, void *user)
{
    size_t length = strlen(m->name);
    void *memory;
    ebb_npy npy;
    if (length < 5 || strcmp(m->name + length - 4, ".npy") != 0)
        return EBB_OK;
    EBB_TRY(unpack(a, m, &memory));
    EBB_TRY(ebb_npy_parse(a->ctx, a->path, memory, m->size, &npy));
    m->name[length - 4] = 0;
    ebb_status status = take(user, a->ctx, a->path, m->name, &npy);
    ebb_npy_free(&npy);
    return status;
}

ebb_status ebb_npz_read(ebb_context *ctx, const char *path, ebb_npz_member take, void *user)
{
    void *data;
    archive a = {.ctx = ctx, .path = path};
    size_t at = 0, count = 0;
    member m;
    EBB_TRY(ebb_file_read(ctx, path, FILE_LIMIT, &data, &a.size));
    a.bytes = data;
    ebb_status status = find_directory(&a, &at, &count);
    for (size_t i = 0; status == EBB_OK && i < count; i++) {
        status = read_entry(&a, &at, &m);
        if (status == EBB_OK)
            status = read_member(&a, &m, take, user);
    }
    ebb_free(data);
    return status;
}

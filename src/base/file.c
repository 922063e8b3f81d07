/* file.c: whole files in, whole files out.
 *
 * One idea: a file is written under another name beside its place, flushed to the disk, and only then
 * renamed over it, so that whatever happens the path holds either the old or the new content.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/base.h"

/* Linux moves at most 0x7ffff000 bytes in one call; smaller pieces also keep signals prompt. */
#define PIECE ((size_t)64 << 20)

static ebb_status fail_errno(ebb_context *ctx, const char *doing, const char *path, const char *advice)
{
    int error = errno;
    if (error == ENOSPC || error == EDQUOT)
        return ebb_fail(ctx, EBB_E_IO, "%s '%s': the disk is full (%s); free some space and try again%s",
                        doing, path, strerror(error), advice);
    return ebb_fail(ctx, EBB_E_IO, "%s '%s': %s%s", doing, path, strerror(error), advice);
}

/* ---- reading ----------------------------------------------------------------------------- */

static int open_retry(const char *path, int flags, int mode)
{
    int fd;
    do
        fd = ebb_os_table.open(path, flags | O_CLOEXEC, mode);
    while (fd < 0 && errno == EINTR);
    return fd;
}

/* Reads until `size` bytes or the end of the file; returns the bytes read, -1 on error. */
static int64_t read_all(int fd, char *data, size_t size)
{
    size_t done = 0;
    while (done < size) {
        int64_t n = ebb_os_table.read(fd, data + done, size - done < PIECE ? size - done : PIECE);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        if (n == 0)
            break;
        done += (size_t)n;
    }
    return (int64_t)done;
}

/* Checks before opening: to open a FIFO would wait for its writer. */
static ebb_status regular_size(ebb_context *ctx, const char *path, size_t limit, size_t *size)
{
    ebb_os_stat st;
    if (ebb_os_table.stat(path, &st) != 0)
        return fail_errno(ctx, "cannot read", path, "");
    if (st.directory)
        return ebb_fail(ctx, EBB_E_IO, "cannot read '%s': it is a directory; give a file", path);
    if (!st.regular)
        return ebb_fail(ctx, EBB_E_IO,
                        "cannot read '%s': it is a pipe, socket or device; give a regular file", path);
    if ((uint64_t)st.size > limit)
        return ebb_fail(ctx, EBB_E_FORMAT,
                        "cannot read '%s': it has %lld bytes, more than the %zu that such a file "
                        "may have",
                        path, (long long)st.size, limit);
    *size = (size_t)st.size;
    return EBB_OK;
}

ebb_status ebb_file_read(ebb_context *ctx, const char *path, size_t limit, void **data, size_t *size)
{
    size_t expected = 0;
    void *memory = NULL;
    *data = NULL;
    *size = 0;
    EBB_TRY(regular_size(ctx, path, limit, &expected));
    int fd = open_retry(path, O_RDONLY, 0);
    if (fd < 0)
        return fail_errno(ctx, "cannot open", path, "");
    ebb_status status = ebb_alloc(ctx, &memory, expected + 1, 1, path);
    if (status == EBB_OK) {
        int64_t n = read_all(fd, memory, expected);
        if (n < 0)
            status = fail_errno(ctx, "cannot read", path, "");
        else if ((size_t)n < expected)
            status = ebb_fail(ctx, EBB_E_IO,
                              "cannot read '%s': it ended at byte %lld of %zu; is it being written?", path,
                              (long long)n, expected);
    }
    ebb_os_table.close(fd);
    if (status != EBB_OK) {
        ebb_free(memory);
        return status;
    }
    *data = memory;
    *size = expected;
    return EBB_OK;
}

/* ---- atomic writing ------------------------------------------------------------------------ */

struct ebb_writer {
    ebb_context *ctx;
    int fd;
    ebb_status status;    /* of the first failure: the rest is then skipped */
    char *temporary;      /* name; NULL once renamed or removed */
    char path[];
};

static const char unchanged[] = "; the file was not changed";

/* A name that no other writer has: O_EXCL decides, the numbers only make a clash unlikely. */
static ebb_status open_temporary(ebb_writer *w)
{
    static atomic_uint serial;
    size_t size = strlen(w->path) + 48;
    void *name;
    EBB_TRY(ebb_alloc(w->ctx, &name, size, 1, "a file name"));
    w->temporary = name;
    for (int attempt = 0; attempt < 100; attempt++) {
        snprintf(w->temporary, size, "%s.%ld-%u.tmp", w->path, (long)getpid(), atomic_fetch_add(&serial, 1));
        w->fd = open_retry(w->temporary, O_WRONLY | O_CREAT | O_EXCL, 0666);
        if (w->fd >= 0 || errno != EEXIST)
            break;
    }
    if (w->fd >= 0)
        return EBB_OK;
    ebb_status status = fail_errno(w->ctx, "cannot create a file beside", w->path, unchanged);
    ebb_free(w->temporary);
    w->temporary = NULL;
    return status;
}

ebb_status ebb_writer_open(ebb_context *ctx, const char *path, ebb_writer **out)
{
    ebb_os_stat st;
    void *memory;
    *out = NULL;
    /* A rename over a device or a directory would not be what was meant. */
    if (ebb_os_table.stat(path, &st) == 0 && !st.regular)
        return ebb_fail(ctx, EBB_E_IO, "cannot write '%s': it is a %s; give the path of a file", path,
                        st.directory ? "directory" : "pipe, socket or device");
    EBB_TRY(ebb_alloc(ctx, &memory, sizeof(ebb_writer) + strlen(path) + 1, 1, "a file writer"));
    ebb_writer *w = memory;
    w->ctx = ctx;
    w->fd = -1;
    memcpy(w->path, path, strlen(path) + 1);
    ebb_status status = open_temporary(w);
    if (status != EBB_OK) {
        ebb_free(w);
        return status;
    }
    *out = w;
    return EBB_OK;
}

ebb_status ebb_writer_write(ebb_writer *w, const void *data, size_t size)
{
    const char *p = data;
    while (w->status == EBB_OK && size > 0) {
        int64_t n = ebb_os_table.write(w->fd, p, size < PIECE ? size : PIECE);
        if (n < 0 && errno == EINTR)
            continue;
        if (n == 0)
            errno = ENOSPC;
        if (n <= 0)
            return w->status = fail_errno(w->ctx, "cannot write", w->path, unchanged);
        p += n;
        size -= (size_t)n;
    }
    return w->status;
}

/* The rename itself must reach the disk, too. Some file systems cannot flush a directory. */
static ebb_status sync_directory(ebb_writer *w)
{
    static const char advice[] = "; the file is in its place but may be lost in a power failure";
    char *directory;
    EBB_TRY(ebb_strdup(w->ctx, &directory, w->path));
    char *slash = strrchr(directory, '/');
    if (slash)
        slash[slash == directory ? 1 : 0] = 0;
    ebb_status status = EBB_OK;
    int fd = open_retry(slash ? directory : ".", O_RDONLY | O_DIRECTORY, 0);
    if (fd < 0 || (ebb_os_table.fsync(fd) != 0 && errno != EINVAL && errno != ENOTSUP))
        status = fail_errno(w->ctx, "cannot flush the directory of", w->path, advice);
    if (fd >= 0)
        ebb_os_table.close(fd);
    ebb_free(directory);
    return status;
}

ebb_status ebb_writer_commit(ebb_writer **writer)
{
    ebb_writer *w = *writer;
    ebb_status status = w->status;
    if (status == EBB_OK && ebb_os_table.fsync(w->fd) != 0)
        status = fail_errno(w->ctx, "cannot flush to the disk", w->path, unchanged);
    if (status == EBB_OK) {
        int fd = w->fd;
        w->fd = -1;
        if (ebb_os_table.close(fd) != 0)
            status = fail_errno(w->ctx, "cannot close", w->path, unchanged);
    }
    if (status == EBB_OK && ebb_os_table.rename(w->temporary, w->path) != 0)
        status = fail_errno(w->ctx, "cannot put the new file at", w->path, unchanged);
    if (status == EBB_OK) {
        ebb_free(w->temporary);
        w->temporary = NULL;
        status = sync_directory(w);
    }
    ebb_writer_abort(writer);
    return status;
}

void ebb_writer_abort(ebb_writer **writer)
{
    ebb_writer *w = *writer;
    if (!w)
        return;
    if (w->fd >= 0)
        ebb_os_table.close(w->fd);
    if (w->temporary)
        ebb_os_table.unlink(w->temporary);
    ebb_free(w->temporary);
    ebb_free(w);
    *writer = NULL;
}

/* ---- the rest -------------------------------------------------------------------------------- */

ebb_status ebb_file_append(ebb_context *ctx, const char *path, const char *text)
{
    size_t size = strlen(text);
    int64_t n;
    int fd = open_retry(path, O_WRONLY | O_APPEND | O_CREAT, 0666);
    if (fd < 0)
        return fail_errno(ctx, "cannot open", path, "");
    do
        n = ebb_os_table.write(fd, text, size);
    while (n < 0 && errno == EINTR);
    ebb_status status = EBB_OK;
    if (n >= 0 && (size_t)n < size)
        errno = ENOSPC;
    if (n < 0 || (size_t)n < size)
        status = fail_errno(ctx, "cannot append to", path, "");
    if (ebb_os_table.close(fd) != 0 && status == EBB_OK)
        status = fail_errno(ctx, "cannot close", path, "");
    return status;
}

static ebb_status make_one(ebb_context *ctx, const char *path)
{
    ebb_os_stat st;
    if (ebb_os_table.mkdir(path, 0777) == 0)
        return EBB_OK;
    int error = errno;
    if (error == EEXIST && ebb_os_table.stat(path, &st) == 0) {
        if (st.directory)
            return EBB_OK;
        return ebb_fail(ctx, EBB_E_IO, "cannot make directory '%s': there is a file of that name", path);
    }
    errno = error;
    return fail_errno(ctx, "cannot make directory", path, "");
}

ebb_status ebb_directory_make(ebb_context *ctx, const char *path)
{
    char *part;
    if (!*path)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "cannot make a directory without a name");
    EBB_TRY(ebb_strdup(ctx, &part, path));
    ebb_status status = EBB_OK;
    for (char *p = part + 1; *p && status == EBB_OK; p++) {
        if (*p != '/')
            continue;
        *p = 0;
        /* A parent that exists may be one we could not make, say on a read-only disk. */
        if (!ebb_file_exists(part))
            status = make_one(ctx, part);
        *p = '/';
    }
    if (status == EBB_OK)
        status = make_one(ctx, part);
    ebb_free(part);
    return status;
}

bool ebb_file_exists(const char *path)
{
    ebb_os_stat st;
    return ebb_os_table.stat(path, &st) == 0;
}

ebb_status ebb_file_write(ebb_context *ctx, const char *path, const void *data, size_t size)
{
    ebb_writer *w;
    EBB_TRY(ebb_writer_open(ctx, path, &w));
    ebb_status status = ebb_writer_write(w, data, size);
    if (status == EBB_OK)
        status = ebb_writer_commit(&w);
    ebb_writer_abort(&w);
    return status;
}

/* look.c: looking at what is there: names in a directory, first bytes of a file, environment.
 *
 * Names come sorted by bytes, so that what is built from a listing (classes of a picture folder) does
 * not depend on the order in which a file system happens to keep them.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"

typedef struct names {
    char *text; /* all names, each ended by a zero byte */
    int32_t used, text_capacity;
    int32_t *start; /* of each name in text */
    int32_t count, start_capacity;
} names;

bool ebb_is_directory(const char *path)
{
    ebb_os_stat st;
    return ebb_os_table.stat(path, &st) == 0 && st.directory;
}

static bool is_folder(const char *path, const char *name)
{
    char full[4096];
    int n = snprintf(full, sizeof full, "%s/%s", path, name);
    return n > 0 && (size_t)n < sizeof full && ebb_is_directory(full);
}

static ebb_status keep_name(ebb_context *ctx, names *list, const char *name, bool folder)
{
    int32_t length = (int32_t)strlen(name) + (folder ? 1 : 0);
    if (list->used > INT32_MAX / 2 - length - 1)
        return ebb_fail(ctx, EBB_E_MEMORY, "more names in a directory than this version lists");
    EBB_TRY(ebb_grow(ctx, (void **)&list->text, &list->text_capacity, list->used + length + 1, 1));
    EBB_TRY(
        ebb_grow(ctx, (void **)&list->start, &list->start_capacity, list->count + 1, sizeof *list->start));
    list->start[list->count++] = list->used;
    strcpy(list->text + list->used, name);
    if (folder)
        strcat(list->text + list->used, "/");
    list->used += length + 1;
    return EBB_OK;
}

static ebb_status read_names(ebb_context *ctx, const char *path, DIR *directory, names *list)
{
    for (;;) {
        errno = 0;
        struct dirent *entry = readdir(directory);
        if (entry == NULL)
            break;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        EBB_TRY(keep_name(ctx, list, entry->d_name, is_folder(path, entry->d_name)));
    }
    if (errno != 0)
        return ebb_fail(ctx, EBB_E_IO, "cannot read directory '%s': %s", path, strerror(errno));
    return EBB_OK;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Pointers and text in one block, so that the caller frees once. */
static ebb_status pack_names(ebb_context *ctx, const names *list, char ***out)
{
    size_t pointers = ((size_t)list->count + 1) * sizeof(char *);
    void *block;
    EBB_TRY(ebb_alloc(ctx, &block, 1, pointers + (size_t)list->used + 1, "names in a directory"));
    char **pointer = block;
    char *text = (char *)block + pointers;
    if (list->used > 0)
        memcpy(text, list->text, (size_t)list->used);
    for (int32_t i = 0; i < list->count; i++)
        pointer[i] = text + list->start[i];
    qsort(pointer, (size_t)list->count, sizeof *pointer, compare_names);
    *out = pointer;
    return EBB_OK;
}

ebb_status ebb_directory_list(ebb_context *ctx, const char *path, char ***out, int32_t *count)
{
    names list = {0};
    *out = NULL;
    *count = 0;
    DIR *directory = opendir(path);
    if (directory == NULL)
        return ebb_fail(ctx, EBB_E_IO, "cannot open directory '%s': %s", path, strerror(errno));
    ebb_status status = read_names(ctx, path, directory, &list);
    closedir(directory);
    if (status == EBB_OK)
        status = pack_names(ctx, &list, out);
    if (status == EBB_OK)
        *count = list.count;
    ebb_free(list.text);
    ebb_free(list.start);
    return status;
}

ebb_status ebb_file_peek(ebb_context *ctx, const char *path, void *buffer, size_t size, size_t *got)
{
    ebb_os_stat st;
    *got = 0;
    /* To open a FIFO would wait for its writer. */
    if (ebb_os_table.stat(path, &st) == 0 && !st.regular)
        return ebb_fail(ctx, EBB_E_IO, "cannot read '%s': it is not a regular file", path);
    int fd = ebb_os_table.open(path, O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0)
        return ebb_fail(ctx, EBB_E_IO, "cannot open '%s': %s", path, strerror(errno));
    int64_t n = 0;
    while (*got < size) {
        n = ebb_os_table.read(fd, (char *)buffer + *got, size - *got);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        *got += (size_t)n;
    }
    int error = errno;
    ebb_os_table.close(fd);
    if (n < 0)
        return ebb_fail(ctx, EBB_E_IO, "cannot read '%s': %s", path, strerror(error));
    return EBB_OK;
}

const char *ebb_environment(const char *name)
{
    return getenv(name);
}

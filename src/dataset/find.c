/* find.c: where data lie: as given, beside the recipe, in $EBB_DATA, or in a data directory that the
 * build knows (EBB_DATA_SOURCE, EBB_DATA_INSTALLED).
 */
#include <stdio.h>

#include "dataset/dataset.h"

static bool try_folder(const char *folder, const char *path, char *out, size_t size)
{
    if (folder == NULL || *folder == 0)
        return false;
    int n = snprintf(out, size, "%s/%s", folder, path);
    return n > 0 && (size_t)n < size && ebb_file_exists(out);
}

ebb_status ebb_dataset_find(ebb_context *ctx, const char *path, const char *beside, char *out, size_t size)
{
    const char *environment = ebb_environment("EBB_DATA");
    if (*path == 0)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "data.path is empty: set it to the file or folder of the data");
    int n = snprintf(out, size, "%s", path);
    if (n < 0 || (size_t)n >= size)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "data path is longer than %zu bytes: %s", size - 1, path);
    if (ebb_file_exists(out))
        return EBB_OK;
    if (*path != '/' &&
        (try_folder(beside, path, out, size) || try_folder(environment, path, out, size) ||
         try_folder(EBB_DATA_SOURCE, path, out, size) || try_folder(EBB_DATA_INSTALLED, path, out, size)))
        return EBB_OK;
    return ebb_fail(ctx, EBB_E_IO,
                    "data '%s' not found: neither as given, nor beside the recipe (%s), in EBB_DATA (%s), "
                    "%s or %s; set data.path or EBB_DATA",
                    path, beside && *beside ? beside : "built in", environment ? environment : "not set",
                    EBB_DATA_SOURCE, EBB_DATA_INSTALLED);
}

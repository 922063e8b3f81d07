/* load.c: a model from whatever holds one: a file of ebb, or a folder with a pipeline of diffusers.
 */
#include <string.h>

#include "model/diffusers.h"

int ebb_model_named(const char *path)
{
    size_t n = strlen(path);
    return (n > 12 && strcmp(path + n - 12, ".safetensors") == 0) || ebb_diffusers_is(path);
}

ebb_status ebb_model_load(ebb_context *ctx, const char *path, ebb_model **out)
{
    return ebb_is_directory(path) ? ebb_diffusers_load(ctx, path, out) : ebb_model_read(ctx, path, out);
}

/* convert.c: from a model of ours to a folder of diffusers, or from such a folder to a model of ours. Weights stay as they are, to
 * the bit.
 */
#include <string.h>

#include "model/convert.h"
#include "model/report.h"

static ebb_status save(ebb_model *m, const char *path)
{
    float *stage;
    size_t length = strlen(path);
    const char end[] = ".safetensors";
    if (length < sizeof end || strcmp(path + length - (sizeof end - 1), end) != 0)
        return ebb_fail(m->ctx, EBB_E_ARGUMENT, "%s: a folder of diffusers becomes a model of ebb: give a name that ends in .safetensors", path);
    EBB_TRY(ebb_alloc(m->ctx, (void **)&stage, (size_t)m->params.length, sizeof *stage, "weights in PyTorch's order"));
    ebb_status status = ebb_model_save(m, path, stage);
    ebb_free(stage);
    return status;
}

ebb_status ebb_convert(ebb_context *ctx, const char *from, const char *to, char **json)
{
    ebb_model *m;
    bool theirs = ebb_is_directory(from);
    json_t *notes = json_array();
    *json = NULL;
    ebb_status status = notes != NULL ? ebb_model_load(ctx, from, &m) : ebb_fail(ctx, EBB_E_MEMORY, "no memory for notes");
    if (status == EBB_OK) {
        status = theirs ? save(m, to) : ebb_diffusers_write(m, to, notes);
        if (status == EBB_OK)
            status = ebb_report_text(ctx, json_pack("{s:s, s:s, s:s, s:i, s:I, s:O}", "from", from, "to", to, "kind",
                                                    theirs ? "model" : "diffusers", "tensors", m->params.count, "parameters",
                                                    (json_int_t)m->params.numbers, "notes", notes), json);
        ebb_model_free(m);
    }
    json_decref(notes);
    return status;
}

/* dump.c: inputs, outputs and every module's result of a model in one safetensors file, to be held against another program's, or
 * against another version of this one (ebb compare).
 *
 * The inputs are those of a reference, or are drawn: picture i of a seed is standard normal, its timestep evenly spread over the
 * process, its class i modulo their number.
 */
#include <stdio.h>
#include <string.h>

#include "model/report.h"
#include "study/activations.h"

#define PICTURES 2

static ebb_status draw(ebb_context *ctx, const ebb_model *m, const ebb_dump_options *o, ebb_named_list *in)
{
    int64_t n = o->n > 0 ? o->n : PICTURES;
    ebb_shape s = ebb_network_shape(&m->net, n);
    int classes = ebb_network_classes(&m->net);
    size_t numbers = (size_t)(ebb_shape_count(s) / n);
    ebb_named *x = ebb_named_add(ctx, in, "input", s.rank == 4 ? EBB_SHAPE(n, s.dim[3], s.dim[1], s.dim[2]) : s);
    for (int64_t i = 0; x != NULL && i < n; i++) {
        ebb_rng_at at = {.seed = o->seed, .stream = EBB_STREAM_SAMPLE_START, .sample = (uint32_t)i};
        ctx->kernels->normal_f32(numbers, x->data + (size_t)i * numbers, &at);
    }
    ebb_named *t = x != NULL ? ebb_named_add(ctx, in, "timesteps", EBB_SHAPE(n)) : NULL;
    for (int64_t i = 0; t != NULL && i < n; i++) {
        double part = ((double)i + 0.5) / (double)n, time = m->process.least + part * (m->process.end - m->process.least);
        ebb_level level = ebb_process_level(&m->process, m->process.steps > 0 ? (double)(int64_t)time : time);
        t->data[i] = (float)ebb_network_time(&m->net, &m->process, level);
    }
    ebb_named *label = t != NULL && classes > 0 ? ebb_named_add(ctx, in, "class_labels", EBB_SHAPE(n)) : NULL;
    for (int64_t i = 0; label != NULL && i < n; i++)
        label->data[i] = (float)(i % classes);
    return t != NULL && (label != NULL || classes == 0) ? EBB_OK : EBB_E_MEMORY;
}

static void add_rows(const ebb_named_list *list, bool inputs, ebb_st_tensor *rows, int32_t *count)
{
    for (int32_t i = 0; i < list->count; i++) {
        const ebb_named *a = &list->at[i];
        bool input = strcmp(a->name, "input") == 0 || strcmp(a->name, "timesteps") == 0 || strcmp(a->name, "class_labels") == 0;
        if (inputs && !input)
            continue;
        rows[*count] = (ebb_st_tensor){.name = a->name, .type = EBB_ST_F32, .rank = a->shape.rank, .data = a->data,
                                       .bytes = (size_t)ebb_shape_count(a->shape) * sizeof(float)};
        memcpy(rows[(*count)++].dim, a->shape.dim, (size_t)a->shape.rank * sizeof a->shape.dim[0]);
    }
}

static ebb_status write(ebb_context *ctx, const ebb_named_list *in, const ebb_named_list *out, const char *path, char **json)
{
    ebb_st_tensor *rows;
    int32_t count = 0;
    EBB_TRY(ebb_alloc(ctx, (void **)&rows, (size_t)(in->count + out->count), sizeof *rows, "tensors of a dump"));
    add_rows(in, true, rows, &count);
    add_rows(out, false, rows, &count);
    json_t *metadata = json_pack("{s:s, s:s, s:s}", "format", "pt", "ebb.kind", "dump", "ebb.version", EBB_VERSION);
    ebb_status status = ebb_st_write(ctx, path, rows, count, metadata);
    json_decref(metadata);
    ebb_free(rows);
    EBB_TRY(status);
    return ebb_report_text(ctx, json_pack("{s:s, s:i, s:i}", "file", path, "tensors", (int)count, "modules", (int)out->count - 1), json);
}

static ebb_status run(ebb_context *ctx, const ebb_model *m, const ebb_dump_options *o, const char *path, char **json)
{
    ebb_named_list in = {0}, out = {0};
    ebb_plan_options options = ebb_recipe_plan(m->recipe, 1);
    options.fast_conv = o->fast != 0;
    options.bf16 = 0;
    ebb_status status = o->inputs != NULL ? ebb_reference_read(ctx, o->inputs, &in) : draw(ctx, m, o, &in);
    if (status == EBB_OK)
        status = ebb_activations(ctx, m, &in, &options, &out);
    if (status == EBB_OK)
        status = write(ctx, &in, &out, path, json);
    ebb_named_free(&in);
    ebb_named_free(&out);
    return status;
}

ebb_status ebb_dump(ebb_context *ctx, ebb_model *model, const ebb_dump_options *options, const char *path, char **json)
{
    ebb_dump_options o = {.size = sizeof o};
    *json = NULL;
    if (options != NULL && options->size < sizeof options->size)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "dump options: size is %zu; set it to sizeof(ebb_dump_options)", options->size);
    if (options != NULL)
        memcpy(&o, options, options->size < sizeof o ? options->size : sizeof o);
    if (o.n < 0 || o.n > 4096)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "%lld pictures: 1 to 4096 are possible", (long long)o.n);
    EBB_TRY(ebb_model_denoises(ctx, model));
    return run(ctx, model, &o, path, json);
}

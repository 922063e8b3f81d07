/* layout.c: parameters between memory order and file order, which is PyTorch's.
 *
 * linear: memory (in, out), file (out, in); conv: memory (kh, kw, in, out), file (out, in, kh, kw).
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "model/params.h"

/* Taps kh*kw, inputs, outputs; a linear layer has one tap. */
typedef struct geometry {
    int64_t taps, in, out;
} geometry;

static geometry geometry_of(const ebb_param_place *p)
{
    const int64_t *d = p->shape.dim;
    if (p->layout == EBB_LAYOUT_CONV)
        return (geometry){d[0] * d[1], d[2], d[3]};
    return (geometry){1, d[0], d[1]};
}

static ebb_shape file_shape(const ebb_param_place *p)
{
    const int64_t *d = p->shape.dim;
    switch (p->layout) {
    case EBB_LAYOUT_LINEAR: return EBB_SHAPE(d[1], d[0]);
    case EBB_LAYOUT_CONV: return EBB_SHAPE(d[3], d[2], d[0], d[1]);
    case EBB_LAYOUT_PLAIN: break;
    }
    return p->shape;
}

typedef struct layout_job {
    const ebb_params *params;
    float *to;
    const float *from;
} layout_job;

static void to_file_one(void *arg, int64_t i, int worker)
{
    const layout_job *job = arg;
    const ebb_param_place *p = &job->params->at[i];
    const float *from = job->from + p->offset;
    float *to = job->to + p->offset;
    (void)worker;
    if (p->layout == EBB_LAYOUT_PLAIN) {
        memcpy(to, from, (size_t)p->count * sizeof *to);
        return;
    }
    geometry g = geometry_of(p);
    for (int64_t o = 0; o < g.out; o++)
        for (int64_t c = 0; c < g.in; c++)
            for (int64_t k = 0; k < g.taps; k++)
                *to++ = from[(k * g.in + c) * g.out + o];
}

void ebb_params_to_file(ebb_context *ctx, const ebb_params *params, float *file, const float *memory)
{
    layout_job job = {params, file, memory};
    ebb_par_for(ctx->threads, params->count, to_file_one, &job);
}

/* The file's data may be unaligned: copied float by float. */
static void from_file(const ebb_param_place *p, float *to, const char *from)
{
    if (p->layout == EBB_LAYOUT_PLAIN) {
        memcpy(to, from, (size_t)p->count * sizeof *to);
        return;
    }
    geometry g = geometry_of(p);
    for (int64_t o = 0; o < g.out; o++)
        for (int64_t c = 0; c < g.in; c++)
            for (int64_t k = 0; k < g.taps; k++, from += sizeof *to)
                memcpy(&to[(k * g.in + c) * g.out + o], from, sizeof *to);
}

void ebb_params_rows(const ebb_params *params, const char *prefix, const float *file, char *text,
                     ebb_st_tensor *rows)
{
    for (int i = 0; i < params->count; i++, text += EBB_PARAM_NAME_MAX) {
        const ebb_param_place *p = &params->at[i];
        ebb_shape shape = file_shape(p);
        snprintf(text, EBB_PARAM_NAME_MAX, "%s%s", prefix, p->name);
        rows[i] = (ebb_st_tensor){.name = text,
                                  .type = EBB_ST_F32,
                                  .rank = shape.rank,
                                  .data = file + p->offset,
                                  .bytes = (size_t)p->count * sizeof(float)};
        memcpy(rows[i].dim, shape.dim, (size_t)shape.rank * sizeof shape.dim[0]);
    }
}

/* whose: what asks for that shape. */
static ebb_status check_tensor(ebb_context *ctx, const char *path, const ebb_st_tensor *t, ebb_shape want,
                               const char *whose)
{
    ebb_shape have = {.rank = t->rank};
    char wanted[96], got[96];
    for (int i = 0; i < t->rank && i < EBB_RANK_MAX; i++)
        have.dim[i] = t->dim[i];
    if (t->type != EBB_ST_F32)
        return ebb_fail(ctx, EBB_E_FORMAT, "%s: tensor '%s' has type %s; this version reads F32", path,
                        t->name, ebb_st_type_name(t->type));
    if (t->rank <= EBB_RANK_MAX && ebb_shape_equal(have, want))
        return EBB_OK;
    ebb_shape_text(want, wanted, sizeof wanted);
    ebb_shape_text(have, got, sizeof got);
    return ebb_fail(ctx, EBB_E_SHAPE, "%s: tensor '%s' has shape %s, but %s makes %s", path, t->name,
                    t->rank > EBB_RANK_MAX ? "of more axes" : got, whose, wanted);
}

ebb_status ebb_param_read(ebb_context *ctx, const ebb_param_place *p, const ebb_st_tensor *t, const char *path, const char *whose,
                          float *block)
{
    EBB_TRY(check_tensor(ctx, path, t, file_shape(p), whose));
    from_file(p, block + p->offset, t->data);
    for (int64_t k = 0; k < p->count; k++)
        if (!isfinite(block[p->offset + k]))
            return ebb_fail(ctx, EBB_E_NUMERIC, "%s: tensor '%s' holds a NaN or an infinity", path, t->name);
    return EBB_OK;
}

ebb_status ebb_params_read(ebb_context *ctx, const ebb_params *params, const ebb_safetensors *st,
                           const char *prefix, float *block)
{
    char name[EBB_PARAM_NAME_MAX];
    for (int i = 0; i < params->count; i++) {
        const ebb_param_place *p = &params->at[i];
        snprintf(name, sizeof name, "%s%s", prefix, p->name);
        const ebb_st_tensor *t = ebb_st_find(st, name);
        if (t == NULL)
            return ebb_fail(ctx, EBB_E_FORMAT, "%s: tensor '%s', which its recipe asks for, is missing",
                            st->path, name);
        EBB_TRY(ebb_param_read(ctx, p, t, st->path, "its recipe", block));
    }
    return EBB_OK;
}

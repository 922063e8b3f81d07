/* diffusers_weights.c: the parameters of a network from the tensors of a pipeline.
 *
 * Our names are diffusers' (nn/nn.h); attention had others before diffusers 0.15 (query, key, value, proj_attn). Weights
 * in half precision become float, exactly; those in double are rounded.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "model/diffusers.h"

static const struct { const char *now, *before; } names[] = {
    {".to_q.", ".query."}, {".to_k.", ".key."}, {".to_v.", ".value."}, {".to_out.0.", ".proj_attn."},
};
enum { NAMES = sizeof names / sizeof *names };

static const ebb_st_tensor *find(const ebb_diffusers *d, const char *name, const char **path)
{
    for (int i = 0; i < d->shards; i++) {
        const ebb_st_tensor *t = ebb_st_find(&d->shard[i], name);
        *path = d->shard[i].path;
        if (t != NULL)
            return t;
    }
    return NULL;
}

bool ebb_diffusers_old_name(const char *name, char old[EBB_PARAM_NAME_MAX])
{
    for (int i = 0; i < NAMES; i++) {
        const char *at = strstr(name, names[i].now);
        if (at != NULL && snprintf(old, EBB_PARAM_NAME_MAX, "%.*s%s%s", (int)(at - name), name, names[i].before,
                                   at + strlen(names[i].now)) < EBB_PARAM_NAME_MAX)
            return true;
    }
    return false;
}

static const ebb_st_tensor *find_old(const ebb_diffusers *d, const char *name, const char **path)
{
    char old[EBB_PARAM_NAME_MAX];
    return ebb_diffusers_old_name(name, old) ? find(d, old, path) : NULL;
}

bool ebb_diffusers_has_old_names(const ebb_diffusers *d)
{
    for (int i = 0; i < d->shards; i++)
        for (int32_t k = 0; k < d->shard[i].count; k++)
            if (strstr(d->shard[i].tensor[k].name, ".proj_attn.") != NULL)
                return true;
    return false;
}

/* ---- numbers ---------------------------------------------------------------------------------------------------------------- */

static float from_half(uint16_t h)
{
    int exponent = h >> 10 & 31, fraction = h & 1023;
    double value = exponent == 31 ? (fraction != 0 ? NAN : INFINITY)
                   : exponent > 0 ? ldexp(1024 + fraction, exponent - 25) : ldexp(fraction, -24);
    return (float)(h & 0x8000 ? -value : value);
}

static float number(const ebb_st_tensor *t, size_t i)
{
    const char *at = (const char *)t->data + i * ebb_st_type_bytes(t->type);
    uint16_t half;
    uint32_t word;
    double wide;
    float value;
    switch (t->type) {
    case EBB_ST_F16:
        memcpy(&half, at, sizeof half);
        return from_half(half);
    case EBB_ST_BF16:
        memcpy(&half, at, sizeof half);
        word = (uint32_t)half << 16;
        memcpy(&value, &word, sizeof value);
        return value;
    default:
        memcpy(&wide, at, sizeof wide);
        return (float)wide;
    }
}

/* A tensor that is not of f32, as one that is. */
static ebb_status read_other(const ebb_diffusers *d, const ebb_param_place *p, const ebb_st_tensor *t, const char *path, float *block)
{
    size_t count = t->bytes / ebb_st_type_bytes(t->type);
    ebb_st_tensor wide = *t;
    float *numbers;
    EBB_TRY(ebb_alloc(d->ctx, (void **)&numbers, count + 1, sizeof *numbers, "numbers of a tensor"));
    for (size_t i = 0; i < count; i++)
        numbers[i] = number(t, i);
    wide.type = EBB_ST_F32;
    wide.data = numbers;
    wide.bytes = count * sizeof *numbers;
    ebb_status status = ebb_param_read(d->ctx, p, &wide, path, "its config.json", block);
    ebb_free(numbers);
    return status;
}

static ebb_status read_one(const ebb_diffusers *d, const ebb_param_place *p, float *block)
{
    const char *path = d->weights;
    const ebb_st_tensor *t = find(d, p->name, &path);
    if (t == NULL)
        t = find_old(d, p->name, &path);
    if (t == NULL)
        return ebb_fail(d->ctx, EBB_E_FORMAT, "%s: tensor '%s', which its config.json asks for, is missing", path, p->name);
    if (t->type == EBB_ST_F16 || t->type == EBB_ST_BF16 || t->type == EBB_ST_F64)
        return read_other(d, p, t, path, block);
    return ebb_param_read(d->ctx, p, t, path, "its config.json", block);
}

/* The first tensor that no parameter is made of. */
static ebb_status check_rest(const ebb_diffusers *d, const ebb_params *params)
{
    for (int i = 0; i < d->shards; i++)
        for (int32_t k = 0; k < d->shard[i].count; k++) {
            const ebb_st_tensor *t = &d->shard[i].tensor[k];
            const char *path;
            bool used = false;
            for (int j = 0; !used && j < params->count; j++)
                used = strcmp(params->at[j].name, t->name) == 0 || find_old(d, params->at[j].name, &path) == t;
            if (!used)
                return ebb_fail(d->ctx, EBB_E_FORMAT, "%s: tensor '%s' has no place in the network of its config.json: they do not "
                                "belong together", d->shard[i].path, t->name);
        }
    return EBB_OK;
}

ebb_status ebb_diffusers_weights(const ebb_diffusers *d, const ebb_params *params, float *block)
{
    int tensors = 0;
    for (int i = 0; i < params->count; i++)
        EBB_TRY(read_one(d, &params->at[i], block));
    for (int i = 0; i < d->shards; i++)
        tensors += d->shard[i].count;
    return tensors == params->count ? EBB_OK : check_rest(d, params);
}

/* params.c: where each parameter lies in the block, and how it is drawn at the start.
 */
#include <string.h>

#include "model/plans.h"

#define ALIGN_FLOATS 16
/* Large enough for the bandwidth of a network, small enough that most are on their way before the last is made. */
#define CHUNK_FLOATS ((int64_t)1 << 20)
#define CHUNKS_MIN 8

static int64_t aligned(int64_t n) { return (n + ALIGN_FLOATS - 1) / ALIGN_FLOATS * ALIGN_FLOATS; }

static void set_chunks(ebb_params *params)
{
    int64_t chunk = aligned((params->length + CHUNKS_MIN - 1) / CHUNKS_MIN);
    params->chunk = chunk < CHUNK_FLOATS ? chunk : CHUNK_FLOATS;
    params->chunks = chunk > 0 ? (int)((params->length + params->chunk - 1) / params->chunk) : 0;
}

/* Those that are trained, or those that are not, behind what is placed. */
static void place(ebb_params *params, const ebb_graph *g, bool fixed)
{
    for (int i = 0; i < params->count; i++)
        if (ebb_graph_node(g, g->params[i])->attr.fixed == fixed) {
            params->at[i].offset = params->length;
            params->length += aligned(params->at[i].count);
        }
}

ebb_status ebb_params_from_graph(ebb_context *ctx, const ebb_graph *g, ebb_params *out)
{
    size_t text = 0;
    *out = (ebb_params){.count = g->nparams};
    for (int i = 0; i < g->nparams; i++)
        text += strlen(ebb_graph_node(g, g->params[i])->name) + 1;
    EBB_TRY(ebb_alloc(ctx, (void **)&out->at, (size_t)g->nparams + 1, sizeof *out->at, "list of parameters"));
    ebb_status status = ebb_alloc(ctx, (void **)&out->names, text + 1, 1, "names of parameters");
    if (status != EBB_OK) {
        ebb_params_free(out);
        return status;
    }
    char *name = out->names;
    for (int i = 0; i < g->nparams; i++) {
        const ebb_node *node = ebb_graph_node(g, g->params[i]);
        int64_t count = ebb_shape_count(node->shape);
        strcpy(name, node->name);
        out->at[i] = (ebb_param_place){.name = name,
                                       .shape = node->shape,
                                       .layout = node->attr.layout,
                                       .init = node->attr.init,
                                       .scale = node->attr.alpha,
                                       .count = count};
        name += strlen(name) + 1;
        out->numbers += count;
    }
    place(out, g, false);
    out->trained = out->length;
    place(out, g, true);
    set_chunks(out);
    return EBB_OK;
}

ebb_status ebb_params_from_network(ebb_context *ctx, const ebb_network *net, ebb_params *out)
{
    ebb_graph *g;
    *out = (ebb_params){0};
    EBB_TRY(ebb_graph_create(ctx, &g));
    ebb_eval_graph(g, net, 1, NULL);
    ebb_status status = ebb_graph_status(g);
    if (status == EBB_OK)
        status = ebb_params_from_graph(ctx, g, out);
    ebb_graph_free(g);
    return status;
}

void ebb_params_free(ebb_params *params)
{
    ebb_free(params->at);
    ebb_free(params->names);
    *params = (ebb_params){0};
}

void ebb_params_bind(const ebb_params *params, ebb_plan *plan, const float *block)
{
    for (int i = 0; i < params->count; i++)
        ebb_plan_bind_param(plan, i, block + params->at[i].offset);
}

int64_t ebb_params_chunk(const ebb_params *params, int c)
{
    int64_t rest = params->length - c * params->chunk;
    return rest < params->chunk ? rest : params->chunk;
}

/* ---- first values ----------------------------------------------------------------------- */

typedef struct init_job {
    const ebb_kernels *kernels;
    const ebb_params *params;
    uint64_t seed;
    float *block;
} init_job;

static void init_one(void *arg, int64_t i, int worker)
{
    const init_job *job = arg;
    const ebb_param_place *p = &job->params->at[i];
    ebb_rng_at at = {.seed = job->seed, .stream = EBB_STREAM_INIT, .sample = (uint32_t)i};
    float *x = job->block + p->offset;
    (void)worker;
    switch (p->init) {
    case EBB_INIT_ZERO:
    case EBB_INIT_ONE:
        for (int64_t k = 0; k < p->count; k++)
            x[k] = p->init == EBB_INIT_ONE ? 1.0f : 0.0f;
        break;
    case EBB_INIT_UNIFORM:
        for (int64_t k = 0; k < p->count; k++)
            x[k] = p->scale * (float)(2.0 * ebb_rng_uniform(&at, (uint32_t)k) - 1.0);
        break;
    case EBB_INIT_NORMAL:
        job->kernels->normal_f32((size_t)p->count, x, &at);
        job->kernels->affine_f32((size_t)p->count, x, x, p->scale, 0.0f);
        break;
    }
}

void ebb_params_init(ebb_context *ctx, const ebb_params *params, uint64_t seed, float *block)
{
    init_job job = {ctx->kernels, params, seed, block};
    ebb_par_for(ctx->threads, params->count, init_one, &job);
}

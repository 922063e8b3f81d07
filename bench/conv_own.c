/* conv_own.c: our convolutions: direct and Winograd's in f32, both in bfloat16. Weights are packed beforehand. */
#include "conv_job.h"

/* ---- f32, direct ------------------------------------------------------------------------------ */
static void *pack_f32(const conv_job *j, const float *w)
{
    const ebb_conv_shape *s = &j->layer->shape;
    if (j->pass == DNN_DX) {
        float *packed = bench_room(ebb_conv_pack_dx_size(s) * sizeof *packed);
        ebb_conv_pack_dx(s, packed, w);
        return packed;
    }
    float *packed = bench_room(ebb_conv_pack_size(s) * sizeof *packed);
    ebb_conv_pack(s, packed, w);
    return packed;
}

static void direct_forward(void *arg, int i)
{
    const conv_call *c = arg;
    const conv_job *j = c->job;
    bench.kernels->conv_f32(&j->layer->shape, j->worker[i].y, j->worker[i].x, j->packed[c->way], NULL, NULL,
                            j->worker[i].scratch);
}

static void direct_dx(void *arg, int i)
{
    const conv_call *c = arg;
    const conv_job *j = c->job;
    bench.kernels->conv_dx_f32(&j->layer->shape, j->worker[i].x, j->worker[i].y, j->packed[c->way], NULL,
                               j->worker[i].scratch);
}

static void direct_dw(void *arg, int i)
{
    const conv_call *c = arg;
    const conv_job *j = c->job;
    bench.kernels->conv_dw_f32(&j->layer->shape, j->worker[i].dw, j->worker[i].x, j->worker[i].y, true,
                               j->worker[i].scratch);
}

/* ---- f32, Winograd ---------------------------------------------------------------------------- */
static void *pack_wino(const conv_job *j, const float *w)
{
    const ebb_conv_shape *s = &j->layer->shape;
    bool dx = j->pass == DNN_DX;
    float *u = bench_room((dx ? ebb_wino_pack_dx_size(s) : ebb_wino_pack_size(s)) * sizeof *u);
    (dx ? bench.kernels->wino_pack_dx_f32 : bench.kernels->wino_pack_f32)(s, u, w);
    return u;
}

static void wino_forward(void *arg, int i)
{
    const conv_call *c = arg;
    const conv_job *j = c->job;
    bench.kernels->wino_f32(&j->layer->shape, j->worker[i].y, j->worker[i].x, j->packed[c->way], NULL, NULL,
                            j->worker[i].scratch);
}

static void wino_dx(void *arg, int i)
{
    const conv_call *c = arg;
    const conv_job *j = c->job;
    const ebb_conv_shape adjoint = ebb_wino_adjoint(&j->layer->shape);
    bench.kernels->wino_f32(&adjoint, j->worker[i].x, j->worker[i].y, j->packed[c->way], NULL, NULL,
                            j->worker[i].scratch);
}

static void wino_dw(void *arg, int i)
{
    const conv_call *c = arg;
    const conv_job *j = c->job;
    bench.kernels->wino_dw_f32(&j->layer->shape, j->worker[i].dw, j->worker[i].x, j->worker[i].y, true,
                               j->worker[i].scratch);
}

/* ---- bfloat16, Winograd ----------------------------------------------------------------------- */
static void wino_bf16_forward(void *arg, int i)
{
    const conv_call *c = arg;
    const conv_job *j = c->job;
    bench.kernels->wino_bf16(&j->layer->shape, j->worker[i].y, j->worker[i].x, j->packed[c->way], NULL, NULL,
                             j->worker[i].scratch);
}

static void wino_bf16_dx(void *arg, int i)
{
    const conv_call *c = arg;
    const conv_job *j = c->job;
    const ebb_conv_shape adjoint = ebb_wino_adjoint(&j->layer->shape);
    bench.kernels->wino_bf16(&adjoint, j->worker[i].x, j->worker[i].y, j->packed[c->way], NULL, NULL,
                             j->worker[i].scratch);
}

static void wino_bf16_dw(void *arg, int i)
{
    const conv_call *c = arg;
    const conv_job *j = c->job;
    bench.kernels->wino_dw_bf16(&j->layer->shape, j->worker[i].dw, j->worker[i].x, j->worker[i].y, true,
                                j->worker[i].scratch);
}

/* ---- bfloat16, direct ------------------------------------------------------------------------- */
static void *pack_bf16(const conv_job *j, const float *w)
{
    const ebb_conv_shape *s = &j->layer->shape;
    if (j->pass == DNN_DX) {
        ebb_bf16 *packed = bench_room(ebb_conv_pack_dx_bf16_size(s) * sizeof *packed);
        ebb_conv_pack_dx_bf16(s, packed, w);
        return packed;
    }
    ebb_bf16 *packed = bench_room(ebb_conv_pack_bf16_size(s) * sizeof *packed);
    ebb_conv_pack_bf16(s, packed, w);
    return packed;
}

static void bf16_forward(void *arg, int i)
{
    const conv_call *c = arg;
    const conv_job *j = c->job;
    bench.kernels->conv_bf16(&j->layer->shape, j->worker[i].y, j->worker[i].x, j->packed[c->way], NULL, NULL,
                             j->worker[i].scratch);
}

static void bf16_dx(void *arg, int i)
{
    const conv_call *c = arg;
    const conv_job *j = c->job;
    bench.kernels->conv_dx_bf16(&j->layer->shape, j->worker[i].x, j->worker[i].y, j->packed[c->way], NULL,
                                j->worker[i].scratch);
}

static void bf16_dw(void *arg, int i)
{
    const conv_call *c = arg;
    const conv_job *j = c->job;
    bench.kernels->conv_dw_bf16(&j->layer->shape, j->worker[i].dw, j->worker[i].x, j->worker[i].y, true,
                                j->worker[i].scratch);
}

const conv_way conv_ways[] = {
    {"direct", false, NULL, pack_f32, ebb_conv_scratch, {direct_forward, direct_dx, direct_dw}},
    {"wino", false, ebb_wino_fits, pack_wino, ebb_wino_scratch, {wino_forward, wino_dx, wino_dw}},
    {"direct", true, NULL, pack_bf16, ebb_conv_scratch_bf16, {bf16_forward, bf16_dx, bf16_dw}},
    {"wino", true, ebb_wino_fits, pack_wino, ebb_wino_scratch, {wino_bf16_forward, wino_bf16_dx, wino_bf16_dw}},
};
const int conv_ways_count = sizeof conv_ways / sizeof *conv_ways;

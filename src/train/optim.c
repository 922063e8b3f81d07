/* optim.c: one sweep over the blocks makes AdamW's step (Loshchilov & Hutter 2019, alg. 2) and the
 * exponential average of the weights.
 *
 * Everything goes in chunks of 64 Ki numbers, whose partial sums are added in order: threads change
 * nothing. How much of the average is kept is ema.c's matter; a second average follows in the same chunk.
 *
 * Packed weights are made after the sweep, by the plan's prepare: written in it, chunk by chunk, they would
 * save one or two readings of the weights from memory, a tenth of what the two move.
 */
#include <math.h>
#include <string.h>

#include "train/optim.h"

#define CHUNK 65536

int64_t ebb_optim_chunks(int64_t length)
{
    return (length + CHUNK - 1) / CHUNK;
}

static size_t chunk_length(int64_t length, int64_t i)
{
    int64_t rest = length - i * CHUNK;
    return (size_t)(rest < CHUNK ? rest : CHUNK);
}

double ebb_optim_lr(const ebb_recipe *r, int64_t n)
{
    if (n < r->optim_warmup)
        return r->optim_lr * (double)n / (double)r->optim_warmup;
    double span = (double)(r->train_steps - r->optim_warmup);
    double part = span > 0 ? (double)(n - r->optim_warmup) / span : 1;
    if (strcmp(r->optim_decay, "constant") == 0)
        return r->optim_lr;
    double fall = strcmp(r->optim_decay, "linear") == 0 ? part
                                                        : 0.5 - 0.5 * cos(3.14159265358979323846 * part);
    return r->optim_lr + (r->optim_lr_end - r->optim_lr) * fall;
}

/* ---- norm ------------------------------------------------------------------------------- */

typedef struct norm_job {
    const ebb_kernels *kernels;
    const float *x;
    int64_t length;
    double *partial;
} norm_job;

static void norm_chunk(void *arg, int64_t i, int worker)
{
    const norm_job *job = arg;
    (void)worker;
    job->partial[i] = job->kernels->sumsq_f32(chunk_length(job->length, i), job->x + i * CHUNK);
}

double ebb_optim_norm(ebb_context *ctx, const float *x, int64_t length, double *partial)
{
    norm_job job = {ctx->kernels, x, length, partial};
    double sum = 0;
    ebb_par_for(ctx->threads, ebb_optim_chunks(length), norm_chunk, &job);
    for (int64_t i = 0; i < ebb_optim_chunks(length); i++)
        sum += partial[i];
    return sqrt(sum);
}

/* ---- sweep ------------------------------------------------------------------------------ */

typedef struct sweep_job {
    const ebb_kernels *kernels;
    ebb_blocks blocks;
    const float *g;
    int64_t length;
    ebb_adamw h;
    float new2;                  /* 1 - keep of the second average */
} sweep_job;

static void sweep_chunk(void *arg, int64_t i, int worker)
{
    const sweep_job *job = arg;
    const ebb_blocks *b = &job->blocks;
    int64_t at = i * CHUNK;
    (void)worker;
    job->kernels->adamw_f32(chunk_length(job->length, i), b->p + at, b->m + at, b->v + at, b->ema + at,
                            job->g + at, &job->h);
    for (size_t k = 0; b->ema2 != NULL && k < chunk_length(job->length, i); k++)
        b->ema2[at + (int64_t)k] += job->new2 * (b->p[at + (int64_t)k] - b->ema2[at + (int64_t)k]);
}

bool ebb_recipe_has_ema2(const ebb_recipe *r)
{
    return strcmp(r->optim_ema_kind, "power-function") == 0 && r->optim_ema_width2 > 0;
}

ebb_ema ebb_recipe_ema(const ebb_recipe *r, bool second)
{
    return (ebb_ema){.kind = ebb_ema_find(r->optim_ema_kind), .keep = r->optim_ema, .power = r->optim_ema_power,
                     .half_life = r->optim_ema_half_life, .ramp = r->optim_ema_ramp, .batch = (double)r->train_batch,
                     .width = second ? r->optim_ema_width2 : r->optim_ema_width};
}

void ebb_optim_step(ebb_context *ctx, const ebb_recipe *r, int64_t n, const ebb_blocks *blocks,
                    const float *g, double norm, int64_t length)
{
    ebb_ema first = ebb_recipe_ema(r, false), second = ebb_recipe_ema(r, true);
    bool clip = r->optim_clip > 0 && norm > r->optim_clip;
    sweep_job job = {.kernels = ctx->kernels, .blocks = *blocks, .g = g, .length = length};
    job.h = (ebb_adamw){
        .lr = (float)ebb_optim_lr(r, n),
        .beta1 = (float)r->optim_beta1,
        .beta2 = (float)r->optim_beta2,
        .eps = (float)r->optim_eps,
        .weight_decay = (float)r->optim_weight_decay,
        .bias1 = (float)(1.0 / (1.0 - pow(r->optim_beta1, (double)n))),
        .bias2 = (float)(1.0 / (1.0 - pow(r->optim_beta2, (double)n))),
        .grad_scale = (float)(clip ? r->optim_clip / norm : 1.0),
        .ema_keep = (float)ebb_ema_keep(&first, (double)n),
    };
    if (blocks->ema2 != NULL)
        job.new2 = (float)(1.0 - ebb_ema_keep(&second, (double)n));
    ebb_par_for(ctx->threads, ebb_optim_chunks(length), sweep_chunk, &job);
}

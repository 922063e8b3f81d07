/* diffusion.h: processes, losses and samplers over networks that predict epsilon.
 *
 * Discrete DDPM (Ho et al. 2020): q(x_t|x_0) = N(sqrt(abar_t) x_0, (1-abar_t) I), t = 0..T-1.
 */
#ifndef EBB_DIFFUSION_H
#define EBB_DIFFUSION_H

#include "nn/nn.h"
#include "plan/plan.h"

/* ---- schedules (schedule.c) --------------------------------------------------------------------- */
typedef enum ebb_schedule_kind { EBB_SCHEDULE_LINEAR, EBB_SCHEDULE_COSINE } ebb_schedule_kind;
typedef struct ebb_schedule {
    int steps;                   /* T */
    double *beta, *alpha_bar;    /* (T), double; alpha_bar[t] = prod_{s<=t} (1-beta[s]) */
} ebb_schedule;
/* linear: beta_start..beta_end (1e-4, 0.02). cosine: Nichol & Dhariwal 2021, eq. 17, beta clipped at .999
 * (start, end unused). */
ebb_status ebb_schedule_create(ebb_context *ctx, ebb_schedule_kind kind, int steps, double beta_start,
                               double beta_end, ebb_schedule *out);
void ebb_schedule_free(ebb_schedule *s);

/* ---- networks behind one face ---------------------------------------------------------------------- */
/* What the network is trained to give: the noise (Ho et al. 2020), or v = signal*noise - sigma*x0
 * (Salimans & Ho 2022, app. D), which stays well scaled where x_t is nearly all noise. */
typedef enum ebb_prediction { EBB_PREDICT_EPSILON, EBB_PREDICT_V } ebb_prediction;
typedef struct ebb_network {
    enum { EBB_NET_UNET, EBB_NET_MLP } kind;
    ebb_prediction prediction;
    union { ebb_unet_config unet; ebb_mlp_config mlp; } u;
} ebb_network;
ebb_value ebb_network_build(ebb_graph *g, const ebb_network *net, ebb_value x, ebb_value t, ebb_value label);
/* (n, H, W, C) or (n, D). */
ebb_shape ebb_network_shape(const ebb_network *net, int64_t n);
int ebb_network_classes(const ebb_network *net);
/* eps of n numbers x at one timestep, in place of what the network gave: v -> sigma*x + signal*v. */
void ebb_network_eps(const ebb_network *net, const ebb_kernels *kernels, double alpha_bar, size_t n,
                     float *prediction, const float *x);

/* ---- loss (loss.c) ------------------------------------------------------------------------------------ */
/* L_simple (Ho et al. 2020, eq. 14) of one shard of n pictures within a batch of `batch`:
 * inputs  x0 (n,...), noise (n,...), signal (n) = sqrt(abar_t), sigma (n) = sqrt(1-abar_t), t (n) f32,
 *         label (n) i32 when the network has classes
 * outputs loss = sum((net(signal*x0 + sigma*noise, t) - target)^2) / (batch*count), target = noise or v,
 *         and its gradients in all parameters, in order. values: room for nvalues >= 1 + g->nparams (as it is after the call). */
ebb_status ebb_loss_simple(ebb_graph *g, const ebb_network *net, int64_t n, int64_t batch,
                           ebb_value *values, int nvalues);

/* ---- samplers (samplers.c, samplers.def) --------------------------------------------------------------- */
/* What a sampler calls: eps (n,...) for x (n,...) at integer timestep t, guidance applied. */
typedef struct ebb_denoiser {
    void (*eps)(void *self, const float *x, int t, float *eps);
    void *self;
} ebb_denoiser;
typedef struct ebb_sampler_args {
    const ebb_schedule *schedule;
    int steps;                   /* K <= T */
    double eta;                  /* ddim only: 0 deterministic .. 1 ancestral */
    bool clip;                   /* keep estimates of x0 in [-1,1]: right for pictures, not for points */
    int64_t n, count;            /* pictures, numbers a picture */
    const uint32_t *sample;      /* (n): index of each picture, the `sample` of its random numbers */
    uint64_t seed;
    const ebb_kernels *kernels;
    float *x;                    /* (n, count): start noise, then the path, then the result */
    float *work;                 /* ebb_sampler_work() floats */
    int (*progress)(void *user); /* after each evaluation; non-zero stops; NULL: none */
    void *user;
} ebb_sampler_args;
typedef struct ebb_sampler {
    const char *name, *help;
    int default_steps;           /* at most T of them are taken */
    int (*run)(const ebb_sampler_args *args, const ebb_denoiser *denoiser);   /* non-zero: stopped */
} ebb_sampler;
const ebb_sampler *ebb_sampler_find(const char *name);       /* NULL: unknown */
const ebb_sampler *ebb_sampler_at(int i);                    /* NULL: past the end */
size_t ebb_sampler_work(int64_t n, int64_t count);           /* floats */
/* Whether a run with these is possible; EBB_E_ARGUMENT says what is. */
ebb_status ebb_sampler_check(ebb_context *ctx, const ebb_schedule *schedule, int steps, double eta);
#define SAMPLER(name, function, default_steps, help) \
    int function(const ebb_sampler_args *args, const ebb_denoiser *denoiser);
#include "diffusion/samplers.def"
#undef SAMPLER

/* ---- chains: what ddpm and ddim share (chain.c, ddpm.c, ddim.c) ---------------------------------------- */
/* One step from alpha_bar to a less noisy one:
 * x0 = clip((x - sqrt(1-alpha_bar) eps)/sqrt(alpha_bar)), x' = keep_x0 x0 + keep_x x + noise z. */
typedef struct ebb_transition {
    double alpha_bar, keep_x0, keep_x, noise;
    bool clip;
} ebb_transition;
/* next: alpha_bar to go to, 1 at the end of the chain. */
typedef ebb_transition (*ebb_transition_rule)(double alpha_bar, double next, double eta);
ebb_transition ebb_transition_ddpm(double alpha_bar, double next, double eta);
ebb_transition ebb_transition_ddpm_large(double alpha_bar, double next, double eta);
ebb_transition ebb_transition_ddim(double alpha_bar, double next, double eta);
/* In place over x; z may be NULL where noise is 0. */
void ebb_transition_apply(const ebb_transition *q, size_t n, float *x, const float *eps, const float *z);
/* Timestep k = 0 .. steps-1 of a chain of `steps` out of `timesteps`: from timesteps-1 evenly down to 0. */
int ebb_chain_timestep(int timesteps, int steps, int k);
int ebb_chain_run(const ebb_sampler_args *args, const ebb_denoiser *denoiser, ebb_transition_rule rule);

#endif

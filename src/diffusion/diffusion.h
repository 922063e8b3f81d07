/* diffusion.h: networks and losses; with process.h (how noise is added), grid.h and sampler.h (how it is taken away),
 * field.h (what samplers ask of a model), target.h (exact laws) and ode.h this is the layer.
 */
#ifndef EBB_DIFFUSION_H
#define EBB_DIFFUSION_H

#include "diffusion/field.h"
#include "diffusion/grid.h"
#include "diffusion/process.h"
#include "diffusion/sampler.h"
#include "nn/nn.h"
#include "plan/plan.h"

/* ---- networks behind one face ---------------------------------------------------------------------- */
typedef enum ebb_prediction {
#define PREDICTION(id, name, help) EBB_PREDICT_##id,
#include "diffusion/predictions.def"
#undef PREDICTION
    EBB_PREDICTIONS
} ebb_prediction;
const char *ebb_prediction_name(ebb_prediction kind);
ebb_prediction ebb_prediction_find(const char *name);      /* EBB_PREDICTIONS: unknown */
/* With F = net(in x, t): eps = eps_x x + eps_f F, x0 = x0_x x + x0_f F; F is trained towards noise eps + x0 x_0. */
typedef struct ebb_coefficients { double in, eps_x, eps_f, x0_x, x0_f, noise, x0; } ebb_coefficients;
ebb_coefficients ebb_prediction_coefficients(ebb_prediction kind, double alpha, double sigma, double sigma_data);

typedef struct ebb_network {
    enum { EBB_NET_UNET, EBB_NET_MLP } kind;
    ebb_prediction prediction;
    double sigma_data;           /* edm: standard deviation of the data */
    bool over_sigma;             /* F is the output of the U-Net with Fourier features over sigma/alpha */
    double dropout;              /* of U-Nets, in loss graphs only: rate; 0: none */
    bool learned_variance;       /* it has twice as many outputs: behind F the v of field.h's variance */
    int logits;                  /* > 0: a classifier: instead of F (n, logits), of as many classes; it sees no label */
    union { ebb_unet_config unet; ebb_mlp_config mlp; } u;
} ebb_network;
/* F; variance: v beside it, EBB_NONE where it is not learned, may be NULL. */
ebb_value ebb_network_outputs(ebb_graph *g, const ebb_network *net, ebb_value x, ebb_value t, ebb_value label,
                              ebb_value *variance);
/* F alone. */
ebb_value ebb_network_build(ebb_graph *g, const ebb_network *net, ebb_value x, ebb_value t, ebb_value label);
/* (n, H, W, C) or (n, D). */
ebb_shape ebb_network_shape(const ebb_network *net, int64_t n);
int ebb_network_classes(const ebb_network *net);
/* What the network is told of a level, its input t: the position of level.t (process.h), or with Fourier features
 * log(sigma/alpha), which stays within +-EBB_LOG_SIGMA_MAX where the noise or the picture is gone. */
#define EBB_LOG_SIGMA_MAX 20.0
double ebb_network_time(const ebb_network *net, const ebb_process *process, ebb_level level);
/* ---- losses (loss.c, losses.def; weights.c, weightings.def) ------------------------------------------- */
typedef enum ebb_loss_kind {
#define LOSS(id, name, function, help) EBB_LOSS_##id,
#include "diffusion/losses.def"
#undef LOSS
    EBB_LOSSES
} ebb_loss_kind;
typedef enum ebb_weighting {
#define WEIGHTING(id, name, help) EBB_WEIGHT_##id,
#include "diffusion/weightings.def"
#undef WEIGHTING
    EBB_WEIGHTINGS
} ebb_weighting;
const char *ebb_loss_name(ebb_loss_kind kind);
const char *ebb_loss_help(ebb_loss_kind kind);
ebb_loss_kind ebb_loss_find(const char *name);             /* EBB_LOSSES: unknown */
#define EBB_LOSS_EXACT_MAX 64                /* numbers of a picture that implicit-exact takes */
/* Sees the noise only in x_t: implicit, implicit-exact, sliced. */
bool ebb_loss_differentiates(ebb_loss_kind kind);
const char *ebb_weighting_name(ebb_weighting kind);
const char *ebb_weighting_help(ebb_weighting kind);
ebb_weighting ebb_weighting_find(const char *name);        /* EBB_WEIGHTINGS: unknown */

/* What is trained: zero is L_simple, the mean over batch and numbers. */
typedef struct ebb_objective {
    ebb_loss_kind loss;
    ebb_weighting weighting;
    double gamma, k;             /* of min-snr and p2; 0: the usual */
    bool half_sum;               /* half the sum over a picture's numbers instead of their mean */
    bool each;                   /* behind the gradients also the loss of each picture (n), before its weight, count taken out;
                                    of classification, whether its class is found (1 or 0) */
    double bound;                /* learned variance: factor of a step's part of the variational bound, which trains it; 0: 1 */
} ebb_objective;

/* The factor of |eps_hat - eps|^2 at t under a process, for a network of that prediction. For chains t is a step. */
double ebb_weight(const ebb_objective *o, const ebb_process *process, const ebb_network *net, double t);

/* Per-picture inputs of a loss graph beside signal, sigma and t; only those are inputs that the graph needs. */
typedef struct ebb_loss_scales {
    float in;                        /* the network sees in x_t */
    float target_noise, target_x0;   /* F is trained towards target_noise noise + target_x0 x0 */
    float eps_x, eps_f;              /* eps_hat = eps_x x_t + eps_f F */
    float weight;                    /* of a picture */
    /* For the variational bound of a chain (loss_bound.c). */
    float log_low, log_high;         /* log variances of a backward step: posterior's (of step 1 at step 0), added */
    float mean_f;                    /* the mean of a backward step is off by that times F - F* */
    float decoded;                   /* 1 at step 0, where pictures are decoded, else 0 */
} ebb_loss_scales;
ebb_loss_scales ebb_loss_scales_at(const ebb_objective *o, const ebb_process *process, const ebb_network *net, double t);

/* A loss of one shard of n pictures within a batch of `batch`:
 * inputs  x0 (n,...), noise (n,...), signal (n), sigma (n), t (n) f32: x_t = signal x0 + sigma noise, and the network is
 *         told t; label (n) i32 when the network has classes; dropout (n,4) i32, keys of ebb_dropout_mask, where it drops;
 *         probe (n,...), directions, for implicit and sliced; exact (n,...), -sigma times the true score at x_t, for
 *         explicit; and of ebb_loss_scales whichever are needed, (n) each
 * outputs loss = sum of w |.|^2 / (batch*count), and its gradients in all parameters, in order. values: room for nvalues
 *         >= 1 + g->nparams (as it is after the call), one more for objective->each. */
ebb_status ebb_loss_build(ebb_graph *g, const ebb_network *net, const ebb_objective *objective, int64_t n, int64_t batch,
                          ebb_value *values, int nvalues);
/* L_simple (Ho et al. 2020, eq. 14), on noise or whatever the network predicts. */
ebb_status ebb_loss_simple(ebb_graph *g, const ebb_network *net, int64_t n, int64_t batch,
                           ebb_value *values, int nvalues);

#endif

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
    union { ebb_unet_config unet; ebb_mlp_config mlp; } u;
} ebb_network;
ebb_value ebb_network_build(ebb_graph *g, const ebb_network *net, ebb_value x, ebb_value t, ebb_value label);
/* (n, H, W, C) or (n, D). */
ebb_shape ebb_network_shape(const ebb_network *net, int64_t n);
int ebb_network_classes(const ebb_network *net);
/* ---- loss (loss.c) ------------------------------------------------------------------------------------ */
/* L_simple (Ho et al. 2020, eq. 14) of one shard of n pictures within a batch of `batch`:
 * inputs  x0 (n,...), noise (n,...), signal (n) = sqrt(abar_t), sigma (n) = sqrt(1-abar_t), t (n) f32,
 *         label (n) i32 when the network has classes
 * outputs loss = sum((net(signal*x0 + sigma*noise, t) - target)^2) / (batch*count), target = noise or v,
 *         and its gradients in all parameters, in order. values: room for nvalues >= 1 + g->nparams (as it is after the call). */
ebb_status ebb_loss_simple(ebb_graph *g, const ebb_network *net, int64_t n, int64_t batch,
                           ebb_value *values, int nvalues);

#endif

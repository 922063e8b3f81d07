/* stochastic.h: what the stochastic samplers share: the variants of samplers.def, steps of the reverse equation, checks.
 */
#ifndef EBB_STOCHASTIC_H
#define EBB_STOCHASTIC_H

#include "diffusion/sampler.h"

/* pc.c; CORRECTED is added to one of the others. */
enum { EBB_PREDICT_REVERSE_DIFFUSION, EBB_PREDICT_EULER, EBB_PREDICT_EULER_MODIFIED, EBB_PREDICT_ANCESTRAL,
       EBB_PREDICT_ODE, EBB_PREDICT_NONE, EBB_CORRECTED = 8 };
/* langevin.c */
enum { EBB_LANGEVIN_PLAIN, EBB_LANGEVIN_ADJUSTED, EBB_LANGEVIN_FLOW };
/* dpm_sde.c */
enum { EBB_DPM_SDE_2M, EBB_DPM_SDE_2M_HEUN, EBB_DPM_SDE_3M };

/* ---- steps of the reverse equation (predictor.c) ------------------------------------------------------------ */
/* The forward step that leads from level k+1 to level k: x_k = keep x_{k+1} + sqrt(added) noise; posterior: the variance
 * of x_{k+1} given x_k and x_0. */
typedef struct ebb_forward { double keep, added, posterior; } ebb_forward;
ebb_forward ebb_walk_forward(const ebb_walk *w, int k);
/* x <- keep x + push score + noise z */
typedef struct ebb_move { double keep, push, noise; } ebb_move;
ebb_move ebb_walk_move(const ebb_walk *w, int predictor, int k);

/* ---- checks: each passes samplers that are not its own; what is wrong, at which step, what to do --------------- */
ebb_status ebb_predictor_check(ebb_context *ctx, const ebb_walk *w);
ebb_status ebb_langevin_check(ebb_context *ctx, const ebb_walk *w);
ebb_status ebb_sde_check(ebb_context *ctx, const ebb_walk *w);
ebb_status ebb_k_check(ebb_context *ctx, const ebb_walk *w);
ebb_status ebb_pndm_check(ebb_context *ctx, const ebb_walk *w);
ebb_status ebb_learned_check(ebb_context *ctx, const ebb_walk *w);
ebb_status ebb_lead_check(ebb_context *ctx, const ebb_walk *w);

#endif

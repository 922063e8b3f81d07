/* loss_denoising.c: losses that hold the network against an answer.
 *
 *   denoising   |F - F*|^2, F* = target_noise noise + target_x0 x_0 (prediction.c). Vincent 2011: as E[noise | x_t] =
 *               -sigma score(x_t), the noise that was added is an unbiased answer, and the minimum over functions is the
 *               score. It does not reach zero: what remains is the variance of the noise given x_t.
 *   explicit    |eps_hat - eps*|^2 with eps* = -sigma score(x_t) known: sigma^2 |s_hat - s|^2, Fisher's divergence, which does
 */
#include "diffusion/loss.h"

ebb_value ebb_loss_target(const ebb_loss_parts *p)
{
    ebb_graph *g = p->g;
    switch (p->net->prediction) {
    case EBB_PREDICT_EPSILON: return p->noise;
    case EBB_PREDICT_X0: return p->x0;
    case EBB_PREDICT_FLOW: return ebb_sub(g, p->noise, p->x0);
    case EBB_PREDICT_V: return ebb_sub(g, ebb_mul(g, p->noise, p->signal), ebb_mul(g, p->x0, p->sigma));
    case EBB_PREDICT_SCORE: return ebb_mul(g, p->noise, ebb_loss_input(p, "target_noise"));
    default: break;
    }
    ebb_value noise = ebb_mul(g, p->noise, ebb_loss_input(p, "target_noise"));
    return ebb_add(g, noise, ebb_mul(g, p->x0, ebb_loss_input(p, "target_x0")));
}

ebb_value ebb_loss_denoising(const ebb_loss_parts *p)
{
    return ebb_square(p->g, ebb_sub(p->g, p->f, p->target));
}

ebb_value ebb_loss_explicit(const ebb_loss_parts *p)
{
    ebb_value exact = ebb_input(p->g, "exact", EBB_F32, p->picture);
    return ebb_square(p->g, ebb_sub(p->g, ebb_loss_eps(p, p->xt, p->f), exact));
}

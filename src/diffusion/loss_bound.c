/* loss_bound.c: the variational bound of a chain whose backward steps have learned variances (Nichol & Dhariwal 2021).
 *
 *   v places the log variance of p(x_(t-1) | x_t) between the posterior's and what the step adds (eq. 15):
 *     log var = (1+v)/2 log_high + (1-v)/2 log_low
 *   t >= 1: KL(q(x_(t-1) | x_t, x_0) | p) = (log var - log_low - 1 + exp(log_low - log var) + d^2 exp(-log var))/2, d the
 *     difference of the means, mean_f (F - F*)
 *   t = 0: -log of the mass that p gives the picture's grey level, half a level (1/255) to each side, open at the ends; the
 *     normal law by Page's tanh, as their code has it. Points (networks that are no U-Net): -log density.
 * Each in bits a number. The bound is the sum over the T steps, of which a random t gives one: loss.bound = 0.001, the paper's,
 * is T/1000 of a step's part.
 */
#include "diffusion/loss.h"

#include <math.h>

/* Phi(x) = (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))/2 */
static ebb_value normal_below(ebb_graph *g, ebb_value x)
{
    ebb_value cubic = ebb_mul(g, x, ebb_affine(g, ebb_square(g, x), 0.044715f, 1.0f));
    return ebb_affine(g, ebb_tanh(g, ebb_scale(g, cubic, 0.7978845608f)), 0.5f, 0.5f);
}

/* mask a + (1 - mask) b */
static ebb_value choose(ebb_graph *g, ebb_value mask, ebb_value a, ebb_value b)
{
    return ebb_add(g, b, ebb_mul(g, mask, ebb_sub(g, a, b)));
}

/* -log of the mass of x_0's grey level under N(x_0 + d, var). */
static ebb_value decoder(const ebb_loss_parts *p, ebb_value d, ebb_value log_var)
{
    ebb_graph *g = p->g;
    ebb_value inverse = ebb_exp(g, ebb_scale(g, log_var, -0.5f));
    ebb_value above = normal_below(g, ebb_mul(g, inverse, ebb_affine(g, d, -1.0f, 1.0f / 255)));
    ebb_value below = normal_below(g, ebb_mul(g, inverse, ebb_affine(g, d, -1.0f, -1.0f / 255)));
    ebb_value white = ebb_step(g, ebb_affine(g, p->x0, 1.0f, -0.999f)), black = ebb_step(g, ebb_affine(g, p->x0, -1.0f, -0.999f));
    ebb_value mass = choose(g, black, above, choose(g, white, ebb_affine(g, below, -1.0f, 1.0f), ebb_sub(g, above, below)));
    return ebb_neg(g, ebb_log(g, ebb_max(g, mass, ebb_constant(g, p->picture, 1e-12f))));
}

ebb_value ebb_loss_bound_of(const ebb_loss_parts *p, ebb_value f)
{
    ebb_graph *g = p->g;
    ebb_value low = ebb_loss_input(p, "log_low"), high = ebb_loss_input(p, "log_high"), at_first = ebb_loss_input(p, "decoded");
    ebb_value d = ebb_mul(g, ebb_sub(g, f, p->target), ebb_loss_input(p, "mean_f"));
    ebb_value log_var = ebb_add(g, low, ebb_mul(g, ebb_sub(g, high, low), ebb_affine(g, p->v, 0.5f, 0.5f)));
    ebb_value excess = ebb_sub(g, log_var, low), squares = ebb_mul(g, ebb_square(g, d), ebb_exp(g, ebb_neg(g, log_var)));
    ebb_value kl = ebb_add(g, ebb_affine(g, excess, 1.0f, -1.0f), ebb_exp(g, ebb_neg(g, excess)));
    kl = ebb_scale(g, ebb_add(g, kl, squares), 0.5f);
    ebb_value density = ebb_scale(g, ebb_add(g, ebb_affine(g, log_var, 1.0f, (float)log(2 * 3.14159265358979323846)), squares), 0.5f);
    ebb_value decoded = p->net->kind == EBB_NET_UNET ? decoder(p, d, log_var) : density;
    return ebb_scale(g, choose(g, at_first, decoded, kl), (float)(1.0 / log(2.0)));
}

ebb_value ebb_loss_bound(const ebb_loss_parts *p)
{
    return ebb_loss_bound_of(p, p->f);
}

/* loss_implicit.c: losses that never see the noise: implicit score matching (Hyvarinen 2005).
 *
 * The one idea: integration by parts, E_p |s - grad log p|^2 = E_p [|s|^2 + 2 div s] + E_p |grad log p|^2, and the last term
 * does not depend on s. With s = -eps_hat/sigma and times sigma^2, which keeps every level at the same size:
 *
 *   implicit         |eps_hat|^2 - 2 sigma v.(d eps_hat/dx) v       E over v with E[v v'] = I: the divergence (Hutchinson 1990)
 *   implicit-exact   |eps_hat|^2 - 2 sigma sum_i d eps_hat_i/dx_i
 *   sliced           (v.eps_hat)^2 - 2 sigma v.(d eps_hat/dx) v     Song et al. 2019, eq. 7 (times 2); "implicit" is the form
 *                                                                   of eq. 8, where |eps_hat|^2 replaces its estimate
 * The derivative in the direction v comes by forward mode, and the gradient of it all by reverse mode over that.
 *
 * In expectation implicit = denoising - count: a perfect network reaches minus the explained part of the noise, between -count
 * and 0. A single value is far noisier: the estimate has variance 2 sigma^2 |offdiagonal of sym(d eps_hat/dx)|^2 for a probe
 * of signs (plus that of the diagonal for a normal one), and |eps_hat|^2 varies itself. With unit weight on the score the
 * whole would grow as 1/sigma^2.
 */
#include "diffusion/loss.h"

/* (d eps_hat/dx) v. */
static ebb_value derivative(const ebb_loss_parts *p, ebb_value v)
{
    ebb_value jv, tangent = p->scale == EBB_NONE ? v : ebb_mul(p->g, v, p->scale);
    ebb_jvp(p->g, &p->f, 1, &p->in, &tangent, 1, &jv);
    return ebb_loss_eps(p, v, jv);
}

/* norm - 2 sigma divergence */
static ebb_value together(const ebb_loss_parts *p, ebb_value norm, ebb_value divergence)
{
    return ebb_sub(p->g, norm, ebb_scale(p->g, ebb_mul(p->g, divergence, p->sigma), 2.0f));
}

ebb_value ebb_loss_implicit(const ebb_loss_parts *p)
{
    ebb_graph *g = p->g;
    ebb_value v = ebb_input(g, "probe", EBB_F32, p->picture);
    ebb_value eps = ebb_loss_eps(p, p->xt, p->f);
    return together(p, ebb_square(g, eps), ebb_mul(g, v, derivative(p, v)));
}

ebb_value ebb_loss_sliced(const ebb_loss_parts *p)
{
    ebb_graph *g = p->g;
    ebb_value v = ebb_input(g, "probe", EBB_F32, p->picture);
    ebb_value along = ebb_loss_sum(p, ebb_mul(g, v, ebb_loss_eps(p, p->xt, p->f)));
    return together(p, ebb_square(g, along), ebb_loss_sum(p, ebb_mul(g, v, derivative(p, v))));
}

/* One derivative for each number of a picture: in the direction of the number, taken at the number. */
ebb_value ebb_loss_implicit_exact(const ebb_loss_parts *p)
{
    ebb_graph *g = p->g;
    int64_t n = p->picture.dim[0], count = ebb_shape_count(p->picture) / n;
    ebb_value trace = EBB_NONE, norm = ebb_loss_sum(p, ebb_square(g, ebb_loss_eps(p, p->xt, p->f)));
    for (int64_t i = 0; i < count; i++) {
        ebb_value one = ebb_pad(g, ebb_constant(g, EBB_SHAPE(n, 1), 1.0f), 1, i, count - 1 - i);
        ebb_value je = ebb_reshape(g, derivative(p, ebb_reshape(g, one, p->picture)), EBB_SHAPE(n, count));
        ebb_value at = ebb_slice(g, je, 1, i, i + 1);
        trace = i == 0 ? at : ebb_add(g, trace, at);
    }
    return together(p, norm, ebb_reshape(g, trace, ebb_graph_shape(g, norm)));
}

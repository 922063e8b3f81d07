/* loss_parts.c: what every loss is put together from: numbers of a picture, sums over it, eps_hat.
 */
#include "diffusion/loss.h"

ebb_value ebb_loss_input(const ebb_loss_parts *p, const char *name)
{
    ebb_shape each = p->picture;
    ebb_value v = ebb_input(p->g, name, EBB_F32, EBB_SHAPE(each.dim[0]));
    for (int i = 1; i < each.rank; i++)
        each.dim[i] = 1;
    return ebb_reshape(p->g, v, each);
}

ebb_value ebb_loss_sum(const ebb_loss_parts *p, ebb_value x)
{
    return ebb_sum(p->g, x, (1u << p->picture.rank) - 2u);
}

ebb_value ebb_loss_eps(const ebb_loss_parts *p, ebb_value x, ebb_value f)
{
    ebb_value sum = p->eps_f == EBB_NONE ? f : ebb_mul(p->g, f, p->eps_f);
    return p->eps_x == EBB_NONE ? sum : ebb_add(p->g, ebb_mul(p->g, x, p->eps_x), sum);
}

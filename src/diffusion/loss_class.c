/* loss_class.c: the loss of classifiers of noisy pictures: cross-entropy, -log p(class | x_t), of every picture.
 *
 * Its minimum over functions is the class's true probability given x_t, at every level: near the data whatever tells classes
 * apart, under much noise the classes' shares. Its gradient in x_t is what guides samplers (Dhariwal & Nichol 2021).
 */
#include "diffusion/loss.h"

/* (N) -> (N,1,...,1) */
static ebb_value of_pictures(const ebb_loss_parts *p, ebb_value v)
{
    ebb_shape each = p->picture;
    for (int i = 1; i < each.rank; i++)
        each.dim[i] = 1;
    return ebb_reshape(p->g, v, each);
}

ebb_value ebb_loss_classification(const ebb_loss_parts *p)
{
    return of_pictures(p, ebb_neg(p->g, ebb_nn_class_log_probability(p->g, p->f, p->label)));
}

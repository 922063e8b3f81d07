/* loss.c: L_simple (Ho et al. 2020, eq. 14) and its gradient as one graph.
 *
 *   x_t  = signal x_0 + sigma noise,   signal = sqrt(alpha_bar_t), sigma = sqrt(1 - alpha_bar_t)
 *   loss = mean (net(x_t, t) - target)^2 over the pictures of the batch and their numbers
 *   target = noise, or v = signal noise - sigma x_0 (Salimans & Ho 2022)
 *
 * A graph holds one shard of the batch. Its loss is already divided by the size of the whole batch, so
 * losses and gradients of shards just add up.
 */
#include "diffusion/diffusion.h"

/* (n) beside pictures of the given shape: (n,1,...,1). */
static ebb_value per_picture(ebb_graph *g, const char *name, ebb_shape picture)
{
    ebb_value v = ebb_input(g, name, EBB_F32, EBB_SHAPE(picture.dim[0]));
    for (int i = 1; i < picture.rank; i++)
        picture.dim[i] = 1;
    return ebb_reshape(g, v, picture);
}

static ebb_value loss_value(ebb_graph *g, const ebb_network *net, int64_t n, int64_t batch)
{
    ebb_shape picture = ebb_network_shape(net, n);
    ebb_value x0 = ebb_input(g, "x0", EBB_F32, picture);
    ebb_value noise = ebb_input(g, "noise", EBB_F32, picture);
    ebb_value signal = per_picture(g, "signal", picture);
    ebb_value sigma = per_picture(g, "sigma", picture);
    ebb_value t = ebb_input(g, "t", EBB_F32, EBB_SHAPE(n));
    ebb_value label = ebb_network_classes(net) > 0 ? ebb_input(g, "label", EBB_I32, EBB_SHAPE(n)) : EBB_NONE;

    ebb_value xt = ebb_add(g, ebb_mul(g, x0, signal), ebb_mul(g, noise, sigma));
    ebb_value target = noise;
    if (net->prediction == EBB_PREDICT_V)
        target = ebb_sub(g, ebb_mul(g, noise, signal), ebb_mul(g, x0, sigma));
    ebb_value guess = ebb_network_build(g, net, xt, t, label);
    ebb_value error = ebb_sum_all(g, ebb_square(g, ebb_sub(g, guess, target)));
    double numbers = (double)(ebb_shape_count(picture) / n) * (double)batch;
    return ebb_scale(g, error, (float)(1.0 / numbers));
}

ebb_status ebb_loss_simple(ebb_graph *g, const ebb_network *net, int64_t n, int64_t batch,
                           ebb_value *values, int nvalues)
{
    if (n < 1 || batch < n)
        return ebb_fail(g->ctx, EBB_E_ARGUMENT, "loss of %lld pictures within a batch of %lld: "
                        "1 <= pictures <= batch is needed", (long long)n, (long long)batch);
    values[0] = loss_value(g, net, n, batch);
    EBB_TRY(ebb_graph_status(g));
    if (nvalues < 1 + g->nparams)
        return ebb_fail(g->ctx, EBB_E_ARGUMENT, "loss: room for %d values, but the loss and the gradients of "
                        "%d parameters are %d", nvalues, g->nparams, 1 + g->nparams);
    return ebb_vjp(g, values[0], EBB_NONE, g->params, g->nparams, values + 1);
}

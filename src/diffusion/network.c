/* network.c: the networks behind one face, for losses and samplers that do not care which it is. */
#include "diffusion/diffusion.h"

#include <math.h>

/* F over the k-sigma whose logarithm t (N) is. */
static ebb_value over_sigma(ebb_graph *g, ebb_value f, ebb_value t)
{
    if (f == EBB_NONE)
        return EBB_NONE;
    ebb_value factor = ebb_exp(g, ebb_neg(g, t));
    return ebb_mul(g, f, ebb_reshape(g, factor, EBB_SHAPE(ebb_graph_shape(g, f).dim[0], 1, 1, 1)));
}

/* Of a classifier. */
static ebb_value logits(ebb_graph *g, const ebb_network *net, ebb_value x, ebb_value t, ebb_value *variance)
{
    ebb_mlp_config mlp = net->u.mlp;
    if (variance != NULL)
        *variance = EBB_NONE;
    if (net->kind == EBB_NET_UNET)
        return ebb_nn_classifier(g, &net->u.unet, net->logits, x, t, NULL);
    mlp.outputs = net->logits;
    return ebb_nn_mlp(g, &mlp, x, t, EBB_NONE);
}

ebb_value ebb_network_outputs(ebb_graph *g, const ebb_network *net, ebb_value x, ebb_value t, ebb_value label,
                              ebb_value *variance)
{
    ebb_network n = *net;
    bool pictures = n.kind == EBB_NET_UNET;
    if (net->logits > 0)
        return logits(g, net, x, t, variance);
    int each = pictures ? n.u.unet.channels : n.u.mlp.inputs, axis = pictures ? 3 : 1;
    *(pictures ? &n.u.unet.outputs : &n.u.mlp.outputs) = net->learned_variance ? 2 * each : each;
    ebb_value all = pictures ? ebb_nn_unet(g, &n.u.unet, x, t, label) : ebb_nn_mlp(g, &n.u.mlp, x, t, label);
    bool halves = net->learned_variance && all != EBB_NONE;
    if (variance != NULL)
        *variance = halves ? ebb_slice(g, all, axis, each, 2 * each) : EBB_NONE;
    ebb_value f = halves ? ebb_slice(g, all, axis, 0, each) : all;
    return net->over_sigma && pictures ? over_sigma(g, f, t) : f;
}

ebb_value ebb_network_build(ebb_graph *g, const ebb_network *net, ebb_value x, ebb_value t, ebb_value label)
{
    return ebb_network_outputs(g, net, x, t, label, NULL);
}

ebb_shape ebb_network_shape(const ebb_network *net, int64_t n)
{
    const ebb_unet_config *c = &net->u.unet;
    return net->kind == EBB_NET_UNET ? EBB_SHAPE(n, c->size_h, c->size_w, c->channels)
                                     : EBB_SHAPE(n, net->u.mlp.inputs);
}

int ebb_network_classes(const ebb_network *net)
{
    return net->kind == EBB_NET_UNET ? net->u.unet.classes : net->u.mlp.classes;
}

double ebb_network_time(const ebb_network *net, const ebb_process *process, ebb_level level)
{
    if (net->kind != EBB_NET_UNET || !(net->u.unet.fourier > 0))
        return ebb_process_position(process, level.t);
    return fmin(fmax(log(level.sigma / level.alpha), -EBB_LOG_SIGMA_MAX), EBB_LOG_SIGMA_MAX);
}

/* network.c: the networks behind one face, for losses and samplers that do not care which it is. */
#include "diffusion/diffusion.h"

ebb_value ebb_network_build(ebb_graph *g, const ebb_network *net, ebb_value x, ebb_value t, ebb_value label)
{
    return net->kind == EBB_NET_UNET ? ebb_nn_unet(g, &net->u.unet, x, t, label)
                                     : ebb_nn_mlp(g, &net->u.mlp, x, t, label);
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

/* network.c: the networks behind one face, for losses and samplers that do not care which it is. */
#include "diffusion/diffusion.h"

ebb_value ebb_network_outputs(ebb_graph *g, const ebb_network *net, ebb_value x, ebb_value t, ebb_value label,
                              ebb_value *variance)
{
    ebb_network n = *net;
    bool pictures = n.kind == EBB_NET_UNET;
    int each = pictures ? n.u.unet.channels : n.u.mlp.inputs, axis = pictures ? 3 : 1;
    *(pictures ? &n.u.unet.outputs : &n.u.mlp.outputs) = net->learned_variance ? 2 * each : each;
    ebb_value all = pictures ? ebb_nn_unet(g, &n.u.unet, x, t, label) : ebb_nn_mlp(g, &n.u.mlp, x, t, label);
    bool halves = net->learned_variance && all != EBB_NONE;
    if (variance != NULL)
        *variance = halves ? ebb_slice(g, all, axis, each, 2 * each) : EBB_NONE;
    return halves ? ebb_slice(g, all, axis, 0, each) : all;
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

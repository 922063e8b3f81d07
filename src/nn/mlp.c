/* mlp.c: a time-conditioned multilayer perceptron, for 2-D targets and small vectors.
 *
 *   temb    = silu(L2 silu(L1 [sin, cos](t)) + class)        (N, width)
 *   h_0     = x                                              (N, D)
 *   h_{l+1} = silu(W_l h_l + b_l + V_l temb)                 (N, width), l = 0 .. depth-1
 *   eps     = W_out h_depth + b_out                          (N, D), zero at the start
 *
 * Every layer sees the time, as the residual blocks of the U-Net do; there are no residual connections.
 */
#include "nn/nn.h"

#include <stdio.h>

ebb_value ebb_nn_mlp(ebb_graph *g, const ebb_mlp_config *c, ebb_value x, ebb_value t, ebb_value label)
{
    if (ebb_graph_status(g) != EBB_OK)
        return EBB_NONE;
    if (c->inputs < 1 || c->width < 1 || c->depth < 1 || c->classes < 0)
        return ebb_graph_fail(g, EBB_E_ARGUMENT,
                              "MLP: %d inputs, %d hidden layers of width %d, %d classes; the first "
                              "three must be at least 1, classes at least 0",
                              c->inputs, c->depth, c->width, c->classes);
    ebb_shape s = ebb_graph_shape(g, x);
    if (!ebb_shape_equal(s, EBB_SHAPE(s.dim[0], c->inputs)))
        return ebb_graph_fail(g, EBB_E_SHAPE, "MLP for vectors of %d numbers: its input has another shape",
                              c->inputs);

    ebb_value temb = ebb_nn_condition(g, t, label, c->classes, c->time_dim, c->width), h = x;
    for (int i = 0; i < c->depth; i++) {
        size_t scope = ebb_scope_push(g, "layers.%d.", i);
        ebb_value shift = ebb_nn_linear(g, "time_emb_proj", temb, c->width, 1.0f);
        h = ebb_silu(g, ebb_add(g, ebb_nn_linear(g, "linear", h, c->width, 1.0f), shift));
        ebb_scope_pop(g, scope);
    }
    return ebb_nn_linear(g, "linear_out", h, c->outputs > 0 ? c->outputs : c->inputs, 0.0f);
}

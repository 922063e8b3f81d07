/* plans.c: from a network to the plans that training, sampling and reports run or describe. */
#include "model/plans.h"

ebb_value ebb_eval_graph(ebb_graph *g, const ebb_network *net, int64_t n, ebb_value *variance)
{
    ebb_value x = ebb_input(g, "x", EBB_F32, ebb_network_shape(net, n));
    ebb_value t = ebb_input(g, "t", EBB_F32, EBB_SHAPE(n));
    ebb_value label = ebb_network_classes(net) > 0 ? ebb_input(g, "label", EBB_I32, EBB_SHAPE(n)) : EBB_NONE;
    return ebb_network_outputs(g, net, x, t, label, variance);
}

ebb_status ebb_eval_plan(ebb_context *ctx, const ebb_network *net, int64_t n, const ebb_plan_options *options,
                         ebb_plan **out)
{
    ebb_graph *g;
    EBB_TRY(ebb_graph_create(ctx, &g));
    ebb_value values[2];
    values[0] = ebb_eval_graph(g, net, n, &values[1]);
    ebb_status status = ebb_graph_status(g);
    if (status == EBB_OK)
        status = ebb_plan_create(ctx, g, values, net->learned_variance ? 2 : 1, options, out);
    ebb_graph_free(g);
    return status;
}

/* The tangent of F comes by forward mode; a row's tangent sees its own row only. */
static ebb_value along(ebb_graph *g, ebb_value x, ebb_value f)
{
    ebb_shape shape = ebb_graph_shape(g, x);
    int64_t n = shape.dim[0], count = ebb_shape_count(shape) / n;
    ebb_value probe = ebb_input(g, "probe", EBB_F32, shape), jv;
    ebb_jvp(g, &f, 1, &x, &probe, 1, &jv);
    ebb_value products = ebb_reshape(g, ebb_mul(g, probe, jv), EBB_SHAPE(n, count));
    return ebb_reshape(g, ebb_sum(g, products, 1u << 1), EBB_SHAPE(n));
}

ebb_status ebb_divergence_plan(ebb_context *ctx, const ebb_network *net, int64_t n, const ebb_plan_options *options,
                               ebb_plan **out)
{
    ebb_graph *g;
    EBB_TRY(ebb_graph_create(ctx, &g));
    ebb_value x = ebb_input(g, "x", EBB_F32, ebb_network_shape(net, n)), t = ebb_input(g, "t", EBB_F32, EBB_SHAPE(n));
    ebb_value label = ebb_network_classes(net) > 0 ? ebb_input(g, "label", EBB_I32, EBB_SHAPE(n)) : EBB_NONE;
    ebb_value values[2];
    values[0] = ebb_network_build(g, net, x, t, label);
    values[1] = along(g, x, values[0]);
    ebb_status status = ebb_graph_status(g);
    if (status == EBB_OK)
        status = ebb_plan_create(ctx, g, values, 2, options, out);
    ebb_graph_free(g);
    return status;
}

ebb_status ebb_pullback_plan(ebb_context *ctx, const ebb_network *net, int64_t n, const ebb_plan_options *options,
                             ebb_plan **out)
{
    ebb_graph *g;
    EBB_TRY(ebb_graph_create(ctx, &g));
    ebb_value x = ebb_input(g, "x", EBB_F32, ebb_network_shape(net, n)), t = ebb_input(g, "t", EBB_F32, EBB_SHAPE(n));
    ebb_value label = ebb_network_classes(net) > 0 ? ebb_input(g, "label", EBB_I32, EBB_SHAPE(n)) : EBB_NONE;
    ebb_value seed = ebb_input(g, "cotangent", EBB_F32, ebb_network_shape(net, n)), values[2];
    values[0] = ebb_network_build(g, net, x, t, label);
    ebb_vjp(g, values[0], seed, &x, 1, &values[1]);
    ebb_status status = ebb_graph_status(g);
    if (status == EBB_OK)
        status = ebb_plan_create(ctx, g, values, 2, options, out);
    ebb_graph_free(g);
    return status;
}

ebb_status ebb_class_plan(ebb_context *ctx, const ebb_network *net, int64_t n, const ebb_plan_options *options, ebb_plan **out)
{
    ebb_graph *g;
    EBB_TRY(ebb_graph_create(ctx, &g));
    ebb_value x = ebb_input(g, "x", EBB_F32, ebb_network_shape(net, n)), t = ebb_input(g, "t", EBB_F32, EBB_SHAPE(n));
    ebb_value logits = ebb_network_build(g, net, x, t, EBB_NONE), values[2];
    values[1] = ebb_nn_class_log_probability(g, logits, ebb_input(g, "label", EBB_I32, EBB_SHAPE(n)));
    /* The sum over rows: each row's gradient is its own. */
    ebb_vjp(g, values[1], EBB_NONE, &x, 1, &values[0]);
    ebb_status status = ebb_graph_status(g);
    if (status == EBB_OK)
        status = ebb_plan_create(ctx, g, values, 2, options, out);
    ebb_graph_free(g);
    return status;
}

ebb_status ebb_feature_plan(ebb_context *ctx, const ebb_network *net, int64_t n, const ebb_plan_options *options, ebb_plan **out)
{
    ebb_graph *g;
    if (net->logits == 0 || net->kind != EBB_NET_UNET)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "features are of a classifier of pictures (net.kind=classifier)");
    EBB_TRY(ebb_graph_create(ctx, &g));
    ebb_value x = ebb_input(g, "x", EBB_F32, ebb_network_shape(net, n)), t = ebb_input(g, "t", EBB_F32, EBB_SHAPE(n)), values[2];
    values[0] = ebb_nn_classifier(g, &net->u.unet, net->logits, x, t, &values[1]);
    ebb_status status = ebb_graph_status(g);
    if (status == EBB_OK)
        status = ebb_plan_create(ctx, g, values, 2, options, out);
    ebb_graph_free(g);
    return status;
}

ebb_status ebb_loss_plan(ebb_context *ctx, const ebb_network *net, const ebb_objective *objective, const ebb_params *params,
                         int64_t n, int64_t batch, const ebb_plan_options *options, ebb_plan **out)
{
    ebb_graph *g;
    ebb_value *outputs;
    int count = params->count + 1 + objective->each;
    ebb_plan_options own = *options;
    own.bound_count = params->count;         /* what each picture says has room of its own */
    EBB_TRY(ebb_graph_create(ctx, &g));
    ebb_status status = ebb_alloc(ctx, (void **)&outputs, (size_t)count, sizeof *outputs, "outputs of the loss graph");
    if (status == EBB_OK)
        status = ebb_loss_build(g, net, objective, n, batch, outputs, count);
    if (status == EBB_OK)
        status = ebb_plan_create(ctx, g, outputs, count, &own, out);
    ebb_free(outputs);
    ebb_graph_free(g);
    return status;
}

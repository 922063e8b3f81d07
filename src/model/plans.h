/* plans.h: the plans of a network: an evaluation, alone or with its divergence, and the loss with its gradients. */
#ifndef EBB_PLANS_H
#define EBB_PLANS_H

#include "model/params.h"

/* The evaluation graph of a network at n pictures: inputs x, t and (with classes) label; F, and as ebb_network_outputs. */
ebb_value ebb_eval_graph(ebb_graph *g, const ebb_network *net, int64_t n, ebb_value *variance);
/* Its plan: output 0 is F, 1 the learned variance. */
ebb_status ebb_eval_plan(ebb_context *ctx, const ebb_network *net, int64_t n, const ebb_plan_options *options,
                         ebb_plan **out);
/* An evaluation with the derivative of F in a direction: inputs x, t, label and probe (as x); output 0 is F, 1 (n) each
 * row's probe . (dF/dx) probe. */
ebb_status ebb_divergence_plan(ebb_context *ctx, const ebb_network *net, int64_t n, const ebb_plan_options *options,
                               ebb_plan **out);
/* An evaluation with the gradient of <F, cotangent> in the network's input alone: inputs x, t, label and cotangent (as F);
 * output 0 is F, 1 (as x) each row's (dF/dx)'cotangent. */
ebb_status ebb_pullback_plan(ebb_context *ctx, const ebb_network *net, int64_t n, const ebb_plan_options *options,
                             ebb_plan **out);
/* Of a classifier: inputs x, t and label; output 0 (as x) is the gradient of log p(label | x) in the network's input, 1 (n)
 * that logarithm. */
ebb_status ebb_class_plan(ebb_context *ctx, const ebb_network *net, int64_t n, const ebb_plan_options *options, ebb_plan **out);
/* Of a classifier of pictures: inputs x and t; output 0 (n,classes) its logits, 1 (n,dim) the features they are linear in. */
ebb_status ebb_feature_plan(ebb_context *ctx, const ebb_network *net, int64_t n, const ebb_plan_options *options, ebb_plan **out);
/* Of a shard of n pictures of a batch: the loss of that objective, then the gradient of each parameter. */
ebb_status ebb_loss_plan(ebb_context *ctx, const ebb_network *net, const ebb_objective *objective, const ebb_params *params,
                         int64_t n, int64_t batch, const ebb_plan_options *options, ebb_plan **out);

#endif

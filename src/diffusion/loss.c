/* loss.c: any loss of losses.def and its gradient as one graph.
 *
 *   x_t = signal x_0 + sigma noise;   loss = 1/(batch count) sum over pictures of weight(t) * (loss of the picture)
 *
 * A graph holds one shard of the batch. Its loss is already divided by the size of the whole batch, so losses and
 * gradients of shards just add up. What a prediction does not need is no input: the graph of L_simple on the noise has
 * neither weights nor coefficients.
 */
#include "diffusion/loss.h"

#include <string.h>

static const struct {
    const char *name, *help;
    ebb_value (*make)(const ebb_loss_parts *);
} table[] = {
#define LOSS(id, name, function, help) {name, help, function},
#include "diffusion/losses.def"
#undef LOSS
};

const char *ebb_loss_name(ebb_loss_kind kind)
{
    return kind < EBB_LOSSES ? table[kind].name : "";
}

const char *ebb_loss_help(ebb_loss_kind kind)
{
    return kind < EBB_LOSSES ? table[kind].help : "";
}

ebb_loss_kind ebb_loss_find(const char *name)
{
    int kind = 0;
    while (kind < EBB_LOSSES && strcmp(table[kind].name, name) != 0)
        kind++;
    return (ebb_loss_kind)kind;
}

bool ebb_loss_differentiates(ebb_loss_kind kind)
{
    return kind == EBB_LOSS_IMPLICIT || kind == EBB_LOSS_IMPLICIT_EXACT || kind == EBB_LOSS_SLICED;
}

/* F of the network as it learns, with dropout: where it is evaluated there is none. */
static ebb_value learning(ebb_loss_parts *p, ebb_value t, ebb_value label)
{
    ebb_network net = *p->net;
    if (net.kind == EBB_NET_UNET && net.dropout > 0) {
        net.u.unet.dropout = (float)net.dropout;
        net.u.unet.dropout_key = ebb_input(p->g, "dropout", EBB_I32, EBB_SHAPE(p->picture.dim[0], 4));
    }
    return ebb_network_outputs(p->g, &net, p->in, t, label, &p->v);
}

/* The inputs that all have, x_t and the network on it. */
static ebb_loss_parts parts_of(ebb_graph *g, const ebb_network *net, const ebb_objective *objective, int64_t n)
{
    ebb_loss_parts p = {.g = g, .net = net, .objective = objective, .picture = ebb_network_shape(net, n),
                        .target = EBB_NONE, .scale = EBB_NONE, .eps_x = EBB_NONE, .eps_f = EBB_NONE};
    bool classes = objective->loss == EBB_LOSS_CLASSIFICATION, answers = objective->loss == EBB_LOSS_DENOISING ||
         objective->loss == EBB_LOSS_BOUND, of_noise = !answers && !classes && net->prediction != EBB_PREDICT_EPSILON;
    p.x0 = ebb_input(g, "x0", EBB_F32, p.picture);
    p.noise = ebb_input(g, "noise", EBB_F32, p.picture);
    p.signal = ebb_loss_input(&p, "signal");
    p.sigma = ebb_loss_input(&p, "sigma");
    if (net->prediction == EBB_PREDICT_EDM)
        p.scale = ebb_loss_input(&p, "in");
    if (of_noise && net->prediction != EBB_PREDICT_SCORE)
        p.eps_x = ebb_loss_input(&p, "eps_x");
    if (of_noise)
        p.eps_f = ebb_loss_input(&p, "eps_f");
    ebb_value t = ebb_input(g, "t", EBB_F32, EBB_SHAPE(n));
    p.label = classes || ebb_network_classes(net) > 0 ? ebb_input(g, "label", EBB_I32, EBB_SHAPE(n)) : EBB_NONE;
    p.xt = ebb_add(g, ebb_mul(g, p.x0, p.signal), ebb_mul(g, p.noise, p.sigma));
    if (answers)
        p.target = ebb_loss_target(&p);
    p.in = p.scale == EBB_NONE ? p.xt : ebb_mul(g, p.xt, p.scale);
    p.f = learning(&p, t, classes ? EBB_NONE : p.label);
    return p;
}

static ebb_value loss_value(ebb_graph *g, const ebb_network *net, const ebb_objective *o, int64_t n, int64_t batch,
                            ebb_value *each)
{
    ebb_loss_parts p = parts_of(g, net, o, n);
    ebb_value loss = table[o->loss].make(&p);
    bool classes = o->loss == EBB_LOSS_CLASSIFICATION;
    double numbers = classes ? 1 : (double)(ebb_shape_count(p.picture) / n);
    if (o->each && classes)
        *each = ebb_nn_class_found(g, p.f, p.label);
    else if (o->each)
        *each = ebb_scale(g, ebb_reshape(g, ebb_loss_sum(&p, loss), EBB_SHAPE(n)), (float)(1.0 / numbers));
    if (o->each || o->weighting != EBB_WEIGHT_SIMPLE || net->prediction == EBB_PREDICT_SCORE)
        loss = ebb_mul(g, loss, ebb_loss_input(&p, "weight"));
    /* The variance learns by the bound alone, and the bound does not move F. */
    if (net->learned_variance && o->loss == EBB_LOSS_DENOISING)
        loss = ebb_add(g, loss, ebb_scale(g, ebb_loss_bound_of(&p, ebb_stop_gradient(g, p.f)),
                                          (float)(o->bound > 0 ? o->bound : 1.0)));
    return ebb_scale(g, ebb_sum_all(g, loss), (float)((o->half_sum ? 0.5 : 1.0 / numbers) / (double)batch));
}

static ebb_status check(ebb_graph *g, const ebb_network *net, const ebb_objective *o, int64_t n, int64_t batch)
{
    int64_t numbers = ebb_shape_count(ebb_network_shape(net, 1));
    if (n < 1 || batch < n)
        return ebb_fail(g->ctx, EBB_E_ARGUMENT, "loss of %lld pictures within a batch of %lld: "
                        "1 <= pictures <= batch is needed", (long long)n, (long long)batch);
    if (o->loss >= EBB_LOSSES || o->weighting >= EBB_WEIGHTINGS)
        return ebb_fail(g->ctx, EBB_E_ARGUMENT, "loss: no kind of number %d or no weighting of number %d", (int)o->loss,
                        (int)o->weighting);
    if (o->loss == EBB_LOSS_IMPLICIT_EXACT && numbers > EBB_LOSS_EXACT_MAX)
        return ebb_fail(g->ctx, EBB_E_ARGUMENT, "loss implicit-exact: a divergence over %lld numbers is %lld derivatives of "
                        "the network; at most %d are taken: use implicit, which estimates it", (long long)numbers,
                        (long long)numbers, EBB_LOSS_EXACT_MAX);
    if (net->learned_variance != (o->loss == EBB_LOSS_BOUND) && o->loss != EBB_LOSS_DENOISING)
        return ebb_fail(g->ctx, EBB_E_ARGUMENT, "loss %s %s", table[o->loss].name, net->learned_variance ?
                        "does not train a variance: use denoising or vlb" : "needs a network that learns its variance");
    if ((net->logits > 0) != (o->loss == EBB_LOSS_CLASSIFICATION))
        return ebb_fail(g->ctx, EBB_E_ARGUMENT, "loss %s %s", table[o->loss].name, net->logits > 0 ?
                        "does not train a classifier: use classification" : "trains classifiers only");
    return EBB_OK;
}

ebb_status ebb_loss_build(ebb_graph *g, const ebb_network *net, const ebb_objective *objective, int64_t n, int64_t batch,
                          ebb_value *values, int nvalues)
{
    EBB_TRY(check(g, net, objective, n, batch));
    ebb_value each = EBB_NONE;
    values[0] = loss_value(g, net, objective, n, batch, &each);
    EBB_TRY(ebb_graph_status(g));
    if (nvalues < 1 + g->nparams + objective->each)
        return ebb_fail(g->ctx, EBB_E_ARGUMENT, "loss: room for %d values, but the loss and the gradients of "
                        "%d parameters are %d", nvalues, g->nparams, 1 + g->nparams + objective->each);
    if (objective->each)
        values[1 + g->nparams] = each;
    return ebb_vjp(g, values[0], EBB_NONE, g->params, g->nparams, values + 1);
}

ebb_status ebb_loss_simple(ebb_graph *g, const ebb_network *net, int64_t n, int64_t batch,
                           ebb_value *values, int nvalues)
{
    return ebb_loss_build(g, net, &(ebb_objective){0}, n, batch, values, nvalues);
}

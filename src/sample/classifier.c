/* classifier.c: d log p(class | x)/dx through the network: it sees in x (prediction.c), so that the gradient is in times that
 * in its input. No row's arithmetic sees another's.
 */
#include "sample/classifier.h"

#include <string.h>

void ebb_classifier_fill(const ebb_model *m, ebb_plan *plan, int worker, int64_t n, int64_t numbers, const double *x,
                         const ebb_level *at)
{
    const ebb_network *net = &m->net;
    float *in = ebb_plan_input(plan, worker, "x"), *times = ebb_plan_input(plan, worker, "t");
    for (int64_t i = 0; i < n; i++) {
        double scale = ebb_prediction_coefficients(net->prediction, at[i].alpha, at[i].sigma, net->sigma_data).in;
        for (int64_t d = i * numbers; d < (i + 1) * numbers; d++)
            in[d] = (float)(scale * x[d]);
        times[i] = (float)ebb_network_time(net, &m->process, at[i]);
    }
}

static int gradient(void *self, const double *x, const ebb_level *at, const double *x0, double *to)
{
    const ebb_classifier *c = self;
    const ebb_network *net = &c->model->net;
    (void)x0;
    ebb_classifier_fill(c->model, c->plan, c->worker, c->n, c->numbers, x, at);
    memcpy(ebb_plan_input(c->plan, c->worker, "label"), c->label, (size_t)c->n * sizeof *c->label);
    ebb_plan_run(c->plan, c->worker);
    const float *found = ebb_plan_output(c->plan, c->worker, 0);
    for (int64_t i = 0; i < c->n; i++) {
        double scale = ebb_prediction_coefficients(net->prediction, at[i].alpha, at[i].sigma, net->sigma_data).in;
        for (int64_t d = i * c->numbers; d < (i + 1) * c->numbers; d++)
            to[d] = scale * found[d];
    }
    return 0;
}

ebb_lead ebb_lead_of_classifier(ebb_classifier *c, double scale)
{
    return (ebb_lead){.gradient = gradient, .self = c, .scale = scale, .network = true};
}

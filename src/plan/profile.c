/* profile.c: where a plan's time goes, step by step.
 *
 * One idea: every thread counts into a row of its own, so that timing needs no lock; a plan that was not
 * asked to has no rows, and its steps look at no clock.
 */
#include <string.h>

#include "plan/internal.h"

ebb_status ebb_plan_profile(ebb_plan *p)
{
    size_t rows = (size_t)p->workers * (size_t)p->team * (size_t)p->nsteps;
    if (p->times == NULL)
        return ebb_alloc(p->ctx, (void **)&p->times, rows + 1, sizeof *p->times, "times of a plan's steps");
    memset(p->times, 0, rows * sizeof *p->times);
    return EBB_OK;
}

size_t ebb_step_bytes(const ebb_plan *p, int32_t t)
{
    const ebb_plan_step *s = &p->step[t];
    size_t bytes = 0;
    for (int i = 0; i < p->ir.node[s->node].nin; i++)
        bytes += p->buffer[s->in[i]].bytes;
    for (int k = 0; k < s->executor.task.nout; k++)
        bytes += p->buffer[s->out[k]].bytes;
    return bytes;
}

ebb_plan_cost ebb_plan_step_cost(const ebb_plan *p, int32_t t)
{
    const ebb_plan_step *s = &p->step[t];
    const ebb_node *n = &p->ir.node[s->node];
    ebb_plan_cost cost = {.op = ebb_op_name(n->op),
                          .backend = s->executor.backend->name,
                          .implementation = s->executor.implementation,
                          .shape = n->shape,
                          .prepare = t < p->nprepare,
                          .flops = ebb_node_flops(&p->ir, n),
                          .bytes = ebb_step_bytes(p, t)};
    for (int w = 0; p->times && w < p->workers * p->team; w++) {
        const ebb_step_time *time = &p->times[(size_t)w * (size_t)p->nsteps + (size_t)t];
        cost.seconds += time->seconds;
        if (time->pieces > 0 && (cost.least == 0 || time->least < cost.least))
            cost.least = time->least;
        cost.calls += time->calls;
    }
    return cost;
}

/* exec.c: runs a plan: addresses from the places, one executor after another. */
#include "plan/internal.h"

void *ebb_buffer_address(const ebb_plan *p, int32_t buffer, int worker)
{
    const ebb_buffer *b = &p->buffer[buffer];
    switch (b->home) {
    case EBB_HOME_SHARED: return p->shared + b->offset;
    case EBB_HOME_PARAM: return (void *)p->param[b->index];
    case EBB_HOME_OUTPUT:
        if (p->bound[worker * p->noutputs + b->index])
            return p->bound[worker * p->noutputs + b->index];
        return p->arena[worker] + b->offset;
    case EBB_HOME_ARENA: break;
    }
    return p->arena[worker] + b->offset;
}

static void run_step(const ebb_plan *p, int32_t t, int worker)
{
    const ebb_plan_step *s = &p->step[t];
    const ebb_node *n = &p->ir.node[s->node];
    ebb_step_args args = {.scratch = p->arena[worker] + p->arena_bytes, .worker = worker};

    for (int i = 0; i < n->nin; i++)
        args.in[i] = ebb_buffer_address(p, s->in[i], worker);
    for (int k = 0; k < s->executor.task.nout; k++)
        args.out[k] = ebb_buffer_address(p, s->out[k], worker);
    if (!p->times) {
        s->executor.run(&s->executor, &args);
        return;
    }
    ebb_step_time *time = &p->times[(size_t)worker * (size_t)p->nsteps + (size_t)t];
    double start = ebb_seconds();
    s->executor.run(&s->executor, &args);
    time->seconds += ebb_seconds() - start;
    time->calls++;
}

typedef struct wave_job { const ebb_plan *plan; int32_t first; } wave_job;

static void run_wave_item(void *arg, int64_t item, int worker)
{
    const wave_job *job = arg;
    run_step(job->plan, job->first + (int32_t)item, worker);
}

void ebb_plan_prepare(ebb_plan *p)
{
    int threads = p->ctx->threads < p->workers ? p->ctx->threads : p->workers;
    for (int32_t t = 0; t < p->nprepare;) {
        int32_t end = t;
        while (end < p->nprepare && p->wave[end] == p->wave[t])
            end++;
        ebb_par_for(threads, end - t, run_wave_item, &(wave_job){p, t});
        t = end;
    }
}

void ebb_plan_run(ebb_plan *p, int worker)
{
    ebb_plan_run_part(p, worker, 0, ebb_plan_run_steps(p));
}

int32_t ebb_plan_run_steps(const ebb_plan *p) { return p->nsteps - p->nprepare; }

/* No other step writes there: every output has a buffer of its own. */
int32_t ebb_plan_output_step(const ebb_plan *p, int i) { return p->buffer[p->output_buffer[i]].first - p->nprepare; }

void ebb_plan_run_part(ebb_plan *p, int worker, int32_t from, int32_t to)
{
    for (int32_t t = p->nprepare + from; t < p->nprepare + to; t++) {
        ebb_guard_before(p, t, worker);
        run_step(p, t, worker);
        ebb_guard_after(p, t, worker);
    }
}

ebb_status ebb_plan_check(const ebb_plan *p)
{
    if (p->damaged)
        return ebb_fail(p->ctx, EBB_E_INTERNAL, "plan: a kernel wrote past buffer %d", (int)p->damaged - 1);
    for (int32_t t = 0; t < p->nsteps; t++) {
        const ebb_executor *e = &p->step[t].executor;
        if (e->backend->check)
            EBB_TRY(e->backend->check(p->ctx, e));
    }
    return EBB_OK;
}

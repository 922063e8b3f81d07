/* exec.c: runs a plan: addresses from the places, one executor after another.
 *
 * With a team all its members walk the same steps. A step that is cut goes to them part by part, another to
 * the leader; they meet where a step touches what another member has touched since (meet.c).
 */
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

/* One part, by a member of a worker's team. */
static void run_piece(const ebb_plan *p, int32_t t, int worker, int member, int part)
{
    const ebb_plan_step *s = &p->step[t];
    const ebb_node *n = &p->ir.node[s->node];
    char *scratch = p->arena[worker] + p->arena_bytes + (size_t)member * p->scratch_bytes;
    ebb_step_args args = {.scratch = scratch, .worker = worker * p->team + member, .part = part};

    for (int i = 0; i < n->nin; i++)
        args.in[i] = ebb_buffer_address(p, s->in[i], worker);
    for (int k = 0; k < s->executor.task.nout; k++)
        args.out[k] = ebb_buffer_address(p, s->out[k], worker);
    if (!p->times) {
        s->executor.run(&s->executor, &args);
        return;
    }
    ebb_step_time *time = &p->times[(size_t)args.worker * (size_t)p->nsteps + (size_t)t];
    double start = ebb_seconds();
    s->executor.run(&s->executor, &args);
    double seconds = ebb_seconds() - start;
    if (time->pieces++ == 0 || seconds < time->least)
        time->least = seconds;
    time->seconds += seconds;
    time->calls += part == 0;
}

typedef struct wave_job { const ebb_plan *plan; int32_t first; } wave_job;

static void run_wave_item(void *arg, int64_t item, int thread)
{
    const wave_job *job = arg;
    const ebb_plan *p = job->plan;
    int32_t t = job->first + (int32_t)item;
    for (int part = 0; part < p->step[t].executor.parts; part++)
        run_piece(p, t, thread / p->team, thread % p->team, part);
}

void ebb_plan_prepare(ebb_plan *p)
{
    int most = p->workers * p->team, threads = p->ctx->threads < most ? p->ctx->threads : most;
    for (int32_t t = 0; t < p->nprepare;) {
        int32_t end = t;
        while (end < p->nprepare && p->wave[end] == p->wave[t])
            end++;
        ebb_par_for(threads, end - t, run_wave_item, &(wave_job){p, t});
        t = end;
    }
}

typedef struct run_job { ebb_plan *plan; int worker; int32_t from, to; } run_job;

/* The guards look at all of a step. */
static void run_guarded(const run_job *job, int32_t t, int member, int members)
{
    ebb_par_meet();
    if (member == 0)
        ebb_guard_before(job->plan, t, job->worker);
    ebb_par_meet();
    for (int part = member; member < members && part < job->plan->step[t].executor.parts; part += members)
        run_piece(job->plan, t, job->worker, member, part);
    ebb_par_meet();
    if (member == 0)
        ebb_guard_after(job->plan, t, job->worker);
}

static void run_steps(void *arg, int member, int members)
{
    const run_job *job = arg;
    const ebb_plan *p = job->plan;
    int some = members < p->team ? members : p->team;   /* there is scratch for so many */
    for (int32_t t = job->from; t < job->to; t++) {
        if (ebb_guard_bytes() > 0) {
            run_guarded(job, t, member, some);
            continue;
        }
        if (p->step[t].meet)
            ebb_par_meet();
        for (int part = member; member < some && part < p->step[t].executor.parts; part += some)
            run_piece(p, t, job->worker, member, part);
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
    run_job job = {p, worker, p->nprepare + from, p->nprepare + to};
    if (p->team > 1)
        ebb_par_together(run_steps, &job);
    else
        run_steps(&job, 0, 1);
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

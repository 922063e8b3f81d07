/* meet.c: where the members of a team have to wait for each other.
 *
 * One idea: between two meetings every member may be at any step. So a step needs a meeting before it when it
 * reads or writes memory that a step since the last meeting writes, or writes what such a step reads, unless
 * the same member does both: steps that are not cut are all the leader's. A part of a step reads and writes only
 * its own share of what the step overwrites in place.
 */
#include "plan/internal.h"

/* A run of bytes in the arena that a step since the last meeting touches. */
typedef struct touched {
    size_t begin, end;
    bool written, shared;        /* shared: by all members, not by the leader alone */
} touched;

static bool in_arena(const ebb_buffer *b)
{
    return b->home == EBB_HOME_ARENA || b->home == EBB_HOME_OUTPUT;
}

static bool conflict(const touched *a, const touched *b)
{
    return (a->written || b->written) && (a->shared || b->shared) && a->begin < b->end && b->begin < a->end;
}

/* What step t touches; returns how many. */
static int list_step(const ebb_plan *p, int32_t t, touched *of)
{
    const ebb_plan_step *s = &p->step[t];
    int count = 0, nin = p->ir.node[s->node].nin, nout = s->executor.task.nout;
    for (int i = 0; i < nin + nout; i++) {
        const ebb_buffer *b = &p->buffer[i < nin ? s->in[i] : s->out[i - nin]];
        if (in_arena(b))
            of[count++] = (touched){b->offset, b->offset + b->bytes, i >= nin, s->executor.parts > 1};
    }
    return count;
}

ebb_status ebb_set_meetings(ebb_plan *p)
{
    enum { STEP = EBB_INPUTS_MAX + EBB_PARTS_MAX };
    touched *since = NULL;
    int count = 0;
    if (p->team == 1)
        return EBB_OK;
    EBB_TRY(ebb_alloc(p->ctx, (void **)&since, (size_t)p->nsteps + 1, STEP * sizeof *since, "plan"));
    for (int32_t t = p->nprepare; t < p->nsteps; t++) {
        touched now[STEP];
        int n = list_step(p, t, now);
        for (int i = 0; i < count * n && !p->step[t].meet; i++)
            p->step[t].meet = conflict(&since[i / n], &now[i % n]);
        if (p->step[t].meet)
            count = 0;
        for (int i = 0; i < n; i++)
            since[count++] = now[i];
    }
    ebb_free(since);
    return EBB_OK;
}

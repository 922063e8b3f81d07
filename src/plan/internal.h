/* internal.h: the finished plan, shared by the files that place, run and show it. */
#ifndef EBB_PLAN_INTERNAL_H
#define EBB_PLAN_INTERNAL_H

#include "plan/ir.h"
#include "plan/plan.h"

/* Where a buffer lives. */
typedef enum ebb_home {
    EBB_HOME_ARENA,              /* of the worker, reused by others outside its lifetime */
    EBB_HOME_SHARED,             /* computed by prepare, read by all */
    EBB_HOME_PARAM,              /* bound by the caller */
    EBB_HOME_OUTPUT              /* of the worker: its own place, or bound by the caller */
} ebb_home;

typedef struct ebb_buffer {
    ebb_home home;
    size_t bytes, offset;        /* offset in the arena or the shared block */
    int index;                   /* param: its number; output: which */
    int32_t first, last;         /* steps of the run phase that write it first and read it last */
    int32_t same_as;             /* in place: the buffer whose memory this one takes over; else -1 */
} ebb_buffer;

typedef struct ebb_plan_step {
    ebb_executor executor;
    ebb_value node;
    bool meet;                   /* a team's members meet before it */
    int32_t in[EBB_INPUTS_MAX], out[EBB_PARTS_MAX];   /* buffers */
} ebb_plan_step;

/* What a thread has spent in a step. */
typedef struct ebb_step_time { double seconds, least; int64_t calls, pieces; } ebb_step_time;

typedef struct ebb_plan_input_slot { char *name; int32_t buffer; } ebb_plan_input_slot;

struct ebb_plan {
    ebb_context *ctx;
    ebb_ir ir;
    int workers, team;           /* arenas; threads that may share one */
    bool keep_all;               /* values outlive their last readers (tests) */
    ebb_buffer *buffer;
    int32_t nbuffers, buffers_capacity;
    int32_t *buffer_of;          /* node -> buffer of its value */
    ebb_plan_step *step;         /* first those of prepare, then those of run */
    int32_t nsteps, nprepare;
    int32_t *wave;               /* prepare steps: those of a wave depend on earlier waves only */
    ebb_plan_input_slot *input;
    int ninputs;
    int nparams;
    const float **param;
    int32_t *output_buffer;      /* output -> buffer */
    int noutputs;
    float **bound;               /* [worker][output]: caller's memory or NULL */
    size_t arena_bytes, scratch_bytes, shared_bytes;
    size_t alive_bytes;          /* most that is alive at once: what no placement can go below */
    int32_t peak;                /* the step when it is */
    char *shared;
    char **arena;                /* [worker]: arena, then scratch of each member of the team */
    ebb_step_time *times;        /* profile.c: [worker][member][step], NULL: not asked for */
    int32_t damaged;             /* debug builds: 1 + the buffer whose red zone was overwritten */
};

bool ebb_node_is_alias(const ebb_node *n);                    /* reshape, part: no step of their own */
size_t ebb_node_flops(const ebb_ir *ir, const ebb_node *n);

size_t ebb_step_bytes(const ebb_plan *plan, int32_t step);      /* its inputs and outputs, each once */
/* Lays out plan->step, buffers and offsets from plan->ir (place.c). */
ebb_status ebb_place(ebb_plan *plan, const ebb_plan_options *options);
/* Settles before which steps a team meets (meet.c). */
ebb_status ebb_set_meetings(ebb_plan *plan);
/* guard.c; nothing in release builds. */
size_t ebb_guard_bytes(void);
void ebb_guard_before(const ebb_plan *plan, int32_t step, int worker);
void ebb_guard_after(ebb_plan *plan, int32_t step, int worker);
void *ebb_buffer_address(const ebb_plan *plan, int32_t buffer, int worker);

#endif

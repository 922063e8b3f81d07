/* plan.h: from a graph to a list of steps over one arena.
 *
 * A plan is made once (simplify, fuse, order, place) and then only runs: no allocation, no lock, no
 * file. It has two phases: `prepare`, run once whenever parameters change, computes what depends on
 * parameters alone (packed weights) into memory all workers share; `run` computes the rest for one
 * shard (the graph's batch) in the worker's own arena.
 *
 * Life: create -> bind parameters -> [prepare -> run on any worker ...] ... -> free.
 */
#ifndef EBB_PLAN_H
#define EBB_PLAN_H

#include "graph/graph.h"

typedef struct ebb_plan ebb_plan;

/* Of fewer channels a picture is small, and products of bfloat16 gain nothing. */
#define EBB_BF16_CHANNELS 16

/* What a plan holds and what it computes again instead (recompute.c). The bits are the same. */
typedef enum ebb_plan_memory {
    EBB_MEMORY_PREPARED,         /* all packed weights: for plans that are prepared once and run often */
    EBB_MEMORY_NORMAL,           /* of training: large weights are packed by each run */
    EBB_MEMORY_LOW,              /* and what is cheap to compute is not kept for the backward part */
    EBB_MEMORY_LEAST,            /* nor is what is not: activation checkpointing */
    EBB_MEMORY_AUTO              /* normal or low, by what a run would hold */
} ebb_plan_memory;

typedef struct ebb_plan_options {
    int workers;                 /* arenas, one a worker */
    int team;                    /* threads that a worker's run may use (ebb_par_teams); 0: one */
    bool keep_all;               /* every value keeps its place; no fusion either (tests) */
    bool no_fuse;
    bool fast_conv;              /* 3x3 convolutions by Winograd's method where it pays: other bits, errors below
                                    16 times those of the exact form */
    int bound_from, bound_count; /* so many outputs (0: all) from this one on get no room: the caller binds them before every
                                    run; bound_from 0: all have room */
    int bf16;                    /* pictures of that many channels and more in bfloat16 (precision.c): other bits, by
                                    ISA too; usual: EBB_BF16_CHANNELS; 0: all f32 */
    ebb_plan_memory memory;
    bool measure_only;           /* no arenas: for ebb_plan_measure and ebb_plan_text, cannot run */
} ebb_plan_options;

/* The graph may be freed afterwards. outputs: values to hold after a run, in order. */
ebb_status ebb_plan_create(ebb_context *ctx, const ebb_graph *g, const ebb_value *outputs, int noutputs,
                           const ebb_plan_options *options, ebb_plan **out);
void ebb_plan_free(ebb_plan *plan);

/* Parameter i in the graph's order of creation. The memory stays the caller's and must outlive runs. */
void ebb_plan_bind_param(ebb_plan *plan, int i, const float *data);
/* Where worker w's copy of a named input lies, to be filled before each run; NULL when the plan does
 * not need that input. */
void *ebb_plan_input(ebb_plan *plan, int worker, const char *name);
/* Output i of worker w: after a run, its data. With bind_output the next runs of that worker write
 * there instead (64-byte aligned memory of the caller, ebb_shape_count elements). */
const float *ebb_plan_output(const ebb_plan *plan, int worker, int i);
void ebb_plan_bind_output(ebb_plan *plan, int worker, int i, float *data);

/* Parameter-only work, spread over ctx->threads. */
void ebb_plan_prepare(ebb_plan *plan);
/* Also by the team that the calling worker leads. Bits do not depend on that. */
void ebb_plan_run(ebb_plan *plan, int worker);
/* A run in parts: its steps from..to-1 of 0..ebb_plan_run_steps-1, all of them once, in order. Output i is
 * complete after step ebb_plan_output_step. */
int32_t ebb_plan_run_steps(const ebb_plan *plan);
int32_t ebb_plan_output_step(const ebb_plan *plan, int i);
void ebb_plan_run_part(ebb_plan *plan, int worker, int32_t from, int32_t to);
/* Whether every run so far did what it should; a back end's library may have refused. */
ebb_status ebb_plan_check(const ebb_plan *plan);

/* Bytes: shared (prepared values), each worker (arena + scratch of its threads). Known before anything runs. */
typedef struct ebb_plan_size {
    size_t shared, worker, flops;
    size_t arena, alive;         /* of a worker's bytes: for values, and the most that is alive at once */
    int steps;
} ebb_plan_size;
ebb_plan_size ebb_plan_measure(const ebb_plan *plan);
/* JSON: each step with operation, shape, back end, bytes, FLOPs, lifetime; totals. Free with ebb_free. */
ebb_status ebb_plan_text(const ebb_plan *plan, char **json);
/* JSON: the step of the run phase when most is alive, and the largest values then. */
ebb_status ebb_plan_peak_text(const ebb_plan *plan, char **json);

/* ---- where the time goes (profile.c) ---------------------------------------------------------- */
/* From now on every step is timed, which costs two looks at the clock each; again: from zero. */
ebb_status ebb_plan_profile(ebb_plan *plan);
/* What a step (< ebb_plan_measure().steps) is, and what all workers together have spent in it. */
typedef struct ebb_plan_cost {
    const char *op, *backend, *implementation;
    ebb_shape shape;
    bool prepare;                /* of that phase */
    int64_t calls;
    double seconds;              /* of all calls */
    double least;                /* of the shortest call, or of its shortest part where a team shares it */
    size_t flops, bytes;         /* of one; bytes: inputs and outputs, each once */
} ebb_plan_cost;
ebb_plan_cost ebb_plan_step_cost(const ebb_plan *plan, int32_t step);

#endif

/* restores.h: runs a method of restoration over an exact law (or any field), with noise that is stored or drawn from
 * counters; for tests. As walks.h does with samplers.
 */
#ifndef EBB_TEST_RESTORES_H
#define EBB_TEST_RESTORES_H

#include "diffusion/restore.h"
#include "diffusion/target.h"

typedef struct restore_job {
    /* ---- given */
    const char *method;          /* with its settings */
    const ebb_process *process;
    const ebb_grid *grid;        /* NULL: the method's own, of `steps` (0: its usual number) */
    int steps;
    const ebb_target *target;
    const ebb_field *field;      /* instead of a target; else NULL */
    const ebb_operator *op;
    const double *y;             /* (rows), the same for all */
    double sigma;
    bool clip;
    int64_t n;
    double *x;                   /* (n,count): start, result */
    const double *noise;         /* (noise_draws,n,count) what the method is given; NULL: from counters */
    int64_t noise_draws;
    uint64_t seed;
    const uint32_t *sample;      /* (n) which sample of the seed each row is; NULL: 0, 1, ... */
    double *path;                /* (path_steps+1,n,count): x at first and after each step; NULL: not wanted */
    int64_t path_steps;
    double *mean;                /* (n,count), as ebb_walk has it; NULL: not wanted */
    int64_t stop_evaluation;     /* stop after that many evaluations; 0: never */
    /* ---- found */
    int64_t nfe, draws, steps_taken, expected;   /* expected: evaluations, by the method's own count */
    bool stopped;
} restore_job;

/* EBB_E_ARGUMENT: no such method or setting, it refuses the grid, asked for more stored noise than there is, or took more
 * steps than the path has room for. */
ebb_status restore_run(ebb_context *ctx, restore_job *job);

#endif

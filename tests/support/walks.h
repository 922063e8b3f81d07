/* walks.h: runs a sampler over an exact law (or any field), with noise that is stored or drawn from counters; for tests.
 *
 *     walk_job job = {.sampler = "edm:churn=40", .process = &p, .grid = &g, .target = &t, .n = 4, .x = x, .path = path};
 *     status = walk_run(ctx, &job);
 */
#ifndef EBB_TEST_WALKS_H
#define EBB_TEST_WALKS_H

#include "diffusion/sampler.h"
#include "diffusion/target.h"

typedef struct walk_job {
    /* ---- given */
    const char *sampler;         /* with its settings, as ebb_sampler_parse reads them */
    const ebb_sampler_settings *set;     /* instead of those of the text; NULL: none */
    const ebb_process *process;
    const ebb_grid *grid;
    const ebb_target *target;    /* all; one, w: as ebb_target_field has them */
    const ebb_target *one;
    double w;
    const ebb_field *field;      /* instead of a target; else NULL */
    int64_t n;
    bool clip;
    double *x;                   /* (n,count): start, result */
    const double *noise;         /* (noise_draws,n,count) what the sampler is given; NULL: from counters */
    int64_t noise_draws;
    const double *uniforms;      /* (noise_draws,n), at the same draws; NULL: from counters */
    uint64_t seed;
    const uint32_t *sample;      /* (n) which sample of the seed each row is; NULL: 0, 1, ... */
    const ebb_kernels *kernels;  /* whose normal numbers; NULL: the context's */
    double *path;                /* (path_steps+1,n,count): x at first and after each step; NULL: not wanted */
    int64_t path_steps;
    double *lengths;             /* (path_steps,n) of the corrector's steps, in order; NULL: not wanted */
    double *mean;                /* (n,count), as ebb_walk has it; NULL: not wanted */
    int64_t stop_evaluation;     /* stop after that many evaluations; 0: never */
    int64_t stop_step;           /* stop after that many steps; 0: never */
    /* ---- found */
    int64_t nfe, draws, steps, corrections;
    bool stopped;
} walk_job;

/* EBB_E_ARGUMENT: no such sampler or setting, it refuses the grid, asked for more stored noise than there is, or took
 * more steps than the path has room for; a walk that was stopped is no failure. */
ebb_status walk_run(ebb_context *ctx, walk_job *job);

/* The start of samples (n) of a seed: normal numbers times the process's prior_std, as ebb sample draws them. sample NULL:
 * 0, 1, ... */
void walk_start(ebb_context *ctx, const ebb_process *p, uint64_t seed, const uint32_t *sample, int64_t n, int64_t count,
                double *x);

#endif

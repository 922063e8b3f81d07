/* sampler.h: samplers: rules for walking a grid of levels from noise to data over a field.
 *
 * The state is double whatever the field computes in: next to an evaluation of a network it costs nothing, and so
 * one implementation serves exact laws and networks. A walk's rows do not see each other (but for what a sampler's
 * help names), and draw their random numbers from their own counters: a sample is the same alone or in any batch.
 */
#ifndef EBB_SAMPLER_H
#define EBB_SAMPLER_H

#include "diffusion/field.h"
#include "diffusion/grid.h"
#include "diffusion/settings.h"

/* One member for each row of settings.def, at its default unless set. */
typedef struct ebb_sampler_settings {
#define SETTING(name, whole, initial, min, max, help) double name;
#include "diffusion/settings.def"
#undef SETTING
} ebb_sampler_settings;

extern const ebb_setting ebb_settings[];             /* of ebb_sampler_settings */

typedef struct ebb_sampler ebb_sampler;
typedef struct ebb_walk {
    const ebb_sampler *sampler;
    const ebb_process *process;
    const ebb_grid *grid;
    const ebb_field *field;
    ebb_sampler_settings set;
    int64_t n, count;            /* as the field's */
    double *x;                   /* (n,count): start (x_T, its deviation the process's prior_std), path, result */
    double *work;                /* ebb_walk_work() doubles */
    double clip;                 /* keep estimates of x_0 within plus and minus this: right for pictures, not for points; 0: not */
    /* Fills z (n,count) with standard normal numbers; draw: 0, 1, ... one for each time the sampler asks. */
    void (*normal)(void *random, int64_t draw, double *z);
    /* (n) uniform numbers of [0,1); shares the count of draws. */
    void (*uniform)(void *random, int64_t draw, double *u);
    void *random;
    /* After each step k = 0, 1, ... (a cell of the grid, or an accepted step of an adaptive method): x as it is then.
     * Non-zero stops the walk. NULL: none. */
    int (*step)(void *user, int64_t k, const double *x);
    /* After each evaluation of the field; non-zero stops. NULL: none. */
    int (*evaluated)(void *user);
    /* The step length (n) of each row whenever a Langevin corrector has chosen them. NULL: none. */
    void (*corrected)(void *user, const double *length);
    void *user;
    double *mean;                /* (n,count) of the result before the last noise was added; NULL: not wanted */
    int64_t nfe;                 /* evaluations so far, of all networks that the field asks */
    int64_t draws;               /* of noise so far */
    bool stopped;                /* by step or evaluated, or by itself for the reason in why */
    char why[200];               /* what made an adaptive method give up; else empty */
} ebb_walk;

struct ebb_sampler {
    const char *name, *help;
    int (*run)(ebb_walk *walk);  /* non-zero: stopped */
    int variant;                 /* of a family: order, or flags; the function's own */
    int buffers;                 /* arrays (n,count) of work */
    int default_steps;
    const char *grid;            /* usual grid for continuous processes (chains: "even", where NULL is) */
    const char *chain_grid;
    int evaluations;             /* of a step, about: what progress and NFE budgets count with; 0: adaptive */
    const char *settings;        /* that it takes, with commas between */
};
const ebb_sampler *ebb_sampler_find(const char *name);       /* NULL: unknown */
const ebb_sampler *ebb_sampler_at(int i);                    /* NULL: past the end */
#define SAMPLER(name, function, variant, buffers, steps, grid, chain_grid, evaluations, settings, help) int function(ebb_walk *);
#include "diffusion/samplers.def"
#undef SAMPLER

/* The usual grid over that process: grid or chain_grid; "uniform" or "even" in t where k-sigma has
 * no bound (flow, zero terminal SNR), and "karras" in its place where t is sigma itself (edm). */
const char *ebb_sampler_grid(const ebb_sampler *s, const ebb_process *p);

ebb_sampler_settings ebb_settings_default(void);
/* "heun" or "edm:churn=40,s_noise=1.003": the sampler and its settings. Unknown names, and settings that it does not take,
 * are EBB_E_USAGE with the nearest and those it takes. */
ebb_status ebb_sampler_parse(ebb_context *ctx, const char *text, const ebb_sampler **sampler, ebb_sampler_settings *set);
/* EBB_E_USAGE where eta is a number and the sampler has none; otherwise it becomes set's, unless NaN. */
ebb_status ebb_sampler_set_eta(ebb_context *ctx, const ebb_sampler *s, double eta, ebb_sampler_settings *set);
/* "karras" or "karras:rho=5": the kind of grid and its options ("": NULL and all usual). steps is 0 unless the text says
 * how many, as sections:counts=10+5+5 does. */
ebb_status ebb_grid_parse(ebb_context *ctx, const char *text, const char **kind, ebb_grid_options *options);
/* Doubles that walk->work must hold. */
size_t ebb_walk_work(const ebb_sampler *sampler, int64_t n, int64_t count);
/* Checks the settings against process and grid. */
ebb_status ebb_walk_check(ebb_context *ctx, const ebb_walk *walk);

/* q(x_s | x_t, x_0) = N(keep_x x_t + keep_x0 x_0, posterior), s less noisy than t; added: the variance that the process
 * adds from s to t (Kingma et al. 2021, eq. 25). */
typedef struct ebb_between { double keep_x, keep_x0, added, posterior; } ebb_between;
ebb_between ebb_level_between(ebb_level t, ebb_level s);

/* ---- for the samplers themselves (walk.c) ------------------------------------------------------------------- */
/* Array i < buffers of the work. */
double *ebb_walk_buffer(ebb_walk *w, int i);
/* The field at one level for all rows, or at a level for each; counted. eps or x0 may be NULL. Where the walk clips, x0 is
 * kept in its bounds and eps made to agree. Non-zero: stop. */
int ebb_walk_predict(ebb_walk *w, const double *x, ebb_level at, double *eps, double *x0);
int ebb_walk_predict_rows(ebb_walk *w, const double *x, const ebb_level *at, double *eps, double *x0);
/* The same at one level, but eps stays as the field gave it. */
int ebb_walk_predict_kept(ebb_walk *w, const double *x, ebb_level at, double *eps, double *x0);
int ebb_walk_score(ebb_walk *w, const double *x, ebb_level at, double *score);
int ebb_walk_score_rows(ebb_walk *w, const double *x, const ebb_level *at, double *score);
/* The field's J'v at one level, counted as an evaluation. */
int ebb_walk_pullback(ebb_walk *w, const double *x, ebb_level at, const double *v, double *out);
void ebb_walk_normal(ebb_walk *w, double *z);
void ebb_walk_uniform(ebb_walk *w, double *u);
/* That level for each row, in the walk's own (n) levels, which the next call of a function above with one level for all
 * overwrites; callers may change them. */
ebb_level *ebb_walk_rows(ebb_walk *w, ebb_level at);
/* to = alpha' x0 + sigma' eps at that level: the first-order step along the flow, also from alpha 0 and to sigma 0. */
void ebb_walk_first(const ebb_walk *w, ebb_level at, const double *eps, const double *x0, double *to);
double ebb_level_lambda(ebb_level at);
/* After step k. Non-zero: stop. */
int ebb_walk_step(ebb_walk *w, int64_t k);
/* x is the mean of a step that adds noise of that variance: moves it by variance times the field's lead, where it has one. */
void ebb_walk_lead(ebb_walk *w, double variance);
/* Before the last noise is added: x is the mean of the result, where one is wanted. */
void ebb_walk_keep_mean(ebb_walk *w);
/* set.eta, or the sampler's own default where it was not given. */
double ebb_walk_eta(const ebb_walk *w, double own);
/* The level where step k arrives. */
ebb_level ebb_walk_arrival(const ebb_walk *w, int k);
/* Length of step k in t: grid->dt or the difference. */
double ebb_walk_dt(const ebb_walk *w, int k);

#endif

/* grid.h: the levels that a sampler walks through, from noise to data.
 */
#ifndef EBB_GRID_H
#define EBB_GRID_H

#include "diffusion/process.h"

#define EBB_GRID_SECTIONS 32

typedef struct ebb_grid {
    int steps;                   /* K */
    ebb_level *level;            /* (K+1), noisiest first; the last is where the walk ends, often alpha 1, sigma 0 */
    ebb_level *arrival;          /* (K) where each step arrives, if that is not the level that the next starts from; else NULL */
    double start;                /* standard deviation of what the walk starts from; 0: the process's */
    double *dt;                  /* (K) lengths of the steps in t where they are not the differences of t; else NULL */
} ebb_grid;

/* Zero members get the usual values. */
typedef struct ebb_grid_options {
    int steps;
    double t_start, t_end;       /* in continuous time: end .. least_sample */
    double sigma_min, sigma_max, rho;   /* k-sigma, karras and exponential: the process's own; rho 7 */
    double gamma_min, gamma_max; /* the step lengths of De Bortoli's chain: grid_time.c */
    int offset;                  /* leading: added to each timestep */
    int m;                       /* edm-iddpm: 1000 */
    double c1, c2;               /* edm-iddpm: 1e-3, 8e-3 */
    double data_var;             /* budget: variance of the data: 0.25 */
    int candidates;              /* budget: levels to choose from; 0: 500, or all timesteps of a chain up to 1000 */
    bool small;                  /* budget: for the posterior's variance; else for the larger one */
    int sections[EBB_GRID_SECTIONS], section_count; /* sections: timesteps of each part of the chain; they add up to steps */
    bool clean;                  /* uniform, quadratic, logsnr: end in a clean level, after as many others as steps */
    bool keep_last;              /* others: do not end in a clean level (alpha 1, sigma 0) but at the last noisy one */
    bool drop;                   /* leading, linspace: one timestep more, of which the last is left out */
    bool even_steps;             /* leading, trailing, linspace: from t each step goes to t - floor(T/n) */
    bool scaled;                 /* the same: the walk starts from the noise of the first level, without what is left of a picture */
    bool between;                /* linspace: timesteps are not rounded; k-sigma is straight between two */
    bool karras, exponential;    /* the same three: from their first level to their last, spread as those grids are */
    int whole;                   /* karras, exponential: their timesteps are 0 fractions, 1 rounded, 2 cut */
    bool alpha_to_first;         /* chains: end at alpha_bar of timestep 0 (diffusers' set_alpha_to_one=False) */
} ebb_grid_options;

typedef struct ebb_grid_kind {
    const char *name, *help;
    const char *options;         /* keys of texts that it takes, with commas between */
    bool discrete;               /* for chains only */
    ebb_status (*make)(ebb_context *ctx, const ebb_process *p, const ebb_grid_options *o, ebb_grid *out);
} ebb_grid_kind;
const ebb_grid_kind *ebb_grid_find(const char *name);       /* NULL: unknown */
const ebb_grid_kind *ebb_grid_at(int i);                    /* NULL: past the end */
/* name NULL: "even" for chains, "uniform" else. Checks that the levels exist and descend. */
ebb_status ebb_grid_create(ebb_context *ctx, const ebb_process *p, const char *name, const ebb_grid_options *o,
                           ebb_grid *out);
void ebb_grid_free(ebb_grid *g);
/* ---- for the makers of grids ------------------------------------------------------------------------------- */
/* Noisy levels: as many as steps where the grid ends in a level of its own, or one more. clean: it does by its nature,
 * unless keep_last; else it does where the option clean says so. */
int ebb_grid_points(const ebb_grid_options *o, bool clean);
/* That last level: clean, or alpha_bar of timestep 0. */
ebb_level ebb_grid_end(const ebb_process *p, const ebb_grid_options *o);
/* Table 1 of Karras et al. 2022, iDDPM: u (m+1) falls to u[m] = 0. */
void ebb_grid_iddpm_levels(int m, double c1, double c2, double *u);
#define GRID(name, discrete, function, options, help) \
    ebb_status function(ebb_context *ctx, const ebb_process *p, const ebb_grid_options *o, ebb_grid *out);
#include "diffusion/grids.def"
#undef GRID
/* What the options say of a chain's timesteps, set so far (grid_spaced.c). */
ebb_status ebb_grid_spaced(ebb_context *ctx, const ebb_process *p, const ebb_grid_options *o, int points, ebb_grid *out);
/* Room for that many steps, all zero. */
ebb_status ebb_grid_alloc(ebb_context *ctx, int steps, bool dt, ebb_grid *out);

#endif

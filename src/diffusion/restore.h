/* restore.h: restoration: walks from noise to pictures that agree with a measurement y = H x_0 + sigma_y noise.
 *
 * A method is a rule as samplers are, over the same grids and fields, and walks with their means (walk.c); beside its point x
 * it knows, on the axes of V (operator.h), what y says of each number and how surely: seen = U'y/s with noise sigma_y/s.
 * Exact laws and networks are served alike. None of the methods is exact: what they leave out their files say, and `ebb toy
 * --restore` measures it.
 */
#ifndef EBB_RESTORE_H
#define EBB_RESTORE_H

#include "diffusion/operator.h"
#include "diffusion/sampler.h"

/* One member for each row of restore_settings.def, at its default unless set. */
typedef struct ebb_restore_settings {
#define SETTING(name, whole, initial, min, max, help) double name;
#include "diffusion/restore_settings.def"
#undef SETTING
} ebb_restore_settings;
extern const ebb_setting ebb_restore_setting_table[];    /* ends with a NULL name */
ebb_restore_settings ebb_restore_settings_default(void);

typedef struct ebb_restore_walk ebb_restore_walk;
typedef struct ebb_restorer {
    ebb_sampler way;             /* name, help, buffers, usual steps and grids */
    int (*run)(ebb_restore_walk *r);  /* non-zero: stopped */
    int64_t (*evaluations)(const ebb_restore_settings *set, int steps);
} ebb_restorer;
const ebb_restorer *ebb_restorer_find(const char *name);     /* NULL: unknown */
const ebb_restorer *ebb_restorer_at(int i);                  /* NULL: past the end */
/* "dps" or "dps:zeta=0.3": unknown names are EBB_E_USAGE with the nearest. */
ebb_status ebb_restorer_parse(ebb_context *ctx, const char *text, const ebb_restorer **method, ebb_restore_settings *set);

struct ebb_restore_walk {
    ebb_walk walk;               /* as a sampler's, but for sampler and set, which run() fills in; x: noise, then the result */
    const ebb_restorer *method;
    ebb_restore_settings set;
    const ebb_operator *op;
    const double *y;             /* (n,rows) */
    double sigma;                /* sigma_y */
};

/* Levels for the method: kind NULL: its usual grid; options->steps 0: its usual number of them. Grids that need not end
 * clean are made to. */
ebb_status ebb_restore_grid(ebb_context *ctx, const ebb_restorer *method, const ebb_process *p, const char *kind,
                            const ebb_grid_options *options, ebb_grid *out);
/* Doubles that walk.work must hold. */
size_t ebb_restore_work(const ebb_restorer *method, int64_t n, int64_t count);
/* Whether method, settings, grid, field and noise go together. */
ebb_status ebb_restore_check(ebb_context *ctx, const ebb_restore_walk *r);
/* Non-zero: stopped. Without noise the result agrees with y: known numbers of a mask to the bit, else to rounding. */
int ebb_restore_run(ebb_restore_walk *r);

/* ---- for the methods themselves (restore.c) --------------------------------------------------------------------------------- */
enum { EBB_RESTORE_SEEN, EBB_RESTORE_CLEAN, EBB_RESTORE_NOISE, EBB_RESTORE_OWN };    /* buffers */
/* U'y/s (n,count). */
const double *ebb_restore_seen(ebb_restore_walk *r);
/* x turned to the axes of V in place, or back. */
void ebb_restore_turn(ebb_restore_walk *r, bool back, double *x);
/* What is seen, with the noise of that level (one draw, unless it is clean), in place of x's own; numbers whose measurement
 * has more noise than the level stay. */
void ebb_restore_put(ebb_restore_walk *r, ebb_level at);
/* The same without noise, of a y that has none: alpha times what is seen. */
void ebb_restore_agree(ebb_restore_walk *r, double alpha);
/* One ancestral step k from the estimate in EBB_RESTORE_CLEAN; posterior variance, one draw unless it ends clean. */
void ebb_restore_step_down(ebb_restore_walk *r, int k);

#define RESTORER(name, function, evaluations, buffers, steps, grid, chain_grid, settings, help) \
    int function(ebb_restore_walk *r);                                                               \
    int64_t evaluations(const ebb_restore_settings *set, int of_steps);
#include "diffusion/restorers.def"
#undef RESTORER

#endif

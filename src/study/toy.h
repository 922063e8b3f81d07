/* toy.h: a job over an exact law: what is asked, whose score it is, walks of samplers over it, and its reports.
 */
#ifndef EBB_TOY_H
#define EBB_TOY_H

#include <stdatomic.h>

#include "eval/distances.h"
#include "diffusion/guide.h"
#include "sample/field.h"
#include "sample/guided.h"
#include "model/model.h"
#include "model/report.h"

#define EBB_TOY_ROWS 64          /* samples that walk together */

typedef struct ebb_toy_job {
    ebb_context *ctx;
    ebb_toy_options o;           /* filled in */
    ebb_recipe *recipe;          /* process; network and training of a score that is trained; of a model its own */
    ebb_target law, one;         /* all, and the class (no parts: none) */
    const ebb_target *aim;       /* what samples should follow: the class, unless guidance is -1 */
    ebb_process process;
    ebb_model *model;            /* whose score it is; NULL: exact */
    ebb_plan *plan;              /* of the model, for all workers */
    ebb_judge judge;             /* by the aim */
    double trained_loss;         /* mean of the last steps */
    int64_t trained_steps;
    const char *doing;           /* for progress */
    atomic_flag calling;         /* one thread at a time in progress() */
    atomic_int stopped;
} ebb_toy_job;

/* ---- options (toy_options.c) -------------------------------------------------------------------------------------------- */
ebb_status ebb_toy_settle(ebb_toy_job *t, const ebb_toy_options *options);
/* The names of a list with + between, or all of the table; one at a time from *at = 0. NULL: no more. name: room. */
const char *ebb_toy_next_sampler(const ebb_toy_job *t, int *at, char name[128]);
/* What a job holds; also after a failure (toy.c). */
void ebb_toy_free(ebb_toy_job *t);

/* ---- whose score (toy_score.c) ------------------------------------------------------------------------------------------ */
/* Trains or loads a model where options say so, and makes its plan. */
ebb_status ebb_toy_learn(ebb_toy_job *t);
/* E |s - true score|^2 of the model at levels from data to noise: [{t, k_sigma, divergence, score (E |true score|^2)}]. */
ebb_status ebb_toy_fisher(ebb_toy_job *t, json_t **out);

/* ---- fields (toy_field.c) ------------------------------------------------------------------------------------------------ */
/* Rows of a worker and their field, which points here: it must not move. */
typedef struct ebb_toy_rows {
    const ebb_toy_job *t;
    int64_t n;                   /* with a model EBB_TOY_ROWS */
    bool learned;                /* by t->model; else the law's own score */
    int worker;
    int32_t label[EBB_TOY_ROWS];
    double *variance;
    ebb_target_field exact[2];
    ebb_model_field model[2];
    ebb_guided guided;
} ebb_toy_rows;
/* t, n, learned and worker are set. */
ebb_field ebb_toy_field(ebb_toy_rows *r, double *work);
/* Doubles of work. */
size_t ebb_toy_field_work(const ebb_toy_job *t, int64_t n);
/* Scores that one evaluation asks: 1, or 2 where the class is held against all. */
int ebb_toy_asked(const ebb_toy_job *t);

/* ---- the law that guidance is named after (toy_tilt.c) ------------------------------------------------------------------- */
/* share (classes) of p^-w p_class^(1+w), w with what an exact classifier adds; posterior (classes): room. false: not on a line, no
 * guidance to speak of (w 0 or -1), or no law. */
bool ebb_toy_tilt(const ebb_toy_job *t, double *share, double *posterior);

/* ---- walks (toy_walk.c) --------------------------------------------------------------------------------------------------- */
/* Non-zero: stop. */
int ebb_toy_progress(ebb_toy_job *t, int64_t done, int64_t total);
ebb_status ebb_toy_stopped(ebb_toy_job *t);

typedef struct ebb_toy_walk {
    const char *sampler;         /* with its settings */
    const char *grid;            /* NULL or "": the sampler's own */
    int steps;                   /* 0: its own */
    bool open;                   /* do not end in a clean level where the grid can end before: for orders of convergence */
    int64_t n;
    const double *start;         /* (n,dim); NULL: noise of samples 0 .. n-1 */
    bool exact;                  /* over the law's own score, though there is a model */
    /* ---- found */
    double *x;                   /* (n,dim): given room */
    const ebb_sampler *kind;
    const char *grid_name;
    ebb_grid levels;             /* free with ebb_grid_free */
    int64_t nfe;                 /* of the slowest sample */
    bool random;                 /* it drew noise on the way */
} ebb_toy_walk;
/* Makes the levels and checks that the sampler takes them. */
ebb_status ebb_toy_prepare(ebb_toy_job *t, ebb_toy_walk *w);
/* The walk, when prepared. */
ebb_status ebb_toy_run(ebb_toy_job *t, ebb_toy_walk *w);
/* The noise that samples start from. */
void ebb_toy_start(const ebb_toy_job *t, int64_t first, int64_t n, double *x);
/* Root mean square distance of the first n results to where the exact probability flow leads from the same starts, between
 * the same levels, with its interval (resamples 0: none); a clean end: the estimate of x_0 at the process's least time. Starts are
 * noise. */
ebb_status ebb_toy_flow_error(ebb_toy_job *t, const ebb_toy_walk *w, int64_t n, int resamples, ebb_measure *out);

/* ---- jobs (toy.c, toy_compare.c, toy_panels.c, toy_restore.c) -------------------------------------------------------------------------- */
ebb_status ebb_toy_samples(ebb_toy_job *t, json_t **out);
ebb_status ebb_toy_compare(ebb_toy_job *t, json_t **out);
ebb_status ebb_toy_convergence(ebb_toy_job *t, json_t **out);
ebb_status ebb_toy_panels(ebb_toy_job *t, json_t **out);
ebb_status ebb_toy_restore(ebb_toy_job *t, json_t **out);

/* ---- pictures (toy_picture.c) ------------------------------------------------------------------------------------------------ */
/* Samples x (n,dim) beside the law or over its density. */
ebb_status ebb_toy_picture(ebb_toy_job *t, const double *x, int64_t n, const char *title, const char *note);
/* The same without words, small, for laws of one or two dimensions: to a file. */
ebb_status ebb_toy_thumbnail(ebb_toy_job *t, const double *x, int64_t n, const char *path);
/* Histograms x (panels,n) over the density of a law on a line. */
ebb_status ebb_toy_panel_picture(ebb_toy_job *t, const ebb_target *law, const double *x, int64_t n, int panels, const char *const *titles);
/* Curves of errors over evaluations, both logarithmic: rows as convergence reports them. */
ebb_status ebb_toy_curve_picture(ebb_toy_job *t, const json_t *rows);

#endif

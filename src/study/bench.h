/* bench.h: a benchmark of samplers: cells, each one sampler over one grid of levels at one number of evaluations and one strength of
 * guidance; what they are measured by; which of them are worth their cost; and the files that say so.
 *
 *     options --(bench_grid.c)--> cells --(bench_toy.c, bench_model.c; kept by bench_cells.c)--> what each was found to be
 *             --(bench_front.c)--> front and recommendations --(bench_against.c)--> what has changed
 *             --(bench_files.c, bench_plots.c, bench_gnuplot.c, bench_html.c)--> results.json, results.csv, plots, report.html
 */
#ifndef EBB_BENCH_H
#define EBB_BENCH_H

#include "diffusion/sampler.h"
#include "model/report.h"

#define EBB_BENCH_NAME 128       /* of a sampler or grid with its settings */
#define EBB_BENCH_PATH 4096
#define EBB_BENCH_SHOWN 64       /* pictures of a cell that are shown */

typedef enum ebb_bench_role {
    EBB_BENCH_CELL,
    EBB_BENCH_REFERENCE,         /* the ancestral sampler at very many steps */
    EBB_BENCH_SCORE              /* a learned score along a fine grid: what is left is its own error */
} ebb_bench_role;

typedef struct ebb_bench_cell {
    ebb_bench_role role;
    char sampler[EBB_BENCH_NAME], grid[EBB_BENCH_NAME];
    double guidance;
    int budget;                  /* evaluations asked for; 0: as many as accuracy, or the grid, needs */
    int steps;                   /* 0: the sampler's own */
    double cost;                 /* evaluations of a sample, as far as they are known */
    char refused[300];           /* why it cannot be run; empty: it can */
    json_t *found;               /* what was measured; NULL: not yet */
} ebb_bench_cell;

typedef struct ebb_bench_cells { ebb_bench_cell *cell; int32_t count, capacity; } ebb_bench_cells;
void ebb_bench_cells_free(ebb_bench_cells *c);

/* ---- which cells there are (bench_grid.c) ------------------------------------------------------------------------------- */
typedef enum ebb_bench_scale { EBB_SCALE_QUICK, EBB_SCALE_USUAL, EBB_SCALE_FULL } ebb_bench_scale;
typedef struct ebb_bench_wanted {
    const ebb_process *process;
    ebb_bench_scale scale;
    const char *samplers, *nfe, *grids;  /* with commas between; NULL or "": by bench_grid.def */
    const double *guidance;
    int guidances;
    bool doubled;                /* guidance other than 0 and -1 asks two networks */
    int reference;               /* evaluations of the reference; 0: none */
    int score;                   /* of the learned score along a fine grid; 0: none */
} ebb_bench_wanted;
/* EBB_E_USAGE: unknown names, settings that a sampler does not take. Cells that cannot be are left out where the list is the
 * usual one, and else refused with the reason. */
ebb_status ebb_bench_expand(ebb_context *ctx, const ebb_bench_wanted *wanted, ebb_bench_cells *out);
/* Takes one name from a list with commas between, some of which may belong to settings: "edm:churn=40,s_noise=1,heun". */
bool ebb_bench_next(const char **list, char name[EBB_BENCH_NAME]);
/* "5,10,20" */
ebb_status ebb_bench_numbers(ebb_context *ctx, const char *list, int **out, int32_t *count);
/* Evaluations of a sample over so many steps, by a walk over a law that costs nothing. */
ebb_status ebb_bench_count(ebb_context *ctx, const ebb_process *p, const char *sampler, const char *grid, int steps, int64_t *nfe);
/* The most steps that a budget pays for; 0: not even one. */
ebb_status ebb_bench_steps(ebb_context *ctx, const ebb_process *p, const char *sampler, const char *grid, int budget, int *steps);

/* ---- a benchmark (bench.c) ----------------------------------------------------------------------------------------------- */
typedef struct ebb_bench_job ebb_bench_job;
/* What samplers are run over and judged by. */
typedef struct ebb_bench_subject {
    const ebb_process *process;
    int classes;                 /* 0: none, or they are not asked for */
    double guidance;             /* unless another is asked for */
    json_t *about;               /* of results.json: what it is */
    json_t *metrics;             /* [{name, help, better ("lower", "higher", "near"), floor, floor_low, floor_high}] */
    const char *metric;          /* that recommendations go by, unless another is asked for */
    uint64_t identity;           /* of all that the measurements depend on beside the cell */
    /* Runs the cell: fills steps, nfe, random, seconds, metrics {NAME: {value, low, high}} and writes a picture, where there can be
     * one. */
    ebb_status (*measure)(ebb_bench_job *b, const ebb_bench_cell *cell, const char *picture, json_t *found);
    void (*free)(void *self);
    void *self;
} ebb_bench_subject;

struct ebb_bench_job {
    ebb_context *ctx;
    ebb_bench_options o;         /* filled in */
    ebb_bench_scale scale;
    ebb_bench_subject subject;
    ebb_bench_cells cells;
    int64_t index;               /* of the cell that is being measured */
    double work, worked;         /* evaluations of all cells to be measured, and of those that are done */
    bool stopped;
};
/* Make the subject (bench_toy.c, bench_model.c). */
ebb_status ebb_bench_toy(ebb_bench_job *b);
ebb_status ebb_bench_model(ebb_bench_job *b);

/* ---- what the parts share (bench_members.c) ------------------------------------------------------------------------------ */
const char *ebb_bench_role_name(ebb_bench_role role);    /* "cell", "reference", "score" */
/* Members of results: NaN and "" where there is no such number or text. */
double ebb_bench_number(const json_t *json, const char *key);
const char *ebb_bench_text(const json_t *json, const char *key);
/* Whether an array of keys has this one. */
bool ebb_bench_holds(const json_t *keys, const char *key);
/* "nfe", or "seconds" a sample. */
double ebb_bench_cost(const json_t *cell, const char *cost);
/* How much of the present cell is done, 0 to 1, or of what goes before them all. Non-zero: stop. */
int ebb_bench_progress(ebb_bench_job *b, const char *doing, double done);
/* DIR/NAME */
ebb_status ebb_bench_path(const ebb_bench_job *b, const char *name, char path[EBB_BENCH_PATH]);

/* ---- cells that are kept (bench_cells.c) ---------------------------------------------------------------------------------- */
/* Reads what is kept, measures the rest; each is written when it is done. */
ebb_status ebb_bench_measure(ebb_bench_job *b);

/* ---- what is worth its cost (bench_front.c) ------------------------------------------------------------------------------- */
/* A measurement such that less is better, with its interval. */
typedef struct ebb_bench_point { double cost, loss, low, high; } ebb_bench_point;
/* better: "lower"; "higher" turns the sign; "near": the distance to floor. low, high not finite: the value alone. */
ebb_bench_point ebb_bench_point_of(double cost, const char *better, double floor, double value, double low, double high);
/* Those that no other point beats in both: as cheap and better, or cheaper and as good. Not finite: never on it. */
void ebb_bench_front(const ebb_bench_point *p, int n, bool *front);
/* The best that costs no more than the budget; -1: none. */
int ebb_bench_best(const ebb_bench_point *p, int n, double budget);
/* Whether i cannot be told from the best: their intervals overlap. */
bool ebb_bench_ties(const ebb_bench_point *p, int i, int best);
/* The subject's metric is the one that is asked for, if any. EBB_E_USAGE: there is none of that name. */
ebb_status ebb_bench_choose_metric(ebb_bench_job *b);
/* Adds front and budgets, as ebb_bench says them, to results with metrics, metric and cells. */
ebb_status ebb_bench_recommend(ebb_context *ctx, json_t *results);

/* ---- held against others (bench_against.c) ------------------------------------------------------------------------------------ */
/* What ebb_bench says of results.against. path: as its options have it. EBB_E_FORMAT: neither results nor a table. */
ebb_status ebb_bench_against(ebb_context *ctx, const json_t *results, const char *path, json_t **out);

/* ---- what plots show (bench_curves.c) ------------------------------------------------------------------------------------------- */
enum { EBB_BENCH_CURVE = 64 };
/* The metric's measurements of a sampler over a grid, in the order of its budgets; only what logarithmic axes can show.
 * low, high: NaN where there is no interval. */
typedef struct ebb_bench_curve {
    const json_t *of;            /* its first cell */
    double x[EBB_BENCH_CURVE], y[EBB_BENCH_CURVE], low[EBB_BENCH_CURVE], high[EBB_BENCH_CURVE];
    int n;
    bool front;                  /* one of its cells is on the front */
} ebb_bench_curve;
/* cost: "nfe" or "seconds". n 0: cell `from` is not the first of its curve, or nothing of it can be shown. */
void ebb_bench_curve_from(const json_t *results, const char *cost, size_t from, ebb_bench_curve *c);
/* Of the metric: what as many real samples come to, and the reference; NaN: there is none. */
double ebb_bench_floor(const json_t *results);
double ebb_bench_reference(const json_t *results);
/* Of cost and metric, with a margin; false: nothing can be shown. */
typedef struct ebb_bench_range { double lo[2], hi[2]; } ebb_bench_range;
bool ebb_bench_range_of(const json_t *results, const char *cost, ebb_bench_range *r);

/* ---- files (bench_files.c, bench_plots.c, bench_gnuplot.c, bench_html.c) ---------------------------------------------------------- */
/* results.json, results.csv, and the next two */
ebb_status ebb_bench_write(ebb_bench_job *b, const json_t *results);
/* nfe.png, seconds.png */
ebb_status ebb_bench_plots(ebb_bench_job *b, const json_t *results);
/* plots.gp: a script of gnuplot, with the numbers in it, that draws nfe.svg and seconds.svg. */
ebb_status ebb_bench_put_gnuplot(ebb_writer *w, const json_t *results);
/* report.html, by results and the pictures of cells. */
ebb_status ebb_bench_html(ebb_bench_job *b, const json_t *results);

#endif

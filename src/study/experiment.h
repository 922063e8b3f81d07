/* experiment.h: a trial, one run of an experiment: what its function asks for, states and draws.
 *
 * A row of experiments.def is a function of a trial. It computes, and states each figure with the range that it must lie in:
 *
 *     EBB_TRY(ebb_trial_model(x, 0, &model));                      trained, or loaded where an earlier run trained it
 *     ebb_trial_expect(x, gap, 0.99 * want, 1.01 * want, "0.0573 within 1%", "gap at separation %g", s);
 *     EBB_TRY(ebb_trial_picture(x, "", path));                     then write the picture there
 *
 * What is stated does not depend on threads. A quick trial goes the same way with few steps and samples and claims nothing.
 */
#ifndef EBB_EXPERIMENT_H
#define EBB_EXPERIMENT_H

#include "study/kept.h"

#define EBB_TRIAL_PATH EBB_KEPT_PATH

typedef struct ebb_trial ebb_trial;
typedef struct ebb_experiment_kind {
    const char *name, *row, *models, *source, *help;
    ebb_status (*run)(ebb_trial *x);
} ebb_experiment_kind;
const ebb_experiment_kind *ebb_experiment_at(int i);     /* NULL: past the end */

struct ebb_trial {
    ebb_context *ctx;
    ebb_experiment_options o;
    const ebb_experiment_kind *kind;
    json_t *checks;              /* [{name, value, expected, low, high, pass}] */
    json_t *pictures;            /* [path] */
    bool stopped;                /* by progress() */
    char missing[512];           /* what this machine lacks for it; empty: nothing */
};
#define EXPERIMENT(name, row, function, models, source, help) ebb_status function(ebb_trial *);
#include "study/experiments.def"
#undef EXPERIMENT

/* ---- what a function states (experiment.c) -------------------------------------------------------------------------------- */
/* The value must lie in [low, high], either of which may be infinite; expected: the same in words. */
void ebb_trial_expect(ebb_trial *x, double value, double low, double high, const char *expected, const char *name, ...)
    __attribute__((format(printf, 6, 7)));
/* A figure that nothing is claimed of; beside: what it may be compared with, or "". */
void ebb_trial_figure(ebb_trial *x, double value, const char *beside, const char *name, ...) __attribute__((format(printf, 4, 5)));
/* Whether something holds. */
void ebb_trial_holds(ebb_trial *x, bool holds, const char *expected, const char *name, ...) __attribute__((format(printf, 4, 5)));
/* "DIR/folder" NAME "-suffix" ".end" of the trial. */
ebb_status ebb_trial_path(ebb_trial *x, const char *folder, const char *suffix, const char *end, char path[EBB_TRIAL_PATH]);
/* A picture's path, NAME.png or NAME-suffix.png in the trial's directory, and a row in the list of pictures. */
ebb_status ebb_trial_picture(ebb_trial *x, const char *suffix, char path[EBB_TRIAL_PATH]);
/* As large as a claim needs, or as a quick trial makes do with. */
int64_t ebb_trial_scale(const ebb_trial *x, int64_t full, int64_t quick);
/* EBB_OK, or stopped. */
ebb_status ebb_trial_progress(ebb_trial *x, const char *doing, int64_t done, int64_t total);
/* A part for which something lacks here is left out: true where *status says so, which becomes EBB_OK, and a figure tells. */
bool ebb_trial_skips(ebb_trial *x, const char *part, ebb_status *status);
/* The experiment cannot be run here, for want of what the message says: no failure of its own. */
ebb_status ebb_trial_lacks(ebb_trial *x, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ---- models (experiment_models.c) ------------------------------------------------------------------------------------------ */
/* Recipe number `index` of the row, complete but for its data. */
ebb_status ebb_trial_recipe(ebb_trial *x, int index, ebb_recipe **out);
/* That model: from DIR/models, where it is trained first, or trained on, unless it is there. */
ebb_status ebb_trial_model(ebb_trial *x, int index, ebb_model **out);
/* Its file, trained the same way. */
ebb_status ebb_trial_model_path(ebb_trial *x, int index, char path[EBB_TRIAL_PATH]);
/* Stands for all of a row's recipes. */
ebb_status ebb_trial_key(ebb_trial *x, uint64_t *key);

/* ---- work that tells of itself (experiment_work.c) --------------------------------------------------------------------------- */
ebb_status ebb_trial_toy(ebb_trial *x, const ebb_toy_options *options, json_t **report);
/* One walk over an exact law, or over the score that options->model has learned of it: samples (n,dim), or NULL where they
 * are not wanted, and how far they are from the law. */
typedef struct ebb_trial_judgement { double sliced_w2, kl, energy, mmd; int64_t nfe; } ebb_trial_judgement;
ebb_status ebb_trial_walk(ebb_trial *x, const ebb_toy_options *options, const char *doing, double *samples, ebb_trial_judgement *out);
/* Sliced W2 and MMD of n true points of a named law. */
ebb_status ebb_trial_floor(ebb_trial *x, const char *target, int64_t n, double *sliced_w2, double *mmd);
/* pixels (n, numbers). */
ebb_status ebb_trial_sample(ebb_trial *x, ebb_model *model, const ebb_sample_options *options, const char *doing, float *pixels);
ebb_status ebb_trial_classify(ebb_trial *x, ebb_model *model, const ebb_classify_options *options, const char *doing, json_t **report);
/* Codes (n, numbers) of pictures, and back. */
ebb_status ebb_trial_encode(ebb_trial *x, ebb_model *model, const ebb_latent_options *options, const char *doing, int64_t n,
                            const float *pixels, double *codes);
ebb_status ebb_trial_decode(ebb_trial *x, ebb_model *model, const ebb_latent_options *options, const char *doing, int64_t n,
                            const double *codes, float *pixels);
ebb_status ebb_trial_nll(ebb_trial *x, ebb_model *model, const ebb_nll_options *options, const char *doing, json_t **report);

/* ---- pictures (experiment_pictures.c) ------------------------------------------------------------------------------------- */
/* Pictures in [-1,1], as rows. */
typedef struct ebb_trial_pictures {
    int64_t n, numbers;
    int height, width, channels;
    float *x;                    /* (n, numbers) */
    int32_t *label;              /* (n), or NULL where there are none; one allocation with x */
} ebb_trial_pictures;
/* Of recipe `index` of the row: what it is trained on; or from a file (IDX, labels NULL: none), where EBB_DATA and the build
 * have their data: first .. first+n-1 of them, n 0: all from there. What is not here is what the machine lacks. */
ebb_status ebb_trial_training_pictures(ebb_trial *x, int index, int64_t first, int64_t n, ebb_trial_pictures *out);
ebb_status ebb_trial_read_pictures(ebb_trial *x, const char *path, const char *labels, int64_t first, int64_t n, ebb_trial_pictures *out);
/* first .. first+n-1 of a file, as the model's own are: padded, painted; labels NULL: none. */
ebb_status ebb_trial_pictures_for(ebb_trial *x, ebb_model *model, const char *path, const char *labels, int64_t first, int64_t n,
                                  ebb_trial_pictures *out);
/* n samples of a model, not filled in; with labels where it has classes: n/classes of each in turn. */
ebb_status ebb_trial_blank_pictures(ebb_trial *x, ebb_model *model, int64_t n, ebb_trial_pictures *out);
void ebb_trial_pictures_free(ebb_trial_pictures *p);
/* All of them as bytes: the trial's file NAME-suffix.npy, (n,height,width,channels). */
ebb_status ebb_trial_samples(ebb_trial *x, const char *suffix, const ebb_trial_pictures *p, char path[EBB_TRIAL_PATH]);
/* The first `rows` times `columns` as a grid: the trial's picture with that suffix; names (rows) of the rows, or NULL. */
ebb_status ebb_trial_grid(ebb_trial *x, const char *suffix, const ebb_trial_pictures *p, int64_t rows, int columns,
                          const char *const *names);

/* The methods that rows of restorations compare, with steps that suffice for digits. */
enum { EBB_TRIAL_METHODS = 4 };
typedef struct ebb_trial_method { const char *name, *spelt; int steps; } ebb_trial_method;
extern const ebb_trial_method ebb_trial_methods[EBB_TRIAL_METHODS];
/* All of the truth as options say; restored (n, copies, numbers), measured (n, numbers) or NULL. */
ebb_status ebb_trial_restore(ebb_trial *x, ebb_model *model, const ebb_restore_options *options, const char *doing,
                             const ebb_trial_pictures *truth, float *measured, float *restored);
/* Share of pictures whose nearest training picture has their label; least: of the class that is worst, or NULL. */
ebb_status ebb_trial_purity(ebb_trial *x, const ebb_trial_pictures *train, const ebb_trial_pictures *p, double *share, double *least);
/* Colour (2): the sum of the pixels' places in the plane across grey, where the angle is the hue (red 0) and the length of a pure
 * colour at full light 1; of those with mask = value (mask NULL: all). Returns the sum of their lengths. */
double ebb_trial_colour(const float *rgb, int64_t pixels, const uint8_t *mask, int value, double colour[2]);

#define EBB_TEST_DIGITS "mnist/mnist-test-images-idx3-ubyte.gz"
#define EBB_TEST_CLOTHES "/usr/share/datasets/fashion-mnist/t10k-images-idx3-ubyte.gz"
#define EBB_TEST_DIGIT_LABELS "mnist/mnist-test-labels-idx1-ubyte.gz"

#endif

/* ebb.h: train diffusion (score-based) models and sample from them on CPUs.
 *
 * The whole public API. C11 and C++. Functions return ebb_status; on failure the context holds a
 * message that says what went wrong, where, and what to do. The library never prints, never exits and
 * never leaves a half-written file. Objects you create you free; buffers you pass in stay yours; text
 * it returns through `char **` is freed with ebb_text_free. A context is used by one thread at a time.
 *
 * Options structs start with their size: set it to sizeof of the struct, zero the rest (or take the
 * _defaults() function) and fill in what you need.
 */
#ifndef EBB_H
#define EBB_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define EBB_API __attribute__((visibility("default")))
#else
#define EBB_API
#endif

#define EBB_VERSION "0.1.0"

typedef enum ebb_status {
    EBB_OK = 0,
    EBB_E_ARGUMENT,     /* a value the caller gave is out of its range */
    EBB_E_USAGE,        /* an unknown key, name or option */
    EBB_E_MEMORY,       /* allocation failed */
    EBB_E_IO,           /* open, read, write, rename, disk full */
    EBB_E_FORMAT,       /* a file does not follow its format */
    EBB_E_SHAPE,        /* shapes do not fit together */
    EBB_E_NUMERIC,      /* NaN or infinity where a number is needed */
    EBB_E_UNSUPPORTED,  /* valid, but this build or machine cannot */
    EBB_E_INTERNAL      /* a defect of ebb */
} ebb_status;

typedef enum ebb_backend_choice { EBB_BACKEND_AUTO, EBB_BACKEND_OWN, EBB_BACKEND_ONEDNN } ebb_backend_choice;

typedef struct ebb_context ebb_context;
typedef struct ebb_recipe ebb_recipe;
typedef struct ebb_model ebb_model;
typedef struct ebb_trainer ebb_trainer;

/* ---- context ----------------------------------------------------------------------------- */
typedef struct ebb_context_options {
    size_t size;
    int threads;                 /* 0: OMP_NUM_THREADS if that is set, else one for each core that this process
                                    may use, within the CPU quota of its control group */
    const char *cpu;             /* c, neon, neonbf16, avx2, avx512, avx512bf16, amx;
                                    NULL: EBB_CPU or the best */
    const char *backend;         /* auto, own, onednn; NULL: EBB_BACKEND or auto */
    const char *bind;            /* none; domain: each thread stays on the processors of one memory domain; core:
                                    on one processor, for machines used alone; NULL: EBB_BIND or auto, which is
                                    domain where there are several and OpenMP (OMP_PROC_BIND) binds none */
} ebb_context_options;

/* options may be NULL. On failure *out still holds a context with the message (free it), or NULL when
 * there was no memory even for that. */
EBB_API ebb_status ebb_context_create(const ebb_context_options *options, ebb_context **out);
EBB_API void ebb_context_free(ebb_context *ctx);
/* The message of the last failure; "" when there was none. */
EBB_API const char *ebb_message(const ebb_context *ctx);
/* What is doubtful about the context's options, and what to do; "" when nothing is. */
EBB_API const char *ebb_warning(const ebb_context *ctx);
EBB_API const char *ebb_status_name(ebb_status status);
EBB_API void ebb_text_free(char *text);
EBB_API const char *ebb_version(void);

/* ---- recipes ----------------------------------------------------------------------------- */
/* A recipe says everything a training run depends on: data, network, process, loss, optimiser, seed.
 * `name` is a built-in recipe ("digits", "unet-s") or the path of a JSON file. */
EBB_API ebb_status ebb_recipe_load(ebb_context *ctx, const char *name, ebb_recipe **out);
/* "key=value", e.g. "train.steps=2000". Unknown keys are EBB_E_USAGE with a suggestion. */
EBB_API ebb_status ebb_recipe_set(ebb_context *ctx, ebb_recipe *recipe, const char *assignment);
/* Whole recipe as JSON text, every key present. */
EBB_API ebb_status ebb_recipe_text(ebb_context *ctx, const ebb_recipe *recipe, char **json);
/* JSON array of {key, type, default, help, ...}: every key there is. */
EBB_API ebb_status ebb_recipe_keys(ebb_context *ctx, char **json);
/* JSON array of {name, help}: the built-in recipes. */
EBB_API ebb_status ebb_recipe_list(ebb_context *ctx, char **json);
EBB_API void ebb_recipe_free(ebb_recipe *recipe);

/* ---- training ---------------------------------------------------------------------------- */
typedef struct ebb_train_report {
    size_t size;
    int64_t step, steps;         /* finished, of */
    double loss;                 /* of this step */
    double loss_mean;            /* exponential mean over about 100 steps */
    double gradient_norm;        /* before clipping */
    double images_per_second;    /* recent */
    double seconds_left;
    int saved;                   /* 1: a checkpoint was written in this call */
    int done;                    /* 1: all steps done, final files written */
    double accuracy;             /* of a classifier: part of the pictures, at all levels of noise, whose class it found, exponential
                                    mean over about 100 steps; else NaN */
} ebb_train_report;

/* Starts a run in directory `dir` (made when missing; an existing run there is EBB_E_ARGUMENT). */
EBB_API ebb_status ebb_trainer_create(ebb_context *ctx, const ebb_recipe *recipe, const char *dir, ebb_trainer **out);
/* Continues the run in `dir` from its checkpoint: the same bits as if it had never stopped. */
EBB_API ebb_status ebb_trainer_resume(ebb_context *ctx, const char *dir, ebb_trainer **out);
/* JSON: recipe name, parameters, bytes that training will hold at most (ebb's own; the program's code and
 * its libraries come on top, about 10 MB; of each rank), ranks, threads, kernels, back end. */
EBB_API ebb_status ebb_trainer_about(ebb_trainer *trainer, char **json);
/* One optimiser step, with the log lines, sample grids and checkpoints that fall due. */
EBB_API ebb_status ebb_trainer_step(ebb_trainer *trainer, ebb_train_report *report);
/* Writes checkpoint.safetensors and model.safetensors now. */
EBB_API ebb_status ebb_trainer_save(ebb_trainer *trainer);
EBB_API void ebb_trainer_free(ebb_trainer *trainer);

/* ---- many processes ------------------------------------------------------------------------ */
/* Ranks, the processes that mpirun started, train one model together: each computes a part of every batch. The
 * bits are those of one process. Between begin and end, ebb_trainer_* and ebb_speed of this context are collective:
 * all ranks make the same calls, with the same recipe and data, and all get the same status; a failure of one
 * is a failure of all, with its message. Only rank 0 writes files. */

/* Whether the environment says that a launcher started this process as one of several. */
EBB_API int ebb_ranks_launched(void);
/* Starts MPI, unless the program has, and joins the others. Ranks that may use the same processors share them: the
 * context's threads become fewer, unless options or OMP_NUM_THREADS said how many; then ebb_warning may say more.
 * EBB_E_UNSUPPORTED: a build without MPI. */
EBB_API ebb_status ebb_ranks_begin(ebb_context *ctx, int *rank, int *ranks);
/* EBB_OK on all ranks, or on all the failure of the lowest rank that passes one, with its message. */
EBB_API ebb_status ebb_ranks_agree(ebb_context *ctx, ebb_status mine);
/* *flag: non-zero on all ranks when it was on any. */
EBB_API ebb_status ebb_ranks_any(ebb_context *ctx, int *flag);
/* Waits for the others and ends MPI if begin started it; before the context is freed. Does nothing without begin.
 * Fails when the connection was lost: then only ebb_ranks_abort is left. */
EBB_API ebb_status ebb_ranks_end(ebb_context *ctx);
/* Ends all ranks at once, this process included, with that exit code (MPI_Abort). */
EBB_API void ebb_ranks_abort(ebb_context *ctx, int code);

/* ---- models and sampling ------------------------------------------------------------------- */
/* A model.safetensors, or a folder with a pipeline of diffusers, a UNet2DModel and its scheduler: it is sampled from as that
 * pipeline does, unless ebb_sample_options say otherwise. EBB_E_UNSUPPORTED: what of the network or of the noise ebb has not,
 * and weights as a pickle. */
EBB_API ebb_status ebb_model_load(ebb_context *ctx, const char *path, ebb_model **out);
/* Whether a path is one that ebb_model_load would read, by name and by what lies in the folder: FILE.safetensors, or such a pipeline. */
EBB_API int ebb_model_named(const char *path);
EBB_API void ebb_model_free(ebb_model *model);
typedef struct ebb_model_shape { size_t size; int height, width, channels, classes; int64_t parameters; } ebb_model_shape;
EBB_API ebb_status ebb_model_describe(ebb_model *model, ebb_model_shape *out);

/* A model at `from` as a pipeline of diffusers in the new folder `to` (model_index.json, unet/, scheduler/), or such a folder
 * `from` as a model `to` (.safetensors). Weights keep their bits. JSON: {from, to, kind, tensors, parameters, notes (what is
 * written otherwise than the model has it)}. EBB_E_UNSUPPORTED: what UNet2DModel and its schedulers have no word for, by the
 * key of the recipe. */
EBB_API ebb_status ebb_convert(ebb_context *ctx, const char *from, const char *to, char **json);

typedef struct ebb_compare_options {
    size_t size;
    double tolerance;            /* largest difference allowed, in units of a tensor's largest number where that is above 1; 0: the
                                    reference's own, or 2e-4 */
    const char *precision;       /* of activations: "f32", "bf16"; NULL: f32 */
    int fast;                    /* 1: convolutions by Winograd's method, as sampling has them; 0: exact sums */
} ebb_compare_options;
/* Holds a model against what another program computed with its weights. reference: JSON {input (N,C,H,W), timesteps (N),
 * class_labels (N), output, activations: {module: ...}}, a safetensors or npz file of those names, or a folder of NAME.npy; modules by
 * diffusers' names. options may be NULL. JSON: {reference, tolerance, precision, convolutions, compared, deviating, first (the
 * first module in the order of computation that deviates, or null), not_compared, tensors: [{name, numbers, largest_error,
 * relative_error (of norms), at, deviates, ulp: {floats between the two: how many}}]}; deviations are no failure of this function.
 * EBB_E_SHAPE: tensors of other shapes. */
EBB_API ebb_status ebb_compare(ebb_context *ctx, ebb_model *model, const char *reference, const ebb_compare_options *options, char **json);

typedef struct ebb_dump_options {
    size_t size;
    int64_t n;                   /* pictures, of noise, at timesteps spread evenly; 0: 2 */
    uint64_t seed;
    const char *inputs;          /* a reference whose inputs are taken instead; NULL: none */
    int fast;                    /* as above */
} ebb_dump_options;
/* Writes inputs, the output and each module's result as a safetensors file that ebb_compare reads. options may be NULL. JSON:
 * {file, tensors, modules}. */
EBB_API ebb_status ebb_dump(ebb_context *ctx, ebb_model *model, const ebb_dump_options *options, const char *path, char **json);

typedef struct ebb_sample_options {
    size_t size;
    int64_t n;                   /* pictures */
    int64_t first;               /* index of the first: sample i of a seed is always the same picture */
    uint64_t seed;
    int label;                   /* class, EBB_LABEL_NONE or EBB_LABEL_ALL (n/classes of each, in turn) */
    /* What is left as ebb_sample_defaults() has it (NULL, 0, NaN) is as the model's recipe says. */
    const char *sampler;         /* "ddim", "edm:churn=40", ...: ebb_sampler_list */
    int steps;                   /* network evaluations without guidance */
    double guidance;             /* Ho & Salimans' w: eps = (1+w)*eps_c - w*eps_u; 0: conditional, -1: unconditional, -2: away from
                                    the class; others' conventions: ebb_guidance_parse */
    double eta;                  /* 0 deterministic .. 1 ancestral; the sampler's own: ddim 0, euler-ancestral 1, ...; of
                                    samplers that take it: else EBB_E_USAGE */
    /* Called after each finished network evaluation from one thread at a time; non-zero stops. */
    int (*progress)(void *user, int64_t done, int64_t total);
    void *user;
    const char *precision;       /* of activations: "f32", "bf16"; NULL: as the model was trained */
    const char *grid;            /* levels that the sampler walks through, as "karras:rho=7"; NULL: the recipe's, "": the
                                    sampler's own */
    /* ---- more guidance */
    double guidance_low, guidance_high;  /* guidance acts where low < sigma/alpha <= high (Kynkaanniemi et al. 2024), elsewhere the
                                    model is as at 0; high 0: no bound */
    ebb_model *guide;            /* what guidance leads away from: a weaker model of the same process, with the class if it knows
                                    classes (Karras et al. 2024): eps = (1+w)*eps - w*eps_guide, no class needed; NULL: the model
                                    without its class */
    /* grad log p(y | x_t) in x of whatever y the caller wants (Song et al. 2021, eq. 14), which is added to the score: n rows of
     * one level x_t = alpha x_0 + sigma eps, numbers of row i at [i*numbers]; sample: which pictures they are (first + i of the
     * job); x0: E[x_0|x_t] by model and guidance; gradient: to be filled. Called from many threads at once: it must not write what
     * another call reads, and its gradient of a row must depend on nothing but that row, or pictures depend on the batch. Non-zero
     * stops with EBB_E_ARGUMENT. NULL: none */
    int (*condition)(void *user, int64_t n, const int64_t *sample, const double *x, double alpha, double sigma, const double *x0,
                     double *gradient);
    void *condition_user;
    int64_t *evaluations;        /* written, unless NULL: of all networks together for a picture, the most of any */
    ebb_model *classifier;       /* trained by loss.kind=classification with the same process: leads to the class by scale times its
                                    grad log p(class | x_t), beside guidance, which is then 0 unless given (Dhariwal & Nichol
                                    2021). A model without classes takes the classifier's. NULL: none */
    double classifier_scale;     /* NaN: 1 */
    const char *classifier_form; /* how its gradient and condition's act: ebb_guide_form_list; NULL: epsilon */
    const int32_t *labels;       /* (n) with label EBB_LABEL_ALL: the class of each, in place of as many of each in turn; NULL: those */
} ebb_sample_options;
#define EBB_LABEL_NONE (-1)
#define EBB_LABEL_ALL (-2)
EBB_API ebb_sample_options ebb_sample_defaults(void);
/* pixels: (n, height, width, channels) floats in [-1, 1], clipped. */
EBB_API ebb_status ebb_sample(ebb_context *ctx, ebb_model *model, const ebb_sample_options *options, float *pixels);
/* "1.5" (w), "scale:2.5", "isachenko:2.5", ...: as w. EBB_E_USAGE: an unknown convention, no number. */
EBB_API ebb_status ebb_guidance_parse(ebb_context *ctx, const char *text, double *w);
/* The conventions: {name, help, scale, offset}: w = scale value + offset. */
EBB_API ebb_status ebb_guidance_list(ebb_context *ctx, char **json);
/* How the gradient of a classifier acts: {name, help}. */
EBB_API ebb_status ebb_guide_form_list(ebb_context *ctx, char **json);
/* JSON array of {name, help, default_steps, evaluations (a step; 0: adaptive), grid, chain_grid (usual ones), takes (names
 * of the settings it can be told; others are EBB_E_USAGE)}. */
EBB_API ebb_status ebb_sampler_list(ebb_context *ctx, char **json);
/* What a sampler can be told behind its name: {name, help, default (null: each sampler's own), min, max, whole}. */
EBB_API ebb_status ebb_setting_list(ebb_context *ctx, char **json);
/* Kinds of levels to walk through: {name, help, discrete (for chains only), takes (options behind its name)}. */
EBB_API ebb_status ebb_grid_list(ebb_context *ctx, char **json);

/* ---- classifiers of noisy pictures ----------------------------------------------------------- */
typedef struct ebb_classify_options {
    size_t size;
    const char *data;            /* file or folder of pictures (idx, npy, png); NULL: what the classifier was trained on */
    const char *labels;          /* of idx and npy; NULL: none, so that there are only shares of classes */
    int64_t first, n;            /* pictures first .. first+n-1 of the data; n 0: 1000, or all if there are fewer */
    int levels;                  /* at equal steps of log(alpha/sigma) from least to most noise; 0: 9 */
    uint64_t seed;               /* of the noise, a function of (seed, picture, level) */
    /* Called now and then from one thread at a time with the part of the work that is done, 0 to 1; non-zero stops. */
    int (*progress)(void *user, double done);
    void *user;
} ebb_classify_options;
/* How often a classifier (loss.kind=classification) finds the class. JSON: {data, first, pictures, labelled, levels: [{t,
 * k_sigma (sigma/alpha), accuracy, error (standard), cross_entropy (nats)}], classes, at the least noise: [{class, share (of what
 * was found), labelled (share), accuracy}]}. options may be NULL. EBB_E_ARGUMENT: not a classifier, options out of range, stopped. */
EBB_API ebb_status ebb_classify(ebb_context *ctx, ebb_model *model, const ebb_classify_options *options, char **json);

/* ---- quality --------------------------------------------------------------------------------- */
typedef struct ebb_eval_options {
    size_t size;
    const char *data;            /* what pictures are compared with: file or folder (idx, npy, png), or a recipe, whose data section
                                    counts; NULL: what the model was trained on; needed beside pictures */
    const char *labels;          /* of data of idx or npy, or in place of the recipe's; NULL: the recipe's, or none */
    int64_t n;                   /* pictures that are judged; 0: 1000 samples (quick: 100), or all pictures up to 5000 */
    const ebb_sample_options *sample;    /* how a model's pictures are drawn (n, labels and progress are not looked at); label
                                    EBB_LABEL_ALL: by the classes' shares in the data; NULL: as the model's recipe says, all classes */
    int64_t nll;                 /* of so many pictures of the data the likelihood under the model, ebb_nll's ode; 0: of none */
    int resamples;               /* of intervals; 0: 40, -1: no intervals */
    const char *dir;             /* DIR/models keeps the classifiers of data sets, which are trained once; NULL: runs/experiments */
    const char *out;             /* a directory, made where it is missing, for results.json, samples.npy (of a model), samples.png,
                                    metrics.png; NULL: nothing is written */
    int quick;                   /* 1: a classifier that is trained in a moment: to see that all works, not to measure */
    /* Called now and then from one thread at a time: what is being done, how much of it; non-zero stops. */
    int (*progress)(void *user, const char *doing, int64_t done, int64_t total);
    void *user;
    const char *inception;       /* weights of Inception-v3 (safetensors, torchvision's names, fc of 1008) whose features count in place
                                    of a classifier's: then data need no labels; NULL: the classifier */
} ebb_eval_options;
/* How good a model's samples, or pictures of a file or folder (pictures; model NULL), are beside data. A random half of the data, at
 * most 5000, is the reference; groups of the other half, at most four of as many as are judged, are judged alike: their mean is each
 * metric's floor. Features are those of a classifier that is trained on nine of ten of the data, which need labels. JSON: {kind, quick,
 * judged: {n, sampler, evaluations, guidance, classes, seed, ...}, beside: {data, pictures, reference, floor (counts), floor_groups, features: {network, key (of its
 * recipe), held_out, accuracy, ...}}, resamples, metrics: [{name, value, low, high (90%), floor, floor_low, floor_high, ratio,
 * better, source, help}], likelihood}. Numbers are comparable between runs of the same features and n. Does not depend on threads.
 * options may be NULL beside a model. EBB_E_ARGUMENT: no labels, too few pictures, stopped; EBB_E_SHAPE: pictures of another size. */
EBB_API ebb_status ebb_eval(ebb_context *ctx, ebb_model *model, const char *pictures, const ebb_eval_options *options, char **json);
/* JSON array of {name, better ("lower", "higher", "near" its floor), source, help}. */
EBB_API ebb_status ebb_metric_list(ebb_context *ctx, char **json);

/* ---- likelihood ---------------------------------------------------------------------------- */
typedef struct ebb_nll_options {
    size_t size;
    const char *method;          /* "ode": -log p along the probability flow (Song et al. 2021, sec. 4.3); "elbo": the variational
                                    bound of it (Ho et al. 2020; Kingma et al. 2021); NULL: ode */
    const char *data;            /* file or folder of pictures (idx, npy, png); NULL: what the model was trained on */
    const char *labels;          /* of idx and npy, for a conditional model; NULL: none */
    int unconditional;           /* 1: without classes, though the model has them */
    int64_t first, n;            /* pictures first .. first+n-1 of the data; n 0: 100, or all if there are fewer */
    uint64_t seed;               /* of dequantisation, probes, noise and times, each a function of (seed, picture, repeat) */
    int repeats;                 /* passes whose values are averaged for each picture; 0: 1 */
    const char *precision;       /* of activations: "f32", "bf16"; NULL: f32 */
    /* ode */
    double rtol, atol;           /* of a step; 0: 1e-5 */
    const char *divergence;      /* "signs", "normal": Hutchinson's estimate by such probes; "exact": one evaluation for each
                                    number of a picture; NULL: signs */
    int probes;                  /* of each estimate; 0: 1 */
    /* elbo */
    int64_t times;               /* levels drawn for each picture; 0: 100; EBB_TIMES_ALL: each step of a chain once */
    const char *variance;        /* of a chain's steps: ebb_variance_list; NULL: learned where it is, else beta */
    const char *decoder;         /* of the last term: ebb_decoder_list; NULL: discrete for pictures of a chain, else density */
    int each;                    /* 1: the values of each picture are in the result */
    /* Called now and then from one thread at a time with the part of the work that is done, 0 to 1; non-zero stops. */
    int (*progress)(void *user, double done);
    void *user;
} ebb_nll_options;
#define EBB_TIMES_ALL (-1)
/* Negative log-likelihood of data under a model, in bits a number of a picture: that of 8-bit pictures, to which uniform noise
 * between the levels (x + u)/256 is added where the method needs a density (Theis et al. 2016); of points and of pictures of
 * floats, that of their density. Results do not depend on threads. JSON: {method, pictures, numbers, bits_per_dim,
 * standard_error (over pictures), nats (a picture, of the density), offset, ...}; elbo: also the terms. options may be NULL.
 * EBB_E_ARGUMENT: options out of range, stopped; EBB_E_NUMERIC: an integration that does not get there. */
EBB_API ebb_status ebb_nll(ebb_context *ctx, ebb_model *model, const ebb_nll_options *options, char **json);
/* JSON arrays of {name, help}: variances of a chain's steps, and last terms, that bounds can have. */
EBB_API ebb_status ebb_variance_list(ebb_context *ctx, char **json);
EBB_API ebb_status ebb_decoder_list(ebb_context *ctx, char **json);

/* ---- codes ----------------------------------------------------------------------------------- */
/* The probability flow leads from pictures to noise and back without a random number: x_T is a code of x_0 (Song et al. 2021,
 * sec. 4.3, 5.3), and the model a normalizing flow. Codes are x_T over the deviation of the prior, so standard normal numbers
 * under every process: (n, height, width, channels) doubles. Whoever decodes must give the class and guidance of encoding. */
typedef struct ebb_latent_options {
    size_t size;
    int label;                   /* class of all, or EBB_LABEL_NONE */
    const int32_t *labels;       /* (n) class of each, or EBB_LABEL_NONE; NULL: label */
    double guidance;             /* w as ebb_sample_options has it, of the flow itself; needs classes */
    double rtol, atol;           /* of a step of the integration; 0: 1e-5 */
    const char *precision;       /* of activations: "f32", "bf16"; NULL: f32 */
    /* Decoding by a sampler that draws no noise, as "ddim" or "dpmpp-2m", instead of the integration: that is what ebb_sample
     * does from the same code. */
    const char *sampler;         /* NULL: the integration, which encoding always is by */
    const char *grid;            /* as ebb_sample_options has it; NULL or "": the sampler's own */
    int steps;                   /* 0: the sampler's own */
    int64_t *nfe;                /* (n) evaluations for each picture; NULL: not wanted */
    /* Called now and then from one thread at a time with the part of the work that is done, 0 to 1; non-zero stops. */
    int (*progress)(void *user, double done);
    void *user;
} ebb_latent_options;
/* label EBB_LABEL_NONE, all else zero. */
EBB_API ebb_latent_options ebb_latent_defaults(void);
/* n pictures of floats in [-1, 1] to their codes, and back, not clipped. A picture's result does not depend on the others, nor
 * on threads. EBB_E_NUMERIC: NaN in what is given, or an integration that does not get there; EBB_E_ARGUMENT: options out of
 * range, a sampler that draws noise, stopped. */
EBB_API ebb_status ebb_latent_encode(ebb_context *ctx, ebb_model *model, const ebb_latent_options *options, int64_t n,
                                     const float *pixels, double *codes);
EBB_API ebb_status ebb_latent_decode(ebb_context *ctx, ebb_model *model, const ebb_latent_options *options, int64_t n,
                                     const double *codes, float *pixels);
/* The codes that samples first .. first+n-1 of a seed start from. */
EBB_API ebb_status ebb_latent_noise(ebb_context *ctx, ebb_model *model, uint64_t seed, int64_t first, int64_t n, double *codes);
/* n codes (n, count) evenly from a to b, both included. path: "spherical": along the great circle, so that all are as long as
 * codes are; "linear": along the line, whose middle is shorter. *angle (or NULL): between a and b, 0 to pi. n at least 2. */
EBB_API ebb_status ebb_latent_between(ebb_context *ctx, const char *path, int64_t count, const double *a, const double *b,
                                      int64_t n, double *codes, double *angle);
/* Codes of a file, npy of f64 in the shape of the model's pictures; n 0: all from `first` on. Free them with
 * ebb_latent_free. EBB_E_FORMAT: other numbers; EBB_E_SHAPE; EBB_E_NUMERIC: NaN or infinity. */
EBB_API ebb_status ebb_latent_read(ebb_context *ctx, const ebb_model *model, const char *path, int64_t first, int64_t n,
                                   double **codes, int64_t *count);
EBB_API ebb_status ebb_latent_write(ebb_context *ctx, const ebb_model *model, const char *path, int64_t n, const double *codes);
EBB_API void ebb_latent_free(double *codes);

/* ---- exact laws ----------------------------------------------------------------------------- */
/* Mixtures of normal laws have exact scores at every noise level, so that a sampler's own error, or a trained score's, can
 * be seen. A job runs samplers over such a law and tells how far their samples are from it. */
typedef struct ebb_toy_options {
    size_t size;
    const char *target;          /* "mixture", "ring:modes=6,sd=0.05", ...: ebb_target_list */
    const char *job;             /* "samples": one sampler; "compare": every sampler at one budget; "convergence": orders of
                                    samplers; "panels": Langevin dynamics between two modes; "restore": methods of ebb_restore against the
                                    exact posterior; NULL: samples */
    const char *score;           /* "exact"; "train": a network that is trained first; NULL: exact, or of `model` */
    const char *model;           /* model.safetensors whose score and process are used; NULL: none */
    const char *save;            /* score train: where the model is written; NULL: nowhere */
    const char *process;         /* "vp", "ve:sigma_max=10", ...: a recipe's keys process.*; NULL: vp */
    const char *const *settings; /* recipe keys "optim.lr=1e-3" of process and training */
    int settings_count;
    const char *sampler;         /* "heun", "edm:churn=40", ...; compare, convergence: a list with + between; restore: such a
                                    list of methods, ebb_restorer_list; NULL: heun, all, five of them */
    const char *grid;            /* "karras:rho=5", ...; NULL: the sampler's own */
    int steps;                   /* 0: the sampler's own */
    int nfe;                     /* compare: evaluations a sample; 0: 50 */
    int64_t n;                   /* samples; 0: 10000 (compare: 4000) */
    uint64_t seed;               /* sample i of a seed is always the same, as ebb_sample's */
    int label;                   /* class, or EBB_LABEL_NONE */
    double guidance;             /* Ho & Salimans' w, as ebb_sample_options has it; needs a class */
    int resamples;               /* of the intervals of distances; 0: 40; -1: no intervals */
    const char *picture;         /* PNG: samples beside the law, on a line a histogram over the density, curves of errors;
                                    NULL: none */
    const char *samples;         /* npy, f64 (n, dim); NULL: none */
    /* Called now and then from one thread at a time: what is being done, how much of it; non-zero stops. */
    int (*progress)(void *user, const char *doing, int64_t done, int64_t total);
    void *user;
    const char *task;            /* restore: what is measured of a point, "inpaint" (the first half of its numbers), "super-resolution"
                                    (their mean), "denoise"; NULL: inpaint, on a line denoise */
    double sigma;                /* restore: standard deviation of the measurement's noise */
    double guidance_low, guidance_high;  /* where guidance acts, as ebb_sample_options has it */
    double classifier_scale;     /* of the exact grad log p(class | x_t), beside guidance (-1 leaves the classifier alone); 0: none */
    const char *classifier_form; /* "epsilon", "mean": ebb_guide_form_list; NULL: epsilon */
} ebb_toy_options;
/* target NULL, label EBB_LABEL_NONE, all else zero. */
EBB_API ebb_toy_options ebb_toy_defaults(void);
/* JSON of the job. samples: {nfe, distances: {NAME: {value, floor (of as many true points), low, high (90% by resampling)}},
 * modes, classes (of guided samples on a line with the share of the tilted law p^-w p_class^(1+w), which they do not follow),
 * chi_square, moments, flow_error (root mean square distance to the exact probability flow from the same
 * start; samplers without noise only), fisher (trained scores: E |s - true score|^2 by level)}; compare: {rows}; convergence:
 * {rows, theorem (normal laws on a line)}; panels: {gap, rows}; restore: {task, truth, y, posterior_mean, rows: [{method, nfe,
 * mean_error, covariance_error, share_error, energy, w2}], the last of as many true samples}. Does not depend on threads.
 * EBB_E_USAGE: an unknown name; EBB_E_ARGUMENT: options that do not fit together, stopped. */
EBB_API ebb_status ebb_toy(ebb_context *ctx, const ebb_toy_options *options, char **json);
/* JSON arrays: {name, dim, options (with their defaults), help}; {name, help}. */
EBB_API ebb_status ebb_target_list(ebb_context *ctx, char **json);
EBB_API ebb_status ebb_distance_list(ebb_context *ctx, char **json);

/* ---- benchmark of samplers -------------------------------------------------------------------- */
/* Which sampler, at how many evaluations of the network, gives what quality at what cost: a grid of cells, each one sampler over one
 * grid of levels at one budget of evaluations and one strength of guidance. */
typedef struct ebb_bench_options {
    size_t size;
    const char *what;            /* a model.safetensors of pictures; or a law: "toy:mixture", "toy:ring:modes=6", ...: ebb_target_list */
    const char *dir;             /* for results.json, results.csv, report.html, plots, and cells/, which are kept: the next run measures
                                    what is not there */
    int scale;                   /* -1: few cells and samples, to see how it goes; 0: minutes; 1: all samplers */
    /* Lists with commas between; NULL: by the scale (ebb_bench_list). */
    const char *samplers;        /* "heun,edm:churn=40,s_noise=1,unipc" */
    const char *nfe;             /* budgets of evaluations, "5,10,20": as many steps as they pay for */
    const char *grids;           /* of levels, "own,karras:rho=5"; "own": each sampler's own */
    const char *guidance;        /* "0,1.5,scale:3": ebb_guidance_parse; needs classes */
    int reference;               /* evaluations of the ancestral sampler that all are held against; 0: by the scale; -1: none */
    const char *metric;          /* that the front and recommendations go by; NULL: frechet; of laws sliced-w2, on a line w2 */
    int label;                   /* class, EBB_LABEL_NONE, or EBB_LABEL_ALL: of each as many */
    int64_t n;                   /* samples of each cell; 0: by the scale */
    uint64_t seed;               /* all cells start from the same noise */
    int resamples;               /* of intervals; 0: 40; -1: none */
    const char *model;           /* of a law: a model that learned its score; then each cell is also run over the exact one */
    const char *process;         /* of a law: as ebb_toy_options has it */
    const char *data, *labels;   /* of a model: data that its pictures are judged beside, as ebb_eval_options has them; NULL: those it was
                                    trained on */
    const char *keep;            /* of a model: directory of the classifier that judges, trained where it is not there;
                                    NULL: runs/experiments */
    const char *precision;       /* of a model's activations: "f32", "bf16"; NULL: as it was trained */
    const char *against;         /* results.json of another run, or a table (.csv) with columns sampler, nfe, metric, value and, if known,
                                    grid, guidance, low, high: the results say what has changed; NULL: none */
    const char *command;         /* that the report says reproduces it; NULL: none */
    /* Called now and then from one thread at a time: what is being done, which cell of how many (0: before the first, as training
     * what judges), and how much of all cells, or of what goes before them, is done, 0 to 1; non-zero stops: finished cells are kept,
     * and the next run goes on with the others. */
    int (*progress)(void *user, const char *doing, int64_t cell, int64_t cells, double done);
    void *user;
} ebb_bench_options;
/* label EBB_LABEL_ALL, all else zero. */
EBB_API ebb_bench_options ebb_bench_defaults(void);
/* JSON, also DIR/results.json: {ebb, about, samples, seed, command, machine, metrics: [{name, help, better ("lower", "higher" or
 * "near" the floor), floor (of as many true samples)}], metric, cells: [{key, role ("cell", "reference", or "score": a learned score
 * along a fine grid), sampler, grid, guidance, budget, steps, nfe (evaluations of the network a sample, counted), seconds,
 * per_second, metrics: {NAME: {value, low, high (90% by resampling)}}, discretization (the same over the exact score), picture,
 * kept, refused (why it could not be run)}], front: {nfe, seconds: {METRIC: [key]}}, budgets: [{nfe, key, value, low, high,
 * over_floor, over_reference, ties: [key], text}], against: {reference, better, worse, same, new, missing (how many), rows: [{sampler,
 * grid, guidance, nfe, metric, was, was_low, was_high, is, low, high, verdict}], differs}}. Rows are told apart where their intervals do
 * not overlap; one of a table without grid is held against the best of ours. What was measured does not depend on threads,
 * seconds do. EBB_E_USAGE: an unknown name; EBB_E_ARGUMENT: options that do not fit together, stopped. */
EBB_API ebb_status ebb_bench(ebb_context *ctx, const ebb_bench_options *options, char **json);
/* JSON: {samplers: [{scale ("quick", "usual", "full"), sampler, grids, chain_grids}], budgets: [{scale, nfe}]}. */
EBB_API ebb_status ebb_bench_list(ebb_context *ctx, char **json);

/* ---- experiments ---------------------------------------------------------------------------- */
/* The experiments of the lectures that ebb follows: each trains or loads what it needs, measures, says which of its figures are
 * what they must be, and draws. */
typedef struct ebb_experiment_options {
    size_t size;
    const char *name;            /* ebb_experiment_list */
    const char *dir;             /* for results/NAME.json, NAME.png and models/, which all experiments share; NULL: runs/experiments */
    int keep;                    /* 1: what an earlier run found there counts, where it rests on the same recipes */
    int quick;                   /* 1: few steps and samples, to see that all works: nothing is claimed */
    /* Called now and then from one thread at a time: what is being done, how much of it; non-zero stops: training is saved, and
     * the next run goes on with it. */
    int (*progress)(void *user, const char *doing, int64_t done, int64_t total);
    void *user;
} ebb_experiment_options;
/* JSON: {name, row, source, help, state ("passed", "failed", "quick", or "not run" for want of data), missing (what that is),
 * passed, failed, checks: [{name, value, expected, low, high, pass (null: nothing is claimed)}], pictures, seconds, kept}. A
 * figure out of its range is no failure of this function. Does not depend on threads. EBB_E_USAGE: an unknown name;
 * EBB_E_ARGUMENT: stopped. */
EBB_API ebb_status ebb_experiment(ebb_context *ctx, const ebb_experiment_options *options, char **json);
/* JSON array of {name, row, models (recipes), source, help}. */
EBB_API ebb_status ebb_experiment_list(ebb_context *ctx, char **json);

/* ---- pictures and arrays ------------------------------------------------------------------- */
/* round(127.5*(x+1)) clamped to 0..255. */
EBB_API void ebb_pixels_to_bytes(const float *pixels, size_t count, uint8_t *bytes);
/* n pictures (n, height, width, channels) of 1 or 3 channels as one PNG, `columns` in a row. labels:
 * NULL or one text for each row, drawn at its left. */
EBB_API ebb_status ebb_grid_write(ebb_context *ctx, const char *path, const uint8_t *pictures, int64_t n, int height,
                                  int width, int channels, int columns, const char *const *labels);
/* One picture (height, width, channels) of 1 or 3 channels as PNG, pixel by pixel. */
EBB_API ebb_status ebb_picture_write(ebb_context *ctx, const char *path, const uint8_t *picture, int height, int width, int channels);
/* uint8 array of the given shape as .npy, version 1.0. */
EBB_API ebb_status ebb_npy_write_u8(ebb_context *ctx, const char *path, const uint8_t *data, int rank, const int64_t *shape);
/* The same of any numbers; kind and bytes of one: 'f' of 4 or 8, 'u' or 'i' of 1, 2, 4 or 8. */
EBB_API ebb_status ebb_npy_write(ebb_context *ctx, const char *path, char kind, int item, const void *data, int rank,
                                 const int64_t *shape);

/* Pictures of files as a model takes them; free them. */
typedef struct ebb_pictures {
    size_t size;
    int64_t n;
    float *pixels;               /* (n, height, width, channels) in [-1, 1], padded as the model's training data were */
    int32_t *labels;             /* (n) where the data have them, else NULL */
} ebb_pictures;
/* path: a PNG file, a folder of them, npy (uint8, or float32 in [-1, 1]) or idx; labels: of npy and idx, checked against the
 * model's classes, or NULL; n 0: all from `first` on. EBB_E_SHAPE: not the model's size. */
EBB_API ebb_status ebb_pictures_read(ebb_context *ctx, const ebb_model *model, const char *path, const char *labels,
                                     int64_t first, int64_t n, ebb_pictures *out);
EBB_API void ebb_pictures_free(ebb_pictures *pictures);
/* Classes first .. first+n-1 of a file, idx or npy of integers, each one of the model's; ebb_labels_free. */
EBB_API ebb_status ebb_labels_read(ebb_context *ctx, const ebb_model *model, const char *path, int64_t first, int64_t n,
                                   int32_t **labels);
EBB_API void ebb_labels_free(int32_t *labels);

/* ---- restoration --------------------------------------------------------------------------- */
typedef struct ebb_restore_options {
    size_t size;
    const char *task;            /* "inpaint", "colorize", ...: ebb_task_list; NULL: inpaint */
    const char *mask;            /* inpaint: a PNG, white known, or which pixels are hidden: "box:14x14", ...: ebb_mask_list */
    int factor;                  /* super-resolution: a measured pixel is the mean of factor x factor; 0: 4 */
    double blur;                 /* deblur: standard deviation of the blur in pixels; 0: 1 */
    double sigma;                /* standard deviation of the measurement's noise, where pictures reach from -1 to 1 */
    const char *method;          /* "ddrm", "dps:zeta=0.3", ...: ebb_restorer_list; NULL: ddrm */
    const char *grid;            /* levels that it walks through, as ebb_sample_options has them; NULL: the method's own */
    int steps;                   /* 0: the method's own */
    int copies;                  /* restorations of each picture; 0: 1 */
    int64_t first;               /* number of the first picture: copy c of picture i of a seed is always the same */
    uint64_t seed;
    int label;                   /* class of all pictures, or EBB_LABEL_NONE */
    int given;                   /* 1: pictures are measurements; 0: truths, that are measured first */
    const char *precision;       /* of activations: "f32", "bf16"; NULL: as the model was trained */
    /* Called after each finished network evaluation from one thread at a time; non-zero stops. */
    int (*progress)(void *user, int64_t done, int64_t total);
    void *user;
    double guidance;             /* w as ebb_sample_options has it, from no class to the class; needs one; 0: the class alone */
    double guidance_low, guidance_high;  /* where it acts, as ebb_sample_options has it */
} ebb_restore_options;
/* label EBB_LABEL_NONE, all else zero. */
EBB_API ebb_restore_options ebb_restore_defaults(void);
/* Height, width and channels of the pictures that ebb_restore takes: the model's, or with `given` the measurement's; of
 * inpainting the whole picture, whose hidden pixels do not count. */
EBB_API ebb_status ebb_restore_shape(ebb_context *ctx, ebb_model *model, const ebb_restore_options *options, int shape[3]);
/* Pictures options->first .. first+n-1 of a file in that shape, as ebb_pictures_read reads them. */
EBB_API ebb_status ebb_restore_pictures(ebb_context *ctx, ebb_model *model, const ebb_restore_options *options,
                                        const char *path, int64_t n, ebb_pictures *out);
/* Restores n pictures of that shape, values in [-1, 1], from linear measurements y = H x + noise. restored: (n, copies, height,
 * width, channels) in [-1, 1]; without noise known pixels of inpainting are those of the picture to the bit, greys and means of
 * blocks to rounding. measured: (n, height, width, channels), the measurement to be looked at: blurred and noisy as it is, else
 * by the pseudo-inverse (hidden pixels 0); may be NULL. JSON: {task, method, steps, evaluations (a picture, with and without
 * class), consistency (root mean square of y - H x), pictures: [{consistency, ...}]}; of truths also psnr (mean over
 * restorations, in dB of 2^2), psnr_of_mean (of the copies) and psnr_measured. Does not depend on threads, nor a picture on the
 * others. EBB_E_USAGE: an unknown name; EBB_E_ARGUMENT: options that do not fit together, stopped. */
EBB_API ebb_status ebb_restore(ebb_context *ctx, ebb_model *model, const ebb_restore_options *options, int64_t n,
                               const float *pictures, float *measured, float *restored, char **json);
/* JSON arrays of {name, help}: tasks, rules for masks; of {name, help, default_steps, takes (names of its settings)}: methods; of
 * {name, help, default, min, max, whole}: settings of methods. */
EBB_API ebb_status ebb_task_list(ebb_context *ctx, char **json);
EBB_API ebb_status ebb_mask_list(ebb_context *ctx, char **json);
EBB_API ebb_status ebb_restorer_list(ebb_context *ctx, char **json);
EBB_API ebb_status ebb_restore_setting_list(ebb_context *ctx, char **json);

/* Averages of a run's weights with a window of any relative width (0.005 .. 0.28; Karras et al. 2024) up to `step` (0: the
 * last), from the files ema-*.safetensors that training wrote to `dir` (train.snapshot_every), as a model at `path`.
 * json: which files took part with what factors. */
EBB_API ebb_status ebb_ema_make(ebb_context *ctx, const char *dir, double width, int64_t step, const char *path, char **json);

/* What the words of a recipe stand for, one object a list: losses, weightings, averages, processes, predictions. */
EBB_API ebb_status ebb_recipe_lists(ebb_context *ctx, char **json);

/* ---- looking and measuring ----------------------------------------------------------------- */
/* JSON about a file (model, checkpoint, safetensors, idx, npy, png), a folder of PNG files or with a pipeline of diffusers, or, for "cpu", about this machine. */
EBB_API ebb_status ebb_info(ebb_context *ctx, const char *what, char **json);
/* JSON: each step of the training (or, eval != 0, evaluation) plan with operation, shape, back end,
 * bytes, FLOPs, lifetime; and the totals. */
EBB_API ebb_status ebb_plan_report(ebb_context *ctx, const ebb_recipe *recipe, int eval, char **json);
/* JSON: the bytes that training by the recipe (or, eval != 0, evaluating its network at train.batch) will hold with
 * the context's threads, by use, their sum, and the values that are alive at the step when most is. */
EBB_API ebb_status ebb_memory_report(ebb_context *ctx, const ebb_recipe *recipe, int eval, char **json);

typedef struct ebb_speed_options {
    size_t size;
    int eval;                    /* 0: whole training steps, 1: network evaluations */
    int batch;                   /* 0: the recipe's (sample: its sample.count) */
    const char *precision;       /* of activations: "f32", "bf16", "auto"; NULL: the recipe's */
    double seconds;              /* measure at least this long, 0: 3; at least 5 steps, or one sampling run */
    int sample;                  /* 1: whole sampling runs, by the recipe's sampler with random weights */
    int profile;                 /* 1: also the time of each operation (times every step: a little slower) */
} ebb_speed_options;
/* JSON with images_per_second (median), min, max, steps, batch, threads, ...; profile: {rows: by operation and
 * implementation, ms of one walk of a worker through the plan, share of all workers' time; steps: each step}. */
EBB_API ebb_status ebb_speed(ebb_context *ctx, const ebb_recipe *recipe, const ebb_speed_options *options, char **json);

typedef struct ebb_check_options {
    size_t size;
    const char *cpu;             /* c, avx2, ...; NULL: each instruction set that this machine runs */
    const char *kernel;          /* one of the list of kernels; NULL: all */
    int sample;                  /* every so many cases; 0: every one */
    /* Called now and then from the calling thread with what was done last and which part of the work is done
     * (0 to 1); non-zero stops. */
    int (*progress)(void *user, const char *kernel, double done);
    void *user;
} ebb_check_options;
/* Runs every fast kernel beside the plain specification on this machine and compares the results: bit for bit, or
 * within the bound that the list of kernels derives from the data. options may be NULL. JSON: {cases, compared,
 * failures, stopped, seconds, rows: [{isa, kernel, exact, cases, compared, failures, message?}]}; a difference is
 * no failure of this function, but counted in failures. A kernel that an instruction set takes over from an older
 * one is run once. */
EBB_API ebb_status ebb_check_kernels(ebb_context *ctx, const ebb_check_options *options, char **json);

#ifdef __cplusplus
}
#endif

#endif

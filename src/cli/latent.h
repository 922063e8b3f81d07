/* latent.h: ebb latent: what its four verbs share: what is given, and how codes become pictures.
 */
#ifndef EBB_CLI_LATENT_H
#define EBB_CLI_LATENT_H

#include "cli/cli.h"

enum { LATENT_VALUES_MAX = 64 };

typedef struct latent_given {
    char *out, *class, *labels, *seed, *path, *values, *sampler, *grid, *precision;
    long long n, first;
    int steps, columns, unchecked;
    double guidance, rtol, atol;
} latent_given;
extern latent_given latent;

/* A verb's work: the model is loaded, its shape known, options read but for n and labels. */
typedef struct latent_job {
    ebb_context *ctx;
    ebb_model *model;
    ebb_model_shape shape;
    int64_t numbers;             /* of a picture */
    ebb_latent_options o;
    int label;                   /* --class: of all, EBB_LABEL_NONE, or EBB_LABEL_ALL */
    uint64_t seed;
    const char *const *rest;     /* what stands behind the model */
    json_t *report;              /* what is found; printed at the end */
    const char *doing;           /* for progress */
    double start;                /* of what is being done */
    int64_t pictures;            /* of what is being done */
} latent_job;

typedef struct latent_verb {
    const char *name, *arguments, *help;
    const char *options;         /* that are its own, each with a space behind; "all ": --class all */
    int least, most;             /* arguments behind the model */
    int (*work)(latent_job *job);
} latent_verb;
extern const latent_verb latent_verbs[];         /* ends with a NULL name */

/* The exit code for that status: the context's message, or that it was stopped. */
int latent_fail(const latent_job *job, ebb_status status);
/* Codes (n) to pictures and back with progress; the evaluations go into the report under `key`, if there is one. */
ebb_status latent_decode(latent_job *job, const char *doing, const char *key, int64_t n, const double *codes, float *pixels);
ebb_status latent_encode(latent_job *job, const char *doing, const char *key, int64_t n, const float *pixels, double *codes);
/* -o: a PNG grid, labels of its rows or NULL, or npy f32 (n,H,W,C). */
ebb_status latent_write(latent_job *job, int64_t n, const float *pixels, int columns, const char *const *labels);
/* {rms, most} of a - b. */
json_t *latent_error(const float *a, const float *b, int64_t count);

#endif

/* refs.h: holds ebb against a directory of reference numbers, laid out as tests/refs.
 *
 * One function a file of the directory (sections.def) reads whatever parameters, seeds and counts it finds there; none is
 * known beforehand. Each value that is compared counts; each key of a file must be claimed by its section, so that nothing
 * is passed over in silence.
 */
#ifndef EBB_REFS_H
#define EBB_REFS_H

#include <jansson.h>
#include <stdbool.h>

#include "diffusion/diffusion.h"
#include "diffusion/target.h"

typedef struct refs {
    ebb_context *ctx;
    const char *directory, *file;
    json_t *root;                /* of the file */
    const char *entry;           /* the key, or run, that is being checked: in messages */
    long entries, values;        /* checked so far: entries of files, numbers */
    long failed;
    bool *claimed;               /* keys of root, in order */
    int shown;                   /* messages of this file */
} refs;

/* Marks a key of the root as checked and makes it the present entry; NULL when the file lacks it, which is a failure. */
json_t *refs_claim(refs *r, const char *key);
/* The same for a key that may be absent: no failure. */
json_t *refs_claim_optional(refs *r, const char *key);
/* A key that holds parameters or explanations, nothing to compare. */
void refs_claim_note(refs *r, const char *key);
/* Counts one more entry (a run, a row) under the present name. */
void refs_entry(refs *r, const char *name);
void refs_fail(refs *r, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Members; a missing one is a failure and gives NULL, 0 or an empty text. */
json_t *refs_get(refs *r, const json_t *object, const char *key);
double refs_number(refs *r, const json_t *object, const char *key);
int refs_int(refs *r, const json_t *object, const char *key);
const char *refs_text(refs *r, const json_t *object, const char *key);
double refs_value(const json_t *v);               /* a number, or "inf", "-inf", "nan" */
double refs_at(const json_t *array, size_t i);
/* All numbers of a nested array in order; *count of them. Free with ebb_free. */
double *refs_numbers(refs *r, const json_t *array, size_t *count);

/* |got - want| <= rtol |want| + atol, and NaN only where NaN is wanted. */
void refs_near(refs *r, const char *what, long at, double got, double want, double rtol, double atol);
/* count numbers against a nested array of as many. */
void refs_near_all(refs *r, const char *what, const double *got, size_t count, const json_t *want, double rtol, double atol);

/* ---- what several sections read ---------------------------------------------------------------------------- */
/* {weights, means, covs, labels} */
bool refs_target(refs *r, const json_t *spec, ebb_target *out);
/* {type: vp, beta_min, ...}; end: of ou, 0: the usual. */
bool refs_process(refs *r, const json_t *spec, double end, ebb_process *out);
/* ddpm with linear betas: T and the betas stand in params.json, or are DDPM's. */
bool refs_chain(refs *r, ebb_process *out);

/* ---- parts of files, each in a file of its own ---------------------------------------------------------------- */
/* loss_weights of elbo.json (weights.c), ema and metrics of misc.json (ema.c, metrics.c), the adaptive sampler of inverse_samplers.json
 * (adaptive.c). */
void refs_loss_weights(refs *r, const json_t *object);
void refs_ema(refs *r, const json_t *object);
void refs_metrics(refs *r, const json_t *object);
void refs_adaptive(refs *r, const json_t *run);

#define SECTION(file, function) void function(refs *r);
#define LATER(file, why)
#include "against/sections.def"
#undef SECTION
#undef LATER

#endif

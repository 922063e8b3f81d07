/* diffusers.h: pipelines of diffusers as models: a folder with the configurations and weights of a UNet2DModel and its scheduler.
 *
 * The one idea: everything that a pipeline says becomes keys of a recipe, so that a model of others is like one of ours from
 * then on, and back. What of the network or of the noising ebb cannot do fails when the folder is read; what of the sampler
 * it cannot do is kept as sample.refused.
 */
#ifndef EBB_DIFFUSERS_H
#define EBB_DIFFUSERS_H

#include "model/model.h"

#define EBB_DIFFUSERS_PATH 1024

typedef struct ebb_diffusers {
    ebb_context *ctx;
    const char *folder;
    char net_path[EBB_DIFFUSERS_PATH], scheduler_path[EBB_DIFFUSERS_PATH];   /* of the configurations */
    char weights[EBB_DIFFUSERS_PATH];    /* the folder of the weights, with "/" */
    char pipeline[80], scheduler_class[80];
    json_t *net, *scheduler;             /* configurations, complete by diffusers.def */
    json_t *passed_over;                 /* keys that diffusers does not know either */
    json_t *notes;                       /* what somebody should know about how it was read */
    ebb_safetensors *shard; int shards;
    bool old_names;                      /* attention is named as before diffusers 0.15 */
    ebb_recipe *recipe;
} ebb_diffusers;

/* Whether a folder looks like a pipeline. */
bool ebb_diffusers_is(const char *folder);
/* Reads all: configurations, weights, recipe. Free it also on failure. */
ebb_status ebb_diffusers_read(ebb_context *ctx, const char *folder, ebb_diffusers *out);
void ebb_diffusers_free(ebb_diffusers *d);
/* The model of it. */
ebb_status ebb_diffusers_model(const ebb_diffusers *d, ebb_model **out);
ebb_status ebb_diffusers_load(ebb_context *ctx, const char *folder, ebb_model **out);

/* ---- its parts ------------------------------------------------------------------------------------------------------------ */
/* diffusers_files.c: the files of the folder, nested or flat; weights whole or in shards. */
ebb_status ebb_diffusers_open(ebb_diffusers *d);
/* diffusers_weights.c: every parameter from the shards, by today's or yesterday's name. */
/* The old name of a parameter of attention; false: it has none. */
bool ebb_diffusers_old_name(const char *name, char old[EBB_PARAM_NAME_MAX]);
bool ebb_diffusers_has_old_names(const ebb_diffusers *d);
ebb_status ebb_diffusers_weights(const ebb_diffusers *d, const ebb_params *params, float *block);
/* diffusers_net.c: section net of the recipe, and what of data the network says. */
ebb_status ebb_diffusers_net(ebb_diffusers *d);
/* diffusers_scheduler.c: section process and what of sample the scheduler says. */
ebb_status ebb_diffusers_scheduler(ebb_diffusers *d);

/* ---- reading and setting (diffusers_read.c) ------------------------------------------------------------------------------ */
/* The value of a key that diffusers.def lists, of the kind that is asked for; path: of the file, for the message. */
ebb_status ebb_diffusers_int(const ebb_diffusers *d, const json_t *config, const char *path, const char *key, int64_t *out);
ebb_status ebb_diffusers_real(const ebb_diffusers *d, const json_t *config, const char *path, const char *key, double *out);
ebb_status ebb_diffusers_bool(const ebb_diffusers *d, const json_t *config, const char *path, const char *key, bool *out);
ebb_status ebb_diffusers_text(const ebb_diffusers *d, const json_t *config, const char *path, const char *key, const char **out);
bool ebb_diffusers_null(const json_t *config, const char *key);
/* A key of the recipe. */
ebb_status ebb_diffusers_set(ebb_diffusers *d, const char *key, const char *format, ...) __attribute__((format(printf, 3, 4)));
ebb_status ebb_diffusers_note(ebb_diffusers *d, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif

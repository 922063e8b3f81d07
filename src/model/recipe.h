/* recipe.h: a recipe in memory: one member for each row of recipe.def.
 */
#ifndef EBB_RECIPE_H
#define EBB_RECIPE_H

#include "dataset/dataset.h"
#include "diffusion/diffusion.h"
#include "diffusion/target.h"
#include "format/format.h"

#define EBB_TEXT_MAX 512
#define EBB_INTS_MAX 8

typedef int64_t ebb_key_INT;
typedef double ebb_key_REAL;
typedef bool ebb_key_BOOL;
typedef char ebb_key_TEXT[EBB_TEXT_MAX];
typedef struct ebb_key_INTS { int32_t count; int32_t at[EBB_INTS_MAX]; } ebb_key_INTS;

struct ebb_recipe {
    char directory[EBB_TEXT_MAX];    /* of the file it came from, "" for a built-in one: data may lie there */
#define KEY(section, name, type, initial, min, max, help) ebb_key_##type section##_##name;
#define CHOICE(section, name, initial, choices, help) ebb_key_TEXT section##_##name;
#include "model/recipe.def"
#undef KEY
#undef CHOICE
};

typedef enum ebb_key_type { EBB_KEY_INT, EBB_KEY_REAL, EBB_KEY_BOOL, EBB_KEY_TEXT,
                           EBB_KEY_INTS } ebb_key_type;
typedef struct ebb_key {
    const char *section, *name, *full;    /* full: "section.name" */
    ebb_key_type type;
    size_t offset;                        /* in ebb_recipe */
    const char *initial;                  /* as on a command line */
    double min, max;
    const char *choices;                  /* "a|b", or NULL */
    const char *help;
    bool later;                           /* no part of an identity while at its default */
} ebb_key;
extern const ebb_key ebb_keys[];
extern const int ebb_keys_count;

/* ---- keys (keys.c). `where`: what goes before messages, "" or "file: " ------------------ */
/* The key of that full name; an unknown one is EBB_E_USAGE with the nearest name. */
ebb_status ebb_key_find(ebb_context *ctx, const char *full, const char *where, const ebb_key **out);
/* Value from text ("1,2,2") as JSON; from JSON to the recipe (checked); from the recipe to JSON. */
ebb_status ebb_key_parse(ebb_context *ctx, const ebb_key *key, const char *text, json_t **out);
ebb_status ebb_key_store(ebb_context *ctx, const ebb_key *key, const json_t *value, const char *where,
                         ebb_recipe *recipe);
json_t *ebb_key_json(const ebb_key *key, const ebb_recipe *recipe);

/* ---- recipes (recipe.c) ----------------------------------------------------------------- */
/* Every key at its default. */
ebb_status ebb_recipe_default(ebb_context *ctx, ebb_recipe **out);
/* From the text of a file or of metadata; directory: where its data may lie, or "". */
ebb_status ebb_recipe_parse(ebb_context *ctx, const char *text, const char *where, const char *directory,
                            ebb_recipe **out);
/* The text that names a model kept from before: without the later keys that are at their defaults; ebb_free. */
ebb_status ebb_recipe_identity(ebb_context *ctx, const ebb_recipe *recipe, char **json);
ebb_status ebb_recipe_copy(ebb_context *ctx, const ebb_recipe *recipe, ebb_recipe **out);
int ebb_recipe_height(const ebb_recipe *recipe);     /* 0: not known yet */
int ebb_recipe_width(const ebb_recipe *recipe);

/* ---- what the other layers take (use.c) ------------------------------------------------- */
/* Keys that must fit together: shards, levels, sampler, process. */
ebb_status ebb_recipe_check(ebb_context *ctx, const ebb_recipe *recipe);
/* precision.type=auto becomes what it means on this machine. Done where a run begins; what that run writes says so,
 * and is read, resumed and sampled from as it was trained. */
void ebb_recipe_settle(const ebb_context *ctx, ebb_recipe *recipe);
/* How plans compute, by the section precision (settled). */
ebb_plan_options ebb_recipe_plan(const ebb_recipe *recipe, int workers);
/* The same for plans of training steps, which hold what train.memory says. */
ebb_plan_options ebb_recipe_training_plan(const ebb_recipe *recipe, int workers);
/* The size and channels must be known (see ebb_recipe_complete). */
ebb_status ebb_recipe_network(ebb_context *ctx, const ebb_recipe *recipe, ebb_network *out);
/* What is trained, by the section loss. */
void ebb_recipe_objective(const ebb_recipe *recipe, ebb_objective *out);
ebb_status ebb_recipe_process(ebb_context *ctx, const ebb_recipe *recipe, ebb_process *out);
ebb_status ebb_recipe_dataset(ebb_context *ctx, const ebb_recipe *recipe, ebb_dataset *out);
/* The law of data.kind=target, and points of it as data (laws.c). */
ebb_status ebb_recipe_target(ebb_context *ctx, const ebb_recipe *recipe, ebb_target *out);
ebb_status ebb_recipe_points(ebb_context *ctx, const ebb_recipe *recipe, ebb_dataset *out);
/* Writes the size and channels of the data into a recipe that left them open. */
void ebb_recipe_resolve(ebb_recipe *recipe, const ebb_dataset *data);
/* The same; opens the data itself, and only where the recipe is not complete. */
ebb_status ebb_recipe_complete(ebb_context *ctx, ebb_recipe *recipe);

/* Files that are built into the library, of data/recipes and data/report: made by cmake/embed.cmake; each ends with {NULL, NULL}. */
typedef struct ebb_embedded { const char *name, *text; } ebb_embedded;
extern const ebb_embedded ebb_embedded_recipes[], ebb_embedded_report[];
const ebb_embedded *ebb_recipe_built_in(const char *name);     /* NULL: none of that name */

#endif

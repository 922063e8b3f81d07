/* settings.h: texts that name a thing and say its numbers, "edm:churn=40,s_noise=1.003", read by a table of settings.
 */
#ifndef EBB_SETTINGS_H
#define EBB_SETTINGS_H

#include "graph/graph.h"

#define EBB_PART_MAX 64          /* a name or key with its end */

/* A member, all of them double, of a struct of settings. */
typedef struct ebb_setting {
    const char *name, *help;
    size_t offset;               /* in the struct */
    double initial, min, max;    /* initial NaN: each method has its own */
    bool whole;                  /* whole numbers only */
} ebb_setting;

/* Tables end with a NULL name. */
void ebb_settings_fill(const ebb_setting *table, void *set);
/* Who takes only some of a table, "sampler heun", say: takes is a list of names with commas between. NULL: all. */
typedef struct ebb_taker { const char *what, *name, *takes; } ebb_taker;
/* "key=value,key=value" into the members; rest "" is fine. Unknown keys are EBB_E_USAGE with the nearest, values outside
 * min..max EBB_E_ARGUMENT. */
ebb_status ebb_settings_read(ebb_context *ctx, const ebb_setting *table, const ebb_taker *taker, const char *rest, void *set);
/* One of them. */
ebb_status ebb_setting_store(ebb_context *ctx, const ebb_setting *table, const ebb_taker *taker, const char *key, double value,
                             void *set);
bool ebb_taker_has(const ebb_taker *taker, const char *key);

/* ---- parts of such texts ------------------------------------------------------------------------------------------------ */
/* "head:rest" into the name of a `what` and what is behind the colon ("" when there is none). */
ebb_status ebb_part_head(ebb_context *ctx, const char *text, const char *what, char head[EBB_PART_MAX], const char **rest);
/* Takes one "key=value" from *rest. */
ebb_status ebb_part_number(ebb_context *ctx, const char **rest, char key[EBB_PART_MAX], double *value);
/* EBB_E_USAGE "sampler heun takes no 'key'; did you mean ...; it takes ...". names: those of its list. */
ebb_status ebb_part_untaken(ebb_context *ctx, const ebb_taker *taker, const char *key, const char *const *names, int count);
/* EBB_E_USAGE "unknown what 'name'; did you mean ..." */
ebb_status ebb_part_unknown(ebb_context *ctx, const char *what, const char *name, const char *const *names, int count);

#endif

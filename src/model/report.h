/* report.h: small things that several reports say.
 */
#ifndef EBB_REPORT_H
#define EBB_REPORT_H

#include "model/recipe.h"

const char *ebb_backend_choice_name(const ebb_context *ctx);    /* auto, own, onednn */
/* JSON to the caller's text; takes the reference, NULL is EBB_E_MEMORY. */
ebb_status ebb_report_text(ebb_context *ctx, json_t *json, char **text);
/* null where it is not finite. */
json_t *ebb_report_number(double value);
/* How n pictures are evaluated by threads: shards of `shard` pictures (at most `most`), handed out to workers, each of
 * which leads a team of so many threads. A matter of time alone, never of bits. */
typedef struct ebb_eval_way { int64_t shard, shards; int workers, team; } ebb_eval_way;
ebb_eval_way ebb_eval_choose(int64_t n, int64_t most, int threads);

#endif

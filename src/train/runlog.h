/* runlog.h: log.jsonl, one line for each log interval.
 */
#ifndef EBB_RUNLOG_H
#define EBB_RUNLOG_H

#include "format/format.h"

typedef struct ebb_log_line {
    int64_t step;
    double loss, loss_mean, gradient_norm, lr, images_per_second, seconds;
    double accuracy;             /* of a classifier; NaN: none */
} ebb_log_line;
ebb_status ebb_runlog_append(ebb_context *ctx, const char *path, const ebb_log_line *line);
/* Drops what comes after `step` (a run that was cut had logged steps its checkpoint does not know) and
 * broken lines; atomic. *seconds: of the last line that stays, or 0. A missing log is fine. */
ebb_status ebb_runlog_trim(ebb_context *ctx, const char *path, int64_t step, double *seconds);

#endif

/* restoring.h: a job of restoration: what is asked, the measurement, what was found for each picture, and its report.
 */
#ifndef EBB_RESTORING_H
#define EBB_RESTORING_H

#include "diffusion/restore.h"
#include "model/model.h"
#include "model/report.h"

#define EBB_COPIES_MAX 4096      /* of a picture */
#define EBB_RESTORED_MAX (1 << 20)   /* numbers of pictures, so that (picture, copy) counts samples in 32 bits */

typedef struct ebb_restoring {
    ebb_context *ctx;
    ebb_restore_options o;       /* filled in */
    const ebb_model *model;
    ebb_shape shape;             /* (1, height, width, channels) */
    int64_t numbers, n;          /* of a picture; pictures */
    ebb_operator_kind task;
    ebb_operator op;
    const ebb_restorer *method;
    ebb_restore_settings set;
    ebb_grid grid;
    ebb_eval_way way;            /* over n * copies rows */
    double *y;                   /* (n, rows) */
    const float *pictures;       /* the caller's: truths, or measurements */
    float *measured, *restored;  /* the caller's */
} ebb_restoring;

/* Checks the options, fills in what is left open, and makes operator and levels. model and ctx are set. */
ebb_status ebb_restoring_settle(ebb_restoring *r, const ebb_restore_options *options);
void ebb_restoring_free(ebb_restoring *r);
/* y of each picture, with its noise, and how it looks. */
ebb_status ebb_restoring_measure(ebb_restoring *r);
ebb_status ebb_restoring_report(const ebb_restoring *r, int64_t evaluations, char **json);

#endif

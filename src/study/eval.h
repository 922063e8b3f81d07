/* eval.h: a job of judging a model or pictures: what is asked, what was judged, what was found, and its report.
 */
#ifndef EBB_STUDY_EVAL_H
#define EBB_STUDY_EVAL_H

#include "study/quality.h"

typedef struct ebb_eval_job {
    ebb_context *ctx;
    ebb_eval_options o;          /* filled in */
    ebb_sample_options sample;   /* of a model's pictures */
    ebb_model *model;            /* or NULL: `pictures` */
    const char *pictures;        /* path */
    ebb_recipe *recipe;          /* of the data, complete */
    ebb_quality *quality;
    uint8_t *bytes;              /* (n, numbers) */
    int64_t n, numbers;
    int shape[3];                /* height, width, channels */
    int32_t *label;              /* (n) that were asked for; NULL: none, or one for all */
    int64_t evaluations;         /* of the networks, for a sample */
    ebb_measure found[EBB_METRICS];
    json_t *likelihood;          /* ebb_nll's report, or NULL */
} ebb_eval_job;

/* What is being done, how much of it; EBB_OK, or stopped. */
ebb_status ebb_eval_progress(const ebb_eval_job *j, const char *doing, int64_t done, int64_t total);

/* ---- pictures (eval_pictures.c) ------------------------------------------------------------------------------------------------- */
/* Of a model: drawn, classes by the shares of the data; or of a file. Into bytes, n, label, evaluations. */
ebb_status ebb_eval_draw(ebb_eval_job *j);
ebb_status ebb_eval_read(ebb_eval_job *j);

/* ---- report (eval_report.c) ----------------------------------------------------------------------------------------------------- */
json_t *ebb_eval_report(const ebb_eval_job *j);
/* results.json, samples.npy of a model, samples.png and metrics.png into o.out. */
ebb_status ebb_eval_write(const ebb_eval_job *j, const json_t *report);
/* Each metric as a bar with its interval, beside its floor. */
ebb_status ebb_eval_chart(const ebb_eval_job *j, const char *path);

#endif

/* guides.h: the networks that one sampling job asks, and the field that they make for each worker.
 */
#ifndef EBB_GUIDES_H
#define EBB_GUIDES_H

#include "sample/classifier.h"
#include "sample/field.h"
#include "sample/guided.h"
#include "sample/sample_job.h"

typedef struct ebb_guides {
    const ebb_sample_job *job;
    ebb_eval_way way;
    ebb_plan *plan;              /* of the model; the others or NULL */
    ebb_plan *guide, *classifier;
} ebb_guides;
ebb_status ebb_guides_create(const ebb_sample_job *job, ebb_eval_way way, ebb_guides *out);
/* Before runs. */
void ebb_guides_prepare(ebb_guides *g);
ebb_status ebb_guides_check(const ebb_guides *g);
void ebb_guides_free(ebb_guides *g);

/* One worker's samples (rows) and its field over the networks, which points here: it must not move. */
typedef struct ebb_guides_rows {
    const ebb_guides *guides;
    int64_t n, numbers;
    int64_t *sample;             /* (n) first + i of each row */
    int32_t *label;              /* (n) class, or the number of classes for none */
    ebb_model_field main, other;
    ebb_classifier classifier;
    ebb_guided guided;
    ebb_field field;
} ebb_guides_rows;
/* Doubles and 64-bit words for one worker. */
size_t ebb_guides_doubles(const ebb_guides *g);
size_t ebb_guides_words(const ebb_guides *g);
void ebb_guides_bind(const ebb_guides *g, int worker, double *doubles, int64_t *words, ebb_guides_rows *out);

#endif

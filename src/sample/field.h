/* field.h: a model as a field: what samplers and likelihoods ask of it, answered by its plan.
 */
#ifndef EBB_TRAIN_FIELD_H
#define EBB_TRAIN_FIELD_H

#include "model/model.h"
#include "model/report.h"

#define EBB_FIELD_ROWS 8         /* samples that one walk of a worker through the plan takes at most */

/* The field over one worker's plan, ebb_eval_plan at n rows. Whoever runs it keeps it and what it points to alive. */
typedef struct ebb_model_field {
    const ebb_model *model;
    ebb_plan *plan;
    int worker;
    int64_t n, numbers;          /* rows, numbers of each */
    const int32_t *label;        /* (n) class of each row, or the number of classes for none; NULL: none for all. Guidance is guided.h's */
    /* With ebb_divergence_plan: directions (probes,n,numbers) whose v.Jv are averaged (Hutchinson 1990);
     * probes 0: exactly, by one direction for each number, and so many evaluations. */
    const float *probe;
    int probes;
    bool diverges;               /* the plan is of that kind */
    double *variance;            /* (n,numbers): what the network said of it last; NULL: it has learned none */
    ebb_plan *pull;              /* ebb_pullback_plan at as many rows and workers: then the field has a pullback; NULL: none */
} ebb_model_field;
ebb_field ebb_field_of_model(ebb_model_field *f);

/* How n samples are shared out between shards, workers and their teams. oneDNN chooses kernels by shape: with it shards
 * are always of one size, the last one padded. */
ebb_eval_way ebb_field_way(const ebb_context *ctx, int64_t n);

#endif

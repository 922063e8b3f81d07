/* classifier.h: a classifier as what it says of noisy samples: the gradient of log p(class | x_t), and its logits.
 */
#ifndef EBB_CLASSIFIER_H
#define EBB_CLASSIFIER_H

#include "sample/guided.h"
#include "model/model.h"

/* Over one worker's plan, ebb_class_plan at n rows. */
typedef struct ebb_classifier {
    const ebb_model *model;
    ebb_plan *plan;
    int worker;
    int64_t n, numbers;          /* rows, numbers of each */
    const int32_t *label;        /* (n) */
} ebb_classifier;
/* The lead of a guided field. */
ebb_lead ebb_lead_of_classifier(ebb_classifier *c, double scale);

/* x_t (n,numbers) at its levels into inputs x and t of any plan of the classifier's. */
void ebb_classifier_fill(const ebb_model *model, ebb_plan *plan, int worker, int64_t n, int64_t numbers, const double *x,
                         const ebb_level *at);

#endif

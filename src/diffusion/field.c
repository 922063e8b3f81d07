/* field.c: from what a field gives to the score.
 */
#include "diffusion/field.h"

void ebb_field_score(const ebb_field *f, const double *x, const ebb_level *at, double *score)
{
    if (f->score != NULL) {
        f->score(f->self, x, at, score);
        return;
    }
    f->predict(f->self, x, at, score, NULL);
    for (int64_t i = 0; i < f->n; i++)
        for (int64_t d = 0; d < f->count; d++)
            score[i * f->count + d] /= -at[i].sigma;
}

int ebb_field_evaluations(const ebb_field *f)
{
    return f->evaluations != NULL ? f->evaluations(f->self) : 1;
}

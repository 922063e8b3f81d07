/* guide.h: a classifier's part in a step of a sampler.
 */
#ifndef EBB_GUIDE_H
#define EBB_GUIDE_H

#include <stdbool.h>
#include <stdint.h>

typedef enum ebb_guide_form {
#define GUIDE_FORM(id, name, help) EBB_GUIDE_##id,
#include "diffusion/guide_forms.def"
#undef GUIDE_FORM
    EBB_GUIDE_FORMS
} ebb_guide_form;
const char *ebb_guide_form_name(ebb_guide_form form);
const char *ebb_guide_form_help(ebb_guide_form form);
ebb_guide_form ebb_guide_form_find(const char *name);      /* EBB_GUIDE_FORMS: unknown; NULL: epsilon */

/* With gradient = grad log p(class | x) of count numbers each, and a step x' ~ N(mean, variance):
 *   guided = mean + scale variance gradient      (Dhariwal & Nichol 2021, algorithm 1)
 * literal: scale sqrt(variance) gradient, as a lecture prints it: a slip, since completing the square in
 * -(x'-mean)^2/(2 variance) + gradient x' moves the mean by variance gradient. guided may be mean. */
void ebb_guide_mean(int64_t count, const double *mean, double variance, const double *gradient, double scale,
                    bool literal, double *guided);
/* The same for samplers that go by noise: guided = eps - scale sigma gradient (their algorithm 2). guided may be eps. */
void ebb_guide_noise(int64_t count, const double *eps, double sigma, const double *gradient, double scale, double *guided);

#endif

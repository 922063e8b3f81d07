/* guide.c: how the gradient of a classifier moves the mean of a step, or the noise that is predicted (Dhariwal & Nichol 2021).
 *
 * log p(x'|x, class) = log N(x'; mean, variance) + log p(class|x') + const; with the second linear about the mean the sum is
 * a normal law again, of mean + variance gradient. In scores: score + gradient, and eps = -sigma score.
 */
#include "diffusion/guide.h"

#include <math.h>
#include <string.h>

static const struct { const char *name, *help; } forms[] = {
#define GUIDE_FORM(id, name, help) {name, help},
#include "diffusion/guide_forms.def"
#undef GUIDE_FORM
};

const char *ebb_guide_form_name(ebb_guide_form form)
{
    return form < EBB_GUIDE_FORMS ? forms[form].name : NULL;
}

const char *ebb_guide_form_help(ebb_guide_form form)
{
    return form < EBB_GUIDE_FORMS ? forms[form].help : NULL;
}

ebb_guide_form ebb_guide_form_find(const char *name)
{
    ebb_guide_form form = EBB_GUIDE_EPSILON;
    while (name != NULL && form < EBB_GUIDE_FORMS && strcmp(forms[form].name, name) != 0)
        form++;
    return form;
}

void ebb_guide_mean(int64_t count, const double *mean, double variance, const double *gradient, double scale,
                    bool literal, double *guided)
{
    double by = scale * (literal ? sqrt(variance) : variance);
    for (int64_t i = 0; i < count; i++)
        guided[i] = mean[i] + by * gradient[i];
}

void ebb_guide_noise(int64_t count, const double *eps, double sigma, const double *gradient, double scale, double *guided)
{
    for (int64_t i = 0; i < count; i++)
        guided[i] = eps[i] - scale * sigma * gradient[i];
}

/* guidance.c: the list of conventions and the one formula behind them (Ho & Salimans 2022, eq. 6).
 */
#include "diffusion/guidance.h"

#include <string.h>

static const struct { const char *name, *help; double scale, offset; } conventions[] = {
#define GUIDANCE(id, name, scale, offset, help) {name, help, scale, offset},
#include "diffusion/guidance.def"
#undef GUIDANCE
};

const char *ebb_guidance_name(ebb_guidance kind)
{
    return kind < EBB_GUIDANCES ? conventions[kind].name : NULL;
}

const char *ebb_guidance_help(ebb_guidance kind)
{
    return kind < EBB_GUIDANCES ? conventions[kind].help : NULL;
}

ebb_guidance ebb_guidance_find(const char *name)
{
    ebb_guidance kind = 0;
    while (kind < EBB_GUIDANCES && strcmp(conventions[kind].name, name) != 0)
        kind++;
    return kind;
}

double ebb_guidance_w(ebb_guidance kind, double value)
{
    return conventions[kind].scale * value + conventions[kind].offset;
}

double ebb_guidance_value(ebb_guidance kind, double w)
{
    return (w - conventions[kind].offset) / conventions[kind].scale;
}

void ebb_guidance_mix(int64_t count, const double *conditional, const double *unconditional, double w, double *guided)
{
    for (int64_t i = 0; i < count; i++)
        guided[i] = (1 + w) * conditional[i] - w * unconditional[i];
}

/* guidance.c: the list of conventions and the one formula behind them (Ho & Salimans 2022, eq. 6).
 */
#include "diffusion/guidance.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "graph/graph.h"

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

/* ---- "1.5", "scale:2.5" ------------------------------------------------------------------------------------- */

static ebb_status unknown(ebb_context *ctx, const char *name)
{
    const char *names[EBB_GUIDANCES];
    char near[80], all[200] = "";
    for (ebb_guidance kind = 0; kind < EBB_GUIDANCES; kind++) {
        names[kind] = conventions[kind].name;
        snprintf(all + strlen(all), sizeof all - strlen(all), "%s%s", kind > 0 ? ", " : "", names[kind]);
    }
    return ebb_fail(ctx, EBB_E_USAGE, "guidance: nothing is called '%s': a number alone, or before it one of %s%s", name, all,
                    ebb_suggest(name, names, EBB_GUIDANCES, near, sizeof near));
}

ebb_status ebb_guidance_parse(ebb_context *ctx, const char *text, double *w)
{
    char name[40] = "w", *end;
    size_t n = strcspn(text, ":");
    const char *number = text[n] == ':' ? text + n + 1 : text;
    if (number != text)
        snprintf(name, sizeof name, "%.*s", (int)(n < sizeof name - 1 ? n : sizeof name - 1), text);
    ebb_guidance kind = ebb_guidance_find(name);
    if (kind == EBB_GUIDANCES)
        return unknown(ctx, name);
    double value = strtod(number, &end);
    if (end == number || *end != 0 || !isfinite(value))
        return ebb_fail(ctx, EBB_E_USAGE, "guidance '%.60s': a finite number is needed, as 1.5 or scale:2.5", text);
    *w = ebb_guidance_w(kind, value);
    return EBB_OK;
}

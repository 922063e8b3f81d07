/* settings.c: "name:key=value,..." cut into its parts, and numbers put where a table of settings says.
 */
#include "diffusion/settings.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define KEYS_MAX 64

ebb_status ebb_part_head(ebb_context *ctx, const char *text, const char *what, char head[EBB_PART_MAX], const char **rest)
{
    size_t n = strcspn(text, ":");
    if (n >= EBB_PART_MAX)
        return ebb_fail(ctx, EBB_E_USAGE, "'%.80s...' is no name of a %s", text, what);
    memcpy(head, text, n);
    head[n] = 0;
    *rest = text[n] == ':' ? text + n + 1 : text + n;
    return EBB_OK;
}

ebb_status ebb_part_number(ebb_context *ctx, const char **rest, char key[EBB_PART_MAX], double *value)
{
    size_t n = strcspn(*rest, "=,");
    char *end;
    if (n == 0 || n >= EBB_PART_MAX || (*rest)[n] != '=')
        return ebb_fail(ctx, EBB_E_USAGE, "'%.60s' is not of the form key=number, as in edm:churn=40,s_noise=1.003", *rest);
    memcpy(key, *rest, n);
    key[n] = 0;
    *value = strtod(*rest + n + 1, &end);
    if (end == *rest + n + 1 || (*end != 0 && *end != ',') || isnan(*value))
        return ebb_fail(ctx, EBB_E_ARGUMENT, "%s: a number is needed after the equals sign, not '%.40s'", key, *rest + n + 1);
    *rest = *end == ',' ? end + 1 : end;
    return EBB_OK;
}

ebb_status ebb_part_unknown(ebb_context *ctx, const char *what, const char *name, const char *const *names, int count)
{
    char near[128];
    return ebb_fail(ctx, EBB_E_USAGE, "unknown %s '%s'%s", what, name, ebb_suggest(name, names, count, near, sizeof near));
}

static double *member(void *set, const ebb_setting *s)
{
    return (double *)(void *)((char *)set + s->offset);
}

void ebb_settings_fill(const ebb_setting *table, void *set)
{
    for (const ebb_setting *s = table; s->name != NULL; s++)
        *member(set, s) = s->initial;
}

bool ebb_taker_has(const ebb_taker *taker, const char *key)
{
    size_t n = strlen(key);
    for (const char *at = taker->takes; *at != 0; at += strcspn(at, ","), at += *at == ',')
        if (strcspn(at, ",") == n && strncmp(at, key, n) == 0)
            return true;
    return false;
}

ebb_status ebb_part_untaken(ebb_context *ctx, const ebb_taker *taker, const char *key, const char *const *names, int count)
{
    char near[128];
    return ebb_fail(ctx, EBB_E_USAGE, "%s %s takes no '%s'%s; it takes %s", taker->what, taker->name, key,
                    ebb_suggest(key, names, count, near, sizeof near), *taker->takes != 0 ? taker->takes : "none");
}

static ebb_status check_value(ebb_context *ctx, const ebb_setting *s, double value)
{
    if (!(value >= s->min && value <= s->max))
        return ebb_fail(ctx, EBB_E_ARGUMENT, "%s=%g is outside %g..%g (%s)", s->name, value, s->min, s->max, s->help);
    if (s->whole && value != floor(value))
        return ebb_fail(ctx, EBB_E_ARGUMENT, "%s=%g: a whole number is needed (%s)", s->name, value, s->help);
    return EBB_OK;
}

ebb_status ebb_setting_store(ebb_context *ctx, const ebb_setting *table, const ebb_taker *taker, const char *key, double value,
                             void *set)
{
    const char *names[KEYS_MAX];
    int count = 0;
    for (const ebb_setting *s = table; s->name != NULL && count < KEYS_MAX; s++) {
        if (taker != NULL && !ebb_taker_has(taker, s->name))
            continue;
        names[count++] = s->name;
        if (strcmp(s->name, key) != 0)
            continue;
        EBB_TRY(check_value(ctx, s, value));
        *member(set, s) = value;
        return EBB_OK;
    }
    return taker != NULL ? ebb_part_untaken(ctx, taker, key, names, count) : ebb_part_unknown(ctx, "setting", key, names, count);
}

ebb_status ebb_settings_read(ebb_context *ctx, const ebb_setting *table, const ebb_taker *taker, const char *rest, void *set)
{
    char key[EBB_PART_MAX];
    double value = 0;
    while (*rest != 0) {
        EBB_TRY(ebb_part_number(ctx, &rest, key, &value));
        EBB_TRY(ebb_setting_store(ctx, table, taker, key, value, set));
    }
    return EBB_OK;
}

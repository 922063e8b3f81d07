/* diffusers_read.c: members of a pipeline's configurations, by kind, and keys of the recipe that they become (diffusers.h).
 */
#include <stdarg.h>
#include <stdio.h>

#include "model/diffusers.h"

static ebb_status wrong(const ebb_diffusers *d, const char *path, const char *key, const char *wanted)
{
    return ebb_fail(d->ctx, EBB_E_FORMAT, "%s: key '%s': expected %s", path, key, wanted);
}

/* 2.0 counts as a whole number: some were written so. */
ebb_status ebb_diffusers_int(const ebb_diffusers *d, const json_t *config, const char *path, const char *key, int64_t *out)
{
    const json_t *value = json_object_get(config, key);
    double number = json_number_value(value);
    if (!json_is_number(value) || number != (double)(int64_t)number || number < -1e9 || number > 1e9)
        return wrong(d, path, key, "a whole number");
    *out = (int64_t)number;
    return EBB_OK;
}

ebb_status ebb_diffusers_real(const ebb_diffusers *d, const json_t *config, const char *path, const char *key, double *out)
{
    const json_t *value = json_object_get(config, key);
    if (!json_is_number(value))
        return wrong(d, path, key, "a number");
    *out = json_number_value(value);
    return EBB_OK;
}

ebb_status ebb_diffusers_bool(const ebb_diffusers *d, const json_t *config, const char *path, const char *key, bool *out)
{
    const json_t *value = json_object_get(config, key);
    if (!json_is_boolean(value) && !json_is_null(value))
        return wrong(d, path, key, "true or false");
    *out = json_is_true(value);
    return EBB_OK;
}

ebb_status ebb_diffusers_text(const ebb_diffusers *d, const json_t *config, const char *path, const char *key, const char **out)
{
    *out = json_string_value(json_object_get(config, key));
    return *out != NULL ? EBB_OK : wrong(d, path, key, "a text");
}

bool ebb_diffusers_null(const json_t *config, const char *key)
{
    const json_t *value = json_object_get(config, key);
    return value == NULL || json_is_null(value);
}

ebb_status ebb_diffusers_set(ebb_diffusers *d, const char *key, const char *format, ...)
{
    char value[EBB_TEXT_MAX], text[EBB_TEXT_MAX + 80];
    va_list list;
    va_start(list, format);
    vsnprintf(value, sizeof value, format, list);
    va_end(list);
    snprintf(text, sizeof text, "%s=%s", key, value);
    ebb_status status = ebb_recipe_set(d->ctx, d->recipe, text);
    return status == EBB_OK ? EBB_OK : ebb_fail_prefix(d->ctx, "%s, as a recipe", d->folder);
}

ebb_status ebb_diffusers_note(ebb_diffusers *d, const char *format, ...)
{
    char text[400];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    return json_array_append_new(d->notes, json_string(text)) == 0 ? EBB_OK : ebb_fail(d->ctx, EBB_E_MEMORY, "no memory for a note");
}

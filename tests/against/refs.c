/* refs.c: reading references and comparing with them.
 */
#include "against/refs.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define SHOWN_MAX 12             /* messages of a file; the rest is only counted */

void refs_fail(refs *r, const char *format, ...)
{
    va_list list;
    r->failed++;
    if (r->shown++ >= SHOWN_MAX)
        return;
    printf("  %s, %s: ", r->file, r->entry);
    va_start(list, format);
    vprintf(format, list);
    va_end(list);
    printf("\n");
}

static json_t *claim(refs *r, const char *key)
{
    const char *name;
    json_t *value;
    int i = 0;
    json_object_foreach (r->root, name, value) {
        if (strcmp(name, key) == 0) {
            r->claimed[i] = true;
            return value;
        }
        i++;
    }
    return NULL;
}

json_t *refs_claim_optional(refs *r, const char *key)
{
    json_t *value = claim(r, key);
    if (value != NULL)
        refs_entry(r, key);
    return value;
}

json_t *refs_claim(refs *r, const char *key)
{
    json_t *value = refs_claim_optional(r, key);
    if (value == NULL) {
        r->entry = key;
        refs_fail(r, "missing");
    }
    return value;
}

void refs_claim_note(refs *r, const char *key)
{
    claim(r, key);
}

void refs_entry(refs *r, const char *name)
{
    r->entry = name;
    r->entries++;
}

json_t *refs_get(refs *r, const json_t *object, const char *key)
{
    json_t *value = json_object_get(object, key);
    if (value == NULL)
        refs_fail(r, "has no \"%s\"", key);
    return value;
}

double refs_value(const json_t *v)
{
    const char *text = json_string_value(v);
    if (text == NULL)
        return json_is_boolean(v) ? json_is_true(v) : json_number_value(v);
    return strcmp(text, "inf") == 0 ? INFINITY : strcmp(text, "-inf") == 0 ? -INFINITY : NAN;
}

double refs_number(refs *r, const json_t *object, const char *key)
{
    return refs_value(refs_get(r, object, key));
}

int refs_int(refs *r, const json_t *object, const char *key)
{
    return (int)refs_number(r, object, key);
}

const char *refs_text(refs *r, const json_t *object, const char *key)
{
    const char *text = json_string_value(refs_get(r, object, key));
    return text != NULL ? text : "";
}

double refs_at(const json_t *array, size_t i)
{
    return refs_value(json_array_get(array, i));
}

static size_t count_numbers(const json_t *array)
{
    size_t n = 0;
    if (!json_is_array(array))
        return 1;
    for (size_t i = 0; i < json_array_size(array); i++)
        n += count_numbers(json_array_get(array, i));
    return n;
}

static double *copy_numbers(const json_t *array, double *to)
{
    if (!json_is_array(array)) {
        *to = refs_value(array);
        return to + 1;
    }
    for (size_t i = 0; i < json_array_size(array); i++)
        to = copy_numbers(json_array_get(array, i), to);
    return to;
}

double *refs_numbers(refs *r, const json_t *array, size_t *count)
{
    void *data;
    *count = array != NULL ? count_numbers(array) : 0;
    if (ebb_alloc(r->ctx, &data, *count + 1, sizeof(double), "reference numbers") != EBB_OK)
        return NULL;
    if (array != NULL)
        copy_numbers(array, data);
    return data;
}

void refs_near(refs *r, const char *what, long at, double got, double want, double rtol, double atol)
{
    r->values++;
    if (got == want || (isnan(got) && isnan(want)))
        return;
    if (!(fabs(got - want) <= rtol * fabs(want) + atol))
        refs_fail(r, "%s[%ld]: %.17g, but the reference has %.17g (difference %.2g, allowed %.2g)", what, at, got, want,
                  fabs(got - want), rtol * fabs(want) + atol);
}

void refs_near_all(refs *r, const char *what, const double *got, size_t count, const json_t *want, double rtol, double atol)
{
    size_t have;
    double *numbers = refs_numbers(r, want, &have);
    if (have != count)
        refs_fail(r, "%s: %zu numbers, but the reference has %zu", what, count, have);
    for (size_t i = 0; i < count && i < have; i++)
        refs_near(r, what, (long)i, got[i], numbers[i], rtol, atol);
    ebb_free(numbers);
}

/* ---- what several sections read ---------------------------------------------------------------------------- */

bool refs_target(refs *r, const json_t *spec, ebb_target *out)
{
    size_t parts, means, covs, labels;
    double *weight = refs_numbers(r, refs_get(r, spec, "weights"), &parts);
    double *mean = refs_numbers(r, refs_get(r, spec, "means"), &means);
    double *cov = refs_numbers(r, refs_get(r, spec, "covs"), &covs);
    double *label = refs_numbers(r, json_object_get(spec, "labels"), &labels);
    int32_t classes[256];
    for (size_t i = 0; i < labels && i < 256; i++)
        classes[i] = (int32_t)label[i];
    bool fits = parts > 0 && parts <= 256 && means % parts == 0 && covs == means * (means / parts);
    if (!fits || ebb_target_create(r->ctx, (int)parts, (int)(means / parts), weight, mean, cov,
                                   labels == parts ? classes : NULL, out) != EBB_OK) {
        refs_fail(r, "its mixture cannot be read: %s", ebb_message(r->ctx));
        fits = false;
    }
    ebb_free(weight);
    ebb_free(mean);
    ebb_free(cov);
    ebb_free(label);
    return fits;
}

bool refs_process(refs *r, const json_t *spec, double end, ebb_process *out)
{
    const char *type = refs_text(r, spec, "type");
    const char *name = strcmp(type, "subvp") == 0 ? "sub-vp" : type;
    ebb_process wanted = {.kind = ebb_process_find(name),
                          .beta_min = json_number_value(json_object_get(spec, "beta_min")),
                          .beta_max = json_number_value(json_object_get(spec, "beta_max")),
                          .sigma_min = json_number_value(json_object_get(spec, "sigma_min")),
                          .sigma_max = json_number_value(json_object_get(spec, "sigma_max")),
                          .end = end};
    if (ebb_process_create(r->ctx, &wanted, out) == EBB_OK)
        return true;
    refs_fail(r, "process %s: %s", type, ebb_message(r->ctx));
    return false;
}

bool refs_chain(refs *r, ebb_process *out)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/params.json", r->directory);
    json_t *params = json_load_file(path, 0, NULL), *beta = json_object_get(params, "beta");
    int steps = json_object_get(params, "T") != NULL ? refs_int(r, params, "T") : 1000;
    ebb_process wanted = {.kind = EBB_PROCESS_DDPM};
    bool made = ebb_schedule_create(r->ctx, EBB_SCHEDULE_LINEAR, steps, beta != NULL ? refs_at(beta, 0) : 1e-4,
                                    beta != NULL ? refs_at(beta, 1) : 0.02, &wanted.chain) == EBB_OK
                && ebb_process_create(r->ctx, &wanted, out) == EBB_OK;
    if (!made)
        refs_fail(r, "%s", ebb_message(r->ctx));
    json_decref(params);
    return made;
}

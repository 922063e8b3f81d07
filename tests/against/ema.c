/* ema.c: averages of a sequence of weights by each rule, and factors of snapshots.
 */
#include <math.h>
#include <string.h>

#include "against/refs.h"
#include "train/ema.h"

#define CLOSED 1e-10

/* The sequence theta starts as its own average; element k is the average's update k + first. */
static void sequence(refs *r, const char *name, const json_t *theta, const json_t *want, ebb_ema e, int first)
{
    double mean = refs_at(theta, 0);
    refs_entry(r, name);
    for (size_t k = 0; k < json_array_size(theta); k++) {
        double keep = k > 0 ? ebb_ema_keep(&e, (double)k + first) : 1;
        mean = keep * mean + (1 - keep) * refs_at(theta, k);
        refs_near(r, name, (long)k, mean, refs_at(want, k), CLOSED, CLOSED);
    }
    if (json_array_size(theta) != json_array_size(want))
        refs_fail(r, "%s: %zu averages of %zu values", name, json_array_size(want), json_array_size(theta));
}

/* "plain_0p9" -> 0.9 */
static double number_in(const char *name)
{
    const char *digits = strrchr(name, '_');
    double value = 0, unit = 1;
    for (digits = digits ? digits + 1 : name; *digits != 0; digits++) {
        if (*digits == 'p')
            unit = 1;
        else if (unit < 1 || strchr(digits, 'p') == NULL)
            value += (unit /= 10) * (*digits - '0');
        else
            value = 10 * value + (*digits - '0');
    }
    return value;
}

static void half_lives(refs *r, const json_t *spec)
{
    const json_t *row, *rows = refs_get(r, spec, "betas");
    double batch = refs_number(r, spec, "batch");
    ebb_ema e = {.kind = EBB_EMA_HALF_LIFE, .batch = batch, .half_life = 1000 * refs_number(r, spec, "halflife_kimg"),
                 .ramp = refs_number(r, spec, "rampup")};
    size_t i;
    refs_entry(r, "edm_halflife");
    json_array_foreach(rows, i, row)
        refs_near(r, "edm_halflife", (long)i, ebb_ema_keep(&e, refs_number(r, row, "nimg") / batch),
                  refs_number(r, row, "beta"), CLOSED, 0);
}

static void powers(refs *r, const json_t *theta, const json_t *rows)
{
    const json_t *row;
    size_t i;
    json_array_foreach(rows, i, row) {
        double width = refs_number(r, row, "sigma_rel"), gamma = ebb_ema_gamma(width);
        refs_near(r, "gamma", (long)i, gamma, refs_number(r, row, "gamma"), CLOSED, 0);
        refs_near(r, "width", (long)i, ebb_ema_width(gamma), refs_number(r, row, "back"), CLOSED, 0);
        sequence(r, "power_function", theta, refs_get(r, row, "ema"), (ebb_ema){.kind = EBB_EMA_POWER, .width = width}, 1);
    }
}

static void after(refs *r, const json_t *spec)
{
    size_t n, m;
    double *time = refs_numbers(r, refs_get(r, spec, "in_ofs"), &n), *gamma = refs_numbers(r, refs_get(r, spec, "in_std"), &m);
    double *factor = refs_numbers(r, refs_get(r, spec, "coef"), &m);
    refs_entry(r, "posthoc");
    for (size_t i = 0; i < n; i++)
        gamma[i] = ebb_ema_gamma(gamma[i]);
    if (ebb_ema_combine(r->ctx, (int)n, time, gamma, refs_number(r, spec, "out_ofs"),
                        ebb_ema_gamma(refs_number(r, spec, "out_std")), factor) != EBB_OK)
        refs_fail(r, "%s", ebb_message(r->ctx));
    refs_near_all(r, "posthoc", factor, n, refs_get(r, spec, "coef"), CLOSED, CLOSED);
    ebb_free(time);
    ebb_free(gamma);
    ebb_free(factor);
}

void refs_ema(refs *r, const json_t *object)
{
    const json_t *theta = refs_get(r, object, "theta"), *value;
    const char *key;
    json_object_foreach((json_t *)object, key, value) {
        if (strncmp(key, "plain_", 6) == 0)
            sequence(r, key, theta, value, (ebb_ema){.kind = EBB_EMA_CONSTANT, .keep = number_in(key)}, 0);
        else if (strncmp(key, "score_sde_warmup_", 17) == 0)
            sequence(r, key, theta, value, (ebb_ema){.kind = EBB_EMA_WARM_UP, .keep = number_in(key)}, 0);
        else if (strcmp(key, "diffusers_power_2_3") == 0)
            sequence(r, key, theta, value, (ebb_ema){.kind = EBB_EMA_INVERSE, .keep = 0.9999, .power = 2.0 / 3}, 0);
        else if (strcmp(key, "edm_halflife") == 0)
            half_lives(r, value);
        else if (strcmp(key, "power_function") == 0)
            powers(r, theta, value);
        else if (strcmp(key, "posthoc") == 0)
            after(r, value);
        else if (strcmp(key, "theta") != 0 && !json_is_string(value))
            refs_fail(r, "ema: nothing checks '%s'", key);
    }
}

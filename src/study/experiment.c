/* experiment.c: runs a row of experiments.def and keeps what it found: ebb_experiment.
 *
 * A result is kept as results/NAME.json under the directory, with a key of the version and of the recipes whose models it rests
 * on: it stands for a new run as long as the key is the same. A quick trial's is NAME-quick, which stands for nothing else.
 */
#include "study/experiment.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "model/report.h"

#define NAMES_MAX 64

static const ebb_experiment_kind kinds[] = {
#define EXPERIMENT(name, row, function, models, source, help) {name, row, models, source, help, function},
#include "study/experiments.def"
#undef EXPERIMENT
};

const ebb_experiment_kind *ebb_experiment_at(int i)
{
    return i >= 0 && i < (int)(sizeof kinds / sizeof kinds[0]) ? &kinds[i] : NULL;
}

/* ---- what a function states ---------------------------------------------------------------------------------------------- */

/* pass: NULL where nothing is claimed. */
static void add(ebb_trial *x, double value, double low, double high, const char *expected, json_t *pass, const char *name, va_list args)
{
    char text[160];
    vsnprintf(text, sizeof text, name, args);
    json_array_append_new(x->checks, json_pack("{s:s, s:o, s:s, s:o, s:o, s:o}", "name", text, "value", ebb_report_number(value), "expected",
                                               expected, "low", ebb_report_number(low), "high", ebb_report_number(high), "pass",
                                               pass != NULL && !x->o.quick ? pass : json_null()));
}

void ebb_trial_expect(ebb_trial *x, double value, double low, double high, const char *expected, const char *name, ...)
{
    va_list args;
    va_start(args, name);
    add(x, value, low, high, expected, json_boolean(value >= low && value <= high), name, args);
    va_end(args);
}

void ebb_trial_figure(ebb_trial *x, double value, const char *beside, const char *name, ...)
{
    va_list args;
    va_start(args, name);
    add(x, value, NAN, NAN, beside, NULL, name, args);
    va_end(args);
}

void ebb_trial_holds(ebb_trial *x, bool holds, const char *expected, const char *name, ...)
{
    va_list args;
    va_start(args, name);
    add(x, holds, 1, 1, expected, json_boolean(holds), name, args);
    va_end(args);
}

int64_t ebb_trial_scale(const ebb_trial *x, int64_t full, int64_t quick)
{
    return x->o.quick ? quick : full;
}

ebb_status ebb_trial_progress(ebb_trial *x, const char *doing, int64_t done, int64_t total)
{
    if (!x->stopped && x->o.progress != NULL && x->o.progress(x->o.user, doing, done, total) != 0)
        x->stopped = true;
    return x->stopped ? ebb_fail(x->ctx, EBB_E_ARGUMENT, "stopped during %s", doing) : EBB_OK;
}

ebb_status ebb_trial_lacks(ebb_trial *x, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(x->missing, sizeof x->missing, format, args);
    va_end(args);
    return ebb_fail(x->ctx, EBB_E_UNSUPPORTED, "%s", x->missing);
}

bool ebb_trial_skips(ebb_trial *x, const char *part, ebb_status *status)
{
    if (*status != EBB_E_UNSUPPORTED || x->missing[0] == 0)
        return false;
    ebb_trial_figure(x, NAN, x->missing, "%s: left out", part);
    x->missing[0] = 0;
    *status = EBB_OK;
    return true;
}

/* ---- files --------------------------------------------------------------------------------------------------------------- */

/* A quick trial has files of its own: NAME-quick. */
ebb_status ebb_trial_path(ebb_trial *x, const char *folder, const char *suffix, const char *end, char path[EBB_TRIAL_PATH])
{
    int n = snprintf(path, EBB_TRIAL_PATH, "%s/%s%s%s%s%s.%s", x->o.dir, folder, x->kind->name, x->o.quick ? "-quick" : "",
                     *suffix != 0 ? "-" : "", suffix, end);
    if (n < 0 || n >= EBB_TRIAL_PATH)
        return ebb_fail(x->ctx, EBB_E_ARGUMENT, "the name of the directory is too long: %s", x->o.dir);
    return EBB_OK;
}

ebb_status ebb_trial_picture(ebb_trial *x, const char *suffix, char path[EBB_TRIAL_PATH])
{
    EBB_TRY(ebb_trial_path(x, "", suffix, "png", path));
    json_array_append_new(x->pictures, json_string(path));
    return EBB_OK;
}

/* What an earlier run found, where it still stands: *out, else NULL. A damaged file does not count. */
static ebb_status find_kept(ebb_trial *x, const char *path, const char *key, json_t **out)
{
    size_t i;
    json_t *kept = NULL, *picture;
    *out = NULL;
    if (!x->o.keep || !ebb_file_exists(path))
        return EBB_OK;
    if (ebb_json_read(x->ctx, path, &kept) != EBB_OK)
        return EBB_OK;
    const char *of = json_string_value(json_object_get(kept, "key"));
    bool stands = of != NULL && strcmp(of, key) == 0;
    json_array_foreach (json_object_get(kept, "pictures"), i, picture)
        stands = stands && json_is_string(picture) && ebb_file_exists(json_string_value(picture));
    if (stands) {
        json_object_set_new(kept, "kept", json_true());
        *out = kept;
    } else {
        json_decref(kept);
    }
    return EBB_OK;
}

/* ---- a run --------------------------------------------------------------------------------------------------------------- */

static json_t *result_of(ebb_trial *x, const char *key, double seconds)
{
    size_t i;
    json_t *check;
    int passed = 0, failed = 0;
    json_array_foreach (x->checks, i, check) {
        passed += json_is_true(json_object_get(check, "pass"));
        failed += json_is_false(json_object_get(check, "pass"));
    }
    const char *state = x->missing[0] != 0 ? "not run" : x->o.quick ? "quick" : failed > 0 || passed == 0 ? "failed" : "passed";
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:b, s:i, s:i, s:O, s:O, s:f, s:s, s:b}", "name", x->kind->name, "row",
                     x->kind->row, "source", x->kind->source, "help", x->kind->help, "state", state, "missing", x->missing, "quick",
                     x->o.quick != 0, "passed", passed, "failed", failed, "checks", x->checks, "pictures", x->pictures, "seconds",
                     seconds, "key", key, "kept", 0);
}

static ebb_status run(ebb_trial *x, json_t **out)
{
    char path[EBB_TRIAL_PATH], folder[EBB_TRIAL_PATH], key[24];
    uint64_t hash;
    EBB_TRY(ebb_trial_path(x, "results/", "", "json", path));
    EBB_TRY(ebb_trial_key(x, &hash));
    snprintf(key, sizeof key, "%016llx", (unsigned long long)hash);
    EBB_TRY(find_kept(x, path, key, out));
    if (*out != NULL)
        return EBB_OK;
    snprintf(folder, sizeof folder, "%.*s", (int)(strrchr(path, '/') - path), path);
    EBB_TRY(ebb_directory_make(x->ctx, folder));
    double start = ebb_seconds();
    ebb_status status = x->kind->run(x);
    if (status != EBB_OK && x->missing[0] == 0)
        return status;
    *out = result_of(x, key, ebb_seconds() - start);
    return x->missing[0] != 0 ? EBB_OK : ebb_json_write(x->ctx, path, *out);
}

static ebb_status find_kind(ebb_trial *x)
{
    const char *names[NAMES_MAX];
    char near[80];
    int n = 0;
    if (x->o.name == NULL || *x->o.name == 0)
        return ebb_fail(x->ctx, EBB_E_USAGE, "which experiment? ebb_experiment_list has their names");
    for (; ebb_experiment_at(n) != NULL && n < NAMES_MAX; n++) {
        names[n] = kinds[n].name;
        if (strcmp(x->o.name, names[n]) == 0)
            x->kind = &kinds[n];
    }
    if (x->kind != NULL)
        return EBB_OK;
    return ebb_fail(x->ctx, EBB_E_USAGE, "unknown experiment '%.60s'%s", x->o.name, ebb_suggest(x->o.name, names, n, near, sizeof near));
}

ebb_status ebb_experiment(ebb_context *ctx, const ebb_experiment_options *options, char **json)
{
    ebb_trial x = {.ctx = ctx};
    json_t *result = NULL;
    *json = NULL;
    if (options->size < sizeof options->size)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "experiment options: size is %zu; set it to sizeof(ebb_experiment_options)", options->size);
    memcpy(&x.o, options, options->size < sizeof x.o ? options->size : sizeof x.o);
    x.o.dir = x.o.dir != NULL && *x.o.dir != 0 ? x.o.dir : EBB_KEPT_USUAL;
    EBB_TRY(find_kind(&x));
    x.checks = json_array();
    x.pictures = json_array();
    ebb_status status = run(&x, &result);
    json_decref(x.checks);
    json_decref(x.pictures);
    if (status == EBB_OK)
        return ebb_report_text(ctx, result, json);
    json_decref(result);
    return status;
}

ebb_status ebb_experiment_list(ebb_context *ctx, char **json)
{
    json_t *list = json_array();
    *json = NULL;
    for (int i = 0; ebb_experiment_at(i) != NULL; i++)
        json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s, s:s}", "name", kinds[i].name, "row", kinds[i].row, "models",
                                              kinds[i].models, "source", kinds[i].source, "help", kinds[i].help));
    return ebb_report_text(ctx, list, json);
}

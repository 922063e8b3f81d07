/* toy.c: jobs over exact laws: ebb_toy; and the report on one sampler.
 */
#include "study/toy.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define FLOW_SAMPLES 256         /* that are held against the exact flow */
#define MODES_SHOWN 64

/* ---- one sampler ---------------------------------------------------------------------------------------------------------- */

static ebb_status add_distances(ebb_toy_job *t, const double *x, json_t *to)
{
    ebb_measure found[EBB_DISTANCES];
    double floor[EBB_DISTANCES];
    json_t *all = json_object();
    json_object_set_new(to, "distances", all);
    t->doing = "measuring";
    if (ebb_toy_progress(t, 1, 2) != 0)
        return ebb_toy_stopped(t);
    EBB_TRY(ebb_judge_measure(t->ctx, &t->judge, x, t->o.n, t->o.resamples, found));
    EBB_TRY(ebb_judge_floor(t->ctx, &t->judge, t->o.n, floor));
    for (int d = 0; d < EBB_DISTANCES; d++)
        if (ebb_distance_fits((ebb_distance)d, t->law.dim))
            json_object_set_new(all, ebb_distance_name((ebb_distance)d),
                                json_pack("{s:o, s:o, s:o, s:o}", "value", ebb_report_number(found[d].value), "floor",
                                          ebb_report_number(floor[d]), "low", ebb_report_number(found[d].low), "high",
                                          ebb_report_number(found[d].high)));
    return ebb_toy_progress(t, 2, 2) != 0 ? ebb_toy_stopped(t) : EBB_OK;
}

static json_t *test_row(const double *share, const double *expected, int count, int64_t n)
{
    ebb_chi_square test = ebb_shares_test(share, expected, count, n);
    return json_pack("{s:o, s:i, s:f}", "value", ebb_report_number(test.value), "freedom", test.freedom, "chance", test.chance);
}

/* Shares of modes, where there are not too many, and of classes; of the whole law, though a class may be aimed at. */
static void fill_modes(const ebb_toy_job *t, const double *share, const double *error, const double *of_class, double *expected,
                       const double *tilted, json_t *to)
{
    const ebb_target *law = &t->law;
    bool one = t->aim == &t->one;
    json_t *modes = json_array(), *classes = json_array();
    double sum = 0;
    for (int k = 0; one && k < law->parts; k++)
        sum += law->label[k] == t->o.label ? law->weight[k] : 0;
    for (int k = 0; k < law->parts; k++) {
        expected[k] = !one ? law->weight[k] : law->label[k] == t->o.label ? law->weight[k] / sum : 0;
        if (law->parts <= MODES_SHOWN)
            json_array_append_new(modes, json_pack("{s:i, s:i, s:f, s:f, s:f}", "mode", k, "class", law->label[k], "expected",
                                                   expected[k], "share", share[k], "error", error[k]));
    }
    if (law->parts <= MODES_SHOWN && law->parts > 1)
        json_object_set_new(to, "chi_square", test_row(share, expected, law->parts, t->o.n));
    for (int c = 0; c < law->classes; c++) {
        double want = 0;
        for (int k = 0; k < law->parts; k++)
            want += law->label[k] == c ? expected[k] : 0;
        json_array_append_new(classes, json_pack("{s:i, s:f, s:f}", "class", c, "expected", want, "share", of_class[c]));
        if (tilted != NULL)
            json_object_set_new(json_array_get(classes, (size_t)c), "tilted", json_real(tilted[c]));
        expected[law->parts + c] = want;
    }
    json_object_set_new(to, "modes", modes);
    json_object_set_new(to, "classes", classes);
    if (law->classes > 1)
        json_object_set_new(to, "class_chi_square", test_row(of_class, expected + law->parts, law->classes, t->o.n));
}

static ebb_status add_modes(ebb_toy_job *t, const double *x, json_t *to)
{
    size_t parts = (size_t)t->law.parts, classes = (size_t)t->law.classes;
    double *room;
    EBB_TRY(ebb_alloc(t->ctx, (void **)&room, 3 * parts + 4 * classes, sizeof *room, "shares of modes"));
    double *of_class = room + 2 * parts, *expected = of_class + classes, *tilted = expected + parts + classes;
    ebb_status status = ebb_mode_shares(t->ctx, &t->law, x, t->o.n, room, room + parts, of_class);
    if (status == EBB_OK)
        fill_modes(t, room, room + parts, of_class, expected, ebb_toy_tilt(t, tilted, tilted + classes) ? tilted : NULL, to);
    ebb_free(room);
    return status;
}

/* Mean and covariance of the samples beside the law's, of up to 8 dimensions. */
static void add_moments(const ebb_toy_job *t, const double *x, json_t *to)
{
    int dim = t->law.dim;
    double mean[EBB_TARGET_DIM_MAX], cov[EBB_TARGET_DIM_MAX * EBB_TARGET_DIM_MAX];
    json_t *rows = json_array();
    ebb_samples_moments(x, NULL, t->o.n, dim, mean, cov);
    for (int a = 0; a < dim && a < 8; a++) {
        json_array_append_new(rows, json_pack("{s:s, s:i, s:i, s:f, s:f}", "moment", "mean", "i", a, "j", a, "expected",
                                              t->judge.mean[a], "found", mean[a]));
        for (int b = 0; b <= a; b++)
            json_array_append_new(rows, json_pack("{s:s, s:i, s:i, s:f, s:f}", "moment", "covariance", "i", a, "j", b,
                                                  "expected", t->judge.cov[a * dim + b], "found", cov[a * dim + b]));
    }
    json_object_set_new(to, "moments", rows);
}

static ebb_status add_all(ebb_toy_job *t, const ebb_toy_walk *w, json_t *to)
{
    json_t *fisher = NULL;
    ebb_measure error;
    json_object_set_new(to, "sampler", json_string(w->sampler));
    json_object_set_new(to, "grid", json_string(t->o.grid != NULL && *t->o.grid != 0 ? t->o.grid : w->grid_name));
    json_object_set_new(to, "steps", json_integer(w->levels.steps));
    json_object_set_new(to, "nfe", json_integer(w->nfe));
    json_object_set_new(to, "random", json_boolean(w->random));
    json_object_set_new(to, "samples", json_integer(t->o.n));
    EBB_TRY(add_distances(t, w->x, to));
    EBB_TRY(add_modes(t, w->x, to));
    add_moments(t, w->x, to);
    if (!w->random) {
        EBB_TRY(ebb_toy_flow_error(t, w, t->o.n < FLOW_SAMPLES ? t->o.n : FLOW_SAMPLES, 0, &error));
        json_object_set_new(to, "flow_error", ebb_report_number(error.value));
    }
    if (t->model != NULL) {
        EBB_TRY(ebb_toy_fisher(t, &fisher));
        json_object_set_new(to, "fisher", fisher);
    }
    return EBB_OK;
}

static void words(const ebb_toy_job *t, const ebb_toy_walk *w, const json_t *report, char title[160], char note[160])
{
    const char *key;
    json_t *value;
    int shown = 0;
    snprintf(title, 160, "%.40s, %lld evaluations", w->sampler, (long long)w->nfe);
    note[0] = 0;
    json_object_foreach (json_object_get(report, "distances"), key, value)
        if ((strcmp(key, "w2") == 0 || strcmp(key, "sliced-w2") == 0 || strcmp(key, "kl") == 0 || strcmp(key, "tv") == 0 ||
             (t->law.dim > 2 && strcmp(key, "energy") == 0)) && shown++ < 4)
            snprintf(note + strlen(note), 160 - strlen(note), "%s%s %.3g (floor %.2g)", shown > 1 ? ", " : "", key,
                     json_number_value(json_object_get(value, "value")), json_number_value(json_object_get(value, "floor")));
}

static ebb_status write_files(ebb_toy_job *t, const ebb_toy_walk *w, const json_t *report)
{
    char title[160], note[160];
    const int64_t shape[2] = {t->o.n, t->law.dim};
    if (t->o.samples != NULL)
        EBB_TRY(ebb_npy_write(t->ctx, t->o.samples, 'f', 8, w->x, 2, shape));
    if (t->o.picture == NULL)
        return EBB_OK;
    words(t, w, report, title, note);
    return ebb_toy_picture(t, w->x, t->o.n, title, note);
}

ebb_status ebb_toy_samples(ebb_toy_job *t, json_t **out)
{
    ebb_toy_walk w = {.sampler = t->o.sampler != NULL ? t->o.sampler : "heun", .grid = t->o.grid, .steps = t->o.steps, .n = t->o.n};
    EBB_TRY(ebb_toy_prepare(t, &w));
    ebb_status status = ebb_alloc(t->ctx, (void **)&w.x, (size_t)(t->o.n * t->law.dim), sizeof *w.x, "samples");
    t->doing = "sampling";
    if (status == EBB_OK)
        status = ebb_toy_run(t, &w);
    if (status == EBB_OK)
        status = add_all(t, &w, *out);
    if (status == EBB_OK)
        status = write_files(t, &w, *out);
    ebb_grid_free(&w.levels);
    ebb_free(w.x);
    return status;
}

/* ---- any job -------------------------------------------------------------------------------------------------------------- */

static ebb_status check_files(ebb_toy_job *t)
{
    if (t->o.picture != NULL && t->law.dim > 2 && strcmp(t->o.job, "samples") == 0)
        return ebb_fail(t->ctx, EBB_E_ARGUMENT, "%s has %d dimensions: pictures are of one or two", t->o.target, t->law.dim);
    if (t->o.picture != NULL && strcmp(t->o.job, "compare") == 0)
        return ebb_fail(t->ctx, EBB_E_ARGUMENT, "a comparison is a table: there is no picture of it");
    if (t->o.samples != NULL && strcmp(t->o.job, "samples") != 0)
        return ebb_fail(t->ctx, EBB_E_ARGUMENT, "samples are written by job samples only");
    return EBB_OK;
}

/* Whatever can be refused is, before a network is trained. */
static ebb_status check_sampler(ebb_toy_job *t)
{
    ebb_toy_walk w = {.sampler = t->o.sampler != NULL ? t->o.sampler : "heun", .grid = t->o.grid, .steps = t->o.steps, .n = t->o.n};
    if (strcmp(t->o.job, "samples") != 0 || t->o.model != NULL)
        return EBB_OK;
    EBB_TRY(ebb_toy_prepare(t, &w));
    ebb_grid_free(&w.levels);
    return EBB_OK;
}

static ebb_status run(ebb_toy_job *t, json_t **out)
{
    EBB_TRY(check_files(t));
    EBB_TRY(check_sampler(t));
    EBB_TRY(ebb_toy_learn(t));
    EBB_TRY(ebb_judge_create(t->ctx, t->aim, &t->judge));
    json_t *r = *out;
    json_object_set_new(r, "target", json_string(t->o.target));
    json_object_set_new(r, "dim", json_integer(t->law.dim));
    json_object_set_new(r, "parts", json_integer(t->law.parts));
    json_object_set_new(r, "score", json_string(t->o.score));
    json_object_set_new(r, "process", json_string(ebb_process_name(t->process.kind)));
    json_object_set_new(r, "seed", json_integer((json_int_t)t->o.seed));
    if (t->o.label != EBB_LABEL_NONE) {
        json_object_set_new(r, "class", json_integer(t->o.label));
        json_object_set_new(r, "guidance", json_real(t->o.guidance));
        if (t->o.classifier_scale != 0)
            json_object_set_new(r, "classifier_scale", json_real(t->o.classifier_scale));
    }
    if (t->trained_steps > 0)
        json_object_set_new(r, "training", json_pack("{s:I, s:f}", "steps", (json_int_t)t->trained_steps, "loss", t->trained_loss));
    if (strcmp(t->o.job, "compare") == 0)
        return ebb_toy_compare(t, out);
    if (strcmp(t->o.job, "convergence") == 0)
        return ebb_toy_convergence(t, out);
    if (strcmp(t->o.job, "restore") == 0)
        return ebb_toy_restore(t, out);
    return strcmp(t->o.job, "panels") == 0 ? ebb_toy_panels(t, out) : ebb_toy_samples(t, out);
}

void ebb_toy_free(ebb_toy_job *t)
{
    ebb_judge_free(&t->judge);
    ebb_plan_free(t->plan);
    ebb_model_free(t->model);
    ebb_process_free(&t->process);
    ebb_target_free(&t->one);
    ebb_target_free(&t->law);
    ebb_recipe_free(t->recipe);
}

ebb_status ebb_toy(ebb_context *ctx, const ebb_toy_options *options, char **json)
{
    ebb_toy_job t = {.ctx = ctx, .doing = "preparing"};
    json_t *report = json_object();
    *json = NULL;
    atomic_flag_clear(&t.calling);
    ebb_status status = ebb_toy_settle(&t, options);
    if (status == EBB_OK)
        status = run(&t, &report);
    ebb_toy_free(&t);
    if (status == EBB_OK)
        return ebb_report_text(ctx, report, json);
    json_decref(report);
    return status;
}

/* test_settings.c: samplers.def and grids.def say which settings and options each row takes; here every setting of every
 * row is changed and the results compared, bit for bit. What is in a list must change something and be accepted behind the
 * name; what is not must change nothing and be refused. So neither list can be wrong.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "support/one_context.h"
#include "support/walks.h"

/* Every name of a list is one that is known. */
static void check_names(const char *who, const char *list, bool (*known)(const char *name))
{
    char name[64];
    for (const char *at = list; *at != 0; at += strcspn(at, ","), at += *at == ',') {
        snprintf(name, sizeof name, "%.*s", (int)strcspn(at, ","), at);
        if (!known(name))
            fail_msg("%s takes '%s', which is nothing", who, name);
    }
}

/* ---- samplers --------------------------------------------------------------------------------------------------- */

enum { ROWS = 3, DIM = 2, STEPS = 7, PROCESSES = 3, CHAIN = 1 };
static const ebb_process_kind kinds[PROCESSES] = {EBB_PROCESS_VP, EBB_PROCESS_DDPM, EBB_PROCESS_EDM};

typedef struct bench {
    ebb_process process[PROCESSES];
    ebb_target law;
    ebb_target_field self;
    ebb_field field;             /* of this struct */
    double variance[ROWS * DIM];
    bool late;                   /* walks of chains end above timestep 0, and estimates are kept in bounds */
} bench;

/* The law's own field, but with the variance that ddpm-learned asks for. */
static void predict(void *self, const double *x, const ebb_level *at, double *eps, double *x0)
{
    bench *b = self;
    ebb_field own = ebb_field_of_target(&b->self);
    own.predict(own.self, x, at, eps, x0);
}

static void score(void *self, const double *x, const ebb_level *at, double *out)
{
    bench *b = self;
    ebb_field own = ebb_field_of_target(&b->self);
    own.score(own.self, x, at, out);
}

static void log_density(void *self, const double *x, const ebb_level *at, double *out)
{
    bench *b = self;
    ebb_field own = ebb_field_of_target(&b->self);
    own.log_density(own.self, x, at, out);
}

static const double *variance(void *self)
{
    return ((bench *)self)->variance;
}

static void make_bench(bench *b)
{
    static const double weight[] = {0.4, 0.6}, mean[] = {-1, 0.3, 0.8, -0.2}, cov[] = {0.3, 0.1, 0.1, 0.2, 0.2, 0, 0, 0.5};
    for (int i = 0; i < PROCESSES; i++)
        b->process[i] = usual_process(kinds[i]);
    ok(ebb_target_create(ctx, 2, DIM, weight, mean, cov, NULL, &b->law));
    b->self = (ebb_target_field){.all = &b->law, .n = ROWS};
    b->field = (ebb_field){.n = ROWS, .count = DIM, .predict = predict, .score = score, .log_density = log_density,
                           .variance = variance, .self = b};
    for (int i = 0; i < ROWS * DIM; i++)
        b->variance[i] = 0.1 * i;
}

static void free_bench(bench *b)
{
    for (int i = 0; i < PROCESSES; i++)
        ebb_process_free(&b->process[i]);
    ebb_target_free(&b->law);
}

/* The path of a walk, from the same start; false where the sampler cannot follow the process. */
static bool walk(bench *b, const ebb_sampler *s, const ebb_process *p, const ebb_sampler_settings *set, double x[ROWS * DIM])
{
    ebb_grid g;
    ok(ebb_grid_create(ctx, p, b->late && p->steps > 0 ? "trailing" : ebb_sampler_grid(s, p), &(ebb_grid_options){.steps = STEPS}, &g));
    ebb_walk w = {.sampler = s, .process = p, .grid = &g, .field = &b->field, .set = *set};
    bool can = ebb_walk_check(ctx, &w) == EBB_OK;
    walk_start(ctx, p, 3, NULL, ROWS, DIM, x);
    if (can)
        ok(walk_run(ctx, &(walk_job){.sampler = s->name, .set = set, .process = p, .grid = &g, .field = &b->field, .n = ROWS,
                                     .x = x, .clip = b->late, .seed = 3}));
    ebb_grid_free(&g);
    return can;
}

/* Other values than the usual one, within its bounds. */
static int other_values(const ebb_setting *s, double value[6])
{
    const double half = isnan(s->initial) ? 0.5 : s->initial / 2, twice = isnan(s->initial) ? 1 : 2 * s->initial;
    const double tried[] = {half, twice, isnan(s->initial) ? 0.01 : 30 * s->initial, s->initial + 1, s->initial - 1, s->min};
    int count = 0;
    for (int i = 0; i < 6; i++)
        if (tried[i] >= s->min && tried[i] <= s->max && tried[i] != s->initial && (!s->whole || tried[i] == floor(tried[i])))
            value[count++] = tried[i];
    return count;
}

static double *member(ebb_sampler_settings *set, const ebb_setting *s)
{
    return (double *)(void *)((char *)set + s->offset);
}

/* Whether another value of a setting changes any bit of the samples over a process, where others are as in `usual`. */
static bool matters_beside(bench *b, const ebb_sampler *s, const ebb_process *p, const ebb_setting *setting,
                           const ebb_sampler_settings *usual)
{
    double as_usual[ROWS * DIM], changed[ROWS * DIM], value[6];
    int values = other_values(setting, value);
    bool differs = false;
    assert_true(values > 0);
    for (int v = 0; v < values && walk(b, s, p, usual, as_usual); v++) {
        ebb_sampler_settings set = *usual;
        *member(&set, setting) = value[v];
        if (walk(b, s, p, &set, changed))
            differs = differs || memcmp(as_usual, changed, sizeof changed) != 0;
    }
    return differs;
}

/* Over all processes, beside the usual settings and with each flag that it takes turned: one may need another (pc-flow has
 * noise at its end only where the corrector comes last). */
static bool matters(bench *b, const ebb_sampler *s, const ebb_setting *setting)
{
    bool differs = false;
    for (int i = 0; i <= PROCESSES && !differs; i++) {
        const ebb_process *p = &b->process[i < PROCESSES ? i : CHAIN];
        b->late = i == PROCESSES;
        ebb_sampler_settings usual = ebb_settings_default();
        differs = differs || matters_beside(b, s, p, setting, &usual);
        for (const ebb_setting *flag = ebb_settings; flag->name != NULL; flag++) {
            if (flag == setting || !flag->whole || flag->min != 0 || flag->max > 2 || !ebb_taker_has(&(ebb_taker){.takes = s->settings}, flag->name))
                continue;
            ebb_sampler_settings turned = usual;
            *member(&turned, flag) = 1 - flag->initial;
            differs = differs || matters_beside(b, s, p, setting, &turned);
        }
    }
    b->late = false;
    return differs;
}

/* Otherwise nothing would change anything. */
static void check_walks(bench *b, const ebb_sampler *s)
{
    double x[ROWS * DIM];
    ebb_sampler_settings set = ebb_settings_default();
    bool walks = false;
    for (int i = 0; i < PROCESSES; i++)
        walks = walk(b, s, &b->process[i], &set, x) || walks;
    if (!walks)
        fail_msg("%s refuses every process", s->name);
}

static bool known_setting(const char *name)
{
    for (const ebb_setting *s = ebb_settings; s->name != NULL; s++)
        if (strcmp(s->name, name) == 0)
            return true;
    return false;
}

static void check_setting(bench *b, const ebb_sampler *s, const ebb_setting *setting)
{
    char text[128];
    double value[6];
    const ebb_sampler *found;
    ebb_sampler_settings set;
    bool takes = ebb_taker_has(&(ebb_taker){.takes = s->settings}, setting->name);
    other_values(setting, value);
    snprintf(text, sizeof text, "%s:%s=%.17g", s->name, setting->name, value[0]);
    ebb_status status = ebb_sampler_parse(ctx, text, &found, &set);
    if (!takes && strstr(ebb_message(ctx), *s->settings != 0 ? s->settings : "it takes none") == NULL)
        fail_msg("'%s': \"%s\" does not tell what it takes", text, ebb_message(ctx));
    if (takes != matters(b, s, setting))
        fail_msg("%s: samplers.def says that it takes %s%s, but %s", s->name, takes ? "" : "no ", setting->name,
                 takes ? "no value changes a sample" : "it changes samples");
    if (status != (takes ? EBB_OK : EBB_E_USAGE))
        fail_msg("'%s': %s", text, status == EBB_OK ? "accepted" : ebb_message(ctx));
    if (takes)
        assert_true(*member(&set, setting) == value[0]);
}

static void test_settings(void **state)
{
    (void)state;
    bench b;
    make_bench(&b);
    for (int i = 0; ebb_sampler_at(i) != NULL; i++) {
        check_names(ebb_sampler_at(i)->name, ebb_sampler_at(i)->settings, known_setting);
        check_walks(&b, ebb_sampler_at(i));
        for (const ebb_setting *s = ebb_settings; s->name != NULL; s++)
            check_setting(&b, ebb_sampler_at(i), s);
    }
    free_bench(&b);
}

/* ---- grids ------------------------------------------------------------------------------------------------------- */

/* Two other values of each option: something must come of one of them where it is taken. */
static const struct { const char *name; size_t offset; enum { REAL, WHOLE, FLAG } type; double value[2]; } options[] = {
    {"t_start", offsetof(ebb_grid_options, t_start), REAL, {0.8, 700}},
    {"t_end", offsetof(ebb_grid_options, t_end), REAL, {0.1, 50}},
    {"sigma_min", offsetof(ebb_grid_options, sigma_min), REAL, {0.3, 0.003}},
    {"sigma_max", offsetof(ebb_grid_options, sigma_max), REAL, {3, 5}},
    {"rho", offsetof(ebb_grid_options, rho), REAL, {3, 1}},
    {"gamma_min", offsetof(ebb_grid_options, gamma_min), REAL, {0.003, 0.01}},
    {"gamma_max", offsetof(ebb_grid_options, gamma_max), REAL, {0.3, 0.2}},
    {"offset", offsetof(ebb_grid_options, offset), WHOLE, {1, 2}},
    {"m", offsetof(ebb_grid_options, m), WHOLE, {500, 2000}},
    {"c1", offsetof(ebb_grid_options, c1), REAL, {0.9, 0.5}},
    {"c2", offsetof(ebb_grid_options, c2), REAL, {0.05, 0.1}},
    {"data_var", offsetof(ebb_grid_options, data_var), REAL, {1, 9}},
    {"candidates", offsetof(ebb_grid_options, candidates), WHOLE, {20, 50}},
    {"small", offsetof(ebb_grid_options, small), FLAG, {1, 1}},
    {"clean", offsetof(ebb_grid_options, clean), FLAG, {1, 1}},
    {"drop", offsetof(ebb_grid_options, drop), FLAG, {1, 1}},
    {"even_steps", offsetof(ebb_grid_options, even_steps), FLAG, {1, 1}},
    {"scaled", offsetof(ebb_grid_options, scaled), FLAG, {1, 1}},
    {"between", offsetof(ebb_grid_options, between), FLAG, {1, 1}},
    {"karras", offsetof(ebb_grid_options, karras), FLAG, {1, 1}},
    {"exponential", offsetof(ebb_grid_options, exponential), FLAG, {1, 1}},
    {"whole", offsetof(ebb_grid_options, whole), WHOLE, {1, 2}},
    {"keep_last", offsetof(ebb_grid_options, keep_last), FLAG, {1, 1}},
    {"alpha_to_first", offsetof(ebb_grid_options, alpha_to_first), FLAG, {1, 1}},
};
enum { OPTIONS = sizeof options / sizeof options[0] };

static void set_option(ebb_grid_options *o, int which, double value)
{
    void *at = (char *)o + options[which].offset;
    if (options[which].type == REAL)
        *(double *)at = value;
    else if (options[which].type == WHOLE)
        *(int *)at = (int)value;
    else
        *(bool *)at = value != 0;
}

static bool same_grid(const ebb_grid *a, const ebb_grid *b)
{
    if (a->steps != b->steps || (a->dt == NULL) != (b->dt == NULL))
        return false;
    size_t steps = (size_t)a->steps;
    if (a->start != b->start || (a->arrival == NULL) != (b->arrival == NULL))
        return false;
    return memcmp(a->level, b->level, (steps + 1) * sizeof *a->level) == 0
        && (a->arrival == NULL || memcmp(a->arrival, b->arrival, steps * sizeof *a->arrival) == 0)
        && (a->dt == NULL || memcmp(a->dt, b->dt, steps * sizeof *a->dt) == 0);
}

/* Whether another value of an option changes the levels on a process (where both can be made). */
static bool cares_beside(const ebb_grid_kind *kind, int which, const ebb_process *p, const ebb_grid_options *usual, int *made)
{
    ebb_grid a, b;
    bool differs = false;
    for (int v = 0; v < 2; v++) {
        ebb_grid_options changed = *usual;
        set_option(&changed, which, options[which].value[v]);
        changed.sections[0] += changed.keep_last;   /* a noisy level more for as many steps */
        bool can = ebb_grid_create(ctx, p, kind->name, usual, &a) == EBB_OK;
        bool can_changed = ebb_grid_create(ctx, p, kind->name, &changed, &b) == EBB_OK;
        *made += can && can_changed;
        differs = differs || (can && can_changed && !same_grid(&a, &b));
        ebb_grid_free(&a);
        ebb_grid_free(&b);
    }
    return differs;
}

/* Over all processes, with and without a clean end, and spread anew or not. */
static bool grid_cares(const ebb_grid_kind *kind, int which)
{
    bool differs = false;
    int made = 0;
    for (int i = 0; i < EBB_PROCESS_COUNT; i++) {
        ebb_process p = usual_process((ebb_process_kind)i);
        for (int way = 0; way < 4; way++) {
            ebb_grid_options usual = {.steps = STEPS, .sections = {3, 4}, .section_count = 2, .clean = (way & 1) != 0,
                                      .karras = (way & 2) != 0};
            differs = cares_beside(kind, which, &p, &usual, &made) || differs;
        }
        ebb_process_free(&p);
    }
    if (made == 0)
        fail_msg("grid %s with another %s cannot be made", kind->name, options[which].name);
    return differs;
}

static bool known_option(const char *name)
{
    bool known = strcmp(name, "counts") == 0;
    for (int i = 0; i < OPTIONS; i++)
        known = known || strcmp(options[i].name, name) == 0;
    return known;
}

static void check_option(const ebb_grid_kind *kind, int which)
{
    char text[128];
    const char *found;
    ebb_grid_options o, want = {0};
    bool takes = ebb_taker_has(&(ebb_taker){.takes = kind->options}, options[which].name);
    if (takes != grid_cares(kind, which))
        fail_msg("%s: grids.def says that it takes %s%s, but %s", kind->name, takes ? "" : "no ", options[which].name,
                 takes ? "no value changes a level" : "it changes levels");
    snprintf(text, sizeof text, "%s:%s=%g", kind->name, options[which].name, options[which].value[0]);
    ebb_status status = ebb_grid_parse(ctx, text, &found, &o);
    if (status != (takes ? EBB_OK : EBB_E_USAGE))
        fail_msg("'%s': %s", text, status == EBB_OK ? "accepted" : ebb_message(ctx));
    if (takes)
        set_option(&want, which, options[which].value[0]);
    if (takes)
        assert_memory_equal(&o, &want, sizeof o);
    else if (strstr(ebb_message(ctx), kind->options) == NULL)
        fail_msg("'%s': \"%s\" does not tell what it takes", text, ebb_message(ctx));
}

/* counts, the one list: of sections only, and those are nothing without it. */
static void check_counts(const ebb_grid_kind *kind)
{
    char text[128];
    const char *found;
    ebb_grid_options o;
    bool takes = strcmp(kind->name, "sections") == 0;
    assert_int_equal(ebb_taker_has(&(ebb_taker){.takes = kind->options}, "counts"), takes);
    snprintf(text, sizeof text, "%s:counts=3+4", kind->name);
    assert_int_equal(ebb_grid_parse(ctx, text, &found, &o), takes ? EBB_OK : EBB_E_USAGE);
}

static void test_grid_options(void **state)
{
    (void)state;
    for (int i = 0; ebb_grid_at(i) != NULL; i++) {
        check_names(ebb_grid_at(i)->name, ebb_grid_at(i)->options, known_option);
        check_counts(ebb_grid_at(i));
        for (int which = 0; which < OPTIONS; which++)
            check_option(ebb_grid_at(i), which);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_settings), cmocka_unit_test(test_grid_options)};
    return cmocka_run_group_tests(tests, make_context, free_context);
}

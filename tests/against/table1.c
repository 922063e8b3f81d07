/* table1.c: samplers of score_sde over an exact law, against the Monte Carlo numbers of table1_analytic.json.
 *
 * A row names a process, a predictor and, by keys as P100, PC100, C200, walks of that many steps: predictor alone, corrector
 * then predictor, corrector alone (Song et al. 2021, table 1). Compared is the sliced distance SW: the root of the mean,
 * over directions, of the squared Wasserstein-2 distance of projections. The reference takes n samples against n of the
 * law; here fewer walk, against the quantiles of the law themselves.
 *
 * The allowance: SW is a metric, so |SW(samples, law) - SW(sampler, law)| <= SW(samples, sampler), and what m samples of
 * the law are away from it (the floor f, root of the mean square) measures that. It falls as 1/sqrt(m), and is mostly how
 * many samples each part of the mixture gets, which is nearly normal: a number may be off by three times the root of
 * f_ours^2 + f_theirs^2, theirs being sqrt(2) that of n samples, as both sides of it are samples; but by the stated 0.03.
 *
 * The mixture is gmm_values.json's, the processes are params.json's. Rows whose score is perturbed ("pert" > 0) cannot be
 * repeated: what was added to it is written nowhere.
 */
#include "against/refs.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/walks.h"

enum { DIRECTIONS = 32, FLOORS = 16, EVALUATIONS = 20000000 };

typedef struct table {
    refs *r;
    ebb_target law;
    int64_t n;                   /* samples of each walk */
    double *quantile;            /* (DIRECTIONS, n) of the projected law */
    double *x, *line;            /* (n,dim), (n) */
    double floor;                /* SW of n samples of the law to it, root of the mean square */
} table;

/* ---- the distance ----------------------------------------------------------------------------------------------- */

static void direction_of(int dim, int k, double *v)
{
    double length = 0;
    for (int d = 0; d < dim; d++) {
        ebb_rng_at at = {.seed = 1, .stream = EBB_STREAM_DATA, .step = 7, .sample = (uint32_t)(k * dim + d)};
        double radius = sqrt(-2 * log(1 - ebb_rng_uniform(&at, 0)));
        v[d] = dim == 2 ? (d == 0 ? cos(k * M_PI / DIRECTIONS) : sin(k * M_PI / DIRECTIONS))
                        : radius * cos(2 * M_PI * ebb_rng_uniform(&at, 1));
        length += v[d] * v[d];
    }
    for (int d = 0; d < dim; d++)
        v[d] /= sqrt(length);
}

/* Distribution function of the law projected on v. */
static double below(const ebb_target *t, const double *v, double x)
{
    double sum = 0;
    for (int k = 0; k < t->parts; k++) {
        double mean = 0, var = 0;
        for (int i = 0; i < t->dim; i++) {
            mean += v[i] * t->mean[k * t->dim + i];
            for (int j = 0; j < t->dim; j++)
                var += v[i] * v[j] * t->cov[(k * t->dim + i) * t->dim + j];
        }
        sum += t->weight[k] * 0.5 * erfc((mean - x) / sqrt(2 * var));
    }
    return sum;
}

/* At (i + 1/2)/n, ascending: each starts its bracket at the one before. */
static void quantiles(const table *t, const double *v, double *q)
{
    double low = -1;
    while (below(&t->law, v, low) > 0.1 / (double)t->n)
        low *= 2;
    for (int64_t i = 0; i < t->n; i++) {
        double p = ((double)i + 0.5) / (double)t->n, step = 1e-3, high = low + step;
        while (below(&t->law, v, high) < p)
            high += step *= 2;
        for (double a = low; high - a > 1e-7;) {
            double middle = 0.5 * (a + high);
            *(below(&t->law, v, middle) < p ? &a : &high) = middle;
            low = a;
        }
        q[i] = high;
    }
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double distance(const table *t)
{
    double sum = 0, v[EBB_TARGET_DIM_MAX];
    int dim = t->law.dim;
    for (int k = 0; k < DIRECTIONS; k++) {
        direction_of(dim, k, v);
        for (int64_t i = 0; i < t->n; i++) {
            t->line[i] = 0;
            for (int d = 0; d < dim; d++)
                t->line[i] += v[d] * t->x[i * dim + d];
        }
        qsort(t->line, (size_t)t->n, sizeof *t->line, ascending);
        for (int64_t i = 0; i < t->n; i++) {
            double miss = t->line[i] - t->quantile[k * t->n + i];
            sum += miss * miss;
        }
    }
    return sqrt(sum / (double)(DIRECTIONS * t->n));
}

static void find_floor(table *t)
{
    double squares = 0, v[EBB_TARGET_DIM_MAX];
    for (int k = 0; k < DIRECTIONS; k++) {
        direction_of(t->law.dim, k, v);
        quantiles(t, v, t->quantile + k * t->n);
    }
    for (int i = 0; i < FLOORS; i++) {
        ebb_target_sample(&t->law, 100, i * t->n, t->n, t->x, NULL);
        double d = distance(t);
        squares += d * d / FLOORS;
    }
    t->floor = sqrt(squares);
}

/* ---- a cell of the table ------------------------------------------------------------------------------------------ */

static bool process_of(refs *r, const json_t *params, const char *name, ebb_process *out)
{
    const json_t *numbers = json_object_get(params, name);
    double low = refs_at(numbers, 0), high = refs_at(numbers, 1);
    ebb_process wanted = {.kind = ebb_process_find(name)};
    if (wanted.kind == EBB_PROCESS_VE)
        wanted.sigma_min = low, wanted.sigma_max = high;
    else
        wanted.beta_min = low, wanted.beta_max = high;
    if (ebb_process_create(r->ctx, &wanted, out) == EBB_OK)
        return true;
    refs_fail(r, "process %s: %s", name, ebb_message(r->ctx));
    return false;
}

static const char *sampler_of(const char *predictor, const char *kind)
{
    static const struct { const char *predictor, *alone, *corrected; } rows[] = {
        {"anc", "ancestral-sde", "pc-ancestral"}, {"rd", "reverse-diffusion", "pc"}, {"pf", "flow-predictor", "pc-flow"},
    };
    if (strcmp(kind, "C") == 0)
        return "corrector";
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (strcmp(rows[i].predictor, predictor) == 0)
            return strcmp(kind, "PC") == 0 ? rows[i].corrected : strcmp(kind, "P") == 0 ? rows[i].alone : NULL;
    return NULL;
}

/* "PC100" -> "PC", 100; 0: no such key. */
static int cell_of(const char *key, char kind[4])
{
    size_t letters = strspn(key, "PC");
    if (letters == 0 || letters > 2 || !isdigit((unsigned char)key[letters]))
        return 0;
    memcpy(kind, key, letters);
    kind[letters] = 0;
    return atoi(key + letters);
}

static double measure(table *t, const char *sampler, const ebb_process *p, int steps)
{
    ebb_grid g = {0};
    ebb_sampler_settings set = ebb_settings_default();
    set.batch_mean = 1;
    walk_job job = {.sampler = sampler, .set = &set, .process = p, .grid = &g, .target = &t->law, .n = t->n, .x = t->x,
                    .seed = 3};
    walk_start(t->r->ctx, p, 4, NULL, t->n, t->law.dim, t->x);
    bool walked = ebb_grid_create(t->r->ctx, p, "score-sde", &(ebb_grid_options){.steps = steps}, &g) == EBB_OK
                  && walk_run(t->r->ctx, &job) == EBB_OK;
    ebb_grid_free(&g);
    if (walked)
        return distance(t);
    refs_fail(t->r, "%s: %s", sampler, ebb_message(t->r->ctx));
    return NAN;
}

/* What is plain in the table, within the floor: the corrector alone is the worst, the flow the worst predictor, and a
 * corrector makes it at least twice as good. Squares of distances and of their floors add. */
typedef struct plain { double corrector, flow, flow_corrected, other; } plain;

static void note(plain *p, const char *predictor, const char *kind, double got)
{
    bool flow = strcmp(predictor, "pf") == 0;
    if (strcmp(kind, "C") == 0)
        p->corrector = got;
    else if (strcmp(kind, "PC") == 0)
        p->flow_corrected = flow ? got : p->flow_corrected;
    else if (flow)
        p->flow = fmax(p->flow, got);
    else
        p->other = fmax(p->other, got);
}

static void check_plain(table *t, const char *process, const plain *p)
{
    double corrected = sqrt(fmax(p->flow_corrected * p->flow_corrected - t->floor * t->floor, 0));
    refs_entry(t->r, process);
    if (!(p->corrector > fmax(p->flow, p->other)))
        refs_fail(t->r, "the corrector alone is at %g, the predictors at %g and less", p->corrector, fmax(p->flow, p->other));
    if (!(p->flow > p->other - t->floor))
        refs_fail(t->r, "the flow is at %g, not the worst predictor (%g)", p->flow, p->other);
    if (!(p->flow >= 2 * corrected))
        refs_fail(t->r, "the corrector brings the flow from %g to %g only", p->flow, corrected);
}

/* The cells of a row that can be repeated: times their evaluations, or checked. */
static void check_row(table *t, const json_t *params, const json_t *row, double allowed, plain *seen)
{
    const char *key, *name = refs_text(t->r, row, "sde"), *predictor = refs_text(t->r, row, "pred");
    char kind[4];
    json_t *value;
    ebb_process p;
    if (!process_of(t->r, params, name, &p))
        return;
    json_object_foreach (json_object_get(row, "sde") != NULL ? (json_t *)row : NULL, key, value) {
        int steps = cell_of(key, kind);
        const char *sampler = steps > 0 ? sampler_of(predictor, kind) : NULL;
        if (sampler == NULL) {
            if (json_is_number(value) && strcmp(key, "pert") != 0)
                refs_fail(t->r, "nothing here makes column %s of predictor %s", key, predictor);
            continue;
        }
        double got = measure(t, sampler, &p, steps), want = refs_value(value);
        refs_entry(t->r, sampler);
        /* A law that is far away is known to as many digits as its own width: sigma_max/sqrt(n) of ve's prior. */
        refs_near(t->r, key, steps, got, want, 3 * sqrt(1.0 / (double)t->n + 1e-4), allowed);
        note(seen, predictor, kind, got);
    }
    ebb_process_free(&p);
}

static int64_t evaluations_of(const json_t *rows)
{
    int64_t sum = 0;
    char kind[4];
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const char *key;
        json_t *row = json_array_get(rows, i), *value;
        if (json_number_value(json_object_get(row, "pert")) != 0)
            continue;
        json_object_foreach (row, key, value) {
            int steps = cell_of(key, kind);
            sum += strcmp(kind, "PC") == 0 ? 2 * steps : steps;
        }
    }
    return sum > 0 ? sum : 1;
}

static void check_rows(table *t, const json_t *params, const json_t *rows, double n)
{
    static const char *const processes[] = {"ve", "vp"};
    int skipped = 0;
    double allowed = fmax(0.03, 3 * t->floor * sqrt(1 + 2 * (double)t->n / n));
    for (size_t p = 0; p < 2; p++) {
        plain seen = {0};
        int of_process = 0;
        for (size_t i = 0; i < json_array_size(rows); i++) {
            const json_t *row = json_array_get(rows, i);
            bool perturbed = refs_number(t->r, row, "pert") != 0;
            if (strcmp(refs_text(t->r, row, "sde"), processes[p]) != 0)
                continue;
            skipped += perturbed;
            of_process += !perturbed;
            if (!perturbed)
                check_row(t, params, row, allowed, &seen);
        }
        if (of_process > 0)
            check_plain(t, processes[p], &seen);
    }
    printf("  %s: %lld samples, floor %.3f, numbers within %.3f; %d rows of scores perturbed in an unknown way not repeated\n",
           t->r->file, (long long)t->n, t->floor, allowed, skipped);
}

static json_t *load(refs *r, const char *name)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", r->directory, name);
    json_t *root = json_load_file(path, 0, NULL);
    if (root == NULL)
        refs_fail(r, "%s: cannot be read, and it holds what this table is about", path);
    return root;
}

void refs_table1(refs *r)
{
    table t = {.r = r};
    const json_t *rows = refs_claim(r, "rows"), *n = refs_claim(r, "n"), *floor = refs_claim(r, "floor");
    json_t *values = load(r, "gmm_values.json"), *params = load(r, "params.json");
    void *memory = NULL;
    if (values != NULL && params != NULL && refs_target(r, refs_get(r, values, "gmm"), &t.law)) {
        t.n = EVALUATIONS / evaluations_of(rows);
        t.n = t.n < refs_value(n) ? t.n : (int64_t)refs_value(n);
        size_t each = (size_t)t.n;
        if (ebb_alloc(r->ctx, &memory, each * (DIRECTIONS + 1 + (size_t)t.law.dim), sizeof(double), "a table") == EBB_OK) {
            t.quantile = memory;
            t.line = t.quantile + DIRECTIONS * each;
            t.x = t.line + each;
            find_floor(&t);
            /* Theirs is one draw of what ours is the root mean square of. */
            refs_near(r, "floor", 0, 0, refs_value(floor), 0, 3 * t.floor * sqrt(2 * (double)t.n / refs_value(n)));
            check_rows(&t, params, rows, refs_value(n));
        }
    }
    ebb_free(memory);
    ebb_target_free(&t.law);
    json_decref(values);
    json_decref(params);
}

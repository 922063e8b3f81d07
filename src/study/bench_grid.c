/* bench_grid.c: from lists of samplers, grids, evaluations and strengths of guidance to cells (bench.h).
 *
 * A budget is what users have: so many evaluations of the network. How many steps it pays for depends on the sampler (Heun's method
 * leaves out its last correction, PLMS begins with one evaluation more, correctors are set), and is found by walking over a law that
 * costs nothing.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "diffusion/target.h"
#include "study/bench.h"

#define OWN "own"
#define ADAPTIVE_COST 100        /* evaluations of an adaptive method, for want of a better guess */

typedef struct row { ebb_bench_scale scale; const char *sampler, *grids, *chain_grids; } row;
enum { QUICK = EBB_SCALE_QUICK, USUAL = EBB_SCALE_USUAL, FULL = EBB_SCALE_FULL };
static const row rows[] = {
#define BENCH_SAMPLER(scale, sampler, grids, chain_grids) {(ebb_bench_scale)(scale), sampler, grids, chain_grids},
#define BENCH_NFE(scale, budget)
#include "study/bench_grid.def"
#undef BENCH_SAMPLER
#undef BENCH_NFE
};
static const struct { ebb_bench_scale scale; int budget; } budgets[] = {
#define BENCH_SAMPLER(scale, sampler, grids, chain_grids)
#define BENCH_NFE(scale, budget) {(ebb_bench_scale)(scale), budget},
#include "study/bench_grid.def"
#undef BENCH_SAMPLER
#undef BENCH_NFE
};
enum { ROWS = sizeof rows / sizeof rows[0], BUDGETS = sizeof budgets / sizeof budgets[0] };

/* ---- lists as text --------------------------------------------------------------------------------------------------------- */

/* A part such as "s_noise=1" belongs to the name before it. */
static bool is_setting(const char *part, size_t length)
{
    const char *equals = memchr(part, '=', length), *colon = memchr(part, ':', length);
    return equals != NULL && (colon == NULL || colon > equals);
}

bool ebb_bench_next(const char **list, char name[EBB_BENCH_NAME])
{
    const char *from = *list + strspn(*list, ", ");
    size_t n = strcspn(from, ",");
    if (*from == 0)
        return false;
    while (from[n] == ',' && is_setting(from + n + 1, strcspn(from + n + 1, ",")))
        n += 1 + strcspn(from + n + 1, ",");
    snprintf(name, EBB_BENCH_NAME, "%.*s", (int)(n < INT_MAX ? n : INT_MAX), from);
    *list = from + n;
    return true;
}

ebb_status ebb_bench_numbers(ebb_context *ctx, const char *list, int **out, int32_t *count)
{
    char word[EBB_BENCH_NAME], *end;
    int32_t capacity = 0;
    *count = 0;
    while (ebb_bench_next(&list, word)) {
        errno = 0;
        long value = strtol(word, &end, 10);
        if (errno != 0 || *end != 0 || end == word || value < 1 || value > 100000)
            return ebb_fail(ctx, EBB_E_USAGE, "evaluations '%.40s': whole numbers from 1 to 100000 with commas between, as 5,10,20", word);
        EBB_TRY(ebb_grow(ctx, (void **)out, &capacity, *count + 1, sizeof **out));
        (*out)[(*count)++] = (int)value;
    }
    return EBB_OK;
}

/* ---- steps that a budget pays for ------------------------------------------------------------------------------------------- */

static void any_normal(void *random, int64_t draw, double *z)
{
    (void)random;
    *z = draw % 2 == 0 ? 0.5 : -0.5;
}

static void any_uniform(void *random, int64_t draw, double *u)
{
    (void)random;
    (void)draw;
    *u = 0.5;
}

static const double *any_variance(void *self)
{
    static const double none = 0;
    (void)self;
    return &none;
}

static ebb_status run_walk(ebb_context *ctx, ebb_walk *w, int64_t *nfe)
{
    EBB_TRY(ebb_walk_check(ctx, w));
    EBB_TRY(ebb_alloc(ctx, (void **)&w->work, ebb_walk_work(w->sampler, 1, 1), sizeof *w->work, "a walk"));
    int stopped = w->sampler->run(w);
    ebb_free(w->work);
    *nfe = w->nfe;
    return stopped == 0 ? EBB_OK : ebb_fail(ctx, EBB_E_NUMERIC, "sampler %s: %s", w->sampler->name, w->why);
}

ebb_status ebb_bench_count(ebb_context *ctx, const ebb_process *p, const char *sampler, const char *grid, int steps, int64_t *nfe)
{
    double x = ebb_process_prior_std(p);
    ebb_target law;
    ebb_grid levels;
    ebb_grid_options options;
    const char *kind;
    ebb_walk w = {.process = p, .grid = &levels, .n = 1, .count = 1, .x = &x, .normal = any_normal, .uniform = any_uniform};
    EBB_TRY(ebb_sampler_parse(ctx, sampler, &w.sampler, &w.set));
    EBB_TRY(ebb_grid_parse(ctx, grid, &kind, &options));
    options.steps = options.steps > 0 ? options.steps : steps;
    EBB_TRY(ebb_grid_create(ctx, p, kind != NULL ? kind : ebb_sampler_grid(w.sampler, p), &options, &levels));
    ebb_status status = ebb_target_create(ctx, 1, 1, (double[]){1}, (double[]){0}, (double[]){0.25}, NULL, &law);
    if (status == EBB_OK) {
        ebb_target_field of = {.all = &law, .n = 1};
        ebb_field field = ebb_field_of_target(&of);
        field.variance = any_variance;
        w.field = &field;
        status = run_walk(ctx, &w, nfe);
        ebb_target_free(&law);
    }
    ebb_grid_free(&levels);
    return status;
}

/* More steps never cost less, but for grids that do not exist with some numbers of steps: such count as too dear. */
ebb_status ebb_bench_steps(ebb_context *ctx, const ebb_process *p, const char *sampler, const char *grid, int budget, int *steps)
{
    int64_t nfe = 0;
    int low = 1, high = p->steps > 0 && budget > p->steps ? p->steps : budget;
    *steps = 0;
    if (ebb_bench_count(ctx, p, sampler, grid, high, &nfe) == EBB_OK && nfe <= budget) {
        *steps = high;
        return EBB_OK;
    }
    ebb_status least = ebb_bench_count(ctx, p, sampler, grid, 1, &nfe);
    if (least != EBB_OK || nfe > budget)
        return least;
    while (low < high) {
        int middle = low + (high - low + 1) / 2;
        bool pays = ebb_bench_count(ctx, p, sampler, grid, middle, &nfe) == EBB_OK && nfe <= budget;
        low = pays ? middle : low;
        high = pays ? high : middle - 1;
    }
    *steps = low;
    return EBB_OK;
}

/* ---- cells ------------------------------------------------------------------------------------------------------------------ */

typedef struct expanding {
    ebb_context *ctx;
    const ebb_bench_wanted *wanted;
    ebb_bench_cells *out;
    const int *budget;           /* (budgets) */
    int32_t budgets;
} expanding;

static bool same(const ebb_bench_cell *a, const ebb_bench_cell *b)
{
    return a->role == b->role && strcmp(a->sampler, b->sampler) == 0 && strcmp(a->grid, b->grid) == 0 && a->steps == b->steps &&
           a->guidance == b->guidance && (a->refused[0] != 0) == (b->refused[0] != 0);
}

/* Budgets that pay for the same steps are one cell, of the least. */
static ebb_status add(expanding *e, const ebb_bench_cell *cell)
{
    ebb_bench_cells *c = e->out;
    for (int32_t i = 0; i < c->count; i++)
        if (same(&c->cell[i], cell))
            return EBB_OK;
    EBB_TRY(ebb_grow(e->ctx, (void **)&c->cell, &c->capacity, c->count + 1, sizeof *c->cell));
    c->cell[c->count++] = *cell;
    return EBB_OK;
}

/* Its steps by the budget; refused where it cannot run at all. Names have been checked. */
static ebb_status add_budget(expanding *e, ebb_bench_cell cell, int budget, bool asked_for)
{
    bool doubled = e->wanted->doubled && cell.guidance != 0 && cell.guidance != -1;
    int each = budget / (doubled ? 2 : 1);
    ebb_status status = ebb_bench_steps(e->ctx, e->wanted->process, cell.sampler, cell.grid, each, &cell.steps);
    if (status == EBB_E_MEMORY || (status != EBB_OK && !asked_for))
        return status == EBB_E_MEMORY ? status : EBB_OK;
    if (status != EBB_OK)
        snprintf(cell.refused, sizeof cell.refused, "%s", ebb_message(e->ctx));
    else if (cell.steps == 0 && !asked_for)
        return EBB_OK;
    else if (cell.steps == 0)
        snprintf(cell.refused, sizeof cell.refused, "%d evaluations do not pay for one step", budget);
    cell.budget = budget;
    cell.cost = budget;
    return add(e, &cell);
}

/* One sampler over one grid, at every budget; one that takes as many steps as it needs, or as its grid says, once. */
static ebb_status add_pair(expanding *e, const char *sampler, const char *grid, double guidance, bool asked_for)
{
    ebb_bench_cell cell = {.guidance = guidance};
    const ebb_sampler *kind;
    ebb_sampler_settings set;
    ebb_grid_options options;
    const char *levels;
    EBB_TRY(ebb_sampler_parse(e->ctx, sampler, &kind, &set));
    if (strcmp(grid, OWN) == 0)
        grid = ebb_sampler_grid(kind, e->wanted->process);
    EBB_TRY(ebb_grid_parse(e->ctx, grid, &levels, &options));
    snprintf(cell.sampler, sizeof cell.sampler, "%s", sampler);
    snprintf(cell.grid, sizeof cell.grid, "%s", grid);
    if (kind->evaluations == 0 || options.steps > 0) {
        cell.cost = options.steps > 0 ? options.steps * (kind->evaluations > 0 ? kind->evaluations : 1) : ADAPTIVE_COST;
        return add(e, &cell);
    }
    for (int32_t i = 0; i < e->budgets; i++)
        EBB_TRY(add_budget(e, cell, e->budget[i], asked_for));
    return EBB_OK;
}

static ebb_status add_grids(expanding *e, const char *sampler, const char *grids, double guidance, bool asked_for)
{
    char grid[EBB_BENCH_NAME];
    while (ebb_bench_next(&grids, grid))
        EBB_TRY(add_pair(e, sampler, grid, guidance, asked_for));
    return EBB_OK;
}

static const char *usual_grids(const expanding *e, const row *r)
{
    return e->wanted->process->steps > 0 ? r->chain_grids : r->grids;
}

/* A sampler that was asked for has the grids that were, or those of its rows, or its own. */
static ebb_status add_given(expanding *e, const char *sampler, double guidance)
{
    const ebb_bench_wanted *w = e->wanted;
    bool found = false;
    if (w->grids != NULL && *w->grids != 0)
        return add_grids(e, sampler, w->grids, guidance, true);
    for (int i = 0; i < ROWS; i++)
        if (rows[i].scale <= w->scale && strcmp(rows[i].sampler, sampler) == 0) {
            EBB_TRY(add_grids(e, sampler, usual_grids(e, &rows[i]), guidance, true));
            found = true;
        }
    return found ? EBB_OK : add_grids(e, sampler, OWN, guidance, true);
}

static ebb_status add_samplers(expanding *e, double guidance)
{
    const ebb_bench_wanted *w = e->wanted;
    char sampler[EBB_BENCH_NAME];
    if (w->samplers != NULL && *w->samplers != 0) {
        for (const char *list = w->samplers; ebb_bench_next(&list, sampler);)
            EBB_TRY(add_given(e, sampler, guidance));
        return EBB_OK;
    }
    bool given = w->grids != NULL && *w->grids != 0;
    for (int i = 0; i < ROWS; i++)
        if (rows[i].scale <= w->scale)
            EBB_TRY(add_grids(e, rows[i].sampler, given ? w->grids : usual_grids(e, &rows[i]), guidance, given));
    return EBB_OK;
}

/* What others are held against: the ancestral sampler, of which no process is refused; and a learned score's own error. */
static ebb_status add_special(expanding *e, ebb_bench_role role, const char *sampler, int budget, double guidance)
{
    const ebb_sampler *kind = ebb_sampler_find(sampler);
    ebb_bench_cell cell = {.role = role, .guidance = guidance};
    snprintf(cell.sampler, sizeof cell.sampler, "%s", sampler);
    snprintf(cell.grid, sizeof cell.grid, "%s", ebb_sampler_grid(kind, e->wanted->process));
    return budget > 0 ? add_budget(e, cell, budget, true) : EBB_OK;
}

static int ascending(const void *a, const void *b)
{
    int x = *(const int *)a, y = *(const int *)b;
    return (x > y) - (x < y);
}

static ebb_status find_budgets(ebb_context *ctx, const ebb_bench_wanted *w, int **out, int32_t *count)
{
    int32_t capacity = 0;
    if (w->nfe != NULL && *w->nfe != 0) {
        EBB_TRY(ebb_bench_numbers(ctx, w->nfe, out, count));
    } else {
        for (int i = 0; i < BUDGETS; i++)
            if (budgets[i].scale <= w->scale) {
                EBB_TRY(ebb_grow(ctx, (void **)out, &capacity, *count + 1, sizeof **out));
                (*out)[(*count)++] = budgets[i].budget;
            }
    }
    if (*count > 0)
        qsort(*out, (size_t)*count, sizeof **out, ascending);
    return EBB_OK;
}

static ebb_status expand(expanding *e)
{
    const ebb_bench_wanted *w = e->wanted;
    for (int g = 0; g < w->guidances; g++) {
        EBB_TRY(add_samplers(e, w->guidance[g]));
        EBB_TRY(add_special(e, EBB_BENCH_REFERENCE, "ddpm", w->reference, w->guidance[g]));
        EBB_TRY(add_special(e, EBB_BENCH_SCORE, "heun", w->score, w->guidance[g]));
    }
    for (int32_t i = 0; i < e->out->count; i++)
        if (e->out->cell[i].refused[0] == 0)
            return EBB_OK;
    return ebb_fail(e->ctx, EBB_E_ARGUMENT, "nothing to run: %s", e->out->count > 0 ? e->out->cell[0].refused : "the lists are empty");
}

ebb_status ebb_bench_expand(ebb_context *ctx, const ebb_bench_wanted *wanted, ebb_bench_cells *out)
{
    expanding e = {.ctx = ctx, .wanted = wanted, .out = out};
    int *found = NULL;
    ebb_status status = find_budgets(ctx, wanted, &found, &e.budgets);
    e.budget = found;
    if (status == EBB_OK)
        status = expand(&e);
    ebb_free(found);
    return status;
}

void ebb_bench_cells_free(ebb_bench_cells *c)
{
    for (int32_t i = 0; i < c->count; i++)
        json_decref(c->cell[i].found);
    ebb_free(c->cell);
    *c = (ebb_bench_cells){0};
}

/* ---- the list ---------------------------------------------------------------------------------------------------------------- */

ebb_status ebb_bench_list(ebb_context *ctx, char **json)
{
    static const char *const scales[] = {"quick", "usual", "full"};
    json_t *samplers = json_array(), *nfe = json_array();
    *json = NULL;
    for (int i = 0; i < ROWS; i++)
        json_array_append_new(samplers, json_pack("{s:s, s:s, s:s, s:s}", "scale", scales[rows[i].scale], "sampler", rows[i].sampler,
                                                  "grids", rows[i].grids, "chain_grids", rows[i].chain_grids));
    for (int i = 0; i < BUDGETS; i++)
        json_array_append_new(nfe, json_pack("{s:s, s:i}", "scale", scales[budgets[i].scale], "nfe", budgets[i].budget));
    return ebb_report_text(ctx, json_pack("{s:o, s:o}", "samplers", samplers, "budgets", nfe), json);
}

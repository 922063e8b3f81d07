/* restore.c: pictures from measurements of them, by a model: ebb_restore.
 *
 * A row is one copy of one picture; rows are cut into shards as samples are, and a worker takes a shard through the whole
 * walk. All that is random about copy c of picture i is a function of (seed, i, c), and no row's arithmetic sees another's.
 */
#include <math.h>
#include <stdatomic.h>
#include <string.h>

#include "model/plans.h"
#include "sample/field.h"
#include "sample/guided.h"
#include "sample/restoring.h"

typedef struct worker_state {
    struct running *job;
    ebb_model_field field, bare; /* with the class, and without */
    ebb_guided guided;
    double *x, *work, *y;        /* (shard,numbers), of the method, (shard,rows) */
    float *noise;                /* (numbers) */
    uint32_t *sample;            /* (shard) */
    int32_t *label;              /* (shard) */
} worker_state;

typedef struct running {
    ebb_restoring r;
    ebb_plan *plan, *pull;       /* pull: of methods that need gradients */
    worker_state *state;
    double *doubles;
    uint32_t *words;
    atomic_flag calling;         /* one thread at a time in progress() */
    atomic_int stopped;
    int64_t done, each;          /* looks at the field: under `calling`; of a shard */
    int64_t nfe;                 /* evaluations of a shard, at most; under `calling` */
} running;

/* Then only the model without its class is asked. */
static bool is_bare(const ebb_restore_options *o)
{
    return o->label == EBB_LABEL_NONE || (o->guidance == -1 && o->guidance_low == 0 && o->guidance_high == 0);
}

/* ---- making ------------------------------------------------------------------------------------------------------------------ */

static ebb_status make_plans(running *s)
{
    const ebb_model *m = s->r.model;
    ebb_context *ctx = s->r.ctx;
    ebb_plan_options options = ebb_recipe_plan(m->recipe, s->r.way.workers);
    options.team = s->r.way.team;
    options.bf16 = strcmp(s->r.o.precision, "bf16") == 0 ? EBB_BF16_CHANNELS : 0;
    EBB_TRY(ebb_eval_plan(ctx, &m->net, s->r.way.shard, &options, &s->plan));
    ebb_params_bind(&m->params, s->plan, m->weights);
    if (s->r.method->run != ebb_restore_dps)
        return EBB_OK;
    EBB_TRY(ebb_pullback_plan(ctx, &m->net, s->r.way.shard, &options, &s->pull));
    ebb_params_bind(&m->params, s->pull, m->weights);
    return EBB_OK;
}

static size_t even(size_t doubles)
{
    return (doubles + 7) / 8 * 8;
}

static ebb_status make_workers(running *s)
{
    ebb_restoring *r = &s->r;
    size_t n = (size_t)r->way.shard, count = (size_t)r->numbers, workers = (size_t)r->way.workers;
    size_t x = even(n * count), work = even(ebb_restore_work(r->method, r->way.shard, r->numbers)), y = even(n * (size_t)r->op.rows);
    size_t noise = even((count + 1) / 2), guided = even(ebb_guided_work(r->way.shard, r->numbers));
    size_t doubles = x + work + y + noise + guided + (r->model->net.learned_variance ? x : 0);
    EBB_TRY(ebb_alloc(r->ctx, (void **)&s->state, workers, sizeof *s->state, "workers of a restoration"));
    EBB_TRY(ebb_alloc(r->ctx, (void **)&s->doubles, workers, doubles * sizeof(double), "pictures of a restoration: fewer at once"));
    EBB_TRY(ebb_alloc(r->ctx, (void **)&s->words, workers * n, 2 * sizeof *s->words, "labels of a restoration"));
    for (size_t w = 0; w < workers; w++) {
        double *at = s->doubles + w * doubles, *own = at + x + work + y;
        worker_state *k = &s->state[w];
        *k = (worker_state){.job = s, .x = at, .work = at + x, .y = at + x + work, .noise = (float *)(void *)own,
                            .sample = s->words + 2 * w * n};
        k->label = (int32_t *)(k->sample + n);
        k->field = (ebb_model_field){.model = r->model, .plan = s->plan, .pull = s->pull, .worker = (int)w, .n = r->way.shard,
                                     .numbers = r->numbers, .label = is_bare(&r->o) ? NULL : k->label,
                                     .variance = r->model->net.learned_variance ? own + noise + guided : NULL};
        k->bare = k->field;
        k->bare.label = NULL;
        k->bare.variance = NULL;
        k->guided = (ebb_guided){.main = ebb_field_of_model(&k->field), .w = r->o.guidance, .low = r->o.guidance_low,
                                 .high = r->o.guidance_high, .work = own + noise};
        if (r->o.guidance != 0 && !is_bare(&r->o))
            k->guided.other = ebb_field_of_model(&k->bare);
    }
    return EBB_OK;
}

static ebb_status make(running *s, const ebb_restore_options *options)
{
    ebb_restoring *r = &s->r;
    EBB_TRY(ebb_restoring_settle(r, options));
    if (r->n < 1 || r->n > EBB_RESTORED_MAX - r->o.first)
        return ebb_fail(r->ctx, EBB_E_ARGUMENT, "%lld pictures from number %lld: 1 or more, numbers up to %d", (long long)r->n,
                        (long long)r->o.first, EBB_RESTORED_MAX - 1);
    r->way = ebb_field_way(r->ctx, r->n * r->o.copies);
    s->each = r->method->evaluations(&r->set, r->grid.steps);
    EBB_TRY(ebb_restoring_measure(r));
    EBB_TRY(make_plans(s));
    return make_workers(s);
}

static void free_all(running *s)
{
    ebb_plan_free(s->plan);
    ebb_plan_free(s->pull);
    ebb_restoring_free(&s->r);
    ebb_free(s->state);
    ebb_free(s->doubles);
    ebb_free(s->words);
}

/* ---- measuring ---------------------------------------------------------------------------------------------------------------- */

static void add_noise(const ebb_restoring *r, int64_t i, float *room, double *y)
{
    ebb_rng_at at = {.seed = r->o.seed, .stream = EBB_STREAM_MEASURE, .sample = (uint32_t)(r->o.first + i)};
    r->ctx->kernels->normal_f32((size_t)r->op.rows, room, &at);
    for (int64_t j = 0; j < r->op.rows; j++)
        y[j] += r->o.sigma * room[j];
}

/* How y looks as a picture of the model's: itself where it is one, else the least that agrees with it. */
static void look(const ebb_restoring *r, const double *y, double *x, float *to)
{
    if (r->op.rows == r->numbers)
        memcpy(x, y, (size_t)r->numbers * sizeof *x);
    else
        ebb_operator_pseudo(&r->op, y, x);
    for (int64_t d = 0; d < r->numbers; d++)
        to[d] = (float)x[d];
}

ebb_status ebb_restoring_measure(ebb_restoring *r)
{
    double *x;
    const int *shape = r->op.shape;
    int64_t numbers = r->o.given ? (int64_t)shape[0] * shape[1] * shape[2] : r->numbers;
    EBB_TRY(ebb_alloc(r->ctx, (void **)&r->y, (size_t)r->n, (size_t)r->op.rows * sizeof *r->y, "measurements"));
    EBB_TRY(ebb_alloc(r->ctx, (void **)&x, (size_t)r->numbers, 2 * sizeof *x, "a picture"));
    ebb_status status = EBB_OK;
    for (int64_t i = 0; i < r->n && status == EBB_OK; i++) {
        double *y = r->y + i * r->op.rows;
        for (int64_t d = 0; d < numbers; d++)
            x[d] = r->pictures[i * numbers + d];
        if (r->o.given)
            ebb_operator_read(&r->op, x, y);
        else
            r->op.apply(&r->op, x, y);
        if (!r->o.given && r->o.sigma > 0)
            add_noise(r, i, (float *)(void *)(x + r->numbers), y);
        for (int64_t j = 0; j < r->op.rows; j++)
            if (!isfinite(y[j]))
                status = ebb_fail(r->ctx, EBB_E_NUMERIC, "picture %lld holds a NaN or an infinity", (long long)(r->o.first + i));
        if (r->measured != NULL)
            look(r, y, x, r->measured + i * r->numbers);
    }
    ebb_free(x);
    return status;
}

/* ---- running ------------------------------------------------------------------------------------------------------------------ */

static int report(void *user)
{
    running *s = ((worker_state *)user)->job;
    const ebb_restore_options *o = &s->r.o;
    if (o->progress == NULL)
        return 0;
    while (atomic_flag_test_and_set(&s->calling))
        ebb_par_yield();
    /* Looked at under the flag: after a stop nothing more is counted or reported. */
    if (atomic_load(&s->stopped) == 0 && o->progress(o->user, ++s->done, s->r.way.shards * s->each) != 0)
        atomic_store(&s->stopped, 1);
    atomic_flag_clear(&s->calling);
    return atomic_load(&s->stopped);
}

static void draw_normal(const worker_state *w, ebb_stream stream, int64_t draw, double scale, double *z)
{
    const ebb_restoring *r = &w->job->r;
    for (int64_t i = 0; i < r->way.shard; i++) {
        ebb_rng_at at = {.seed = r->o.seed, .stream = stream, .step = (uint32_t)draw, .sample = w->sample[i]};
        r->ctx->kernels->normal_f32((size_t)r->numbers, w->noise, &at);
        for (int64_t d = 0; d < r->numbers; d++)
            z[i * r->numbers + d] = scale * w->noise[d];
    }
}

static void step_normal(void *self, int64_t draw, double *z)
{
    draw_normal(self, EBB_STREAM_SAMPLE_STEP, draw, 1, z);
}

/* Padding repeats the last row; it is computed and thrown away. */
static void fill_rows(worker_state *w, int64_t first)
{
    const ebb_restoring *r = &w->job->r;
    int64_t rows = r->n * r->o.copies;
    for (int64_t i = 0; i < r->way.shard; i++) {
        int64_t row = first + i < rows ? first + i : rows - 1, picture = row / r->o.copies;
        w->sample[i] = (uint32_t)((r->o.first + picture) * EBB_COPIES_MAX + row % r->o.copies);
        w->label[i] = r->o.label;
        memcpy(w->y + i * r->op.rows, r->y + picture * r->op.rows, (size_t)r->op.rows * sizeof *w->y);
    }
}

static void count(running *s, int64_t nfe)
{
    while (atomic_flag_test_and_set(&s->calling))
        ebb_par_yield();
    s->nfe = nfe > s->nfe ? nfe : s->nfe;
    atomic_flag_clear(&s->calling);
}

static void run_shard(void *arg, int64_t shard, int worker)
{
    running *s = arg;
    ebb_restoring *r = &s->r;
    worker_state *w = &s->state[worker];
    int64_t first = shard * r->way.shard, left = r->n * r->o.copies - first, n = left < r->way.shard ? left : r->way.shard;
    if (atomic_load(&s->stopped) != 0)
        return;
    fill_rows(w, first);
    ebb_field field = ebb_field_guided(&w->guided);
    ebb_restore_walk walk = {.method = r->method, .set = r->set, .op = &r->op, .y = w->y, .sigma = r->o.sigma,
                        .walk = {.process = &r->model->process, .grid = &r->grid, .field = &field, .n = r->way.shard,
                                 .count = r->numbers, .clip = 1, .x = w->x, .work = w->work, .normal = step_normal, .random = w,
                                 .evaluated = report, .user = w}};
    draw_normal(w, EBB_STREAM_SAMPLE_START, 0, ebb_process_prior_std(&r->model->process), w->x);
    if (ebb_restore_run(&walk) != 0)
        return;
    count(s, walk.walk.nfe);
    for (int64_t i = 0; r->op.fit != NULL && r->o.sigma == 0 && i < n; i++)
        r->op.fit(&r->op, w->x + i * r->numbers);
    for (int64_t d = 0; d < n * r->numbers; d++)
        r->restored[first * r->numbers + d] = (float)(w->x[d] < -1 ? -1 : w->x[d] > 1 ? 1 : w->x[d]);
}

static ebb_status run(running *s)
{
    ebb_restoring *r = &s->r;
    ebb_plan_prepare(s->plan);
    if (s->pull != NULL)
        ebb_plan_prepare(s->pull);
    ebb_par_teams(r->way.workers, r->way.team, r->way.shards, run_shard, s);
    EBB_TRY(ebb_plan_check(s->plan));
    if (s->pull != NULL)
        EBB_TRY(ebb_plan_check(s->pull));
    if (atomic_load(&s->stopped))
        return ebb_fail(r->ctx, EBB_E_ARGUMENT, "restoration was stopped after %lld of %lld evaluations", (long long)s->done,
                        (long long)(r->way.shards * s->each));
    for (int64_t i = 0; i < r->n * r->o.copies * r->numbers; i++)
        if (!isfinite(r->restored[i]))
            return ebb_fail(r->ctx, EBB_E_NUMERIC, "picture %lld holds a NaN or an infinity: method %s has diverged; take smaller "
                            "steps", (long long)(r->o.first + i / r->numbers / r->o.copies), r->o.method);
    return EBB_OK;
}

ebb_status ebb_restore(ebb_context *ctx, ebb_model *model, const ebb_restore_options *options, int64_t n, const float *pictures,
                       float *measured, float *restored, char **json)
{
    running *s;
    *json = NULL;
    EBB_TRY(ebb_alloc(ctx, (void **)&s, 1, sizeof *s, "a restoration"));
    s->r = (ebb_restoring){.ctx = ctx, .model = model, .n = n, .pictures = pictures, .measured = measured, .restored = restored};
    atomic_flag_clear(&s->calling);
    ebb_status status = make(s, options);
    if (status == EBB_OK)
        status = run(s);
    if (status == EBB_OK)
        status = ebb_restoring_report(&s->r, s->nfe, json);
    free_all(s);
    ebb_free(s);
    return status;
}

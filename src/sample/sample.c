/* sample.c: pictures from a model.
 *
 * The pictures are cut into shards; a worker takes a shard through the whole trajectory, so that workers
 * meet once at the end. Where there are fewer shards than threads, each worker leads a team of them.
 * Picture i draws its random numbers as sample first + i, and no picture's arithmetic sees another's: it is
 * the same bits alone or in any batch.
 */
#include <math.h>
#include <stdatomic.h>
#include <stdio.h>

#include "sample/guides.h"
#include "sample/sampling.h"

typedef struct worker_state {
    struct ebb_sampling *job;
    double *x, *work; /* (shard, numbers), ebb_walk_work */
    float *noise;     /* (numbers) */
    ebb_guides_rows rows;
} worker_state;

struct ebb_sampling {
    ebb_sample_job j;
    ebb_guides guides;
    ebb_eval_way way;
    int64_t numbers;
    worker_state *state;
    double *doubles; /* of all workers */
    int64_t *words;
    float *pixels;       /* the caller's */
    atomic_flag calling; /* one thread at a time in progress() */
    atomic_int stopped;
    int64_t done; /* evaluations; under `calling` */
    int64_t nfe;  /* of a shard, all networks, at most; under `calling` */
    char why[260]; /* a sampler gave up, or a condition; under `calling` */
    ebb_status status; /* and with what; under `calling` */
};

/* ---- making ----------------------------------------------------------------------------- */

static size_t whole_lines(size_t doubles)
{
    return (doubles + 7) / 8 * 8;
}

static ebb_status make_buffers(ebb_sampling *s)
{
    ebb_context *ctx = s->j.ctx;
    size_t x = whole_lines((size_t)(s->way.shard * s->numbers)), guided = ebb_guides_doubles(&s->guides);
    size_t work = whole_lines(ebb_walk_work(s->j.sampler, s->way.shard, s->numbers));
    size_t each = x + work + guided + whole_lines((size_t)(s->numbers + 1) / 2), words = ebb_guides_words(&s->guides);
    size_t workers = (size_t)s->way.workers;
    EBB_TRY(ebb_alloc(ctx, (void **)&s->state, workers, sizeof *s->state, "sampling workers"));
    EBB_TRY(ebb_alloc(ctx, (void **)&s->doubles, workers, each * sizeof(double), "pictures of the samplers"));
    EBB_TRY(ebb_alloc(ctx, (void **)&s->words, workers, words * sizeof *s->words, "labels of the samples"));
    for (size_t w = 0; w < workers; w++) {
        double *at = s->doubles + w * each;
        s->state[w] = (worker_state){.job = s, .x = at, .work = at + x, .noise = (float *)(at + x + work + guided)};
        ebb_guides_bind(&s->guides, (int)w, at + x + work, s->words + w * words, &s->state[w].rows);
    }
    return EBB_OK;
}

static ebb_status make(ebb_sampling *s, const ebb_sample_options *options)
{
    EBB_TRY(ebb_sample_settle(&s->j, options));
    s->way = ebb_field_way(s->j.ctx, s->j.o.n);
    EBB_TRY(ebb_guides_create(&s->j, s->way, &s->guides));
    return make_buffers(s);
}

ebb_status ebb_sampling_create(ebb_context *ctx, ebb_model *model, const ebb_sample_options *options,
                               ebb_sampling **out)
{
    EBB_TRY(ebb_alloc(ctx, (void **)out, 1, sizeof **out, "sampling job"));
    ebb_sampling *s = *out;
    s->j = (ebb_sample_job){.ctx = ctx, .model = model};
    s->numbers = ebb_shape_count(ebb_network_shape(&model->net, 1));
    atomic_flag_clear(&s->calling);
    ebb_status status = make(s, options);
    if (status != EBB_OK) {
        ebb_sampling_free(s);
        *out = NULL;
    }
    return status;
}

ebb_plan *ebb_sampling_plan(ebb_sampling *s)
{
    return s->guides.plan;
}

int ebb_sampling_steps(const ebb_sampling *s)
{
    return s->j.o.steps;
}

void ebb_sampling_free(ebb_sampling *s)
{
    if (s == NULL)
        return;
    ebb_guides_free(&s->guides);
    ebb_free(s->state);
    ebb_free(s->doubles);
    ebb_grid_free(&s->j.grid);
    ebb_free(s->words);
    ebb_free(s);
}

/* ---- running ---------------------------------------------------------------------------- */

/* Of all shards; adaptive samplers need about as many as they have steps. */
static int64_t evaluations(const ebb_sampling *s)
{
    int each = s->j.sampler->evaluations > 0 ? s->j.sampler->evaluations : 1;
    int64_t total = s->way.shards * s->j.grid.steps * each;
    return s->done > total ? s->done : total;
}

static void lock(ebb_sampling *s)
{
    while (atomic_flag_test_and_set(&s->calling))
        ebb_par_yield();
}

/* Stops all shards; the first reason counts. */
static void give_up(ebb_sampling *s, ebb_status status, const char *why)
{
    lock(s);
    if (s->why[0] == 0) {
        snprintf(s->why, sizeof s->why, "%s", why);
        s->status = status;
    }
    atomic_store(&s->stopped, 1);
    atomic_flag_clear(&s->calling);
}

static void refuse(worker_state *w)
{
    char why[160];
    const ebb_guides_rows *r = &w->rows;
    snprintf(why, sizeof why, "condition() returned %d for samples %lld..%lld", r->guided.refused, (long long)r->sample[0],
             (long long)r->sample[r->n - 1]);
    give_up(w->job, EBB_E_ARGUMENT, why);
}

static int report(void *user)
{
    worker_state *w = user;
    ebb_sampling *s = w->job;
    const ebb_sample_options *o = &s->j.o;
    if (w->rows.guided.refused != 0)
        refuse(w);
    if (o->progress == NULL)
        return atomic_load(&s->stopped);
    lock(s);
    /* Looked at under the flag: after a stop nothing more is counted or reported. */
    if (atomic_load(&s->stopped) == 0 && o->progress(o->user, ++s->done, evaluations(s)) != 0)
        atomic_store(&s->stopped, 1);
    atomic_flag_clear(&s->calling);
    return atomic_load(&s->stopped);
}

static ebb_rng_at rng_of(const worker_state *w, int64_t i, ebb_stream stream, int64_t draw)
{
    return (ebb_rng_at){.seed = w->job->j.o.seed, .stream = stream, .step = (uint32_t)draw, .sample = (uint32_t)w->rows.sample[i]};
}

static void draw_normal(const worker_state *w, ebb_stream stream, int64_t draw, double scale, double *z)
{
    const ebb_sampling *s = w->job;
    for (int64_t i = 0; i < s->way.shard; i++) {
        ebb_rng_at at = rng_of(w, i, stream, draw);
        s->j.ctx->kernels->normal_f32((size_t)s->numbers, w->noise, &at);
        for (int64_t d = 0; d < s->numbers; d++)
            z[i * s->numbers + d] = scale * w->noise[d];
    }
}

static void step_normal(void *self, int64_t draw, double *z)
{
    draw_normal(self, EBB_STREAM_SAMPLE_STEP, draw, 1, z);
}

static void step_uniform(void *self, int64_t draw, double *u)
{
    const worker_state *w = self;
    for (int64_t i = 0; i < w->job->way.shard; i++) {
        ebb_rng_at at = rng_of(w, i, EBB_STREAM_SAMPLE_STEP, draw);
        u[i] = ebb_rng_uniform(&at, 0);
    }
}

/* Padding repeats the last picture; it is computed and thrown away. */
static void begin_rows(worker_state *w, int64_t first, int64_t n)
{
    const ebb_sample_job *j = &w->job->j;
    ebb_guides_rows *r = &w->rows;
    for (int64_t i = 0; i < r->n; i++) {
        int64_t k = first + (i < n ? i : n - 1);
        r->sample[i] = j->o.first + k;
        r->label[i] = ebb_sample_label(j, k);
    }
    r->guided.refused = 0;
}

static void end_walk(ebb_sampling *s, const ebb_walk *walk)
{
    char why[260];
    snprintf(why, sizeof why, "sampler %s: %s", s->j.sampler->name, walk->why);
    if (walk->why[0] != 0)
        give_up(s, EBB_E_NUMERIC, why);
    lock(s);
    s->nfe = walk->nfe > s->nfe ? walk->nfe : s->nfe;
    atomic_flag_clear(&s->calling);
}

static void run_shard(void *arg, int64_t shard, int worker)
{
    ebb_sampling *s = arg;
    worker_state *w = &s->state[worker];
    int64_t first = shard * s->way.shard, n = s->j.o.n - first < s->way.shard ? s->j.o.n - first : s->way.shard;
    if (atomic_load(&s->stopped) != 0)
        return;
    begin_rows(w, first, n);
    ebb_walk walk = {
        .sampler = s->j.sampler,
        .process = &s->j.model->process,
        .grid = &s->j.grid,
        .field = &w->rows.field,
        .set = s->j.set,
        .n = s->way.shard,
        .count = s->numbers,
        .clip = s->j.model->net.kind == EBB_NET_UNET ? s->j.model->recipe->sample_clip : 0,
        .x = w->x,
        .work = w->work,
        .normal = step_normal,
        .uniform = step_uniform,
        .random = w,
        .evaluated = report,
        .user = w,
    };
    double start = s->j.grid.start > 0 ? s->j.grid.start : ebb_process_prior_std(&s->j.model->process);
    draw_normal(w, EBB_STREAM_SAMPLE_START, 0, start, w->x);
    if (s->j.sampler->run(&walk) == 0)
        for (int64_t d = 0; d < n * s->numbers; d++)
            s->pixels[first * s->numbers + d] = (float)w->x[d];
    end_walk(s, &walk);
}

static ebb_status check_pixels(const ebb_sampling *s)
{
    for (int64_t i = 0; i < s->j.o.n * s->numbers; i++)
        if (!isfinite(s->pixels[i]))
            return ebb_fail(s->j.ctx, EBB_E_NUMERIC, "sample %lld holds a NaN or an infinity: the model has diverged",
                            (long long)(s->j.o.first + i / s->numbers));
    return EBB_OK;
}

ebb_status ebb_sampling_run(ebb_sampling *s, float *pixels)
{
    ebb_context *ctx = s->j.ctx;
    s->pixels = pixels;
    s->done = s->nfe = 0;
    ebb_guides_prepare(&s->guides);
    ebb_par_teams(s->way.workers, s->way.team, s->way.shards, run_shard, s);
    EBB_TRY(ebb_guides_check(&s->guides));
    if (s->why[0] != 0)
        return ebb_fail(ctx, s->status, "%s", s->why);
    if (atomic_load(&s->stopped))
        return ebb_fail(ctx, EBB_E_ARGUMENT, "sampling was stopped after %lld of %lld evaluations", (long long)s->done,
                        (long long)evaluations(s));
    if (s->j.o.evaluations != NULL)
        *s->j.o.evaluations = s->nfe;
    return check_pixels(s);
}

ebb_status ebb_sample(ebb_context *ctx, ebb_model *model, const ebb_sample_options *options, float *pixels)
{
    ebb_sampling *s;
    EBB_TRY(ebb_sampling_create(ctx, model, options, &s));
    ebb_status status = ebb_sampling_run(s, pixels);
    ebb_sampling_free(s);
    return status;
}

/* distances.c: the list of distances, each as a function of weighted samples, so that resampling is only other weights.
 */
#include "eval/distances.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define PI 3.14159265358979323846
#define REAL_SEED 0x7ea1         /* of the judge's own points, and of those of the floor */
#define FLOOR_SEED 0xf1003

/* Samples made ready: what does not depend on weights. */
typedef struct ebb_seen {
    const ebb_judge *j;
    const double *x;
    int64_t n, pairs, paired;
    double *along;               /* (directions,n) ascending */
    int32_t *order;              /* (directions,n) which sample each is */
    int32_t *cell;               /* (n) */
    ebb_pairs energy, mmd;
    double best;                 /* of the pairing */
} ebb_seen;

/* ---- the distances; weight (n) sums to 1, or NULL; scratch (n + cells) ------------------------------------------------- */

/* Weights in the order of a direction. */
static const double *ordered(const ebb_seen *s, int direction, const double *weight, double *scratch)
{
    for (int64_t i = 0; weight != NULL && i < s->n; i++)
        scratch[i] = weight[s->order[direction * s->n + i]];
    return weight != NULL ? scratch : NULL;
}

static double see_w1(const ebb_seen *s, const double *weight, double *scratch)
{
    return ebb_line_w1(s->j->line, s->along, ordered(s, 0, weight, scratch), s->n);
}

static double see_w2(const ebb_seen *s, const double *weight, double *scratch)
{
    return ebb_line_w2(s->j->line, s->along, ordered(s, 0, weight, scratch), s->n);
}

static double see_sliced(const ebb_seen *s, const double *weight, double *scratch)
{
    double sum = 0;
    for (int d = 0; d < s->j->directions; d++) {
        double w2 = ebb_line_w2(s->j->line + d, s->along + d * s->n, ordered(s, d, weight, scratch), s->n);
        sum += w2 * w2 / s->j->directions;
    }
    return sqrt(sum);
}

static double see_paired(const ebb_seen *s, const double *weight, double *scratch)
{
    (void)scratch;
    return weight == NULL ? s->best : NAN;
}

static const double *histogram(const ebb_seen *s, const double *weight, double *share)
{
    memset(share, 0, (size_t)s->j->cells.count * sizeof *share);
    for (int64_t i = 0; i < s->n; i++)
        share[s->cell[i]] += weight != NULL ? weight[i] : 1.0 / (double)s->n;
    return share;
}

static double see_kl(const ebb_seen *s, const double *weight, double *scratch)
{
    return ebb_cells_kl(&s->j->cells, histogram(s, weight, scratch));
}

static double see_tv(const ebb_seen *s, const double *weight, double *scratch)
{
    return ebb_cells_tv(&s->j->cells, histogram(s, weight, scratch));
}

static double see_energy(const ebb_seen *s, const double *weight, double *scratch)
{
    (void)scratch;
    return ebb_pairs_value(&s->energy, weight);
}

static double see_mmd(const ebb_seen *s, const double *weight, double *scratch)
{
    (void)scratch;
    return ebb_pairs_value(&s->mmd, weight);
}

static double see_moments(const ebb_seen *s, const double *weight, double *scratch)
{
    double mean[EBB_TARGET_DIM_MAX], cov[EBB_TARGET_DIM_MAX * EBB_TARGET_DIM_MAX];
    (void)scratch;
    ebb_samples_moments(s->x, weight, s->n, s->j->law->dim, mean, cov);
    return ebb_gaussians_w2(s->j->law->dim, mean, cov, s->j->mean, s->j->cov);
}

static double see_normal(const ebb_seen *s, const double *weight, double *scratch)
{
    double mean[EBB_TARGET_DIM_MAX], cov[EBB_TARGET_DIM_MAX * EBB_TARGET_DIM_MAX];
    (void)scratch;
    ebb_samples_moments(s->x, weight, s->n, s->j->law->dim, mean, cov);
    return ebb_gaussians_kl(s->j->law->dim, mean, cov, s->j->mean, s->j->cov);
}

static const struct {
    const char *name, *help;
    int least, most;
    double (*see)(const ebb_seen *s, const double *weight, double *scratch);
} list[] = {
#define DISTANCE(id, name, function, least, most, help) {name, help, least, most, function},
#include "eval/distances.def"
#undef DISTANCE
};

const char *ebb_distance_name(ebb_distance d)
{
    return list[d].name;
}

const char *ebb_distance_help(ebb_distance d)
{
    return list[d].help;
}

bool ebb_distance_fits(ebb_distance d, int dim)
{
    return dim >= list[d].least && dim <= list[d].most;
}

/* ---- the judge ------------------------------------------------------------------------------------------------------------ */

/* Even over half a circle in the plane; else random, of seed 0. */
static void choose_directions(ebb_judge *j)
{
    int dim = j->law->dim;
    for (int k = 0; k < j->directions; k++) {
        double *v = j->direction + k * dim, length = 0;
        ebb_rng_at at = {.seed = 0, .stream = EBB_STREAM_EVAL, .sample = (uint32_t)k};
        for (int i = 0; i < dim; i++) {
            double u = ebb_rng_uniform(&at, (uint32_t)(2 * i)), angle = 2 * PI * ebb_rng_uniform(&at, (uint32_t)(2 * i + 1));
            v[i] = sqrt(-2 * log(1 - u)) * cos(angle);
            length += v[i] * v[i];
        }
        for (int i = 0; i < dim; i++)
            v[i] /= sqrt(length);
        if (dim == 1)
            v[0] = 1;
        if (dim == 2) {
            v[0] = cos(PI * (k + 0.5) / j->directions);
            v[1] = sin(PI * (k + 0.5) / j->directions);
        }
    }
}

static ebb_status make_judge(ebb_context *ctx, ebb_judge *j)
{
    size_t dim = (size_t)j->law->dim, directions = (size_t)j->directions;
    EBB_TRY(ebb_alloc(ctx, (void **)&j->direction, directions * dim + dim * dim + EBB_JUDGE_PAIRS * dim, sizeof(double),
                      "a judge of samples"));
    j->cov = j->direction + directions * dim;
    j->real = j->cov + dim * dim;
    EBB_TRY(ebb_alloc(ctx, (void **)&j->line, directions, sizeof *j->line, "a judge of samples"));
    choose_directions(j);
    for (int k = 0; k < j->directions; k++)
        EBB_TRY(ebb_line_create(ctx, j->law, j->direction + (size_t)k * dim, j->line + k));
    if (dim <= 2)
        EBB_TRY(ebb_cells_create(ctx, j->law, &j->cells));
    ebb_target_moments(j->law, j->mean, j->cov);
    ebb_target_sample(j->law, REAL_SEED, 0, EBB_JUDGE_PAIRS, j->real, NULL);
    return EBB_OK;
}

ebb_status ebb_judge_create(ebb_context *ctx, const ebb_target *law, ebb_judge *out)
{
    *out = (ebb_judge){.law = law, .directions = law->dim == 1 ? 1 : EBB_JUDGE_DIRECTIONS,
                       .paired = EBB_JUDGE_PAIRED};
    ebb_status status = make_judge(ctx, out);
    if (status != EBB_OK)
        ebb_judge_free(out);
    return status;
}

void ebb_judge_free(ebb_judge *j)
{
    for (int k = 0; j->line != NULL && k < j->directions; k++)
        ebb_line_free(j->line + k);
    ebb_free(j->line);
    ebb_free(j->direction);
    ebb_cells_free(&j->cells);
    *j = (ebb_judge){0};
}

/* ---- seeing samples --------------------------------------------------------------------------------------------------------- */

typedef struct placed { double value; int32_t index; } placed;

static int by_value(const void *a, const void *b)
{
    const placed *p = a, *q = b;
    if (p->value != q->value)
        return p->value < q->value ? -1 : 1;
    return p->index < q->index ? -1 : 1;
}

typedef struct sorting { ebb_seen *s; placed *room; } sorting;

static void sort_along(void *self, int64_t d, int worker)
{
    const sorting *k = self;
    ebb_seen *s = k->s;
    int dim = s->j->law->dim;
    placed *p = k->room + worker * s->n;
    for (int64_t i = 0; i < s->n; i++) {
        p[i] = (placed){0, (int32_t)i};
        for (int a = 0; a < dim; a++)
            p[i].value += s->j->direction[d * dim + a] * s->x[i * dim + a];
    }
    qsort(p, (size_t)s->n, sizeof *p, by_value);
    for (int64_t i = 0; i < s->n; i++) {
        s->along[d * s->n + i] = p[i].value;
        s->order[d * s->n + i] = p[i].index;
    }
}

static ebb_status see_lines(ebb_context *ctx, ebb_seen *s)
{
    size_t all = (size_t)s->j->directions * (size_t)s->n;
    sorting k = {.s = s};
    EBB_TRY(ebb_alloc(ctx, (void **)&s->along, all, sizeof *s->along, "samples in order"));
    EBB_TRY(ebb_alloc(ctx, (void **)&s->order, all + (size_t)s->n, sizeof *s->order, "samples in order"));
    EBB_TRY(ebb_alloc(ctx, (void **)&k.room, (size_t)ctx->threads * (size_t)s->n, sizeof *k.room, "samples in order"));
    s->cell = s->order + all;
    ebb_par_for(ctx->threads, s->j->directions, sort_along, &k);
    ebb_free(k.room);
    for (int64_t i = 0; s->j->cells.count > 0 && i < s->n; i++)
        s->cell[i] = ebb_cells_at(&s->j->cells, s->x + i * s->j->law->dim);
    return EBB_OK;
}

static ebb_status see(ebb_context *ctx, ebb_seen *s)
{
    int dim = s->j->law->dim;
    s->pairs = s->n < EBB_JUDGE_PAIRS ? s->n : EBB_JUDGE_PAIRS;
    s->paired = s->n < s->j->paired ? s->n : s->j->paired;
    s->best = NAN;
    EBB_TRY(see_lines(ctx, s));
    EBB_TRY(ebb_pairs_create(ctx, EBB_PAIR_ENERGY, true, dim, s->x, s->pairs, s->j->real, EBB_JUDGE_PAIRS, &s->energy));
    EBB_TRY(ebb_pairs_create(ctx, EBB_PAIR_MMD, true, dim, s->x, s->pairs, s->j->real, EBB_JUDGE_PAIRS, &s->mmd));
    if (dim > 1 && s->paired > 0)
        EBB_TRY(ebb_assignment_w2(ctx, dim, s->x, s->j->real, s->paired, NULL, &s->best));
    return EBB_OK;
}

/* ---- measuring and resampling -------------------------------------------------------------------------------------------- */

typedef struct measuring {
    const ebb_seen *s;
    double *room;                /* of each worker: weights (n), scratch (n + cells) */
    size_t each;
    double *found;               /* (1 + resamples, EBB_DISTANCES): as they are, then resampled */
} measuring;

/* n draws with replacement, as weights. */
static void resample(const ebb_seen *s, int64_t round, double *weight)
{
    ebb_rng_at at = {.seed = 1, .stream = EBB_STREAM_EVAL, .step = (uint32_t)round};
    memset(weight, 0, (size_t)s->n * sizeof *weight);
    for (int64_t i = 0; i < s->n; i++)
        weight[ebb_rng_below(&at, (uint32_t)i, (uint32_t)s->n)] += 1.0 / (double)s->n;
}

static void measure(void *self, int64_t round, int worker)
{
    const measuring *m = self;
    double *weight = m->room + (size_t)worker * m->each, *scratch = weight + m->s->n;
    if (round > 0)
        resample(m->s, round, weight);
    for (int d = 0; d < EBB_DISTANCES; d++)
        m->found[round * EBB_DISTANCES + d] =
            ebb_distance_fits((ebb_distance)d, m->s->j->law->dim) ? list[d].see(m->s, round > 0 ? weight : NULL, scratch) : NAN;
}

static ebb_measure summary(const measuring *m, ebb_distance d, int resamples, double *room)
{
    for (int b = 0; b < resamples; b++)
        room[b] = m->found[(b + 1) * EBB_DISTANCES + d];
    return ebb_resample_interval(m->found[d], room, resamples);
}

static ebb_status measure_all(ebb_context *ctx, const ebb_seen *s, int resamples, ebb_measure *result)
{
    size_t rounds = (size_t)resamples + 1;
    measuring m = {.s = s, .each = 2 * (size_t)s->n + (size_t)s->j->cells.count};
    EBB_TRY(ebb_alloc(ctx, (void **)&m.room, (size_t)ctx->threads * m.each + rounds * (EBB_DISTANCES + 1), sizeof(double),
                      "distances"));
    m.found = m.room + (size_t)ctx->threads * m.each;
    ebb_par_for(ctx->threads, (int64_t)rounds, measure, &m);
    for (int d = 0; d < EBB_DISTANCES; d++)
        result[d] = summary(&m, (ebb_distance)d, resamples, m.found + rounds * EBB_DISTANCES);
    ebb_free(m.room);
    return EBB_OK;
}

ebb_status ebb_judge_measure(ebb_context *ctx, const ebb_judge *j, const double *x, int64_t n, int resamples,
                             ebb_measure *result)
{
    ebb_seen s = {.j = j, .x = x, .n = n};
    if (n < 2 || n > INT32_MAX || resamples < 0 || resamples > 100000)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "distances of %lld samples, %d resamples: 2 samples at least, 100000 resamples at most",
                        (long long)n, resamples);
    for (int64_t i = 0; i < n * j->law->dim; i++)
        if (!isfinite(x[i]))
            return ebb_fail(ctx, EBB_E_NUMERIC, "sample %lld is not finite", (long long)(i / j->law->dim));
    ebb_status status = see(ctx, &s);
    if (status == EBB_OK)
        status = measure_all(ctx, &s, resamples, result);
    ebb_pairs_free(&s.energy);
    ebb_pairs_free(&s.mmd);
    ebb_free(s.along);
    ebb_free(s.order);
    return status;
}

ebb_status ebb_judge_floor(ebb_context *ctx, const ebb_judge *j, int64_t n, double *floor)
{
    double *x;
    ebb_measure result[EBB_DISTANCES];
    EBB_TRY(ebb_alloc(ctx, (void **)&x, (size_t)(n > 0 ? n : 1) * (size_t)j->law->dim, sizeof *x, "true points"));
    if (n > 0)
        ebb_target_sample(j->law, FLOOR_SEED, 0, n, x, NULL);
    ebb_status status = ebb_judge_measure(ctx, j, x, n, 0, result);
    ebb_free(x);
    for (int d = 0; status == EBB_OK && d < EBB_DISTANCES; d++)
        floor[d] = result[d].value;
    return status;
}

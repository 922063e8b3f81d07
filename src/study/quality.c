/* quality.c: a data set as what pictures are judged by (quality.h): its halves, their features, and the floor.
 */
#include "study/quality.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "eval/copies.h"
#include "sample/features.h"

/* Pictures read at a time; of copies' threshold; held out, at most; groups of the floor. */
enum { BATCH = 512, PROBES = 2000, TESTED = 2000, GROUPS = 4 };

struct ebb_quality {
    ebb_context *ctx;
    ebb_quality_options o;
    ebb_recipe *recipe;          /* of the data */
    ebb_dataset data;
    uint8_t *bytes;              /* (data.n, numbers): the data's, or these made of floats */
    int classes;
    ebb_model *classifier;
    ebb_features features;
    int64_t tested;              /* held-out pictures, and how many of them were read right */
    double accuracy;
    char path[EBB_KEPT_PATH];    /* of the classifier */
    uint64_t key;
    uint32_t *order;             /* (data.n): the reference first */
    int64_t references, floors, groups;      /* the floor's groups of as many begin behind the first half */
    ebb_picture_set set;         /* of the reference; its arrays are one allocation */
    ebb_reference reference;
    ebb_copies copies;
    ebb_measure floor[EBB_METRICS];
};

static ebb_status tell(const ebb_quality *q, const char *doing, int64_t done, int64_t total)
{
    if (q->o.progress == NULL || q->o.progress(q->o.user, doing, done, total) == EBB_OK)
        return EBB_OK;
    return ebb_fail(q->ctx, EBB_E_ARGUMENT, "stopped while %s", doing);
}

/* ---- data -------------------------------------------------------------------------------------------------------------------- */

/* The recipe's data section; all pictures, whether a model has seen them or not. */
static ebb_status choose_data(ebb_quality *q)
{
    ebb_recipe *r;
    EBB_TRY(ebb_recipe_copy(q->ctx, q->o.recipe, &q->recipe));
    r = q->recipe;
    if (strcmp(r->data_kind, "ring") == 0 || strcmp(r->data_kind, "target") == 0)
        return ebb_fail(q->ctx, EBB_E_ARGUMENT, "data.kind=%s makes points: quality is of pictures; ebb toy compares points with their law",
                        r->data_kind);
    r->net_classes = strcmp(r->data_kind, "synthetic") == 0 ? r->net_classes : 0;
    r->data_held_out = 0;
    return EBB_OK;
}

static const char *name_of(const ebb_quality *q)
{
    return *q->recipe->data_path != 0 ? q->recipe->data_path : q->recipe->data_kind;
}

static ebb_status count_classes(ebb_quality *q)
{
    const ebb_dataset *d = &q->data;
    int64_t most = 0;
    if (d->labels == NULL && q->o.inception != NULL)
        return EBB_OK;
    if (d->labels == NULL)
        return ebb_fail(q->ctx, EBB_E_ARGUMENT, "%s: no labels: features are of a classifier, which needs them: give the file of labels "
                        "(idx, npy), a folder with one subfolder a class, or weights of Inception-v3", name_of(q));
    for (int64_t i = 0; i < d->n; i++) {
        if (d->labels[i] < 0)
            return ebb_fail(q->ctx, EBB_E_SHAPE, "%s: label %d of picture %lld: classes are counted from 0", name_of(q), d->labels[i],
                            (long long)i);
        most = d->labels[i] > most ? d->labels[i] : most;
    }
    q->classes = (int)(most + 1 > q->o.recipe->net_classes ? most + 1 : q->o.recipe->net_classes);
    return q->classes > 1 || q->o.inception != NULL ? EBB_OK : ebb_fail(q->ctx, EBB_E_ARGUMENT, "%s: all pictures have one class: features are of a classifier, "
                                              "which needs two at least", name_of(q));
}

static ebb_status open_data(ebb_quality *q)
{
    ebb_dataset *d = &q->data;
    EBB_TRY(choose_data(q));
    EBB_TRY(ebb_recipe_dataset(q->ctx, q->recipe, d));
    ebb_recipe_resolve(q->recipe, d);
    EBB_TRY(count_classes(q));
    if (d->n < 2 * EBB_MANIFOLD_LEAST || q->o.n < EBB_MANIFOLD_LEAST)
        return ebb_fail(q->ctx, EBB_E_ARGUMENT, "%lld pictures beside %lld of data are too few: at least %d and %d", (long long)q->o.n,
                        (long long)d->n, EBB_MANIFOLD_LEAST, 2 * EBB_MANIFOLD_LEAST);
    q->bytes = d->bytes;
    if (d->bytes == NULL) {
        EBB_TRY(ebb_alloc(q->ctx, (void **)&q->bytes, (size_t)d->n, (size_t)d->numbers, "pictures"));
        ebb_pixels_to_bytes(d->values, (size_t)(d->n * d->numbers), q->bytes);
    }
    return EBB_OK;
}

/* ---- the classifier -------------------------------------------------------------------------------------------------------------- */

static ebb_status train_classifier(ebb_quality *q)
{
    ebb_keeper keeper = {q->ctx, q->o.dir, q->o.progress, q->o.user};
    ebb_recipe *r;
    EBB_TRY(ebb_quality_recipe(q->ctx, q->recipe, q->classes, q->o.quick, &r));
    ebb_status status = ebb_kept_key(q->ctx, r, 0, &q->key);
    if (status == EBB_OK)
        status = ebb_kept_model(&keeper, r, q->path);
    ebb_recipe_free(r);
    EBB_TRY(status);
    EBB_TRY(ebb_model_load(q->ctx, q->path, &q->classifier));
    return ebb_features_create(q->ctx, q->classifier, BATCH, &q->features);
}

static void widen(const uint8_t *bytes, int64_t count, float *pixels)
{
    for (int64_t d = 0; d < count; d++)
        pixels[d] = (float)bytes[d] / 127.5f - 1.0f;
}

/* Room for the arrays of n pictures, to be freed by its pixels. */
static ebb_status make_set(ebb_quality *q, int64_t n, ebb_picture_set *s)
{
    size_t dim = (size_t)q->features.dim, classes = (size_t)q->features.classes, numbers = (size_t)q->data.numbers, count = (size_t)n;
    double *room;
    EBB_TRY(ebb_alloc(q->ctx, (void **)&room, count, (dim + classes) * sizeof *room + numbers * sizeof(float), "pictures and features"));
    *s = (ebb_picture_set){.n = n, .numbers = q->data.numbers, .pixels = (float *)(void *)(room + count * (dim + classes)),
                           .dim = q->features.dim, .classes = q->features.classes, .feature = room, .probability = room + count * dim};
    return EBB_OK;
}

static void free_set(ebb_picture_set *s)
{
    ebb_free((void *)(uintptr_t)s->feature);
    *s = (ebb_picture_set){0};
}

static ebb_status read_set(ebb_quality *q, const uint8_t *bytes, const char *doing, ebb_picture_set *s)
{
    float *pixels = (float *)(uintptr_t)s->pixels;
    double *feature = (double *)(uintptr_t)s->feature, *probability = (double *)(uintptr_t)s->probability;
    for (int64_t i = 0; i < s->n; i += BATCH) {
        int64_t count = s->n - i < BATCH ? s->n - i : BATCH;
        widen(bytes + i * s->numbers, count * s->numbers, pixels + i * s->numbers);
        EBB_TRY(ebb_features_read(&q->features, pixels + i * s->numbers, count, feature + i * s->dim, probability + i * s->classes));
        EBB_TRY(tell(q, doing, i + count, s->n));
    }
    return EBB_OK;
}

/* The pictures of the data with those numbers, to be freed. */
static ebb_status gather(ebb_quality *q, const uint32_t *index, int64_t n, uint8_t **out)
{
    size_t numbers = (size_t)q->data.numbers;
    EBB_TRY(ebb_alloc(q->ctx, (void **)out, (size_t)n, numbers, "pictures of the data"));
    for (int64_t i = 0; i < n; i++)
        memcpy(*out + (size_t)i * numbers, q->bytes + index[i] * numbers, numbers);
    return EBB_OK;
}

/* The data of those numbers, read: feature and pixels of the set, to be freed. */
static ebb_status read_data(ebb_quality *q, const uint32_t *index, int64_t n, const char *doing, ebb_picture_set *s)
{
    uint8_t *bytes;
    EBB_TRY(gather(q, index, n, &bytes));
    ebb_status status = make_set(q, n, s);
    if (status == EBB_OK)
        status = read_set(q, bytes, doing, s);
    ebb_free(bytes);
    return status;
}

static double share_right(const ebb_quality *q, const ebb_picture_set *s, const uint32_t *index)
{
    int64_t right = 0;
    for (int64_t i = 0; i < s->n; i++) {
        const double *p = s->probability + i * s->classes;
        int best = 0;
        for (int c = 1; c < s->classes; c++)
            best = p[c] > p[best] ? c : best;
        right += best == q->data.labels[index[i]];
    }
    return (double)right / (double)s->n;
}

/* Of what it was not trained on. */
static ebb_status test_classifier(ebb_quality *q)
{
    int64_t held_out = q->data.n / EBB_QUALITY_HELD_OUT, step = (held_out + TESTED - 1) / TESTED;
    ebb_picture_set s = {0};
    uint32_t *index;
    if (held_out == 0)
        return EBB_OK;
    q->tested = (held_out + step - 1) / step;
    EBB_TRY(ebb_alloc(q->ctx, (void **)&index, (size_t)q->tested, sizeof *index, "held-out pictures"));
    for (int64_t i = 0; i < q->tested; i++)
        index[i] = (uint32_t)((i * step + 1) * EBB_QUALITY_HELD_OUT - 1);
    ebb_status status = read_data(q, index, q->tested, "reading held-out data", &s);
    if (status == EBB_OK)
        q->accuracy = share_right(q, &s, index);
    free_set(&s);
    ebb_free(index);
    return status;
}

/* ---- reference and floor ----------------------------------------------------------------------------------------------------------- */

void ebb_quality_split(uint32_t n, uint32_t *order)
{
    ebb_rng_permute(&(ebb_rng_at){.seed = 1, .stream = EBB_STREAM_SPLIT}, order, n);
}

static ebb_status split(ebb_quality *q)
{
    int64_t half = (q->data.n + 1) / 2, rest = q->data.n - half;
    EBB_TRY(ebb_alloc(q->ctx, (void **)&q->order, (size_t)q->data.n, sizeof *q->order, "halves of the data"));
    ebb_quality_split((uint32_t)q->data.n, q->order);
    q->references = half < EBB_QUALITY_REFERENCE ? half : EBB_QUALITY_REFERENCE;
    q->floors = q->o.n < rest ? q->o.n : rest;
    return EBB_OK;
}

static ebb_status judge(ebb_quality *q, const uint8_t *bytes, const ebb_picture_set *s, bool of_data, int resamples, ebb_measure *found)
{
    EBB_TRY(tell(q, "judging", 0, 2));
    EBB_TRY(ebb_reference_judge(q->ctx, &q->reference, s, resamples, found));
    EBB_TRY(tell(q, "judging", 1, 2));
    if (q->o.no_copies)
        found[EBB_METRIC_COPIES] = (ebb_measure){NAN, NAN, NAN};
    else
        EBB_TRY(ebb_copies_measure(q->ctx, &q->copies, bytes, s->n, of_data, resamples, &found[EBB_METRIC_COPIES]));
    return tell(q, "judging", 2, 2);
}

static ebb_status judge_bytes(ebb_quality *q, const uint8_t *bytes, int64_t n, bool of_data, int resamples, ebb_measure *found)
{
    ebb_picture_set s = {0};
    EBB_TRY(make_set(q, n, &s));
    ebb_status status = read_set(q, bytes, of_data ? "reading the other half" : "reading pictures", &s);
    if (status == EBB_OK)
        status = judge(q, bytes, &s, of_data, resamples, found);
    free_set(&s);
    return status;
}

/* A group of the other half. */
static ebb_status judge_group(ebb_quality *q, int64_t group, ebb_measure *found)
{
    uint8_t *bytes;
    EBB_TRY(gather(q, q->order + (q->data.n + 1) / 2 + group * q->floors, q->floors, &bytes));
    ebb_status status = judge_bytes(q, bytes, q->floors, true, q->o.resamples, found);
    ebb_free(bytes);
    return status;
}

/* The mean of the groups, and of their intervals. */
static ebb_status find_floor(ebb_quality *q)
{
    int64_t groups = (q->data.n - (q->data.n + 1) / 2) / q->floors;
    ebb_measure found[EBB_METRICS];
    q->groups = groups < GROUPS ? groups : GROUPS;
    for (int64_t k = 0; k < q->groups; k++) {
        double share = 1 / (double)q->groups;
        EBB_TRY(judge_group(q, k, found));
        for (int m = 0; m < EBB_METRICS; m++) {
            q->floor[m].value += share * found[m].value;
            q->floor[m].low += share * found[m].low;
            q->floor[m].high += share * found[m].high;
        }
    }
    return EBB_OK;
}

static ebb_status make_features(ebb_quality *q)
{
    int shape[3];
    ebb_quality_shape(q, shape);
    if (q->o.inception != NULL)
        return ebb_features_create_inception(q->ctx, q->o.inception, shape, BATCH, &q->features);
    EBB_TRY(train_classifier(q));
    return test_classifier(q);
}

static ebb_status create(ebb_quality *q)
{
    EBB_TRY(open_data(q));
    EBB_TRY(make_features(q));
    EBB_TRY(split(q));
    EBB_TRY(read_data(q, q->order, q->references, "reading the reference", &q->set));
    EBB_TRY(ebb_reference_create(q->ctx, &q->set, &q->reference));
    int64_t probes = q->references < PROBES ? q->references : PROBES;
    if (!q->o.no_copies)
        EBB_TRY(ebb_copies_create(q->ctx, q->bytes, q->data.n, q->data.numbers, q->order, probes, &q->copies));
    return find_floor(q);
}

ebb_status ebb_quality_create(ebb_context *ctx, const ebb_quality_options *options, ebb_quality **out)
{
    EBB_TRY(ebb_alloc(ctx, (void **)out, 1, sizeof **out, "judgement of pictures"));
    (*out)->ctx = ctx;
    (*out)->o = *options;
    ebb_status status = create(*out);
    if (status != EBB_OK) {
        ebb_quality_free(*out);
        *out = NULL;
    }
    return status;
}

void ebb_quality_free(ebb_quality *q)
{
    if (q == NULL)
        return;
    ebb_reference_free(&q->reference);
    free_set(&q->set);
    ebb_features_free(&q->features);
    ebb_model_free(q->classifier);
    ebb_free(q->order);
    if (q->bytes != q->data.bytes)
        ebb_free(q->bytes);
    ebb_dataset_free(&q->data);
    ebb_recipe_free(q->recipe);
    ebb_free(q);
}

/* ---- asking -------------------------------------------------------------------------------------------------------------------------- */

ebb_status ebb_quality_judge(ebb_quality *q, const uint8_t *pictures, int64_t n, int resamples, ebb_measure *found)
{
    if (n < EBB_MANIFOLD_LEAST)
        return ebb_fail(q->ctx, EBB_E_ARGUMENT, "%lld pictures are too few: at least %d", (long long)n, EBB_MANIFOLD_LEAST);
    return judge_bytes(q, pictures, n, false, resamples, found);
}

const ebb_measure *ebb_quality_floor(const ebb_quality *q)
{
    return q->floor;
}

int64_t ebb_quality_reference_count(const ebb_quality *q)
{
    return q->references;
}

int64_t ebb_quality_floor_count(const ebb_quality *q)
{
    return q->floors;
}

void ebb_quality_shape(const ebb_quality *q, int shape[3])
{
    shape[0] = q->data.height;
    shape[1] = q->data.width;
    shape[2] = q->data.channels;
}

int ebb_quality_classes(const ebb_quality *q)
{
    return q->classes;
}

void ebb_quality_shares(const ebb_quality *q, double *share)
{
    memset(share, 0, (size_t)q->classes * sizeof *share);
    for (int64_t i = 0; q->classes > 0 && i < q->data.n; i++)
        share[q->data.labels[i]] += 1.0 / (double)q->data.n;
}

json_t *ebb_quality_about(const ebb_quality *q)
{
    bool own = q->classifier != NULL;
    char key[24];
    snprintf(key, sizeof key, "%016llx", (unsigned long long)q->key);
    json_t *features = json_pack("{s:s, s:s, s:i, s:i}", "network", own ? "classifier" : "inception-v3", "model",
                                 own ? q->path : q->o.inception, "dim", q->features.dim, "classes", q->features.classes);
    json_t *more = own ? json_pack("{s:s, s:I, s:I, s:o}", "key", key, "steps", (json_int_t)q->classifier->step, "held_out",
                                   (json_int_t)q->tested, "accuracy", q->tested > 0 ? json_real(q->accuracy) : json_null()) : NULL;
    json_object_update(features, more);
    json_decref(more);
    return json_pack("{s:s, s:I, s:I, s:I, s:I, s:o}", "data", name_of(q), "pictures", (json_int_t)q->data.n, "reference",
                     (json_int_t)q->references, "floor", (json_int_t)q->floors, "floor_groups", (json_int_t)q->groups, "features", features);
}

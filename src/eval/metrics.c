/* metrics.c: the list of metrics, and a reference that pictures are judged by (metrics.h).
 */
#include "eval/metrics.h"

#include <math.h>

enum { LOWER, HIGHER, NEAR };
static const char *const better_names[] = {"lower", "higher", "near"};

static const struct { const char *name, *source, *help; ebb_metric_needs needs; int better; } list[] = {
#define METRIC(id, name, needs, better, source, help) {name, source, help, EBB_NEEDS_##needs, better},
#include "eval/metrics.def"
#undef METRIC
};

const char *ebb_metric_name(ebb_metric m)
{
    return list[m].name;
}

const char *ebb_metric_help(ebb_metric m)
{
    return list[m].help;
}

const char *ebb_metric_source(ebb_metric m)
{
    return list[m].source;
}

const char *ebb_metric_better(ebb_metric m)
{
    return better_names[list[m].better];
}

ebb_metric_needs ebb_metric_needs_of(ebb_metric m)
{
    return list[m].needs;
}

/* ---- the reference --------------------------------------------------------------------------------------------------------- */

static ebb_status check(ebb_context *ctx, const ebb_picture_set *s, const char *what)
{
    if (s->n < EBB_MANIFOLD_LEAST || s->n > INT32_MAX)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "metrics of %lld %s: %d at least, %d at most", (long long)s->n, what, EBB_MANIFOLD_LEAST,
                        INT32_MAX);
    for (int64_t i = 0; i < s->n * s->dim; i++)
        if (!isfinite(s->feature[i]))
            return ebb_fail(ctx, EBB_E_NUMERIC, "features of %s: number %lld is not finite", what, (long long)(i / s->dim));
    return EBB_OK;
}

static ebb_status create(ebb_context *ctx, ebb_reference *r)
{
    const ebb_picture_set *d = &r->data;
    size_t reach = d->dim > 0 ? (size_t)d->n * EBB_DENSITY_K : 0;
    EBB_TRY(check(ctx, d, "data"));
    EBB_TRY(ebb_alloc(ctx, (void **)&r->reach, reach + (size_t)d->classes + 1, sizeof *r->reach, "a reference"));
    r->count = r->reach + reach;
    if (d->dim > 0) {
        EBB_TRY(ebb_moments_create(ctx, d->feature, d->n, d->dim, true, &r->moments));
        EBB_TRY(ebb_kid_own(ctx, d->feature, d->n, d->dim, &r->own));
        EBB_TRY(ebb_manifold_reach(ctx, d->feature, d->n, d->dim, r->reach));
    }
    ebb_classes_count(d->probability, d->classes > 0 ? d->n : 0, d->classes, r->count);
    return d->pixels != NULL ? ebb_sliced_create(ctx, d->pixels, d->n, d->numbers, &r->sliced) : EBB_OK;
}

ebb_status ebb_reference_create(ebb_context *ctx, const ebb_picture_set *data, ebb_reference *out)
{
    *out = (ebb_reference){.data = *data};
    ebb_status status = create(ctx, out);
    if (status != EBB_OK)
        ebb_reference_free(out);
    return status;
}

void ebb_reference_free(ebb_reference *r)
{
    ebb_moments_free(&r->moments);
    ebb_free(r->reach);
    ebb_sliced_free(&r->sliced);
    *r = (ebb_reference){0};
}

/* ---- judging ----------------------------------------------------------------------------------------------------------------- */

static ebb_status judge_features(ebb_context *ctx, const ebb_reference *r, const ebb_picture_set *made, int resamples, ebb_measure *found)
{
    const ebb_picture_set *d = &r->data;
    ebb_manifold_measures m;
    EBB_TRY(ebb_frechet_measure(ctx, made->feature, made->n, &r->moments, resamples, &found[EBB_METRIC_FRECHET]));
    EBB_TRY(ebb_kid_measure(ctx, made->feature, made->n, d->feature, d->n, d->dim, r->own, resamples, &found[EBB_METRIC_KID]));
    EBB_TRY(ebb_manifold_measure(ctx, made->feature, made->n, d->feature, d->n, d->dim, r->reach, resamples, &m));
    found[EBB_METRIC_PRECISION] = m.precision;
    found[EBB_METRIC_RECALL] = m.recall;
    found[EBB_METRIC_DENSITY] = m.density;
    found[EBB_METRIC_COVERAGE] = m.coverage;
    return EBB_OK;
}

static ebb_status judge_classes(ebb_context *ctx, const ebb_reference *r, const ebb_picture_set *made, int resamples, ebb_measure *found)
{
    EBB_TRY(ebb_inception_score(ctx, made->probability, made->n, made->classes, resamples, &found[EBB_METRIC_SCORE]));
    return ebb_classes_measure(ctx, made->probability, made->n, r->count, made->classes, resamples, &found[EBB_METRIC_SHARES]);
}

ebb_status ebb_reference_judge(ebb_context *ctx, const ebb_reference *r, const ebb_picture_set *made, int resamples, ebb_measure *found)
{
    const ebb_picture_set *d = &r->data;
    for (int m = 0; m < EBB_METRICS; m++)
        found[m] = (ebb_measure){NAN, NAN, NAN};
    if (resamples < 0 || resamples > 100000)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "metrics with %d resamples: 0 to 100000 are possible", resamples);
    if (made->dim != d->dim || made->classes != d->classes || made->numbers != d->numbers)
        return ebb_fail(ctx, EBB_E_SHAPE, "metrics: %d features, %d classes, %lld numbers a picture, but data have %d, %d, %lld", made->dim,
                        made->classes, (long long)made->numbers, d->dim, d->classes, (long long)d->numbers);
    EBB_TRY(check(ctx, made, "pictures"));
    if (d->dim > 0)
        EBB_TRY(judge_features(ctx, r, made, resamples, found));
    if (d->classes > 1)
        EBB_TRY(judge_classes(ctx, r, made, resamples, found));
    if (d->pixels != NULL && made->pixels != NULL)
        EBB_TRY(ebb_sliced_measure(ctx, &r->sliced, made->pixels, made->n, resamples, &found[EBB_METRIC_SLICED]));
    return EBB_OK;
}

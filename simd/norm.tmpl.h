/* norm.tmpl.h: group normalisation and its adjoint in vector verbs. Specification: c/norm_loops.h.
 * Pictures are of floats or, with NORM_BF16 defined, of bfloat16.
 *
 * Work goes by slabs (whole groups, about 64 channels: their pixels stay in the caches over all passes)
 * and inside a slab by strips (norm_strip.tmpl.h). What is known of the groups is spread over their channels
 * before a pass and summed over them behind it; in between there are only vectors.
 */
#include "instances.h"
#include "math.tmpl.h"
#include "norm_strip.tmpl.h"

static float group_count(const ebb_norm_shape *s) { return (float)s->pixels * (float)group_width(s); }

/* End of the slab of groups that starts with group `first`. */
static size_t slab_end(const ebb_norm_shape *s, size_t first)
{
    size_t groups = EBB_NORM_SLAB / group_width(s), left = (size_t)s->groups - first;
    return first + (groups == 0 ? 1 : groups < left ? groups : left);
}

/* ---- coefficients --------------------------------------------------------------------------- */
/* z = (x - centre) gain + constant */
typedef struct coefficients {
    vf centre[STRIP], gain[STRIP], constant[STRIP];
} coefficients;

VEC void find_centre(const int vectors, const strip *t, vf *centre, const channels *means, const float *shift)
{
    vf mean[STRIP], s[STRIP];
    load_channels(vectors, mean, means);
    load_part(vectors, t, s, shift);
    EACH_VECTOR(centre[v] = vf_sub(mean[v], s[v]));
}

VEC void find_coefficients(const int vectors, const strip *t, coefficients *k, const pairs *stats, const float *shift,
                           const float *gamma, const float *beta)
{
    vf rstd[STRIP], g[STRIP];
    find_centre(vectors, t, k->centre, &stats->first, shift);
    load_channels(vectors, rstd, &stats->second);
    load_part(vectors, t, g, gamma);
    load_part(vectors, t, k->constant, beta);
    EACH_VECTOR(k->gain[v] = vf_mul(g[v], rstd[v]));
}

/* ---- statistics ----------------------------------------------------------------------------- */
/* For each channel fma(pixels, shift, sum of x). */
VEC void sum_pixels(const int vectors, const strip *t, channels *sum, const pixel *x, const float *shift)
{
    vf chain[STRIP], s[STRIP];
    EACH_VECTOR(chain[v] = vf_zero());
    x += t->c;
    for (int p = 0; p < t->s->pixels; p++, x += t->stride) {
        EACH_UNIT(
            vf a[UNIT];
            unit_load(vectors, t, a, x + u * VW);
            EACH_OF_UNIT(chain[u + i] = vf_add(chain[u + i], a[i])));
    }
    load_part(vectors, t, s, shift);
    EACH_VECTOR(chain[v] = vf_fma(vf_set1((float)t->s->pixels), s[v], chain[v]));
    store_channels(vectors, sum, chain);
}

VEC void sum_squares(const int vectors, const strip *t, channels *sum, const pairs *stats, const pixel *x,
                     const float *shift)
{
    vf chain[STRIP], c[STRIP];
    EACH_VECTOR(chain[v] = vf_zero());
    find_centre(vectors, t, c, &stats->first, shift);
    x += t->c;
    for (int p = 0; p < t->s->pixels; p++, x += t->stride) {
        EACH_UNIT(
            vf a[UNIT];
            unit_load(vectors, t, a, x + u * VW);
            EACH_OF_UNIT(
                vf d = vf_sub(a[i], c[u + i]);
                chain[u + i] = vf_fma(d, d, chain[u + i])));
    }
    store_channels(vectors, sum, chain);
}

/* Adds the channels of each group to of[2 g]. */
static void fold_groups(const strip *t, float *of, const channels *x)
{
    EACH_GROUP(t, g, from, to) {
        float sum = of[2 * g];
        for (size_t i = from; i < to; i++)
            sum += x->at[i];
        of[2 * g] = sum;
    }
}

/* Mean and rstd of groups first ... last-1. */
static void slab_stats(const ebb_norm_shape *s, size_t first, size_t last, float *stats, const pixel *x,
                       const float *shift)
{
    size_t begin = first * group_width(s), end = last * group_width(s);
    float count = group_count(s);
    channels sum;
    pairs known = NO_PAIRS;

    for (size_t g = first; g < last; g++)
        stats[2 * g] = stats[2 * g + 1] = 0.0f;
    EACH_STRIP(t, s, begin, end) {
        STRIP_CALL(sum_pixels, &t, &sum, x, shift);
        fold_groups(&t, stats, &sum);
    }
    for (size_t g = first; g < last; g++)
        stats[2 * g] /= count;
    EACH_STRIP(t, s, begin, end) {
        spread(&t, &known, stats);
        STRIP_CALL(sum_squares, &t, &sum, &known, x, shift);
        fold_groups(&t, stats + 1, &sum);
    }
    for (size_t g = first; g < last; g++)
        stats[2 * g + 1] = 1.0f / sqrtf(stats[2 * g + 1] / count + s->eps);
}

/* ---- forward -------------------------------------------------------------------------------- */
typedef struct forward {
    const ebb_norm_shape *s;
    pixel *y;
    const pixel *x;
    const float *stats, *shift, *gamma, *beta;
} forward;

VEC void apply(const int vectors, const strip *t, const bool silu, const forward *f, const pairs *stats)
{
    coefficients k;
    find_coefficients(vectors, t, &k, stats, f->shift, f->gamma, f->beta);
    const pixel *x = f->x + t->c;
    pixel *y = f->y + t->c;
    for (int p = 0; p < t->s->pixels; p++, x += t->stride, y += t->stride) {
        EACH_UNIT(
            vf a[UNIT];
            unit_load(vectors, t, a, x + u * VW);
            EACH_OF_UNIT(
                vf z = vf_fma(vf_sub(a[i], k.centre[u + i]), k.gain[u + i], k.constant[u + i]);
                a[i] = silu ? vec_silu(z) : z);
            unit_store(vectors, t, y + u * VW, a));
    }
}

void PIXEL_INSTANCE(norm)(const ebb_norm_shape *s, pixel *y, float *stats, const pixel *x, const float *shift,
                          const float *gamma, const float *beta)
{
    const forward f = {s, y, x, stats, shift, gamma, beta};
    pairs known = NO_PAIRS;
    for (size_t first = 0, last; first < (size_t)s->groups; first = last) {
        last = slab_end(s, first);
        slab_stats(s, first, last, stats, x, shift);
        EACH_STRIP(t, s, first * group_width(s), last * group_width(s)) {
            spread(&t, &known, stats);
            if (s->silu)
                STRIP_CALL(apply, &t, true, &f, &known);
            else
                STRIP_CALL(apply, &t, false, &f, &known);
        }
    }
}

/* ---- adjoint -------------------------------------------------------------------------------- */
typedef struct adjoint {
    const ebb_norm_shape *s;
    pixel *dx;
    float *dshift, *dgamma, *dbeta;
    const pixel *x;
    const float *shift;
    const pixel *dy;
    const float *stats, *gamma, *beta;
    float *group;  /* (groups, 2): sums over the group of gamma dz and gamma dz (u - mean) */
    float *dz;     /* (pixels, slab), where dx cannot hold it */
} adjoint;

/* dz of a strip between the passes, unrounded: pixels of `stride` floats, as units have them. */
typedef struct dz_place {
    float *at;
    size_t stride;
} dz_place;

/* That of a strip of the slab begin ... end-1. */
static dz_place find_place(const adjoint *a, const strip *t, size_t begin, size_t end)
{
#ifdef NORM_BF16
    return (dz_place){a->dz + (t->c - begin), end - begin};
#else
    (void)begin, (void)end;
    return (dz_place){a->dx + t->c, t->stride};
#endif
}

VEC vf dz_load(const int vectors, const strip *t, const float *p)
{
    return vectors ? vf_load(p) : vf_load_n(p, t->lanes);
}

VEC void dz_store(const int vectors, const strip *t, float *p, vf v)
{
    if (vectors)
        vf_store(p, v);
    else
        vf_store_n(p, v, t->lanes);
}

/* Adds a strip's sums over pixels to the gradients of gamma and beta. */
VEC void add_gradients(const int vectors, const strip *t, const adjoint *a, const pairs *stats, vf *total, vf *moment)
{
    vf rstd[STRIP], dgamma[STRIP], dbeta[STRIP];
    load_channels(vectors, rstd, &stats->second);
    load_part(vectors, t, dgamma, a->dgamma);
    load_part(vectors, t, dbeta, a->dbeta);
    EACH_VECTOR(
        dgamma[v] = vf_fma(moment[v], rstd[v], dgamma[v]);
        dbeta[v] = vf_add(dbeta[v], total[v]));
    store_part(vectors, t, a->dgamma, dgamma);
    store_part(vectors, t, a->dbeta, dbeta);
}

/* dz = dy act'(z), kept; over the pixels, sums: of dz and of dz (u - mean). */
VEC void find_dz(const int vectors, const strip *t, const bool silu, const adjoint *a, const pairs *stats, dz_place dz,
                 pairs *sums)
{
    vf total[STRIP], moment[STRIP];
    coefficients k;
    find_coefficients(vectors, t, &k, stats, a->shift, a->gamma, a->beta);
    EACH_VECTOR(total[v] = moment[v] = vf_zero());
    const pixel *x = a->x + t->c, *dy = a->dy + t->c;
    for (int p = 0; p < t->s->pixels; p++, x += t->stride, dy += t->stride, dz.at += dz.stride) {
        EACH_UNIT(
            vf b[UNIT]; vf z[UNIT];
            unit_load(vectors, t, b, x + u * VW);
            unit_load(vectors, t, z, dy + u * VW);
            EACH_OF_UNIT(
                vf d = vf_sub(b[i], k.centre[u + i]);
                if (silu)
                    z[i] = vf_mul(z[i], vec_silu_slope(vf_fma(d, k.gain[u + i], k.constant[u + i])));
                total[u + i] = vf_add(total[u + i], z[i]);
                moment[u + i] = vf_fma(z[i], d, moment[u + i]);
                dz_store(vectors, t, dz.at + (u + i) * VW, z[i])));
    }
    add_gradients(vectors, t, a, stats, total, moment);
    store_channels(vectors, &sums->first, total);
    store_channels(vectors, &sums->second, moment);
}

/* Adds a strip's sums, weighted by gamma, to those of its groups. */
static void fold_dz(const adjoint *a, const strip *t, const pairs *sums)
{
    const float *gamma = a->gamma + t->c;
    EACH_GROUP(t, g, from, to) {
        float all = a->group[2 * g], moments = a->group[2 * g + 1];
        for (size_t i = from; i < to; i++) {
            all = fmaf(gamma[i], sums->first.at[i], all);
            moments = fmaf(gamma[i], sums->second.at[i], moments);
        }
        a->group[2 * g] = all;
        a->group[2 * g + 1] = moments;
    }
}

static void slab_dz(const adjoint *a, size_t begin, size_t end)
{
    pairs stats = NO_PAIRS, sums;
    EACH_STRIP(t, a->s, begin, end) {
        dz_place dz = find_place(a, &t, begin, end);
        spread(&t, &stats, a->stats);
        if (a->s->silu)
            STRIP_CALL(find_dz, &t, true, a, &stats, dz, &sums);
        else
            STRIP_CALL(find_dz, &t, false, a, &stats, dz, &sums);
        fold_dz(a, &t, &sums);
    }
}

/* dx = gain dz - d slope - offset; with `shifted`, dshift is its sum over the pixels. */
VEC void find_dx(const int vectors, const strip *t, const bool shifted, const adjoint *a, const pairs *stats,
                 const pairs *group, dz_place dz)
{
    vf minus_offset[STRIP], slope[STRIP], chain[STRIP];
    coefficients k;
    find_coefficients(vectors, t, &k, stats, a->shift, a->gamma, a->beta);
    load_channels(vectors, minus_offset, &group->first);
    load_channels(vectors, slope, &group->second);
    EACH_VECTOR(chain[v] = vf_zero());
    const pixel *x = a->x + t->c;
    pixel *dx = a->dx + t->c;
    for (int p = 0; p < t->s->pixels; p++, x += t->stride, dx += t->stride, dz.at += dz.stride) {
        EACH_UNIT(
            vf b[UNIT];
            unit_load(vectors, t, b, x + u * VW);
            EACH_OF_UNIT(
                vf d = vf_sub(b[i], k.centre[u + i]);
                vf z = dz_load(vectors, t, dz.at + (u + i) * VW);
                b[i] = vf_fma(k.gain[u + i], z, vf_fnma(d, slope[u + i], minus_offset[u + i]));
                if (shifted)
                    chain[u + i] = vf_add(chain[u + i], b[i]));
            unit_store(vectors, t, dx + u * VW, b));
    }
    if (shifted)
        store_part(vectors, t, a->dshift, chain);
}

/* Sums over groups first ... last-1 become their part of dx: -offset and slope. */
static void find_slopes(const adjoint *a, size_t first, size_t last)
{
    float count = group_count(a->s);
    for (size_t g = first; g < last; g++) {
        float rstd = a->stats[2 * g + 1], offset = rstd * (a->group[2 * g] / count);
        a->group[2 * g] = -offset;
        a->group[2 * g + 1] = rstd * rstd * rstd * (a->group[2 * g + 1] / count);
    }
}

static void slab_dx(const adjoint *a, size_t begin, size_t end)
{
    pairs stats = NO_PAIRS, group = NO_PAIRS;
    EACH_STRIP(t, a->s, begin, end) {
        dz_place dz = find_place(a, &t, begin, end);
        spread(&t, &stats, a->stats);
        spread(&t, &group, a->group);
        if (a->dshift)
            STRIP_CALL(find_dx, &t, true, a, &stats, &group, dz);
        else
            STRIP_CALL(find_dx, &t, false, a, &stats, &group, dz);
    }
}

void PIXEL_INSTANCE(norm_vjp)(const ebb_norm_shape *s, pixel *dx, float *dshift, float *dgamma, float *dbeta,
                              const pixel *x, const float *shift, const pixel *dy, const float *stats,
                              const float *gamma, const float *beta, void *scratch)
{
    float *group = scratch, *dz = group + (ebb_norm_scratch(s) + 63) / 64 * 16;
    const adjoint a = {s, dx, dshift, dgamma, dbeta, x, shift, dy, stats, gamma, beta, group, dz};
    for (size_t first = 0, last; first < (size_t)s->groups; first = last) {
        last = slab_end(s, first);
        for (size_t i = 2 * first; i < 2 * last; i++)
            a.group[i] = 0.0f;
        slab_dz(&a, first * group_width(s), last * group_width(s));
        find_slopes(&a, first, last);
        slab_dx(&a, first * group_width(s), last * group_width(s));
    }
}

/* norm.tmpl.h: group normalisation and its adjoint in vector verbs. Specification: c/norm_loops.h.
 * Pictures are of floats or, with NORM_BF16 defined, of bfloat16.
 *
 * Channels are the vector lanes, so each lane holds one channel's chain over the pixels and no width
 * changes an association. Work goes by slabs (whole groups, about 64 channels: its pixels stay in the
 * caches over all passes) and inside a slab by strips of a few vectors, whose chains hide the latency.
 */
#include "instances.h"
#include "math.tmpl.h"

#ifdef NORM_BF16
typedef ebb_bf16 pixel;
#define PIXEL_LOAD vf_load_bf16
#define PIXEL_LOAD_N vf_load_bf16_n
#define PIXEL_STORE vf_store_bf16
#define PIXEL_STORE_N vf_store_bf16_n
#define PIXEL_INSTANCE(name) EBB_INSTANCE(name##_bf16)
#else
typedef float pixel;
#define PIXEL_LOAD vf_load
#define PIXEL_LOAD_N vf_load_n
#define PIXEL_STORE vf_store
#define PIXEL_STORE_N vf_store_n
#define PIXEL_INSTANCE(name) EBB_INSTANCE(name##_f32)
#endif

enum { STRIP = 4, STRIP_LANES = STRIP * VW };

/* ---- walking over channels ------------------------------------------------------------------ */
/* Channels c ... c + lanes-1: so many whole vectors, or, with vectors 0, a part of one. */
typedef struct strip {
    const ebb_norm_shape *s;
    size_t c, lanes;
    int vectors;
} strip;

static strip strip_at(const ebb_norm_shape *s, size_t c, size_t end)
{
    size_t left = end - c;
    int vectors = left >= STRIP_LANES ? STRIP : left >= 2 * VW ? 2 : left >= VW ? 1 : 0;
    return (strip){s, c, vectors ? (size_t)vectors * VW : left, vectors};
}

#define EACH_STRIP(t, s, begin, end) \
    for (strip t = strip_at(s, begin, end); t.lanes; t = strip_at(s, t.c + t.lanes, end))

/* Calls a function whose first argument, the strip's vectors, must be a constant. */
#define STRIP_CALL(function, t, ...)                  \
    do {                                              \
        if ((t)->vectors == STRIP)                    \
            function(STRIP, t, __VA_ARGS__);          \
        else if ((t)->vectors == 2)                   \
            function(2, t, __VA_ARGS__);              \
        else if ((t)->vectors == 1)                   \
            function(1, t, __VA_ARGS__);              \
        else                                          \
            function(0, t, __VA_ARGS__);              \
    } while (0)

/* Runs over the groups g of a strip, of which it holds the channels from <= i < to, counted from its first.
 * Sums over them go through a local: through memory each addition would wait for a store. */
#define EACH_GROUP(t, g, from, to)                                                             \
    for (size_t width_ = group_width((t)->s), g = (t)->c / width_, from = 0,                   \
                to = least((t)->lanes, (g + 1) * width_ - (t)->c);                             \
         from < (t)->lanes; g++, from = to, to = least((t)->lanes, to + width_))

/* Repeats statements for v = 0 ... vectors-1, written out: as a loop too long for the compiler to unroll
 * it would keep the registers in memory. */
#define EACH_VECTOR(...)                                                          \
    do {                                                                          \
        { enum { v = 0 }; __VA_ARGS__; }                                          \
        if (vectors > 1) { enum { v = 1 }; __VA_ARGS__; }                         \
        if (vectors > 2) { enum { v = 2 }; __VA_ARGS__; }                         \
        if (vectors > 3) { enum { v = 3 }; __VA_ARGS__; }                         \
    } while (0)

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

static size_t group_width(const ebb_norm_shape *s) { return (size_t)s->channels / (size_t)s->groups; }

static float group_count(const ebb_norm_shape *s) { return (float)s->pixels * (float)group_width(s); }

VEC vf strip_load(const int vectors, const strip *t, const pixel *p)
{
    return vectors ? PIXEL_LOAD(p) : PIXEL_LOAD_N(p, t->lanes);
}

VEC void strip_store(const int vectors, const strip *t, pixel *p, vf v)
{
    if (vectors)
        PIXEL_STORE(p, v);
    else
        PIXEL_STORE_N(p, v, t->lanes);
}

/* Values of a strip's channels; room for whole vectors. */
typedef struct channels {
    float at[STRIP_LANES];
} channels;

VEC void load_channels(const int vectors, vf *to, const channels *from)
{
    EACH_VECTOR(to[v] = vf_load(from->at + v * VW));
}

VEC void store_channels(const int vectors, channels *to, const vf *from)
{
    EACH_VECTOR(vf_store(to->at + v * VW, from[v]));
}

/* End of the slab of groups that starts with group `first`. */
static size_t slab_end(const ebb_norm_shape *s, size_t first)
{
    size_t groups = EBB_NORM_SLAB / group_width(s), left = (size_t)s->groups - first;
    return first + (groups == 0 ? 1 : groups < left ? groups : left);
}

/* ---- coefficients --------------------------------------------------------------------------- */
/* z = (x - centre) gain + constant */
typedef struct coefficients {
    channels centre, gain, constant;
} coefficients;

static void find_centre(const strip *t, channels *centre, const float *stats, const float *shift)
{
    *centre = (channels){{0}};
    EACH_GROUP(t, g, from, to)
        for (size_t i = from; i < to; i++)
            centre->at[i] = stats[2 * g] - (shift ? shift[t->c + i] : 0.0f);
}

static void find_coefficients(const strip *t, coefficients *k, const float *stats, const float *shift,
                              const float *gamma, const float *beta)
{
    find_centre(t, &k->centre, stats, shift);
    k->gain = k->constant = (channels){{0}};
    EACH_GROUP(t, g, from, to)
        for (size_t i = from; i < to; i++)
            k->gain.at[i] = gamma[t->c + i] * stats[2 * g + 1];
    for (size_t i = 0; i < t->lanes; i++)
        k->constant.at[i] = beta[t->c + i];
}

/* ---- statistics ----------------------------------------------------------------------------- */
VEC void sum_pixels(const int vectors, const strip *t, channels *sum, const pixel *x)
{
    vf chain[STRIP];
    EACH_VECTOR(chain[v] = vf_zero());
    x += t->c;
    for (int p = 0; p < t->s->pixels; p++, x += t->s->channels)
        EACH_VECTOR(chain[v] = vf_add(chain[v], strip_load(vectors, t, x + v * VW)));
    store_channels(vectors, sum, chain);
}

VEC void sum_squares(const int vectors, const strip *t, channels *sum, const channels *centre, const pixel *x)
{
    vf chain[STRIP], c[STRIP];
    EACH_VECTOR(chain[v] = vf_zero());
    load_channels(vectors, c, centre);
    x += t->c;
    for (int p = 0; p < t->s->pixels; p++, x += t->s->channels) {
        EACH_VECTOR(
            vf d = vf_sub(strip_load(vectors, t, x + v * VW), c[v]);
            chain[v] = vf_fma(d, d, chain[v]));
    }
    store_channels(vectors, sum, chain);
}

/* Mean and rstd of groups first ... last-1. */
static void slab_stats(const ebb_norm_shape *s, size_t first, size_t last, float *stats, const pixel *x,
                       const float *shift)
{
    size_t begin = first * group_width(s), end = last * group_width(s);
    channels sum, centre;

    for (size_t g = first; g < last; g++)
        stats[2 * g] = stats[2 * g + 1] = 0.0f;
    EACH_STRIP(t, s, begin, end) {
        STRIP_CALL(sum_pixels, &t, &sum, x);
        EACH_GROUP(&t, g, from, to) {
            float group = stats[2 * g];
            for (size_t i = from; i < to; i++)
                group += fmaf((float)s->pixels, shift ? shift[t.c + i] : 0.0f, sum.at[i]);
            stats[2 * g] = group;
        }
    }
    for (size_t g = first; g < last; g++)
        stats[2 * g] /= group_count(s);
    EACH_STRIP(t, s, begin, end) {
        find_centre(&t, &centre, stats, shift);
        STRIP_CALL(sum_squares, &t, &sum, &centre, x);
        EACH_GROUP(&t, g, from, to) {
            float group = stats[2 * g + 1];
            for (size_t i = from; i < to; i++)
                group += sum.at[i];
            stats[2 * g + 1] = group;
        }
    }
    for (size_t g = first; g < last; g++)
        stats[2 * g + 1] = 1.0f / sqrtf(stats[2 * g + 1] / group_count(s) + s->eps);
}

/* ---- forward -------------------------------------------------------------------------------- */
VEC void apply(const int vectors, const strip *t, const bool silu, const coefficients *k, pixel *y,
               const pixel *x)
{
    vf centre[STRIP], gain[STRIP], constant[STRIP];
    load_channels(vectors, centre, &k->centre);
    load_channels(vectors, gain, &k->gain);
    load_channels(vectors, constant, &k->constant);
    x += t->c;
    y += t->c;
    for (int p = 0; p < t->s->pixels; p++, x += t->s->channels, y += t->s->channels) {
        EACH_VECTOR(
            vf d = vf_sub(strip_load(vectors, t, x + v * VW), centre[v]);
            vf z = vf_fma(d, gain[v], constant[v]);
            strip_store(vectors, t, y + v * VW, silu ? vec_silu(z) : z));
    }
}

void PIXEL_INSTANCE(norm)(const ebb_norm_shape *s, pixel *y, float *stats, const pixel *x, const float *shift,
                          const float *gamma, const float *beta)
{
    coefficients k;
    for (size_t first = 0, last; first < (size_t)s->groups; first = last) {
        last = slab_end(s, first);
        slab_stats(s, first, last, stats, x, shift);
        EACH_STRIP(t, s, first * group_width(s), last * group_width(s)) {
            find_coefficients(&t, &k, stats, shift, gamma, beta);
            if (s->silu)
                STRIP_CALL(apply, &t, true, &k, y, x);
            else
                STRIP_CALL(apply, &t, false, &k, y, x);
        }
    }
}

/* ---- adjoint -------------------------------------------------------------------------------- */
/* dz of a strip between the passes, unrounded: pixels of `stride` floats. */
typedef struct dz_place {
    float *at;
    size_t stride;
} dz_place;

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

/* dz = dy act'(z), kept; over the pixels, total = sum dz and moment = sum dz (u - mean). */
VEC void find_dz(const int vectors, const strip *t, const bool silu, const coefficients *k, dz_place dz,
                 const pixel *x, const pixel *dy, channels *total, channels *moment)
{
    vf centre[STRIP], gain[STRIP], constant[STRIP], sum[STRIP], product[STRIP];
    load_channels(vectors, centre, &k->centre);
    load_channels(vectors, gain, &k->gain);
    load_channels(vectors, constant, &k->constant);
    EACH_VECTOR(sum[v] = product[v] = vf_zero());
    x += t->c;
    dy += t->c;
    for (int p = 0; p < t->s->pixels; p++, x += t->s->channels, dy += t->s->channels, dz.at += dz.stride) {
        EACH_VECTOR(
            vf d = vf_sub(strip_load(vectors, t, x + v * VW), centre[v]);
            vf z = strip_load(vectors, t, dy + v * VW);
            if (silu)
                z = vf_mul(z, vec_silu_slope(vf_fma(d, gain[v], constant[v])));
            sum[v] = vf_add(sum[v], z);
            product[v] = vf_fma(z, d, product[v]);
            dz_store(vectors, t, dz.at + v * VW, z));
    }
    store_channels(vectors, total, sum);
    store_channels(vectors, moment, product);
}

/* dx = gain dz - d slope - offset; with `shifted`, also its sum over the pixels. */
VEC void find_dx(const int vectors, const strip *t, const bool shifted, const coefficients *k,
                 const channels *slopes, pixel *dx, dz_place dz, const pixel *x, channels *sum)
{
    vf centre[STRIP], gain[STRIP], minus_offset[STRIP], slope[STRIP], chain[STRIP];
    load_channels(vectors, centre, &k->centre);
    load_channels(vectors, gain, &k->gain);
    load_channels(vectors, minus_offset, &k->constant);
    load_channels(vectors, slope, slopes);
    EACH_VECTOR(chain[v] = vf_zero());
    x += t->c;
    dx += t->c;
    for (int p = 0; p < t->s->pixels; p++, x += t->s->channels, dx += t->s->channels, dz.at += dz.stride) {
        EACH_VECTOR(
            vf d = vf_sub(strip_load(vectors, t, x + v * VW), centre[v]);
            vf z = dz_load(vectors, t, dz.at + v * VW);
            vf out = vf_fma(gain[v], z, vf_fnma(d, slope[v], minus_offset[v]));
            if (shifted)
                chain[v] = vf_add(chain[v], out);
            strip_store(vectors, t, dx + v * VW, out));
    }
    if (shifted)
        store_channels(vectors, sum, chain);
}

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

/* dz of a strip of the slab begin ... end-1. */
static dz_place find_place(const adjoint *a, const strip *t, size_t begin, size_t end)
{
#ifdef NORM_BF16
    (void)begin;
    return (dz_place){a->dz + (t->c - begin), end - begin};
#else
    (void)begin, (void)end;
    return (dz_place){a->dx + t->c, (size_t)a->s->channels};
#endif
}

/* Adds a strip's sums to the gradients of gamma and beta and to its groups' sums. */
static void fold_dz(const adjoint *a, const strip *t, const channels *total, const channels *moment)
{
    float *dgamma = a->dgamma + t->c, *dbeta = a->dbeta + t->c;
    const float *gamma = a->gamma + t->c;
    EACH_GROUP(t, g, from, to) {
        float rstd = a->stats[2 * g + 1], all = a->group[2 * g], moments = a->group[2 * g + 1];
        for (size_t i = from; i < to; i++) {
            all = fmaf(gamma[i], total->at[i], all);
            moments = fmaf(gamma[i], moment->at[i], moments);
            dbeta[i] += total->at[i];
            dgamma[i] = fmaf(moment->at[i], rstd, dgamma[i]);
        }
        a->group[2 * g] = all;
        a->group[2 * g + 1] = moments;
    }
}

static void slab_dz(const adjoint *a, size_t begin, size_t end)
{
    coefficients k;
    channels total, moment;
    EACH_STRIP(t, a->s, begin, end) {
        dz_place dz = find_place(a, &t, begin, end);
        find_coefficients(&t, &k, a->stats, a->shift, a->gamma, a->beta);
        if (a->s->silu)
            STRIP_CALL(find_dz, &t, true, &k, dz, a->x, a->dy, &total, &moment);
        else
            STRIP_CALL(find_dz, &t, false, &k, dz, a->x, a->dy, &total, &moment);
        fold_dz(a, &t, &total, &moment);
    }
}

/* The group's part of dx: constant = -offset, and the slope. */
static void find_slope(const adjoint *a, const strip *t, channels *constant, channels *slopes)
{
    float count = group_count(a->s);
    *constant = *slopes = (channels){{0}};
    EACH_GROUP(t, g, from, to) {
        float rstd = a->stats[2 * g + 1], offset = rstd * (a->group[2 * g] / count);
        float slope = rstd * rstd * rstd * (a->group[2 * g + 1] / count);
        for (size_t i = from; i < to; i++) {
            constant->at[i] = -offset;
            slopes->at[i] = slope;
        }
    }
}

static void slab_dx(const adjoint *a, size_t begin, size_t end)
{
    coefficients k;
    channels slope, sum;
    EACH_STRIP(t, a->s, begin, end) {
        dz_place dz = find_place(a, &t, begin, end);
        find_coefficients(&t, &k, a->stats, a->shift, a->gamma, a->beta);
        find_slope(a, &t, &k.constant, &slope);
        if (a->dshift) {
            STRIP_CALL(find_dx, &t, true, &k, &slope, a->dx, dz, a->x, &sum);
            for (size_t i = 0; i < t.lanes; i++)
                a->dshift[t.c + i] = sum.at[i];
        } else {
            STRIP_CALL(find_dx, &t, false, &k, &slope, a->dx, dz, a->x, &sum);
        }
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
        slab_dx(&a, first * group_width(s), last * group_width(s));
    }
}

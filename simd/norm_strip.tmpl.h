/* norm_strip.tmpl.h: how norm.tmpl.h walks over the channels of a picture.
 *
 * Channels are the vector lanes, so each lane holds one channel's chain over the pixels and no width
 * changes an association. A strip is a few vectors, whose chains hide the latency. bfloat16 come in pairs
 * of vectors: even and odd channels of one load need one operation each, in order they would need two.
 */
#ifndef EBB_NORM_STRIP_TMPL_H
#define EBB_NORM_STRIP_TMPL_H

#include "instances.h"

/* What is read and written at once: a vector; of bfloat16 two, one of which holds the even channels. */
#ifdef NORM_BF16
typedef ebb_bf16 pixel;
enum { UNIT = 2 };
#define PIXEL_LOAD vf_load_bf16
#define PIXEL_LOAD_N vf_load_bf16_n
#define PIXEL_STORE vf_store_bf16
#define PIXEL_STORE_N vf_store_bf16_n
#define PIXEL_LOAD_PAIR vf_load_bf16_pair
#define PIXEL_STORE_PAIR vf_store_bf16_pair
#define PIXEL_INSTANCE(name) EBB_INSTANCE(name##_bf16)
#else
typedef float pixel;
enum { UNIT = 1 };
#define PIXEL_LOAD vf_load
#define PIXEL_LOAD_N vf_load_n
#define PIXEL_STORE vf_store
#define PIXEL_STORE_N vf_store_n
#define PIXEL_LOAD_PAIR(p, even, odd)
#define PIXEL_STORE_PAIR(p, even, odd)
#define PIXEL_INSTANCE(name) EBB_INSTANCE(name##_f32)
#endif

enum { STRIP = 4, STRIP_LANES = STRIP * VW };

/* ---- walking over channels ------------------------------------------------------------------ */
/* Channels c ... c + lanes-1: so many whole vectors, or, with vectors 0, a part of one. */
typedef struct strip {
    const ebb_norm_shape *s;
    size_t c, lanes;
    int vectors;
    size_t width, group;  /* channels of a group; the group of channel c */
    size_t stride;        /* numbers from one pixel to the next */
} strip;

static strip strip_at(const ebb_norm_shape *s, size_t c, size_t end)
{
    size_t left = end - c, width = (size_t)(s->channels / s->groups);
    int vectors = left >= STRIP_LANES ? STRIP : left >= 2 * VW ? 2 : left >= VW ? 1 : 0;
    return (strip){s, c, vectors ? (size_t)vectors * VW : left, vectors, width, (size_t)((int)c / (int)width),
                   (size_t)(s->stride ? s->stride : s->channels)};
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
#define EACH_GROUP(t, g, from, to)                                                               \
    for (size_t g = (t)->group, from = 0, to = least((t)->lanes, (g + 1) * (t)->width - (t)->c); \
         from < (t)->lanes; g++, from = to, to = least((t)->lanes, to + (t)->width))

/* Repeats statements for v = 0 ... vectors-1, written out: as a loop too long for the compiler to unroll
 * it would keep the registers in memory. */
#define EACH_VECTOR(...)                                                          \
    do {                                                                          \
        { enum { v = 0 }; __VA_ARGS__; }                                          \
        if (vectors > 1) { enum { v = 1 }; __VA_ARGS__; }                         \
        if (vectors > 2) { enum { v = 2 }; __VA_ARGS__; }                         \
        if (vectors > 3) { enum { v = 3 }; __VA_ARGS__; }                         \
    } while (0)

/* The same for u, the first vector of each unit, and, inside, for each vector i of a unit. */
#define EACH_UNIT(...)                                                            \
    do {                                                                          \
        { enum { u = 0 }; __VA_ARGS__; }                                          \
        if (vectors > UNIT) { enum { u = UNIT }; __VA_ARGS__; }                   \
        if (vectors > 2 * UNIT) { enum { u = 2 * UNIT % STRIP }; __VA_ARGS__; }   \
        if (vectors > 3 * UNIT) { enum { u = 3 * UNIT % STRIP }; __VA_ARGS__; }   \
    } while (0)
#define EACH_OF_UNIT(...)                                                         \
    do {                                                                          \
        { enum { i = 0 }; __VA_ARGS__; }                                          \
        if (UNIT > 1 && vectors > 1) { enum { i = UNIT - 1 }; __VA_ARGS__; }      \
    } while (0)

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

static size_t group_width(const ebb_norm_shape *s) { return (size_t)(s->channels / s->groups); }

VEC void unit_load(const int vectors, const strip *t, vf *to, const pixel *p)
{
    if (UNIT > 1 && vectors > 1)
        PIXEL_LOAD_PAIR(p, &to[0], &to[1]);
    else
        to[0] = vectors ? PIXEL_LOAD(p) : PIXEL_LOAD_N(p, t->lanes);
}

VEC void unit_store(const int vectors, const strip *t, pixel *p, const vf *from)
{
    if (UNIT > 1 && vectors > 1)
        PIXEL_STORE_PAIR(p, from[0], from[1]);
    else if (vectors)
        PIXEL_STORE(p, from[0]);
    else
        PIXEL_STORE_N(p, from[0], t->lanes);
}

/* Values of a strip's channels; room for whole vectors. */
typedef struct channels {
    float at[STRIP_LANES];
} channels;

/* Vectors of channels, as units have them, from channels in order. */
VEC void to_units(const int vectors, vf *x)
{
    if (UNIT > 1 && vectors > 1)
        vf_unzip(x[0], x[1], &x[0], &x[1]);
    if (UNIT > 1 && vectors > 3)
        vf_unzip(x[2], x[3], &x[2], &x[3]);
}

VEC void from_units(const int vectors, vf *x)
{
    if (UNIT > 1 && vectors > 1)
        vf_zip(x[0], x[1], &x[0], &x[1]);
    if (UNIT > 1 && vectors > 3)
        vf_zip(x[2], x[3], &x[2], &x[3]);
}

VEC void load_channels(const int vectors, vf *to, const channels *from)
{
    EACH_VECTOR(to[v] = vf_load(from->at + v * VW));
    to_units(vectors, to);
}

VEC void store_channels(const int vectors, channels *to, vf *from)
{
    from_units(vectors, from);
    EACH_VECTOR(vf_store(to->at + v * VW, from[v]));
}

/* The strip's part of a vector of all channels; NULL stands for zeros. */
VEC void load_part(const int vectors, const strip *t, vf *to, const float *from)
{
    EACH_VECTOR(to[v] = !from ? vf_zero() : vectors ? vf_load(from + t->c + v * VW) : vf_load_n(from + t->c, t->lanes));
    to_units(vectors, to);
}

VEC void store_part(const int vectors, const strip *t, float *to, vf *from)
{
    from_units(vectors, from);
    EACH_VECTOR(
        if (vectors)
            vf_store(to + t->c + v * VW, from[v]);
        else
            vf_store_n(to + t->c, from[v], t->lanes));
}

/* Two numbers of each group, side by side, given to its channels. */
typedef struct pairs {
    channels first, second;
} pairs;

/* What lies beyond a part of a vector is read, though not used. */
#define NO_PAIRS {.first = {{0}}, .second = {{0}}}

static void spread(const strip *t, pairs *to, const float *of)
{
    EACH_GROUP(t, g, from, end)
        for (size_t i = from; i < end; i++) {
            to->first.at[i] = of[2 * g];
            to->second.at[i] = of[2 * g + 1];
        }
}

#endif

/* kcheck_attention.c: cases of attention and its adjoint: few and many queries and keys about the edges of blocks,
 * head sizes of any width, rows with gaps between them, special values. */
#include <math.h>

#include "check/kcheck.h"

typedef void attention_case(kcheck *k, const char *name, size_t offset, const ebb_attention_shape *s, int i);

/* Mostly small, sometimes about one or two blocks. */
static int tokens(kcheck *k, int i)
{
    return 1 + (int)ebb_kcheck_below(k, i % 4 == 0 ? 150 : i % 4 == 1 ? 70 : 20);
}

static void each_shape(kcheck *k, const char *name, size_t offset, attention_case *one)
{
    for (int i = 0; i < 260; i++) {
        if (!ebb_kcheck_next(k))
            continue;
        int d = i < 130 ? i + 1 : 1 + (int)ebb_kcheck_below(k, 40);
        ebb_attention_shape s = {.nq = tokens(k, i), .nk = tokens(k, i / 4), .d = d,
                                 .scale = i % 7 ? 1.0f / sqrtf((float)d) : -0.75f};
        size_t *stride[] = {&s.q_stride, &s.k_stride, &s.v_stride, &s.o_stride};
        for (int j = 0; j < 4; j++)
            *stride[j] = (size_t)d + (i % 3 ? ebb_kcheck_below(k, 20) : 0);
        one(k, name, offset, &s, i);
        ebb_kcheck_done(k);
    }
}

/* The last row ends with its last number: nothing of the stride follows. */
static size_t extent(int rows, size_t stride, int d) { return (size_t)(rows - 1) * stride + (size_t)d; }

static float *rows(kcheck *k, int n, size_t stride, int d, bool special)
{
    return special ? ebb_kcheck_special(k, extent(n, stride, d)) : ebb_kcheck_in(k, extent(n, stride, d));
}

static const char *text(const ebb_attention_shape *s, const char *what)
{
    return ebb_kcheck_text("%d queries, %d keys, d %d, strides %zu %zu %zu %zu: %s", s->nq, s->nk, s->d, s->q_stride,
                       s->k_stride, s->v_stride, s->o_stride, what);
}

static void forward(kcheck *k, const char *name, size_t offset, const ebb_attention_shape *s, int i)
{
    const float *q = rows(k, s->nq, s->q_stride, s->d, i % 16 == 3);
    const float *x = rows(k, s->nk, s->k_stride, s->d, i % 16 == 7);
    const float *v = rows(k, s->nk, s->v_stride, s->d, i % 16 == 11);
    size_t n = extent(s->nq, s->o_stride, s->d);
    float *want = ebb_kcheck_out(k, n), *got = ebb_kcheck_out(k, n);
    float *want_lse = ebb_kcheck_out(k, (size_t)s->nq), *got_lse = ebb_kcheck_out(k, (size_t)s->nq);
    void *room = ebb_kcheck_scratch(k, ebb_attention_scratch(s));
    KCHECK_FN(ATTENTION, k->spec, offset)(s, want, want_lse, q, x, v, room);
    KCHECK_FN(ATTENTION, k->fast, offset)(s, got, got_lse, q, x, v, room);
    ebb_kcheck_equal(k, name, text(s, "lse"), want_lse, got_lse, (size_t)s->nq);
    ebb_kcheck_equal(k, name, text(s, "o"), want, got, n);
}

void ebb_kcheck_ATTENTION(kcheck *k, const char *name, size_t offset) { each_shape(k, name, offset, forward); }

typedef struct gradients {
    float *dq, *dk, *dv;
} gradients;

static gradients results(kcheck *k, const ebb_attention_shape *s)
{
    return (gradients){ebb_kcheck_out(k, extent(s->nq, s->q_stride, s->d)),
                       ebb_kcheck_out(k, extent(s->nk, s->k_stride, s->d)),
                       ebb_kcheck_out(k, extent(s->nk, s->v_stride, s->d))};
}

/* o is anything: the adjoint only reads it. lse is the forward's, so that no power of 2 is beyond all bounds. */
static void backward(kcheck *k, const char *name, size_t offset, const ebb_attention_shape *s, int i)
{
    const float *q = rows(k, s->nq, s->q_stride, s->d, i % 16 == 3);
    const float *x = rows(k, s->nk, s->k_stride, s->d, i % 16 == 7);
    const float *v = rows(k, s->nk, s->v_stride, s->d, i % 16 == 11), *o = rows(k, s->nq, s->o_stride, s->d, false);
    const float *g = rows(k, s->nq, s->o_stride, s->d, i % 16 == 15);
    float *lse = ebb_kcheck_out(k, (size_t)s->nq);
    gradients want = results(k, s), got = results(k, s);
    void *room = ebb_kcheck_scratch(k, ebb_attention_scratch(s));
    k->spec->attention_f32(s, ebb_kcheck_out(k, extent(s->nq, s->o_stride, s->d)), lse, q, x, v, room);
    KCHECK_FN(ATTENTION_VJP, k->spec, offset)(s, want.dq, want.dk, want.dv, q, x, v, o, lse, g, room);
    KCHECK_FN(ATTENTION_VJP, k->fast, offset)(s, got.dq, got.dk, got.dv, q, x, v, o, lse, g, room);
    ebb_kcheck_equal(k, name, text(s, "dq"), want.dq, got.dq, extent(s->nq, s->q_stride, s->d));
    ebb_kcheck_equal(k, name, text(s, "dk"), want.dk, got.dk, extent(s->nk, s->k_stride, s->d));
    ebb_kcheck_equal(k, name, text(s, "dv"), want.dv, got.dv, extent(s->nk, s->v_stride, s->d));
}

void ebb_kcheck_ATTENTION_VJP(kcheck *k, const char *name, size_t offset) { each_shape(k, name, offset, backward); }

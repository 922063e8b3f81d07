/* attention.tmpl.h: attention and its adjoint in vector verbs. Specification: c/attention.c.
 *
 * A block of queries stands in columns, one query a lane: S' = K Q', O' = V' P'. Softmax then needs nothing
 * across lanes, and keys and values are read where they lie.
 */
#include "attention_tile.tmpl.h"

/* Rows x (count, d) -> columns y (d, QUERIES), times factor; zeros in columns that fill up a vector. */
static void attention_columns(size_t count, size_t d, float *y, const float *x, size_t stride, float factor)
{
    size_t whole = (count + VW - 1) / VW * VW;
    EBB_INSTANCE(transpose_f32)(count, d, y, QUERIES, x, stride);
    for (size_t i = 0; i < d; i++)
        for (size_t j = 0; j < whole; j += VW) {
            vf exists = vf_keep(vm_first(attention_left(j, count)), vf_load(y + i * QUERIES + j));
            vf_store(y + i * QUERIES + j, vf_mul(exists, vf_set1(factor)));
        }
}

/* p = 2^(p - top) of one vector of queries and n keys; the rest as in the specification. */
VEC void attention_softmax(size_t n, float *p, float *top, float *sum, float *keep)
{
    vf part[4], before = vf_load(top), now = before;
    for (size_t j = 0; j < n; j++)
        now = vf_max(vf_load(p + j * QUERIES), now);
    for (int i = 0; i < 4; i++)
        part[i] = vf_zero();
    for (size_t j = 0; j < n; j += 4) {
        ATTENTION_UNROLL
        for (size_t i = 0; i < 4; i++) {
            if (j + i == n)
                break;
            vf e = vec_exp2(vf_sub(vf_load(p + (j + i) * QUERIES), now));
            part[i] = vf_add(part[i], e);
            vf_store(p + (j + i) * QUERIES, e);
        }
    }
    vf factor = vec_exp2(vf_sub(before, now));
    vf_store(top, now);
    vf_store(keep, factor);
    vf_store(sum, vf_fma(vf_load(sum), factor, vf_add(vf_add(part[0], part[1]), vf_add(part[2], part[3]))));
}

typedef struct attention_state {
    _Alignas(64) float top[QUERIES], sum[QUERIES], keep[QUERIES];
} attention_state;

/* o, lse of one block from its columns out (d, QUERIES). */
static void attention_finish(size_t count, size_t d, float *o, size_t stride, float *lse, float *out,
                             const attention_state *t)
{
    for (size_t j = 0; j < count; j += VW) {
        vf sum = vf_load(t->sum + j), inverse = vf_div(vf_set1(1.0f), sum);
        for (size_t i = 0; i < d; i++)
            vf_store(out + i * QUERIES + j, vf_mul(vf_load(out + i * QUERIES + j), inverse));
        vf_store_n(lse + j, vf_fma(vec_log(sum), vf_set1(LOG2_E), vf_load(t->top + j)), attention_left(j, count));
    }
    EBB_INSTANCE(transpose_f32)(d, count, o, stride, out, QUERIES);
}

void EBB_INSTANCE(attention_f32)(const ebb_attention_shape *s, float *o, float *lse, const float *q, const float *k,
                                 const float *v, void *scratch)
{
    const size_t d = (size_t)s->d, nq = (size_t)s->nq, nk = (size_t)s->nk;
    float *columns = scratch, *out = columns + d * QUERIES, *p = out + d * QUERIES;
    for (size_t i = 0; i < nq; i += QUERIES) {
        size_t count = nq - i < QUERIES ? nq - i : QUERIES, whole = (count + VW - 1) / VW * VW;
        attention_state t;
        for (size_t j = 0; j < QUERIES; j++) {
            t.top[j] = -FLT_MAX;
            t.sum[j] = 0.0f;
        }
        attention_columns(count, d, columns, q + i * s->q_stride, s->q_stride, s->scale * LOG2_E);
        for (size_t j = 0; j < nk; j += ATTENTION_KEYS) {
            size_t n = nk - j < ATTENTION_KEYS ? nk - j : ATTENTION_KEYS;
            attention_multiply_rows(&(attention_product){
                .m = n, .n = whole, .k = d, .c = p, .ldc = QUERIES, .a = k + j * s->k_stride, .step = s->k_stride,
                .b = columns, .ldb = QUERIES});
            for (size_t c = 0; c < whole; c += VW)
                attention_softmax(n, p + c, t.top + c, t.sum + c, t.keep + c);
            attention_multiply_columns(&(attention_product){
                .m = d, .n = whole, .k = n, .c = out, .ldc = QUERIES, .a = v + j * s->v_stride, .step = s->v_stride,
                .b = p, .ldb = QUERIES, .keep = t.keep, .resume = j > 0});
        }
        attention_finish(count, d, o + i * s->o_stride, s->o_stride, lse + i, out, &t);
    }
}

/* Rows (count, d) with a stride -> (count, wide), zeros behind d. */
static void attention_copy(size_t count, size_t d, float *y, size_t wide, const float *x, size_t stride)
{
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < wide; j += VW)
            vf_store(y + i * wide + j, vf_load_n(x + i * stride + j, j + VW <= d ? VW : j < d ? d - j : 0));
}

/* And back: (count, wide) -> rows with a stride, times factor. */
static void attention_give(size_t count, size_t d, float *y, size_t stride, const float *x, size_t wide, float factor)
{
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < d; j += VW)
            vf_store_n(y + i * stride + j, vf_mul(vf_load(x + i * wide + j), vf_set1(factor)), attention_left(j, d));
}

/* s -> p = 2^(s - lse), g -> p (g - along), of n keys and whole vectors of queries. */
static void attention_weights(size_t n, size_t whole, float *p, float *g, const float *lse, const float *along)
{
    for (size_t j = 0; j < n; j++)
        for (size_t c = 0; c < whole; c += VW) {
            float *pc = p + j * QUERIES + c, *gc = g + j * QUERIES + c;
            vf e = vec_exp2(vf_sub(vf_load(pc), vf_load(lse + c)));
            vf_store(pc, e);
            vf_store(gc, vf_mul(e, vf_sub(vf_load(gc), vf_load(along + c))));
        }
}

typedef struct attention_block {
    size_t count, whole, d, wide;            /* queries; in whole vectors; d; in whole vectors */
    float *q, *g, *dq;                       /* columns (d, QUERIES): q', do, dq */
    float *q_rows, *g_rows;                  /* rows (count, wide) */
    float *p, *ds;                           /* (ATTENTION_KEYS, QUERIES) */
    float lse[QUERIES], along[QUERIES];      /* along: <do, o> */
} attention_block;

/* One block of queries meets n keys k, v; dk, dv: (n, wide), added to. */
static void attention_meet(attention_block *b, size_t n, float *dk, float *dv, const float *k, size_t k_stride,
                           const float *v, size_t v_stride, bool first_keys, bool first_queries)
{
    attention_product p = {.m = n, .n = b->whole, .k = b->d, .ldc = QUERIES, .ldb = QUERIES};
    p.c = b->p, p.a = k, p.step = k_stride, p.b = b->q;
    attention_multiply_rows(&p);
    p.c = b->ds, p.a = v, p.step = v_stride, p.b = b->g;
    attention_multiply_rows(&p);
    attention_weights(n, b->whole, b->p, b->ds, b->lse, b->along);
    attention_multiply_columns(&(attention_product){
        .m = b->d, .n = b->whole, .k = n, .c = b->dq, .ldc = QUERIES, .a = k, .step = k_stride, .b = b->ds,
        .ldb = QUERIES, .resume = !first_keys});
    p = (attention_product){.m = n, .n = b->wide, .k = b->count, .ldc = b->wide, .step = QUERIES, .ldb = b->wide,
                            .resume = !first_queries};
    p.c = dv, p.a = b->p, p.b = b->g_rows;
    attention_multiply_rows(&p);
    p.c = dk, p.a = b->ds, p.b = b->q_rows;
    attention_multiply_rows(&p);
}

void EBB_INSTANCE(attention_vjp_f32)(const ebb_attention_shape *s, float *dq, float *dk, float *dv, const float *q,
                                     const float *k, const float *v, const float *o, const float *lse,
                                     const float *do_, void *scratch)
{
    const size_t d = (size_t)s->d, nq = (size_t)s->nq, nk = (size_t)s->nk, size = attention_padded(s->d) * QUERIES;
    attention_block b = {.d = d, .wide = (d + VW - 1) / VW * VW};
    b.q = scratch, b.g = b.q + size, b.dq = b.g + size, b.q_rows = b.dq + size, b.g_rows = b.q_rows + size;
    b.p = b.g_rows + size, b.ds = b.p + ATTENTION_KEYS * QUERIES;
    float *sum_k = b.ds + ATTENTION_KEYS * QUERIES, *sum_v = sum_k + nk * b.wide;
    for (size_t i = 0; i < nq; i += QUERIES) {
        const float *qi = q + i * s->q_stride, *gi = do_ + i * s->o_stride;
        b.count = nq - i < QUERIES ? nq - i : QUERIES;
        b.whole = (b.count + VW - 1) / VW * VW;
        attention_columns(b.count, d, b.q, qi, s->q_stride, s->scale * LOG2_E);
        attention_columns(b.count, d, b.g, gi, s->o_stride, 1.0f);
        attention_copy(b.count, d, b.q_rows, b.wide, qi, s->q_stride);
        attention_copy(b.count, d, b.g_rows, b.wide, gi, s->o_stride);
        for (size_t c = 0; c < b.whole; c++) {
            b.lse[c] = c < b.count ? lse[i + c] : 0.0f;
            b.along[c] = 0.0f;
            if (c < b.count)
                b.along[c] = EBB_INSTANCE(dot_f32)(d, gi + c * s->o_stride, o + (i + c) * s->o_stride);
        }
        for (size_t j = 0; j < nk; j += ATTENTION_KEYS) {
            size_t n = nk - j < ATTENTION_KEYS ? nk - j : ATTENTION_KEYS;
            attention_meet(&b, n, sum_k + j * b.wide, sum_v + j * b.wide, k + j * s->k_stride, s->k_stride,
                           v + j * s->v_stride, s->v_stride, j == 0, i == 0);
        }
        for (size_t j = 0; j < d; j++)
            for (size_t c = 0; c < b.whole; c += VW)
                vf_store(b.dq + j * QUERIES + c, vf_mul(vf_load(b.dq + j * QUERIES + c), vf_set1(s->scale)));
        EBB_INSTANCE(transpose_f32)(d, b.count, dq + i * s->q_stride, s->q_stride, b.dq, QUERIES);
    }
    attention_give(nk, d, dk, s->k_stride, sum_k, b.wide, s->scale);
    attention_give(nk, d, dv, s->v_stride, sum_v, b.wide, 1.0f);
}

/* attention_pair.tmpl.h: attention and its adjoint on bfloat16 by an instruction that multiplies pairs.
 *
 * The same products on the same tiles as in attention.tmpl.h, with words of two bfloat16 for floats: what a sum
 * runs over (d, keys or queries) stands in pairs, filled up with a zero. Probabilities and their slopes are rounded
 * to bfloat16; sums, maxima and exponentials are f32.
 *
 * An instance defines, beside what the tiles want, ATTENTION_TRANSPOSE (a transpose_f32), and before this file
 *   attention_pair(a, b)       words of a and b, rounded
 *   attention_narrow(to, a)    VW bfloat16
 */
#include <string.h>

#include "attention_tile.tmpl.h"

/* Rows (count, d) -> words (count, words), pairs over d. */
static void pair_rows(size_t count, size_t d, float *y, size_t words, const ebb_bf16 *x, size_t stride)
{
    for (size_t i = 0; i < count; i++) {
        if (d % 2)
            y[(i + 1) * words - 1] = 0.0f;
        memcpy(y + i * words, x + i * stride, d * sizeof *x);
    }
}

/* Rows (count, d) -> words (count/2, wide), pairs of rows. */
static void pair_zip(size_t count, size_t d, float *y, size_t wide, const ebb_bf16 *x, size_t stride)
{
    for (size_t i = 0; i < count; i += 2, y += wide, x += 2 * stride)
        for (size_t j = 0; j < wide; j += VW) {
            size_t n = j >= d ? 0 : attention_left(j, d);
            vi even = vf_bits(vf_load_bf16_n(x + j * (n > 0), n));
            vi odd = vf_bits(vf_load_bf16_n(x + (stride + j) * (i + 1 < count && n > 0), i + 1 < count ? n : 0));
            vf_store(y + j, vi_float_bits(vi_or(vi_shr(even, 16), odd)));
        }
}

/* Words (count, words) -> columns (words, QUERIES); zeros in columns that fill up a vector. */
static void pair_columns(size_t count, size_t words, float *y, const float *x)
{
    size_t last = (count - 1) / VW * VW;
    ATTENTION_TRANSPOSE(count, words, y, QUERIES, x, words);
    for (size_t i = 0; i < words; i++)
        vf_store(y + i * QUERIES + last, vf_keep(vm_first(count - last), vf_load(y + i * QUERIES + last)));
}

/* f32 rows (count, d) with row length `wide`, times factor -> bfloat16 rows. */
static void pair_give(size_t count, size_t d, ebb_bf16 *y, size_t stride, const float *x, size_t wide, float factor)
{
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < d; j += VW) {
            size_t n = attention_left(j, d);
            vf_store_bf16_n(y + i * stride + j, vf_mul(vf_load_n(x + i * wide + j, n), vf_set1(factor)), n);
        }
}

/* Pairs of 2^(factor s - top) of one vector of queries and n keys, where top grows to the largest factor s. */
VEC void pair_softmax(size_t n, float *p, const float *s, float factor, float *top, float *sum, float *keep)
{
    vf part[2] = {vf_zero(), vf_zero()}, before = vf_load(top), now = before, scale = vf_set1(factor);
    for (size_t j = 0; j < n; j++)
        now = vf_max(vf_mul(vf_load(s + j * QUERIES), scale), now);
    for (size_t j = 0; j < n; j += 2) {
        vf e[2] = {vf_zero(), vf_zero()};
        ATTENTION_UNROLL
        for (size_t i = 0; i < 2; i++) {
            if (j + i == n)
                break;
            e[i] = vec_exp2(vf_fms(vf_load(s + (j + i) * QUERIES), scale, now));
            part[i] = vf_add(part[i], e[i]);
        }
        vf_store(p + j / 2 * QUERIES, attention_pair(e[0], e[1]));
    }
    vf rest = vec_exp2(vf_sub(before, now));
    vf_store(top, now);
    vf_store(keep, rest);
    vf_store(sum, vf_fma(vf_load(sum), rest, vf_add(part[0], part[1])));
}

typedef struct pair_state {
    _Alignas(64) float top[QUERIES], sum[QUERIES], keep[QUERIES];
} pair_state;

static void pair_finish(size_t count, size_t d, ebb_bf16 *o, size_t stride, float *lse, float *out, float *rows,
                        const pair_state *t)
{
    for (size_t j = 0; j < count; j += VW) {
        vf sum = vf_load(t->sum + j), inverse = vf_div(vf_set1(1.0f), sum);
        for (size_t i = 0; i < d; i++)
            vf_store(out + i * QUERIES + j, vf_mul(vf_load(out + i * QUERIES + j), inverse));
        vf_store_n(lse + j, vf_fma(vec_log(sum), vf_set1(LOG2_E), vf_load(t->top + j)), attention_left(j, count));
    }
    ATTENTION_TRANSPOSE(d, count, rows, d, out, QUERIES);
    pair_give(count, d, o, stride, rows, d, 1.0f);
}

void EBB_INSTANCE(attention_bf16)(const ebb_attention_shape *s, ebb_bf16 *o, float *lse, const ebb_bf16 *q,
                                  const ebb_bf16 *k, const ebb_bf16 *v, void *scratch)
{
    const size_t d = (size_t)s->d, nq = (size_t)s->nq, nk = (size_t)s->nk, words = (d + 1) / 2;
    const size_t wide = (d + VW - 1) / VW * VW;
    float *columns = scratch, *out = columns + words * QUERIES, *rows = out + d * QUERIES;
    float *score = rows + wide * QUERIES, *p = score + ATTENTION_KEYS * QUERIES;
    float *k_rows = p + ATTENTION_KEYS / 2 * QUERIES, *v_pairs = k_rows + nk * words;
    pair_rows(nk, d, k_rows, words, k, s->k_stride);
    pair_zip(nk, d, v_pairs, wide, v, s->v_stride);
    for (size_t i = 0; i < nq; i += QUERIES) {
        size_t count = nq - i < QUERIES ? nq - i : QUERIES, whole = (count + VW - 1) / VW * VW;
        pair_state t;
        for (size_t j = 0; j < QUERIES; j++) {
            t.top[j] = -FLT_MAX;
            t.sum[j] = 0.0f;
        }
        pair_rows(count, d, rows, words, q + i * s->q_stride, s->q_stride);
        pair_columns(count, words, columns, rows);
        for (size_t j = 0; j < nk; j += ATTENTION_KEYS) {
            size_t n = nk - j < ATTENTION_KEYS ? nk - j : ATTENTION_KEYS;
            attention_multiply_rows(&(attention_product){
                .m = n, .n = whole, .k = words, .c = score, .ldc = QUERIES, .a = k_rows + j * words, .step = words,
                .b = columns, .ldb = QUERIES});
            for (size_t c = 0; c < whole; c += VW)
                pair_softmax(n, p + c, score + c, s->scale * LOG2_E, t.top + c, t.sum + c, t.keep + c);
            attention_multiply_columns(&(attention_product){
                .m = d, .n = whole, .k = (n + 1) / 2, .c = out, .ldc = QUERIES, .a = v_pairs + j / 2 * wide,
                .step = wide, .b = p, .ldb = QUERIES, .keep = t.keep, .resume = j > 0});
        }
        pair_finish(count, d, o + i * s->o_stride, s->o_stride, lse + i, out, rows, &t);
    }
}

typedef struct pair_keys {
    size_t n, words, wide;                   /* keys of the block; (d + 1) / 2; d in whole vectors */
    const float *k, *v, *k_pairs;            /* (n, words), (n, words), (n/2, wide) */
    float *dk, *dv;                          /* f32 (n, wide), added to */
} pair_keys;

typedef struct pair_block {
    size_t count, whole, d;                  /* queries; in whole vectors */
    float factor;                            /* scale log2(e) */
    float *q, *g, *q_pairs, *g_pairs;        /* columns (words, QUERIES); pairs of queries (count/2, wide) */
    float *dq;                               /* f32 columns (d, QUERIES) */
    float *score, *slope, *slope_pairs;      /* f32 (KEYS, QUERIES), twice; pairs of keys (KEYS/2, QUERIES) */
    ebb_bf16 *p, *ds;                        /* (KEYS, QUERIES) */
    float lse[QUERIES], along[QUERIES];      /* along: <do, o> */
} pair_block;

/* p = 2^(factor s - lse), ds = p (g - along) of the n keys. */
static void pair_weights(pair_block *b, size_t n)
{
    for (size_t j = 0; j < n; j += 2)
        for (size_t c = 0; c < b->whole; c += VW) {
            vf ds[2] = {vf_zero(), vf_zero()}, lse = vf_load(b->lse + c), along = vf_load(b->along + c);
            ATTENTION_UNROLL
            for (size_t i = 0; i < 2; i++) {
                if (j + i == n)
                    break;
                size_t at = (j + i) * QUERIES + c;
                vf p = vec_exp2(vf_fms(vf_load(b->score + at), vf_set1(b->factor), lse));
                ds[i] = vf_mul(p, vf_sub(vf_load(b->slope + at), along));
                attention_narrow(b->p + at, p);
                attention_narrow(b->ds + at, ds[i]);
            }
            vf_store(b->slope_pairs + j / 2 * QUERIES + c, attention_pair(ds[0], ds[1]));
        }
    /* The partner of an odd last query: zero times what it meets, and that may be no number. */
    for (size_t j = 0; j < n && b->count % 2; j++) {
        memset(b->p + j * QUERIES + b->count, 0, sizeof *b->p);
        memset(b->ds + j * QUERIES + b->count, 0, sizeof *b->ds);
    }
}

/* One block of queries meets one of keys. */
static void pair_meet(pair_block *b, const pair_keys *k, bool first_keys, bool first_queries)
{
    attention_product p = {.m = k->n, .n = b->whole, .k = k->words, .ldc = QUERIES, .ldb = QUERIES, .step = k->words};
    p.c = b->score, p.a = k->k, p.b = b->q;
    attention_multiply_rows(&p);
    p.c = b->slope, p.a = k->v, p.b = b->g;
    attention_multiply_rows(&p);
    pair_weights(b, k->n);
    attention_multiply_columns(&(attention_product){
        .m = b->d, .n = b->whole, .k = (k->n + 1) / 2, .c = b->dq, .ldc = QUERIES, .a = k->k_pairs, .step = k->wide,
        .b = b->slope_pairs, .ldb = QUERIES, .resume = !first_keys});
    p = (attention_product){.m = k->n, .n = k->wide, .k = (b->count + 1) / 2, .ldc = k->wide, .step = QUERIES / 2,
                            .ldb = k->wide, .resume = !first_queries};
    p.c = k->dv, p.a = (const float *)(const void *)b->p, p.b = b->g_pairs;
    attention_multiply_rows(&p);
    p.c = k->dk, p.a = (const float *)(const void *)b->ds, p.b = b->q_pairs;
    attention_multiply_rows(&p);
}

static float pair_inner(size_t d, const ebb_bf16 *x, const ebb_bf16 *y)
{
    vf sum = vf_zero();
    for (size_t j = 0; j < d; j += VW)
        sum = vf_fma(vf_load_bf16_n(x + j, attention_left(j, d)), vf_load_bf16_n(y + j, attention_left(j, d)), sum);
    return vf_fold_add(sum);
}

/* Words of a block of queries, in both pairings; rows: room for (QUERIES, words). */
static void pair_load(const pair_block *b, float *columns, float *pairs, float *rows, const ebb_bf16 *x, size_t stride)
{
    size_t words = (b->d + 1) / 2;
    pair_rows(b->count, b->d, rows, words, x, stride);
    pair_columns(b->count, words, columns, rows);
    pair_zip(b->count, b->d, pairs, (b->d + VW - 1) / VW * VW, x, stride);
}

void EBB_INSTANCE(attention_vjp_bf16)(const ebb_attention_shape *s, ebb_bf16 *dq, ebb_bf16 *dk, ebb_bf16 *dv,
                                      const ebb_bf16 *q, const ebb_bf16 *k, const ebb_bf16 *v, const ebb_bf16 *o,
                                      const float *lse, const ebb_bf16 *do_, void *scratch)
{
    const size_t d = (size_t)s->d, nq = (size_t)s->nq, nk = (size_t)s->nk, words = (d + 1) / 2;
    const size_t wide = (d + VW - 1) / VW * VW, square = ATTENTION_KEYS * QUERIES;
    pair_block b = {.d = d, .factor = s->scale * LOG2_E};
    b.q = scratch, b.g = b.q + words * QUERIES, b.q_pairs = b.g + words * QUERIES;
    b.g_pairs = b.q_pairs + wide * QUERIES / 2, b.dq = b.g_pairs + wide * QUERIES / 2, b.score = b.dq + d * QUERIES;
    b.slope = b.score + square, b.slope_pairs = b.slope + square;
    b.p = (ebb_bf16 *)(b.slope_pairs + square / 2), b.ds = b.p + square;
    float *rows = (float *)(b.ds + square), *k_rows = rows + d * QUERIES, *v_rows = k_rows + nk * words;
    float *k_pairs = v_rows + nk * words, *sum_k = k_pairs + (nk + 1) / 2 * wide, *sum_v = sum_k + nk * wide;
    pair_rows(nk, d, k_rows, words, k, s->k_stride);
    pair_rows(nk, d, v_rows, words, v, s->v_stride);
    pair_zip(nk, d, k_pairs, wide, k, s->k_stride);
    for (size_t i = 0; i < nq; i += QUERIES) {
        const ebb_bf16 *qi = q + i * s->q_stride, *gi = do_ + i * s->o_stride, *oi = o + i * s->o_stride;
        b.count = nq - i < QUERIES ? nq - i : QUERIES;
        b.whole = (b.count + VW - 1) / VW * VW;
        pair_load(&b, b.q, b.q_pairs, rows, qi, s->q_stride);
        pair_load(&b, b.g, b.g_pairs, rows, gi, s->o_stride);
        for (size_t c = 0; c < b.whole; c++) {
            b.lse[c] = c < b.count ? lse[i + c] : 0.0f;
            b.along[c] = c < b.count ? pair_inner(d, gi + c * s->o_stride, oi + c * s->o_stride) : 0.0f;
        }
        for (size_t j = 0; j < nk; j += ATTENTION_KEYS)
            pair_meet(&b, &(pair_keys){.n = nk - j < ATTENTION_KEYS ? nk - j : ATTENTION_KEYS, .words = words,
                                       .wide = wide, .k = k_rows + j * words, .v = v_rows + j * words,
                                       .k_pairs = k_pairs + j / 2 * wide, .dk = sum_k + j * wide,
                                       .dv = sum_v + j * wide}, j == 0, i == 0);
        ATTENTION_TRANSPOSE(d, b.count, rows, d, b.dq, QUERIES);
        pair_give(b.count, d, dq + i * s->q_stride, s->q_stride, rows, d, s->scale);
    }
    pair_give(nk, d, dk, s->k_stride, sum_k, wide, s->scale);
    pair_give(nk, d, dv, s->v_stride, sum_v, wide, 1.0f);
}

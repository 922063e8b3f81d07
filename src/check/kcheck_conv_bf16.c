/* kcheck_conv_bf16.c: cases of the matrix product and the convolution trio on bfloat16, and how far two right
 * results of one case may lie apart.
 *
 * Every output is a sum of n terms a b, exact in f32 up to its range. With u = 2^-24 and S = sum |a b|, and at
 * most one rounding a term, the chain of simd/c errs by n u S (Higham 2002, 4.2). Pairs of terms may be rounded
 * to odd (bfdot): twice u, for the pair and for the sum of pairs: (n + 2) u S. The higher orders of u are in
 * gamma(m) = m u / (1 - m u). Instructions on bfloat16 flush denormals: an operand that is denormal loses its
 * term, a result 2^-126. Rounded to bfloat16, two numbers that near each other may fall on neighbours.
 */
#include <float.h>
#include <math.h>
#include <string.h>

#include "check/kcheck_conv.h"

static const double bf16_max = 0x1.fep127;

/* What is known of one output. */
typedef struct terms {
    double sum, lost;   /* of |a b|: of all, of those with a denormal operand */
    size_t count;
    bool free;          /* the result depends on choices that an ISA has */
} terms;

static float widened(ebb_bf16 x)
{
    uint32_t bits = (uint32_t)x << 16;
    float y;
    memcpy(&y, &bits, sizeof y);
    return y;
}

static bool denormal(double x) { return x != 0.0 && fabs(x) < FLT_MIN; }

static void add_term(terms *t, ebb_bf16 x, ebb_bf16 y)
{
    double a = widened(x), b = widened(y), product = fabs(a * b);
    if (!isfinite(a) || !isfinite(b)) {
        t->free |= denormal(a) || denormal(b);  /* infinity times a number, or times zero */
        return;
    }
    t->count++;
    t->sum += product;
    t->lost += denormal(a) || denormal(b) ? product : 0.0;
}

/* A zero of the padding may take part or not. */
static void add_padding(terms *t, ebb_bf16 y)
{
    t->free |= !isfinite(widened(y));
}

static void add_number(terms *t, double x)
{
    t->count++;
    t->sum += fabs(x);
}

/* Distance of two neighbouring bfloat16 at x. */
static double bf16_spacing(double x)
{
    int exponent;
    frexp(x, &exponent);
    return ldexp(1.0, exponent - 8 > -133 ? exponent - 8 : -133);
}

static double bound_of(const terms *t, bool rounded, double want)
{
    const double u = 0x1p-24;
    double m = (2.0 * (double)t->count + 2.0) * u, flushed = (2.0 * (double)t->count + 2.0) * 0x1p-126;
    double bound = m / (1.0 - m) * t->sum + t->lost + flushed;
    return rounded && isfinite(want) ? bound + bf16_spacing(fabs(want) + bound) : bound;
}

static void check(kcheck *k, const char *name, const char *text, const terms *t, bool rounded, const float *want,
                  const float *got, size_t n)
{
    float *a = ebb_kcheck_copy(k, want, n), *b = ebb_kcheck_copy(k, got, n), *bound = ebb_kcheck_out(k, n);
    for (size_t i = 0; i < n; i++) {
        bound[i] = nextafterf((float)bound_of(&t[i], rounded, want[i]), INFINITY);
        if (t[i].free || t[i].sum + bound[i] > bf16_max)  /* some order of the sum overflows */
            a[i] = b[i] = 0.0f;
    }
    ebb_kcheck_close(k, name, text, a, b, bound, n);
}

static float *widen(kcheck *k, const ebb_bf16 *x, size_t n)
{
    float *y = ebb_kcheck_out(k, n);
    for (size_t i = 0; i < n; i++)
        y[i] = widened(x[i]);
    return y;
}

static void check_bf16(kcheck *k, const char *name, const char *text, const terms *t, const ebb_bf16 *want,
                       const ebb_bf16 *got, size_t n)
{
    check(k, name, text, t, true, widen(k, want, n), widen(k, got, n), n);
}

static terms *terms_new(kcheck *k, size_t n)
{
    return memset(ebb_kcheck_scratch(k, n * sizeof(terms)), 0, n * sizeof(terms));
}

typedef enum kind { ORDINARY, FINITE, SPECIAL } kind;

static kind kind_of(uint64_t random)
{
    return random % 4 == 0 ? SPECIAL : random % 4 == 1 ? FINITE : ORDINARY;
}

/* Ordinary numbers; among them zeros, denormals and large ones; or a few infinities and NaN. */
static ebb_bf16 *numbers(kcheck *k, size_t n, kind kind)
{
    static const ebb_bf16 finite[] = {0x0000, 0x8000, 0x0001, 0x807F, 0x0080, 0x5F00, 0xDF80, 0x2000};
    static const ebb_bf16 special[] = {0x7F80, 0xFF80, 0x7FC0, 0x0001, 0x7F81, 0x7F7F, 0xFF7F, 0x0000};
    ebb_bf16 *x = ebb_kcheck_in_bf16(k, n);
    for (size_t i = 0; i < n && kind != ORDINARY; i++) {
        uint64_t r = ebb_kcheck_random(k);
        if (r % (kind == FINITE ? 8 : 256) == 0)
            x[i] = (kind == FINITE ? finite : special)[r >> 32 & 7];
    }
    return x;
}

/* ---- matrix product ---- */

typedef struct gemm_case {
    size_t m, n, k, gap;  /* gap: of each leading dimension beyond the row */
    bool bias, residual, in_place, c_f32;
    kind kind;
} gemm_case;

static terms *gemm_terms(kcheck *k, const gemm_case *c, const ebb_bf16 *a, const ebb_bf16 *b, const float *bias,
                         const ebb_bf16 *residual)
{
    size_t lda = c->k + c->gap, ldc = c->n + c->gap;
    terms *t = terms_new(k, c->m * ldc);
    for (size_t i = 0; i < c->m; i++) {
        for (size_t j = 0; j < c->n; j++) {
            terms *at = &t[i * ldc + j];
            for (size_t p = 0; p < c->k; p++)
                add_term(at, a[i * lda + p], b[p * ldc + j]);
            if (bias)
                add_number(at, bias[j]);
            if (residual)
                add_number(at, widened(residual[i * ldc + j]));
        }
    }
    return t;
}

static void gemm(kcheck *k, const char *name, size_t offset, const gemm_case *c)
{
    size_t lda = c->k + c->gap, ldb = c->n + c->gap, ldc = ldb;
    size_t nc = c->m && c->n ? (c->m - 1) * ldc + c->n : 0, units = c->c_f32 ? 2 : 1;
    ebb_bf16 *a = numbers(k, c->m && c->k ? (c->m - 1) * lda + c->k : 0, c->kind);
    ebb_bf16 *b = numbers(k, c->k && c->n ? (c->k - 1) * ldb + c->n : 0, c->kind);
    ebb_bf16 *packed = ebb_kcheck_out_bf16(k, ebb_gemm_pack_bf16_size(c->k, c->n));
    float *bias = c->bias ? ebb_kcheck_in(k, c->n) : NULL;
    void *room = ebb_kcheck_scratch(k, ebb_gemm_scratch_bf16(c->m, c->n, c->k));
    ebb_bf16 *residual = c->residual ? ebb_kcheck_in_bf16(k, nc) : NULL;
    bool self = residual && c->in_place && !c->c_f32;
    ebb_bf16 *want = self ? ebb_kcheck_copy_bf16(k, residual, nc) : ebb_kcheck_in_bf16(k, nc * units);
    ebb_bf16 *got = ebb_kcheck_copy_bf16(k, want, nc * units);
    ebb_gemm_bf16_args g = {c->m, c->n, c->k, a, lda, packed, want, ldc, c->c_f32, bias, self ? want : residual};
    ebb_gemm_pack_bf16(c->k, c->n, packed, b, ldb);
    terms *t = gemm_terms(k, c, a, b, bias, residual);
    KCHECK_FN(GEMM_BF16, k->spec, offset)(&g, room);
    g.c = got;
    g.residual = self ? got : residual;
    KCHECK_FN(GEMM_BF16, k->fast, offset)(&g, room);
    const char *text = ebb_kcheck_text("%zu x %zu, k %zu, gap %zu, bias %d, residual %d, in place %d, to f32 %d", c->m,
                                   c->n, c->k, c->gap, c->bias, c->residual, self, c->c_f32);
    if (c->c_f32)
        check(k, name, text, t, false, (float *)(void *)want, (float *)(void *)got, nc);
    else
        check_bf16(k, name, text, t, want, got, nc);
    ebb_kcheck_done(k);
}

void ebb_kcheck_GEMM_BF16(kcheck *k, const char *name, size_t offset)
{
    static const size_t sizes[][3] = {
        {8, 512, 128}, {8, 40, 600}, {256, 96, 64}, {200, 33, 513}, {100, 100, 257}, {1, 1, 1000}, {25, 32, 256},
    };
    for (int i = 0; i < 400; i++) {
        if (!ebb_kcheck_next(k))
            continue;
        uint64_t r = ebb_kcheck_random(k);
        gemm_case c = {
            .m = ebb_kcheck_below(k, 30), .n = ebb_kcheck_below(k, 70), .k = ebb_kcheck_below(k, 70), .gap = r % 3,
            .bias = r >> 8 & 1, .residual = r >> 9 & 1, .in_place = r >> 10 & 1, .c_f32 = r >> 11 & 1,
            .kind = kind_of(r >> 12),
        };
        gemm(k, name, offset, &c);
    }
    for (size_t i = 0; i < 2 * sizeof sizes / sizeof *sizes; i++) {
        const size_t *s = sizes[i / 2];
        if (ebb_kcheck_next(k))
            gemm(k, name, offset, &(gemm_case){.m = s[0], .n = s[1], .k = s[2], .bias = true, .residual = true,
                                               .in_place = true, .c_f32 = i & 1});
    }
}

/* ---- convolution ---- */

enum { X, W, Y };

static size_t size_of(const ebb_conv_shape *s, int tensor)
{
    return tensor == X ? (size_t)s->n * s->h * s->w * s->ci
         : tensor == W ? (size_t)s->kh * s->kw * s->ci * s->co : (size_t)s->n * s->oh * s->ow * s->co;
}

/* All terms of y's pixel (n, oy, ox) and tap (a, b), towards the tensor that is the result. */
static void tap_terms(const ebb_conv_shape *s, terms *t, int result, const ebb_bf16 *const data[3], size_t y,
                      ptrdiff_t x, size_t w)
{
    for (int i = 0; i < s->ci; i++) {
        for (int o = 0; o < s->co; o++) {
            size_t at[3] = {x + i, w + (size_t)i * s->co + o, y + o};
            int one = result == X ? Y : X, other = result == W ? Y : W;
            if (x >= 0)
                add_term(&t[at[result]], data[one][at[one]], data[other][at[other]]);
            else if (result != X)
                add_padding(&t[at[result]], data[other][at[other]]);
        }
    }
}

static terms *conv_terms(kcheck *k, const ebb_conv_shape *s, int result, const ebb_bf16 *const data[3])
{
    terms *t = terms_new(k, size_of(s, result));
    size_t y = 0;
    for (int n = 0; n < s->n; n++)
    for (int oy = 0; oy < s->oh; oy++)
    for (int ox = 0; ox < s->ow; ox++, y += s->co)
    for (int a = 0; a < s->kh; a++)
    for (int b = 0; b < s->kw; b++) {
        int iy = oy * s->stride + a - s->pad_top, ix = ox * s->stride + b - s->pad_left;
        bool inside = iy >= 0 && iy < s->h && ix >= 0 && ix < s->w;
        ptrdiff_t x = inside ? (((ptrdiff_t)n * s->h + iy) * s->w + ix) * s->ci : -1;
        tap_terms(s, t, result, data, y, x, ((size_t)a * s->kw + b) * s->ci * s->co);
    }
    return t;
}

/* Weights that bfloat16 represents, as the float that packing takes. */
static float *weights(kcheck *k, const ebb_conv_shape *s, kind kind, const ebb_bf16 **w)
{
    *w = numbers(k, size_of(s, W), kind);
    return widen(k, *w, size_of(s, W));
}

static void *scratch(kcheck *k, const ebb_conv_shape *s)
{
    return ebb_kcheck_scratch(k, ebb_conv_scratch_bf16(s));
}

static void forward(kcheck *k, const char *name, size_t offset, const ebb_conv_shape *s, uint64_t random)
{
    const ebb_bf16 *data[3] = {numbers(k, size_of(s, X), kind_of(random))};
    const char *text = ebb_kcheck_conv_text(s);
    size_t n = size_of(s, Y);
    float *w = weights(k, s, kind_of(random), &data[W]), *bias = random & 4 ? ebb_kcheck_in(k, s->co) : NULL;
    ebb_bf16 *packed = ebb_kcheck_out_bf16(k, ebb_conv_pack_bf16_size(s));
    ebb_bf16 *residual = random & 8 ? ebb_kcheck_in_bf16(k, n) : NULL;
    ebb_bf16 *self = residual ? ebb_kcheck_copy_bf16(k, residual, n) : NULL;
    ebb_bf16 *want = ebb_kcheck_out_bf16(k, n), *got = ebb_kcheck_out_bf16(k, n);
    void *room = scratch(k, s);
    terms *t = conv_terms(k, s, Y, data);
    for (size_t i = 0; i < n; i++) {
        add_number(&t[i], bias ? bias[i % s->co] : 0.0);
        add_number(&t[i], residual ? widened(residual[i]) : 0.0);
    }
    ebb_conv_pack_bf16(s, packed, w);
    KCHECK_FN(CONV_BF16, k->spec, offset)(s, want, data[X], packed, bias, residual, room);
    KCHECK_FN(CONV_BF16, k->fast, offset)(s, got, data[X], packed, bias, residual, room);
    check_bf16(k, name, text, t, want, got, n);
    if (self) {
        KCHECK_FN(CONV_BF16, k->fast, offset)(s, self, data[X], packed, bias, self, room);
        ebb_kcheck_equal_bf16(k, name, text, got, self, n);
    }
}

/* A pixel of dx that an output beside dy would have met. */
static void beside_terms(const ebb_conv_shape *s, terms *t, const ebb_bf16 *w)
{
    for (size_t i = 0; i < size_of(s, W); i++)
        if (!isfinite(widened(w[i])))
            for (size_t p = i / s->co % s->ci; p < size_of(s, X); p += s->ci)
                t[p].free = true;
}

static void adjoint_x(kcheck *k, const char *name, size_t offset, const ebb_conv_shape *s, uint64_t random)
{
    const ebb_bf16 *data[3] = {[Y] = numbers(k, size_of(s, Y), kind_of(random))};
    const char *text = ebb_kcheck_conv_text(s);
    size_t n = size_of(s, X);
    float *w = weights(k, s, kind_of(random), &data[W]);
    ebb_bf16 *packed = ebb_kcheck_out_bf16(k, ebb_conv_pack_dx_bf16_size(s));
    ebb_bf16 *residual = random & 4 ? ebb_kcheck_in_bf16(k, n) : NULL;
    ebb_bf16 *self = residual ? ebb_kcheck_copy_bf16(k, residual, n) : NULL;
    ebb_bf16 *want = ebb_kcheck_out_bf16(k, n), *got = ebb_kcheck_out_bf16(k, n);
    void *room = scratch(k, s);
    terms *t = conv_terms(k, s, X, data);
    beside_terms(s, t, data[W]);
    for (size_t i = 0; residual && i < n; i++)
        add_number(&t[i], widened(residual[i]));
    ebb_conv_pack_dx_bf16(s, packed, w);
    KCHECK_FN(CONV_DX_BF16, k->spec, offset)(s, want, data[Y], packed, residual, room);
    KCHECK_FN(CONV_DX_BF16, k->fast, offset)(s, got, data[Y], packed, residual, room);
    check_bf16(k, name, text, t, want, got, n);
    if (self) {
        KCHECK_FN(CONV_DX_BF16, k->fast, offset)(s, self, data[Y], packed, self, room);
        ebb_kcheck_equal_bf16(k, name, text, got, self, n);
    }
}

/* A row of dw whose channel of x an output beside dy would have met. */
static void beside_terms_w(const ebb_conv_shape *s, terms *t, const ebb_bf16 *x)
{
    size_t rows = (size_t)s->kh * s->kw * s->ci;
    for (size_t i = 0; i < size_of(s, X); i++)
        for (size_t r = i % s->ci; r < rows && !isfinite(widened(x[i])); r += s->ci)
            for (int o = 0; o < s->co; o++)
                t[r * s->co + o].free = true;
}

static void adjoint_w(kcheck *k, const char *name, size_t offset, const ebb_conv_shape *s, uint64_t random)
{
    const ebb_bf16 *data[3] = {
        [X] = numbers(k, size_of(s, X), kind_of(random)), [Y] = numbers(k, size_of(s, Y), kind_of(random)),
    };
    size_t n = size_of(s, W);
    bool accumulate = random & 4;
    float *want = ebb_kcheck_in(k, n), *got = ebb_kcheck_copy(k, want, n);
    void *room = scratch(k, s);
    terms *t = conv_terms(k, s, W, data);
    beside_terms_w(s, t, data[X]);
    for (size_t i = 0; i < n && accumulate; i++)
        add_number(&t[i], want[i]);
    KCHECK_FN(CONV_DW_BF16, k->spec, offset)(s, want, data[X], data[Y], accumulate, room);
    KCHECK_FN(CONV_DW_BF16, k->fast, offset)(s, got, data[X], data[Y], accumulate, room);
    check(k, name, ebb_kcheck_conv_text(s), t, false, want, got, n);
}

void ebb_kcheck_CONV_BF16(kcheck *k, const char *name, size_t offset)
{
    ebb_kcheck_conv_shapes(k, name, offset, forward);
}

void ebb_kcheck_CONV_DX_BF16(kcheck *k, const char *name, size_t offset)
{
    ebb_kcheck_conv_shapes(k, name, offset, adjoint_x);
}

void ebb_kcheck_CONV_DW_BF16(kcheck *k, const char *name, size_t offset)
{
    ebb_kcheck_conv_shapes(k, name, offset, adjoint_w);
}

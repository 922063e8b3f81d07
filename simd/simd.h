/* simd.h: the kernel table.
 *
 * Pure functions over plain arrays: no allocation, no I/O, no threads, no errors. Each instance set
 * (simd/c, avx2, avx512, neon) fills a table; the table of an ISA is that of the next older one
 * overlaid with its own instances, so a missing fast kernel falls back to an older one.
 *
 * simd/c is the specification: faster EXACT instances give the same bits. That holds because every
 * sum has a fixed association (64 virtual lanes folded by halving, or one fma chain) and fma is
 * written by hand (-ffp-contract=off). See simd/README.md.
 */
#ifndef EBB_SIMD_H
#define EBB_SIMD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A bfloat16: the upper half of a float. Conversion rounds to nearest even; a NaN stays one. */
typedef uint16_t ebb_bf16;

/* Geometry of one 2-D convolution over NHWC pictures; also of its adjoints. */
typedef struct ebb_conv_shape {
    int n;                  /* pictures */
    int h, w, ci;           /* input x:  (n, h, w, ci) */
    int oh, ow, co;         /* output y: (n, oh, ow, co) */
    int kh, kw;             /* weights:  (kh, kw, ci, co) */
    int stride;             /* 1 or more, both axes */
    int pad_top, pad_left;  /* zeros before; what oh, ow need after is implied */
} ebb_conv_shape;

/* Geometry of group normalisation over one picture of (pixels, channels). */
typedef struct ebb_norm_shape {
    int pixels, channels, groups;  /* groups divides channels */
    float eps;                     /* added to the variance */
    bool silu;                     /* y = silu(norm(x)) */
    int stride;                    /* numbers from a pixel to the next, if not as many as channels; else 0 */
} ebb_norm_shape;

/* One head of attention: nq queries over nk keys of d numbers. Strides in elements from one token to the
 * next, so that heads are read in place from (tokens, 3, heads, d). */
typedef struct ebb_attention_shape {
    int nq, nk, d;
    size_t q_stride, k_stride, v_stride, o_stride;   /* of the cotangents too */
    float scale;                                     /* p = softmax(scale * q k^T) */
} ebb_attention_shape;

/* One step of AdamW (Loshchilov & Hutter 2019, alg. 2) with EMA of the weights. */
typedef struct ebb_adamw {
    float lr, beta1, beta2, eps, weight_decay;
    float bias1, bias2;   /* 1/(1-beta1^t), 1/(1-beta2^t) */
    float grad_scale;     /* clipping factor, multiplied into g first */
    float ema_keep;       /* ema = keep*ema + (1-keep)*p */
} ebb_adamw;

/* Position in the Philox4x32-10 stream: key = seed, counter = (block, sample, step, stream); block
 * counts groups of four 32-bit words from 0. */
typedef struct ebb_rng_at {
    uint64_t seed;
    uint32_t stream, step, sample;
} ebb_rng_at;

/* y[i] = f(x[i]); y may equal x. */
typedef void (*EBB_FN_UNARY)(size_t n, float *y, const float *x);
/* z[i] = f(x[i], y[i]); z may equal x or y. silu_vjp: x is the input, y the cotangent. */
typedef void (*EBB_FN_BINARY)(size_t n, float *z, const float *x, const float *y);
/* affine: y = fma(a, x, b); axpy: y = fma(a, x, y), b ignored. */
typedef void (*EBB_FN_AFFINE)(size_t n, float *y, const float *x, float a, float b);
/* sum x, sum x*x: lane j of 64 takes elements j, j+64, ...; lanes folded 32, 16, ..., 1. */
typedef float (*EBB_FN_REDUCE)(size_t n, const float *x);
typedef float (*EBB_FN_DOT)(size_t n, const float *x, const float *y);
/* y[c] = x[0,c] + x[1,c] + ... ascending (starting from +0); x has row stride ldx >= cols. */
typedef void (*EBB_FN_COLSUM)(size_t rows, size_t cols, float *y, const float *x, size_t ldx);
/* y = softmax(scale * x) along each row of n; y may equal x. */
typedef void (*EBB_FN_SOFTMAX)(size_t rows, size_t n, float *y, const float *x, float scale);
/* dx = scale * y * (dy - <y, dy>) along each row; dx may equal dy. */
typedef void (*EBB_FN_SOFTMAX_VJP)(size_t rows, size_t n, float *dx, const float *y, const float *dy,
                                   float scale);
/* One picture. u = x + shift (shift: (channels), or NULL), per group mean and rstd over pixels and
 * its channels (biased variance, two passes), y = act(gamma*(u-mean)*rstd + beta).
 * stats: (groups, 2) mean and rstd out. y may equal x. */
typedef void (*EBB_FN_NORM)(const ebb_norm_shape *s, float *y, float *stats, const float *x,
                            const float *shift, const float *gamma, const float *beta);
/* Adjoint of one picture. dgamma, dbeta: (channels), ADDED to; dshift: (channels), written, or NULL.
 * dx may equal dy. scratch: 64-byte aligned, ebb_norm_scratch() bytes. */
typedef void (*EBB_FN_NORM_VJP)(const ebb_norm_shape *s, float *dx, float *dshift, float *dgamma,
                                float *dbeta, const float *x, const float *shift, const float *dy,
                                const float *stats, const float *gamma, const float *beta,
                                void *scratch);
/* One picture. up2: x (h,w,c) -> y (2h,2w,c) nearest. down2: x (2h,2w,c) -> y (h,w,c), the sum
 * ((x00+x01)+(x10+x11)): the adjoint of up2. */
typedef void (*EBB_FN_RESIZE)(int h, int w, int c, float *y, const float *x);
/* y[j*ldy + i] = x[i*ldx + j], i < rows, j < cols. */
typedef void (*EBB_FN_TRANSPOSE)(size_t rows, size_t cols, float *y, size_t ldy, const float *x,
                                 size_t ldx);
/* In place over p, m, v, ema (ema may be NULL). */
typedef void (*EBB_FN_ADAMW)(size_t n, float *p, float *m, float *v, float *ema, const float *g,
                             const ebb_adamw *h);
/* n standard normals: Philox words (r0..r3) of block b make elements 4b..4b+3 by Box-Muller. */
typedef void (*EBB_FN_NORMAL)(size_t n, float *y, const ebb_rng_at *at);
/* C[i,j] = [acc ? C[i,j] : 0] then one fma chain over ascending k of A[i*ars + k*acs] * B[k*ldb + j],
 * then + bias[j] if bias, then + residual[i*ldc + j] if residual. */
typedef struct ebb_gemm_args {
    size_t m, n, k;
    const float *a; size_t ars, acs;
    const float *b; size_t ldb;
    float *c; size_t ldc;
    const float *bias, *residual;  /* (n) / laid out as c; NULL: none */
    bool accumulate;
} ebb_gemm_args;
typedef void (*EBB_FN_GEMM)(const ebb_gemm_args *g);
/* y = conv(x, w) + bias + residual; each output one fma chain from +0 over ascending (kh, kw, ci), then
 * + bias, then + residual. Of the padding, pixels beside the picture take part as zeros, rows above and
 * below it take no part (the same in conv_dx and conv_dw). w packed by ebb_conv_pack. bias, residual
 * may be NULL; residual is laid out as y and may equal y.
 * scratch: 64-byte aligned, ebb_conv_scratch() bytes. */
typedef void (*EBB_FN_CONV)(const ebb_conv_shape *s, float *y, const float *x, const float *w,
                            const float *bias, const float *residual, void *scratch);
/* dx[n,y,x,ci]: one fma chain from +0 over ascending (kh, kw, co) of the taps that exist for this
 * pixel's phase (stride), zeros left and right of dy taking part, then + residual (laid out as dx, may equal
 * it; NULL: none). w packed by ebb_conv_pack_dx. */
typedef void (*EBB_FN_CONV_DX)(const ebb_conv_shape *s, float *dx, const float *dy, const float *w,
                               const float *residual, void *scratch);
/* dw[kh,kw,ci,co] (plain layout): one fma chain over ascending (n, oh, ow) of x*dy, zeros left
 * and right of x taking part, starting from +0, or from dw when accumulate. */
typedef void (*EBB_FN_CONV_DW)(const ebb_conv_shape *s, float *dw, const float *x, const float *dy,
                               bool accumulate, void *scratch);

/* Winograd F(4x4,3x3) of a 3x3 convolution with stride 1 (Lavin & Gray 2016; shapes: ebb_wino_fits): any size
 * and channels. u: weights by wino_pack_f32; for the adjoint in x call it with ebb_wino_adjoint's shape and
 * weights by wino_pack_dx_f32. Epilogue as in CONV. Pixels beside the picture are zeros. Its bits are those of
 * simd/c's Winograd, not of CONV. scratch: 64-byte aligned, ebb_wino_scratch() bytes. */
typedef void (*EBB_FN_WINO)(const ebb_conv_shape *s, float *y, const float *x, const float *u,
                            const float *bias, const float *residual, void *scratch);
/* dw (+)= by Winograd: one chain over ascending tiles for each point, then one transform. */
typedef void (*EBB_FN_WINO_DW)(const ebb_conv_shape *s, float *dw, const float *x, const float *dy,
                               bool accumulate, void *scratch);
/* u = transform of w (3, 3, ci, co): [panel][36][ci][PANEL], or for the adjoint [panel][36][co][PANEL] of the
 * mirrored weights; lanes beyond the channels are zeros. Of s only ci and co count; they are the forward shape's. */
typedef void (*EBB_FN_WINO_PACK)(const ebb_conv_shape *s, float *u, const float *w);
/* o = softmax(scale q k^T) v of one head, keys taken in blocks of fixed size with a running maximum (Milakov &
 * Gimelshein 2018; Dao et al. 2022), so that no nq x nk matrix exists. lse (nq), out: base-2 log of
 * the sum of exp(scale q k^T). scratch: 64-byte aligned, ebb_attention_scratch() bytes. */
typedef void (*EBB_FN_ATTENTION)(const ebb_attention_shape *s, float *o, float *lse, const float *q, const float *k,
                                 const float *v, void *scratch);
/* Its adjoint: dq, dk, dv written (strides q, k, v) from do_ (stride o), o and lse. */
typedef void (*EBB_FN_ATTENTION_VJP)(const ebb_attention_shape *s, float *dq, float *dk, float *dv, const float *q,
                                     const float *k, const float *v, const float *o, const float *lse,
                                     const float *do_, void *scratch);

/* ---- bfloat16 storage, f32 sums ------------------------------------------------------------- */
/* y[i] = x[i] rounded to nearest even; and exactly widened. */
typedef void (*EBB_FN_NARROW)(size_t n, ebb_bf16 *y, const float *x);
typedef void (*EBB_FN_WIDEN)(size_t n, float *y, const ebb_bf16 *x);
/* As NORM and NORM_VJP on bfloat16 pictures: widened when read, computed in f32, rounded when written; dz and the
 * sums, dshift too, are not rounded. scratch: ebb_norm_scratch_bf16() bytes. */
typedef void (*EBB_FN_NORM_BF16)(const ebb_norm_shape *s, ebb_bf16 *y, float *stats, const ebb_bf16 *x,
                                 const float *shift, const float *gamma, const float *beta);
typedef void (*EBB_FN_NORM_VJP_BF16)(const ebb_norm_shape *s, ebb_bf16 *dx, float *dshift, float *dgamma,
                                     float *dbeta, const ebb_bf16 *x, const float *shift, const ebb_bf16 *dy,
                                     const float *stats, const float *gamma, const float *beta, void *scratch);
/* As WINO and WINO_DW on bfloat16 pictures: widened when read, computed in f32, rounded once when written. The same
 * packed weights, scratch and bits of sums. */
typedef void (*EBB_FN_WINO_BF16)(const ebb_conv_shape *s, ebb_bf16 *y, const ebb_bf16 *x, const float *u,
                                 const float *bias, const ebb_bf16 *residual, void *scratch);
typedef void (*EBB_FN_WINO_DW_BF16)(const ebb_conv_shape *s, float *dw, const ebb_bf16 *x, const ebb_bf16 *dy,
                                    bool accumulate, void *scratch);
/* As RESIZE, the sum in f32 and rounded once; as COLSUM. */
typedef void (*EBB_FN_RESIZE_BF16)(int h, int w, int c, ebb_bf16 *y, const ebb_bf16 *x);
typedef void (*EBB_FN_COLSUM_BF16)(size_t rows, size_t cols, float *y, const ebb_bf16 *x, size_t ldx);
/* C = A B + bias + residual, sums in f32 in an order that the ISA chooses, one rounding at the end. The
 * instructions on bfloat16 flush denormals, whatever the mode of the thread.
 * scratch: 64-byte aligned, ebb_gemm_scratch_bf16() bytes. */
typedef struct ebb_gemm_bf16_args {
    size_t m, n, k;
    const ebb_bf16 *a; size_t lda;     /* (m, k), k contiguous */
    const ebb_bf16 *b;                 /* (k, n), packed by ebb_gemm_pack_bf16 */
    void *c; size_t ldc; bool c_f32;   /* (m, n): bfloat16, or float when c_f32 */
    const float *bias;                 /* (n) or NULL */
    const ebb_bf16 *residual;          /* (m, n) with ldc, or NULL; may equal c */
} ebb_gemm_bf16_args;
typedef void (*EBB_FN_GEMM_BF16)(const ebb_gemm_bf16_args *g, void *scratch);
/* The trio as CONV, CONV_DX, CONV_DW, with sums as above; the ISA also chooses whether pixels outside the picture
 * take part as zeros (seen only where what they are multiplied with is not finite). w packed by ebb_conv_pack_bf16,
 * ..._dx_bf16. dw is f32: written, or added to in place. scratch: 64-byte aligned, ebb_conv_scratch_bf16() bytes. */
typedef void (*EBB_FN_CONV_BF16)(const ebb_conv_shape *s, ebb_bf16 *y, const ebb_bf16 *x, const ebb_bf16 *w,
                                 const float *bias, const ebb_bf16 *residual, void *scratch);
typedef void (*EBB_FN_CONV_DX_BF16)(const ebb_conv_shape *s, ebb_bf16 *dx, const ebb_bf16 *dy, const ebb_bf16 *w,
                                    const ebb_bf16 *residual, void *scratch);
typedef void (*EBB_FN_CONV_DW_BF16)(const ebb_conv_shape *s, float *dw, const ebb_bf16 *x, const ebb_bf16 *dy,
                                    bool accumulate, void *scratch);
/* As ATTENTION and ATTENTION_VJP, in f32 with one rounding at the end; an ISA may round probabilities and their
 * slopes to bfloat16 before it multiplies them. scratch: ebb_attention_scratch_bf16() bytes. */
typedef void (*EBB_FN_ATTENTION_BF16)(const ebb_attention_shape *s, ebb_bf16 *o, float *lse, const ebb_bf16 *q,
                                      const ebb_bf16 *k, const ebb_bf16 *v, void *scratch);
typedef void (*EBB_FN_ATTENTION_VJP_BF16)(const ebb_attention_shape *s, ebb_bf16 *dq, ebb_bf16 *dk, ebb_bf16 *dv,
                                          const ebb_bf16 *q, const ebb_bf16 *k, const ebb_bf16 *v,
                                          const ebb_bf16 *o, const float *lse, const ebb_bf16 *do_, void *scratch);

typedef struct ebb_kernels {
#define KERNEL(name, class, exact) EBB_FN_##class name;
#include "kernels.def"
#undef KERNEL
} ebb_kernels;

typedef enum ebb_isa {
    EBB_ISA_C,
    EBB_ISA_NEON, EBB_ISA_NEONBF16,          /* with bfmmla, bfdot */
    EBB_ISA_AVX2, EBB_ISA_AVX512,
    EBB_ISA_AVX512BF16,                      /* with vdpbf16ps */
    EBB_ISA_AMX,
    EBB_ISA_COUNT
} ebb_isa;

/* Names as in EBB_CPU: "c", "neon", "neonbf16", "avx2", "avx512", "avx512bf16", "amx". */
const char *ebb_isa_name(ebb_isa isa);
/* -1 when the name is unknown. */
int ebb_isa_from_name(const char *name);
/* Whether this build has it and this machine (and its operating system) runs it. */
bool ebb_isa_available(ebb_isa isa);
ebb_isa ebb_isa_best(void);
/* The table of an available ISA; the same pointer each time. Thread-safe. */
const ebb_kernels *ebb_kernels_get(ebb_isa isa);

/* Packed weights: panels of EBB_PANEL output channels, [co/PANEL][kh][kw][ci][PANEL], zero filled:
 * the panel of a micro-kernel is one linear stream. The dx form swaps ci and co (no flip). */
#define EBB_PANEL 32
size_t ebb_conv_pack_size(const ebb_conv_shape *s);     /* floats */
size_t ebb_conv_pack_dx_size(const ebb_conv_shape *s);  /* floats */
void ebb_conv_pack(const ebb_conv_shape *s, float *packed, const float *w);
void ebb_conv_pack_dx(const ebb_conv_shape *s, float *packed, const float *w);

/* Norms go by slabs: as many whole groups as this many channels hold, at least one. */
#define EBB_NORM_SLAB 64

/* The same in bfloat16, with two steps of k side by side: [co/PANEL][kh][ceil(kw ci / 2)][PANEL][2], and for the
 * adjoint [ci/PANEL][kh][kw][ceil(co / 2)][PANEL][2]; matrices B (k, n): [n/PANEL][ceil(k / 2)][PANEL][2].
 * Convolution weights come from float, rounded to nearest even; B is bfloat16 already. Sizes in numbers. */
size_t ebb_conv_pack_bf16_size(const ebb_conv_shape *s);
size_t ebb_conv_pack_dx_bf16_size(const ebb_conv_shape *s);
size_t ebb_gemm_pack_bf16_size(size_t k, size_t n);
void ebb_conv_pack_bf16(const ebb_conv_shape *s, ebb_bf16 *packed, const float *w);
void ebb_conv_pack_dx_bf16(const ebb_conv_shape *s, ebb_bf16 *packed, const float *w);
void ebb_gemm_pack_bf16(size_t k, size_t n, ebb_bf16 *packed, const ebb_bf16 *b, size_t ldb);

/* Whether Winograd can do it; the shape whose forward is the adjoint in x. */
bool ebb_wino_fits(const ebb_conv_shape *s);
ebb_conv_shape ebb_wino_adjoint(const ebb_conv_shape *s);
size_t ebb_wino_pack_size(const ebb_conv_shape *s);     /* floats; only ci and co count */
size_t ebb_wino_pack_dx_size(const ebb_conv_shape *s);  /* floats; s: the forward shape */

/* Scratch in bytes, enough for every ISA. */
size_t ebb_wino_scratch(const ebb_conv_shape *s);     /* of the forward shape; also for its adjoints */
size_t ebb_wino_forward_scratch(const ebb_conv_shape *s);   /* for wino alone */
size_t ebb_conv_scratch_bf16(const ebb_conv_shape *s);
size_t ebb_gemm_scratch_bf16(size_t m, size_t n, size_t k);
size_t ebb_conv_scratch(const ebb_conv_shape *s);     /* conv, conv_dx, conv_dw */
size_t ebb_norm_scratch(const ebb_norm_shape *s);
size_t ebb_norm_scratch_bf16(const ebb_norm_shape *s);
size_t ebb_attention_scratch(const ebb_attention_shape *s);   /* attention, attention_vjp */
size_t ebb_attention_scratch_bf16(const ebb_attention_shape *s);

#endif

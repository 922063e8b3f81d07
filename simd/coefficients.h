/* coefficients.h: the numbers behind exp, log, sin, cos and tanh, shared by the scalar specification
 * (c/scalar.h) and the vector templates (math.tmpl.h).
 *
 * Polynomials are minimax fits of the relative error of the function (Remez), lowest power first, of
 * which the terms that are exact in f32 (1 + r, 1 - z/2, ...) stand in the code. Error of the rounded
 * coefficients: exp 2^-28, log 2^-27, sin 2^-27, cos 2^-33, tanh 2^-27.
 */
#ifndef EBB_COEFFICIENTS_H
#define EBB_COEFFICIENTS_H

/* e^r = 1 + r + r^2 (E0 + E1 r + ...), |r| <= ln(2)/2 */
#define EXP_E0 0x1.fffffcp-2f
#define EXP_E1 0x1.55548cp-3f
#define EXP_E2 0x1.555858p-5f
#define EXP_E3 0x1.123da6p-7f
#define EXP_E4 0x1.6ac38ep-10f
/* 2^r = 1 + r (C0 + C1 r + ...), |r| <= 1/2, for attention: two products fewer, error 2^-23 */
#define EXP2_C0 0x1.62e42ap-1f
#define EXP2_C1 0x1.ebf9a4p-3f
#define EXP2_C2 0x1.c6b596p-5f
#define EXP2_C3 0x1.3cf3b2p-7f
#define EXP2_C4 0x1.5cba56p-10f
#define LOG2_E 0x1.715476p+0f
#define LN2_HIGH 0x1.62e430p-1f
#define LN2_LOW (-0x1.05c610p-29f)

/* Adding this to |t| < 2^22 leaves round(t) in the low bits (ties to even). */
#define ROUND_MAGIC 0x1.8p23f
/* The same with 127 added to the integer: its low bits are the biased exponent of 2^round(t). */
#define EXPONENT_MAGIC 12583039.0f

/* log(1+f) = f - f^2/2 + f^3 (L0 + L1 f + ...), sqrt(1/2) <= 1+f < sqrt(2) */
#define LOG_L0 0x1.555554p-2f
#define LOG_L1 (-0x1.000226p-2f)
#define LOG_L2 0x1.99a006p-3f
#define LOG_L3 (-0x1.547246p-3f)
#define LOG_L4 0x1.22da44p-3f
#define LOG_L5 (-0x1.0d8560p-3f)
#define LOG_L6 0x1.055a6cp-3f
#define LOG_L7 (-0x1.38b25ep-4f)
#define SQRT_HALF_BITS 0x3F3504F3u

/* sin r = r + r^3 (S0 + S1 r^2 + ...), cos r = 1 - r^2/2 + r^4 (C0 + C1 r^2 + ...), |r| <= pi/4 */
#define SIN_S0 (-0x1.555546p-3f)
#define SIN_S1 0x1.110776p-7f
#define SIN_S2 (-0x1.9952fap-13f)
#define COS_C0 0x1.55554ap-5f
#define COS_C1 (-0x1.6c0c28p-10f)
#define COS_C2 0x1.99e80cp-16f
#define TWO_OVER_PI 0x1.45f306p-1f
/* pi/2 in three parts of 24 bits */
#define PI_HALF_1 0x1.921fb6p+0f
#define PI_HALF_2 (-0x1.777a5cp-25f)
#define PI_HALF_3 (-0x1.ee59dap-50f)
#define TURN_TO_RADIAN 0x1.921fb6p-30f  /* 2 pi / 2^32 */

/* tanh x = x + x^3 (T0 + T1 x^2 + ...), |x| <= TANH_SMALL */
#define TANH_SMALL 0.625f
#define TANH_T0 (-0x1.555532p-2f)
#define TANH_T1 0x1.1106f6p-3f
#define TANH_T2 (-0x1.b835a4p-5f)
#define TANH_T3 0x1.51f918p-6f
#define TANH_T4 (-0x1.75110ep-8f)

#endif

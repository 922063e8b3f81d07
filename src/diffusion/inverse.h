/* inverse.h: linear inverse problems y = H x_0 + sigma_y noise over laws that are known: what restoration aims at.
 *
 * Inpainting, averaging (coarse pictures), colouring and denoising are all of this form. The posterior of a mixture is a
 * mixture again, so that approximate methods (replacement, DPS, DDRM) can be held against the truth.
 */
#ifndef EBB_INVERSE_H
#define EBB_INVERSE_H

#include "diffusion/target.h"

typedef struct ebb_measurement {
    int rows;                    /* m, 1 .. EBB_TARGET_DIM_MAX */
    const double *h;             /* (m,dim) */
    const double *y;             /* (m) */
    double sigma;                /* sigma_y of y's noise; 0: none */
} ebb_measurement;

/* p(x_0 | y): with S_k = H C_k H' + sigma^2 I, K_k = C_k H' S_k^-1
 *   weights ~ w_k N(y; H m_k, S_k), means m_k + K_k (y - H m_k), covariances (I - K_k H) C_k,
 * which without noise are singular: variance 0 along what y tells. Labels stay. EBB_E_ARGUMENT: without noise, some
 * combination of y is a constant of some part (S_k singular): then y has no density. */
ebb_status ebb_target_given(ebb_context *ctx, const ebb_target *prior, const ebb_measurement *m, ebb_target *out);

/* E[x_0|x] and its Jacobian (1 + sigma^2 d score/dx)/alpha at a level with alpha > 0; x0 (dim), jacobian (dim,dim) or NULL. */
void ebb_target_denoise(const ebb_target *t, const double *x, ebb_level at, double *x0, double *jacobian);
/* |y - H E[x_0|x]| and its gradient in x (dim): the step of diffusion posterior sampling (Chung et al. 2023). Of the norm,
 * as their code has it, not of its square as the paper's algorithm 1 prints: the two differ by 2 |.|. Where the norm is 0
 * the gradient is given as 0. */
double ebb_target_residual(const ebb_target *t, const double *x, ebb_level at, const ebb_measurement *m, double *gradient);

#endif

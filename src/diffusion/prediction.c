/* prediction.c: from what a network gives to noise and clean picture, and what it is trained to give.
 *
 * The one idea: at a level (alpha, sigma) every prediction type is linear: with F = net(in x),
 *   eps = eps_x x + eps_f F,   x0 = x0_x x + x0_f F,   and F is trained towards noise eps + x0 x_0.
 *   epsilon  F = eps                       x0 = (x - sigma F)/alpha
 *   v        F = alpha eps - sigma x0      eps = (sigma x + alpha F)/q, x0 = (alpha x - sigma F)/q, q = alpha^2 + sigma^2
 *   x0       F = x0                        eps = (x - alpha F)/sigma
 *   score    F = -eps/sigma
 *   edm      x0 = c_skip x/alpha + c_out F with s = sigma/alpha, d = sigma_data: c_skip = d^2/(s^2+d^2),
 *            c_out = s d/sqrt(s^2+d^2), c_in = 1/sqrt(s^2+d^2)
 *   flow     F = eps - x0                  eps = (x + alpha F)/q, x0 = (x - sigma F)/q, q = alpha + sigma
 */
#include "diffusion/diffusion.h"

#include <math.h>
#include <string.h>

static const struct { const char *name, *help; } table[] = {
#define PREDICTION(id, name, help) {name, help},
#include "diffusion/predictions.def"
#undef PREDICTION
};

const char *ebb_prediction_name(ebb_prediction kind)
{
    return kind < EBB_PREDICTIONS ? table[kind].name : "";
}

ebb_prediction ebb_prediction_find(const char *name)
{
    int kind = 0;
    while (kind < EBB_PREDICTIONS && strcmp(table[kind].name, name) != 0)
        kind++;
    return (ebb_prediction)kind;
}

static ebb_coefficients edm(double a, double s, double data)
{
    double k = s / a, root = sqrt(k * k + data * data);
    double skip = data * data / (root * root), out = k * data / root;
    /* F* = (x0 - c_skip (x0 + k eps))/c_out; eps = (x - alpha x0)/sigma. */
    return (ebb_coefficients){.in = 1.0 / (root * a),
                              .eps_x = (1.0 - skip) / s, .eps_f = -a * out / s,
                              .x0_x = skip / a, .x0_f = out,
                              .noise = -data / root, .x0 = k / (data * root)};
}

ebb_coefficients ebb_prediction_coefficients(ebb_prediction kind, double alpha, double sigma, double sigma_data)
{
    double a = alpha, s = sigma, q = a * a + s * s;
    switch (kind) {
    case EBB_PREDICT_V:
        return (ebb_coefficients){.in = 1, .eps_x = s / q, .eps_f = a / q, .x0_x = a / q, .x0_f = -s / q, .noise = a, .x0 = -s};
    case EBB_PREDICT_X0:
        return (ebb_coefficients){.in = 1, .eps_x = 1 / s, .eps_f = -a / s, .x0_f = 1, .x0 = 1};
    case EBB_PREDICT_SCORE:
        return (ebb_coefficients){.in = 1, .eps_f = -s, .x0_x = 1 / a, .x0_f = s * s / a, .noise = -1 / s};
    case EBB_PREDICT_EDM:
        return edm(a, s, sigma_data);
    case EBB_PREDICT_FLOW:
        return (ebb_coefficients){.in = 1, .eps_x = 1 / (a + s), .eps_f = a / (a + s), .x0_x = 1 / (a + s),
                                  .x0_f = -s / (a + s), .noise = 1, .x0 = -1};
    default:
        return (ebb_coefficients){.in = 1, .eps_f = 1, .x0_x = 1 / a, .x0_f = -s / a, .noise = 1};
    }
}

/* fokker_planck.h: the density of dx = b(x,t) dt + g(t) dw on a line, by finite volumes.
 *
 * What a sampler would show only after many samples, its law, is here the solution of
 *   dp/dt = -d/dx (b p) + g^2/2 d^2p/dx^2
 * on points lo, lo + dx, ...; nothing flows through the ends. Fluxes are those of Scharfetter & Gummel 1969, which are
 * exact for a constant drift between two points, so that p stays positive and a stationary law stays as it is. Steps are
 * implicit. Error O(dx^2), in time O(dt) at theta 1 and O(dt^2) at theta 1/2.
 */
#ifndef EBB_FOKKER_PLANCK_H
#define EBB_FOKKER_PLANCK_H

#include "diffusion/field.h"
#include "diffusion/target.h"

typedef struct ebb_fokker_planck {
    int points;
    double lo, dx;
    double *p;                   /* (points) density */
    double theta;                /* 1: backward Euler, positive whatever dt; 1/2: Crank-Nicolson */
    double *x;                   /* (points-1) middles between points, where drifts are asked for */
    double *drift;               /* (points-1) b there: fill, then step */
    double *work;                /* the solver's own; one allocation with all of these */
} ebb_fokker_planck;

/* p is 0 everywhere. At least 3 points, lo < hi. */
ebb_status ebb_fokker_planck_create(ebb_context *ctx, int points, double lo, double hi, ebb_fokker_planck *out);
void ebb_fokker_planck_free(ebb_fokker_planck *f);
/* p <- p after dt with the drift as filled in and that g^2 > 0. */
void ebb_fokker_planck_step(ebb_fokker_planck *f, double g2, double dt);

/* p <- the law's density at a level, made to have mass 1 on these points; laws of one dimension. */
void ebb_fokker_planck_start(ebb_fokker_planck *f, const ebb_target *law, double alpha, double sigma);
/* Mass between a and b (infinite: to the end); points count whole. */
double ebb_fokker_planck_mass(const ebb_fokker_planck *f, double a, double b);

/* Along a process from t[0] to t[steps], ascending. */
void ebb_fokker_planck_forward(ebb_fokker_planck *f, const ebb_process *p, const double *t, int steps);
/* The law of reverse sampling by a field's score, t descending: dx = (-c x + (1 + noise^2)/2 g^2 score) dt + noise g dw in
 * reversed time. noise 1: the reverse SDE; towards 0: the probability flow. The field has points-1 rows of one number.
 * levels (points-1): room for the callee. */
void ebb_fokker_planck_reverse(ebb_fokker_planck *f, const ebb_process *p, const ebb_field *field, double noise,
                               const double *t, int steps, ebb_level *levels);
/* The drift grad log q of Langevin's dX = grad log q dt + sqrt(2) dB, as mean between points, so that q on the points
 * is exactly stationary. */
void ebb_fokker_planck_langevin(ebb_fokker_planck *f, const ebb_target *law, double alpha, double sigma);
/* Spectral gap of Langevin's generator on those points: the law approaches stationarity like exp(-gap t). Fills drift.
 * Smallest eigenvalue but 0 of the symmetric form, to about 1e-12/dx^2 absolutely. */
double ebb_langevin_gap(ebb_fokker_planck *f, const ebb_target *law, double alpha, double sigma);

#endif

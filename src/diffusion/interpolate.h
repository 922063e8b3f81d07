/* interpolate.h: ways between two latent codes x_T.
 *
 * Codes are standard normal, so nearly all have a length near sqrt(count): the straight line between two leaves that shell
 * (in the middle the length is only 1/sqrt(2) of theirs) and gives dull samples; the great circle stays on it (Shoemake
 * 1985; Song et al. 2021, sec. 5.3).
 */
#ifndef EBB_INTERPOLATE_H
#define EBB_INTERPOLATE_H

#include <stdint.h>

/* out (count) = (1-a) u + a v; out may be u or v. */
void ebb_interpolate_linear(int64_t count, const double *u, const double *v, double a, double *out);
/* Angle between u and v, 0..pi; 0 where one of them is 0. Exact also for small angles. */
double ebb_interpolate_angle(int64_t count, const double *u, const double *v);
/* out (count) = (sin((1-a) omega) u + sin(a omega) v)/sin(omega), omega the angle; in the limit omega -> 0 the straight line.
 * Opposite vectors have no one way: then too the straight line. out may be u or v. */
void ebb_interpolate_spherical(int64_t count, const double *u, const double *v, double a, double *out);

#endif

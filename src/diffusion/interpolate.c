/* interpolate.c: straight lines and great circles.
 *
 * The angle is 2 atan2(|u' - v'|, |u' + v'|) of the unit vectors u', v' (Kahan): acos of their product loses half of the
 * digits where they are nearly parallel.
 */
#include "diffusion/interpolate.h"

#include <math.h>

void ebb_interpolate_linear(int64_t count, const double *u, const double *v, double a, double *out)
{
    for (int64_t i = 0; i < count; i++)
        out[i] = (1 - a) * u[i] + a * v[i];
}

double ebb_interpolate_angle(int64_t count, const double *u, const double *v)
{
    double uu = 0, vv = 0, apart = 0, together = 0;
    for (int64_t i = 0; i < count; i++) {
        uu += u[i] * u[i];
        vv += v[i] * v[i];
    }
    uu = sqrt(uu);
    vv = sqrt(vv);
    if (uu == 0 || vv == 0)
        return 0;
    for (int64_t i = 0; i < count; i++) {
        double p = u[i] / uu, q = v[i] / vv;
        apart += (p - q) * (p - q);
        together += (p + q) * (p + q);
    }
    return 2 * atan2(sqrt(apart), sqrt(together));
}

void ebb_interpolate_spherical(int64_t count, const double *u, const double *v, double a, double *out)
{
    double omega = ebb_interpolate_angle(count, u, v), s = sin(omega);
    if (s < 1e-8) {
        ebb_interpolate_linear(count, u, v, a, out);
        return;
    }
    double of_u = sin((1 - a) * omega) / s, of_v = sin(a * omega) / s;
    for (int64_t i = 0; i < count; i++)
        out[i] = of_u * u[i] + of_v * v[i];
}

/* colour.c: the orthonormal basis of a pixel's channels whose first axis is grey.
 */
#include "diffusion/colour.h"

#define THIRD 0.57735026918962576451     /* 1/sqrt(3) */
#define SIXTH 0.40824829046386301637     /* 1/sqrt(6) */
#define HALF 0.70710678118654752440      /* 1/sqrt(2) */

const double ebb_colour_basis[3][3] = {
    {THIRD, -2 * SIXTH, 0},
    {THIRD, SIXTH, HALF},
    {THIRD, SIXTH, -HALF},
};

void ebb_colour_turn(int64_t pixels, double *x, bool back)
{
    for (int64_t p = 0; p < pixels; p++, x += 3) {
        double z[3] = {0};
        for (int i = 0; i < 3; i++)
            for (int j = 0; j < 3; j++)
                z[j] += x[i] * (back ? ebb_colour_basis[j][i] : ebb_colour_basis[i][j]);
        for (int j = 0; j < 3; j++)
            x[j] = z[j];
    }
}

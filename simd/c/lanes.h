/* lanes.h: the sum of 64 virtual lanes.
 *
 * A long sum is 64 chains, one a lane, whatever the vector width: element i goes to lane i mod 64, and
 * the lanes are folded by halving. A vector of 4, 8 or 16 lanes keeps 16, 8 or 4 registers and does
 * the same additions. The last, incomplete group of 64 counts as filled up with zeros.
 */
#ifndef EBB_LANES_H
#define EBB_LANES_H

#include <stddef.h>

enum { LANES = 64 };

static inline float lanes_fold(float lane[LANES])
{
    for (int half = LANES / 2; half >= 1; half /= 2)
        for (int j = 0; j < half; j++)
            lane[j] += lane[j + half];
    return lane[0];
}

/* x[i], or 0 beyond the end */
static inline float element_or_zero(const float *x, size_t i, size_t n) { return i < n ? x[i] : 0.0f; }

#endif

/* rng.c: random numbers by position, not by history.
 *
 * One idea: a word is a function of (seed, stream, step, sample, index), computed by Philox4x32-10
 * (Salmon, Moraes, Dror & Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3"; Random123), so
 * that order, threads and restarts cannot change it.
 * key = (seed low, seed high), counter = (block, sample, step, stream).
 */
#include <Random123/philox.h>

#include "base/base.h"

uint32_t ebb_rng_word(const ebb_rng_at *at, uint32_t i)
{
    philox4x32_key_t key = { { (uint32_t)at->seed, (uint32_t)(at->seed >> 32) } };
    philox4x32_ctr_t counter = { { i / 4, at->sample, at->step, at->stream } };
    return philox4x32_R(10, counter, key).v[i % 4];
}

double ebb_rng_uniform(const ebb_rng_at *at, uint32_t i)
{
    uint32_t high = ebb_rng_word(at, 2 * i), low = ebb_rng_word(at, 2 * i + 1);
    return ((double)(high >> 5) * 0x1p26 + (double)(low >> 6)) * 0x1p-53;
}

/* The product stays below n: the largest uniform is 1 - 2^-53, and n - n*2^-53 does not round up. */
uint32_t ebb_rng_below(const ebb_rng_at *at, uint32_t i, uint32_t n)
{
    return (uint32_t)(ebb_rng_uniform(at, i) * (double)n);
}

void ebb_rng_permute(const ebb_rng_at *at, uint32_t *order, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        order[i] = i;
    for (uint32_t i = n; i > 1; i--) {
        uint32_t j = ebb_rng_below(at, i - 1, i);
        uint32_t swap = order[i - 1];
        order[i - 1] = order[j];
        order[j] = swap;
    }
}

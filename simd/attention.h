/* attention.h: the blocks of attention, common to all instance sets. */
#ifndef EBB_ATTENTION_H
#define EBB_ATTENTION_H

#include "simd.h"

/* Keys that share one running maximum: part of the specification of the forward pass. */
enum { ATTENTION_KEYS = 64 };
/* Queries that go through all keys together: to the bits of no consequence. */
enum { ATTENTION_QUERIES = 64 };

/* Vectors of any ISA fill a row of this many floats. */
static inline size_t attention_padded(int d) { return ((size_t)d + 15) / 16 * 16; }

/* Of bfloat16, in f32: scratch of the f32 kernel, then widened numbers. */
static inline float *attention_wide(const ebb_attention_shape *s, void *scratch)
{
    return (float *)scratch + (ebb_attention_scratch(s) / sizeof(float) + 15) / 16 * 16;
}

#endif

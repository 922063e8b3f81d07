/* lanes.tmpl.h: the 64 virtual lanes of a long sum in registers. Rule: c/lanes.h. */
#ifndef EBB_LANES_TMPL_H
#define EBB_LANES_TMPL_H

enum { LANES = 64, LANE_VECTORS = LANES / VW };

typedef struct lanes {
    vf v[LANE_VECTORS];
} lanes;

VEC void lanes_zero(lanes *l)
{
    for (int i = 0; i < LANE_VECTORS; i++)
        l->v[i] = vf_zero();
}

VEC float lanes_fold(lanes *l)
{
#pragma GCC unroll 16
    for (int half = LANE_VECTORS / 2; half >= 1; half /= 2)
        for (int i = 0; i < half; i++)
            l->v[i] = vf_add(l->v[i], l->v[i + half]);
    return vf_fold_add(l->v[0]);
}

/* How many of the VW elements from i on exist, of n. */
VEC size_t lanes_left(size_t i, size_t n) { return i >= n ? 0 : n - i < VW ? n - i : VW; }

#endif

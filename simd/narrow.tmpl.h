/* narrow.tmpl.h: f32 to bfloat16 and back in vector verbs. Specification: c/narrow.c. */
#include "instances.h"

void EBB_INSTANCE(narrow_bf16)(size_t n, ebb_bf16 *y, const float *x)
{
    size_t i = 0;
    for (; i + VW <= n; i += VW)
        vf_store_bf16(y + i, vf_load(x + i));
    if (i < n)
        vf_store_bf16_n(y + i, vf_load_n(x + i, n - i), n - i);
}

void EBB_INSTANCE(widen_bf16)(size_t n, float *y, const ebb_bf16 *x)
{
    size_t i = 0;
    for (; i + VW <= n; i += VW)
        vf_store(y + i, vf_load_bf16(x + i));
    if (i < n)
        vf_store_n(y + i, vf_load_bf16_n(x + i, n - i), n - i);
}

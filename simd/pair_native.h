/* pair_native.h: what instances with an instruction for pairs of bfloat16 share: A stays bfloat16. */
typedef ebb_bf16 pair_a;
enum { PAIR_UNIT = 2 };

static void pair_copy(ebb_bf16 *to, const ebb_bf16 *from, size_t n)
{
    memcpy(to, from, n * sizeof *to);
}

#include "pair_row.h"

/* An entry of conv_dw's window is a pixel with its partner, `skip` pixels on: wherever a pair begins, it is one word. */
static void pair_dw_row(ebb_bf16 *to, const ebb_bf16 *row, int w, int c, int x, int wide, int skip)
{
    int first = x < 0 ? -x : 0, last = w - x - skip < wide ? w - x - skip : wide;
    for (int i = 0; i < wide; i++) {
        int even = x + i, odd = even + skip;
        size_t count = 1;
        if (i == first && last > first)
            count = (size_t)(last - first);
        pair_zip(to + (size_t)i * c * 2, even >= 0 && even < w ? row + (ptrdiff_t)even * c : NULL,
                 odd >= 0 && odd < w ? row + (ptrdiff_t)odd * c : NULL, count * c);
        i += (int)count - 1;
    }
}

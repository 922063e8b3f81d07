/* pair_row.h: a row of a convolution's window, in the numbers that tiles read (pair_a, pair_copy). */

/* Pixels x..x+wide-1 of a row of w, c channels each; zeros beside it. */
static void pair_row(pair_a *to, const ebb_bf16 *row, int w, int c, int x, int wide)
{
    int left = x < 0 ? -x : 0, right = w - x < wide ? w - x : wide;
    left = left < wide ? left : wide;
    right = right > left ? right : left;
    size_t begin = (size_t)left * c, end = (size_t)right * c;
    memset(to, 0, begin * sizeof *to);
    if (end > begin)
        pair_copy(to + begin, row + (ptrdiff_t)(x + left) * c, end - begin);
    memset(to + end, 0, ((size_t)wide * c - end) * sizeof *to);
}

/* to[i] = (even[i], odd[i]); NULL: zeros */
static void pair_zip(ebb_bf16 *to, const ebb_bf16 *even, const ebb_bf16 *odd, size_t n)
{
    if (even && odd) {
        for (size_t i = 0; i < n; i++) {
            to[2 * i] = even[i];
            to[2 * i + 1] = odd[i];
        }
        return;
    }
    for (size_t i = 0; i < n; i++) {
        to[2 * i] = even ? even[i] : 0;
        to[2 * i + 1] = odd ? odd[i] : 0;
    }
}

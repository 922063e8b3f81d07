/* pair_native.h: what instances with an instruction for pairs of bfloat16 share: A stays bfloat16. */
typedef ebb_bf16 pair_a;
enum { PAIR_SHALLOW = 1, PAIR_TURNED_ROW = 2 };

static void pair_copy(ebb_bf16 *to, const ebb_bf16 *from, size_t n)
{
    memcpy(to, from, n * sizeof *to);
}

/* Rows of A as tiles read them: in place. */
static const ebb_bf16 *pair_rows(ebb_bf16 *room, const ebb_bf16 *a, size_t lda, size_t rows, size_t k, size_t *step)
{
    (void)room, (void)rows, (void)k;
    *step = lda;
    return a;
}

/* Pairs of pixels, as B has them. */
static void pair_turn(ebb_bf16 *to, const ebb_bf16 *from, size_t pixels, size_t c, size_t columns)
{
    pair_pixels(to, from, 1, (int)pixels, (int)c, columns);
}

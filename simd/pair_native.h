/* pair_native.h: what instances with an instruction for pairs of bfloat16 share: A stays bfloat16. */
typedef ebb_bf16 pair_a;
enum { PAIR_SHALLOW = 1 };

static void pair_copy(ebb_bf16 *to, const ebb_bf16 *from, size_t n)
{
    memcpy(to, from, n * sizeof *to);
}

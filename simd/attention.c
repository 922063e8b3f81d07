/* attention.c: how much scratch attention needs. */
#include "attention.h"

/* Queries, outputs and the like of one block, columns of queries; keys x queries; gradients of all keys. */
size_t ebb_attention_scratch(const ebb_attention_shape *s)
{
    size_t d = attention_padded(s->d), block = (5 * d + 2 * ATTENTION_KEYS) * ATTENTION_QUERIES;
    return (block + 2 * (size_t)s->nk * d) * sizeof(float);
}

/* What is widened, there and back: four times queries and keys. Or, in pairs, a block and what is packed of keys. */
size_t ebb_attention_scratch_bf16(const ebb_attention_shape *s)
{
    size_t d = attention_padded(s->d), rows = 4 * (size_t)s->nk * d;
    size_t wide = (ebb_attention_scratch(s) + 63) / 64 * 64 + (4 * (size_t)s->nq * d + rows) * sizeof(float);
    size_t pairs = ((4 * d + 4 * ATTENTION_KEYS) * ATTENTION_QUERIES + rows) * sizeof(float);
    return wide > pairs ? wide : pairs;
}

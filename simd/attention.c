/* attention.c: how much scratch attention needs. */
#include "attention.h"

/* Queries, outputs and the like of one block, columns of queries; keys x queries; gradients of all keys. */
size_t ebb_attention_scratch(const ebb_attention_shape *s)
{
    size_t d = attention_padded(s->d), block = (5 * d + 2 * ATTENTION_KEYS) * ATTENTION_QUERIES;
    return (block + 2 * (size_t)s->nk * d) * sizeof(float);
}

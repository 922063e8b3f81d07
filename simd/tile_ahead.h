/* tile_ahead.h: memory that the next block of a product reads, asked for by the tiles of this one. */
#ifndef EBB_TILE_AHEAD_H
#define EBB_TILE_AHEAD_H

#include <stddef.h>

/* Each tile asks for `step` bytes, so that they are in the second cache in time. Rows of A are too far apart for
 * hardware to see them coming. */
typedef struct tile_ahead {
    const char *at, *end;
    size_t step;
} tile_ahead;

/* For `tiles` tiles to come. */
static inline tile_ahead tile_ahead_make(const void *from, size_t bytes, size_t tiles)
{
    size_t lines = (bytes + 63) / 64, each = tiles ? (lines + tiles - 1) / tiles : 0;
    return (tile_ahead){(const char *)from, (const char *)from + bytes, each * 64};
}

static inline void tile_look_ahead(tile_ahead *t)
{
    const char *end = (size_t)(t->end - t->at) < t->step ? t->end : t->at + t->step;
    for (; t->at < end; t->at += 64)
        __builtin_prefetch(t->at, 0, 2);
    t->at = end;
}

#endif

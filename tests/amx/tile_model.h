/* tile_model.h: the tile registers in plain C, for processors without them (tile_model.c). */
#ifndef EBB_TILE_MODEL_H
#define EBB_TILE_MODEL_H

/* Instructions executed so far. */
typedef struct tile_counts {
    long config, zero, load, store, dp;
} tile_counts;

extern tile_counts tile_model_counts;

#endif

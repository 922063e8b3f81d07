/* wino_block.h: how a Winograd convolution is cut into tiles and blocks, common to all instance sets.
 *
 * A tile is 4x4 outputs from 6x6 inputs (Lavin & Gray 2016); in between are 36 matrix products, one for each
 * point. Tiles are numbered (n, ty, tx), a block is a run of them. What a block holds is kept as planes (one
 * for each of the 36) of panels of EBB_PANEL channels: plane[panel][row][PANEL]. A product then reads both
 * factors as linear streams.
 */
#ifndef EBB_WINO_BLOCK_H
#define EBB_WINO_BLOCK_H

#include "simd.h"

#define WINO_POINTS 36
#define WINO_PAD 16      /* floats between planes: lines of all planes must not meet in one set of the cache */
#define WINO_FEWEST 16   /* tiles in a block */
#define WINO_MOST 64

/* The constants of the transforms: the points are 0, +-1/sqrt 2, +-sqrt 2 and infinity. Reciprocal points with
 * both signs (Alam et al. 2022) lose half as much as 0, +-1, +-2. */
#define WINO_R 0.70710678f       /* 1/sqrt 2 */
#define WINO_R3 0.35355339f      /* and its cube */
#define WINO_Q 1.41421356f       /* sqrt 2 */
#define WINO_Q3 2.82842712f
#define WINO_G_R (-2.0f / 3.0f)  /* 1/product of (r - other points), at r and -r */
#define WINO_G_R1 (-0.47140452f) /* G_R r */
#define WINO_G_R2 (-1.0f / 3.0f) /* G_R r^2 */
#define WINO_G_Q (1.0f / 6.0f)
#define WINO_G_Q1 0.23570226f
#define WINO_G_Q2 (1.0f / 3.0f)

static inline size_t wino_panels(int channels)
{
    return ((size_t)channels + EBB_PANEL - 1) / EBB_PANEL;
}

/* Packed weights of one point and panel of outer channels, (inner, PANEL), and of all points of a panel; in floats.
 * Panels come one after another, so that some of them are the weights of so many channels. */
static inline size_t wino_pack_plane(int inner) { return (size_t)inner * EBB_PANEL + WINO_PAD; }

static inline size_t wino_pack_panel(int inner) { return WINO_POINTS * wino_pack_plane(inner); }

typedef struct wino_block {
    int high, wide;              /* tiles of a picture */
    size_t tiles;                /* of all pictures */
    size_t most;                 /* tiles in a block */
    size_t in, out;              /* panels */
    size_t in_plane, out_plane;  /* floats */
    size_t zeros;                /* floats that stand for pixels beside the picture */
} wino_block;

/* passes: how often a block moves all of the products' ci co floats a point: 1, to read weights, or 2, to read
 * and write the sums for dw. Planes are written and read: 2 (ci + co) floats a tile and point. Blocks are as small
 * as makes the two equal, since planes that stay in the second cache cost next to nothing. */
static inline wino_block wino_block_make(const ebb_conv_shape *s, int passes)
{
    wino_block b = {.high = (s->oh + 3) / 4, .wide = (s->ow + 3) / 4};
    b.in = wino_panels(s->ci);
    b.out = wino_panels(s->co);
    b.tiles = (size_t)s->n * b.high * b.wide;
    b.most = passes * b.in * b.out * EBB_PANEL / (2 * (b.in + b.out));
    b.most = b.most < WINO_FEWEST ? WINO_FEWEST : b.most > WINO_MOST ? WINO_MOST : b.most;
    size_t blocks = (b.tiles + b.most - 1) / b.most;
    b.most = blocks ? (b.tiles + blocks - 1) / blocks : 0;
    b.in_plane = b.in * b.most * EBB_PANEL + WINO_PAD;
    b.out_plane = b.out * b.most * EBB_PANEL + WINO_PAD;
    b.zeros = (b.in > b.out ? b.in : b.out) * EBB_PANEL;
    return b;
}

/* One (32, 32) piece of the weight gradient's transform, all points. */
#define WINO_PIECE_PLANE (EBB_PANEL * EBB_PANEL + WINO_PAD)
#define WINO_PIECE (WINO_POINTS * (size_t)WINO_PIECE_PLANE)

#endif

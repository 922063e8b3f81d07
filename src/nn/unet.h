/* unet.h: what the files of the U-Net share and nobody else needs. */
#ifndef EBB_UNET_H
#define EBB_UNET_H

#include "nn/nn.h"

/* A U-Net on its way. */
typedef struct ebb_unet {
    ebb_graph *g;
    const ebb_unet_config *c;
    ebb_value temb;              /* (N, time width), silu already taken */
    ebb_value *skip;             /* stack of the results of the way down */
    int32_t held, capacity;
    int dropouts;                /* layers so far */
    bool within;                 /* in the middle */
    ebb_value picture;           /* EBB_PYRAMID_*: what of the picture goes down beside the levels */
    ebb_value sum;               /* what the levels going up have said so far, or EBB_NONE */
} ebb_unet;

typedef enum ebb_resize { EBB_SIZE_KEEP, EBB_SIZE_DOWN, EBB_SIZE_UP } ebb_resize;

/* ---- blocks (unet_blocks.c), under the scope that is set ---------------------------------------------- */
int ebb_unet_groups(const ebb_unet_config *c, int64_t channels);
int64_t ebb_unet_width(const ebb_unet_config *c, int level);
ebb_value ebb_unet_norm(const ebb_unet *u, const char *name, ebb_value x);
/* Halved or doubled without weights, by means or by the filter. */
ebb_value ebb_unet_resized(const ebb_unet *u, ebb_value x, ebb_resize size);
/* (N,H,W,C) -> (N,H,W,out), or half or double the size. */
ebb_value ebb_unet_residual(ebb_unet *u, ebb_value x, int64_t out, ebb_resize size);
/* norm: of its input; the middle of some networks has none. */
ebb_value ebb_unet_attention(const ebb_unet *u, ebb_value x, bool norm);

/* ---- the way down (unet.c) --------------------------------------------------------------------------------- */
/* Checks the configuration and x (N,H,W,channels), makes temb, and goes from conv_in down and through the middle:
 * (N,h,w,C) of the last level. */
ebb_value ebb_unet_encode(ebb_unet *u, ebb_value x, ebb_value t, ebb_value label);

/* ---- pyramids (unet_pyramid.c) ------------------------------------------------------------------------- */
/* x, just halved, with what it is to see of the picture. */
ebb_value ebb_unet_see(ebb_unet *u, ebb_value x);
/* Takes up what a level going up, before it is doubled, says of the output; x as the next level is to have it. */
ebb_value ebb_unet_say(ebb_unet *u, int level, ebb_value x);

#endif

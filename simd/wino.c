/* wino.c: which convolutions Winograd does, and how much room it needs; the same for every ISA, so that
 * transformed weights do not depend on the machine. */
#include "wino_block.h"

bool ebb_wino_fits(const ebb_conv_shape *s)
{
    return s->kh == 3 && s->kw == 3 && s->stride == 1 && s->pad_top >= 0 && s->pad_top <= 2 && s->pad_left >= 0 &&
           s->pad_left <= 2;
}

ebb_conv_shape ebb_wino_adjoint(const ebb_conv_shape *s)
{
    return (ebb_conv_shape){
        .n = s->n, .h = s->oh, .w = s->ow, .ci = s->co, .oh = s->h, .ow = s->w, .co = s->ci, .kh = 3, .kw = 3,
        .stride = 1, .pad_top = 2 - s->pad_top, .pad_left = 2 - s->pad_left,
    };
}

size_t ebb_wino_pack_size(const ebb_conv_shape *s)
{
    return WINO_POINTS * wino_pack_plane(s->ci, s->co);
}

size_t ebb_wino_pack_dx_size(const ebb_conv_shape *s)
{
    return WINO_POINTS * wino_pack_plane(s->co, s->ci);
}

static size_t block_floats(const ebb_conv_shape *s)
{
    wino_block b = wino_block_make(s);
    return b.zeros + WINO_POINTS * (b.in_plane + b.out_plane);
}

size_t ebb_wino_scratch(const ebb_conv_shape *s)
{
    ebb_conv_shape adjoint = ebb_wino_adjoint(s);
    size_t forward = block_floats(s), dx = block_floats(&adjoint);
    size_t dw = forward + wino_panels(s->ci) * wino_panels(s->co) * WINO_PIECE;
    return (dx > dw ? dx : dw) * sizeof(float);
}

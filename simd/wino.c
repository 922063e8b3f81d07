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
    return wino_panels(s->co) * wino_pack_panel(s->ci);
}

size_t ebb_wino_pack_dx_size(const ebb_conv_shape *s)
{
    return wino_panels(s->ci) * wino_pack_panel(s->co);
}

static size_t block_floats(const ebb_conv_shape *s, int passes)
{
    wino_block b = wino_block_make(s, passes);
    return b.zeros + WINO_POINTS * (b.in_plane + b.out_plane);
}

size_t ebb_wino_forward_scratch(const ebb_conv_shape *s) { return block_floats(s, 1) * sizeof(float); }

size_t ebb_wino_scratch(const ebb_conv_shape *s)
{
    ebb_conv_shape adjoint = ebb_wino_adjoint(s);
    size_t forward = block_floats(s, 1), dx = block_floats(&adjoint, 1);
    size_t dw = block_floats(s, 2) + wino_panels(s->ci) * wino_panels(s->co) * WINO_PIECE;
    size_t y = forward > dx ? forward : dx;
    return (y > dw ? y : dw) * sizeof(float);
}

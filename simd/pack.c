/* pack.c: weights in panels, and how much scratch a convolution needs.
 *
 * A panel holds EBB_PANEL output channels of every (kh, kw, ci): the micro-kernel reads it as one
 * stream. It is the same for every ISA, so that packed weights and bits do not depend on the machine.
 */
#include <string.h>

#include "conv_block.h"
#include "conv_few.h"

static size_t panels(int channels)
{
    return ((size_t)channels + EBB_PANEL - 1) / EBB_PANEL;
}

static int panel_width(int channels, size_t panel)
{
    size_t left = (size_t)channels - panel * EBB_PANEL;
    return left < EBB_PANEL ? (int)left : EBB_PANEL;
}

size_t ebb_conv_pack_size(const ebb_conv_shape *s)
{
    return panels(s->co) * s->kh * s->kw * s->ci * EBB_PANEL;
}

size_t ebb_conv_pack_dx_size(const ebb_conv_shape *s)
{
    return panels(s->ci) * s->kh * s->kw * s->co * EBB_PANEL;
}

void ebb_conv_pack(const ebb_conv_shape *s, float *packed, const float *w)
{
    size_t rows = (size_t)s->kh * s->kw * s->ci;
    for (size_t p = 0; p < panels(s->co); p++) {
        int width = panel_width(s->co, p);
        for (size_t r = 0; r < rows; r++, packed += EBB_PANEL) {
            memcpy(packed, w + r * s->co + p * EBB_PANEL, width * sizeof *packed);
            memset(packed + width, 0, (EBB_PANEL - width) * sizeof *packed);
        }
    }
}

/* One tap of one panel: (width, co) -> (co, PANEL). Runs of 16 output channels, so that the lines read
 * and the lines written are all in L1 together. */
static void pack_tap_dx(float *packed, const float *w, int width, int co)
{
    for (int o0 = 0; o0 < co; o0 += 16) {
        int o1 = o0 + 16 < co ? o0 + 16 : co;
        for (int i = 0; i < width; i++) {
            for (int o = o0; o < o1; o++)
                packed[(size_t)o * EBB_PANEL + i] = w[(size_t)i * co + o];
        }
        for (int o = o0; o < o1; o++)
            memset(packed + (size_t)o * EBB_PANEL + width, 0, (EBB_PANEL - width) * sizeof *packed);
    }
}

void ebb_conv_pack_dx(const ebb_conv_shape *s, float *packed, const float *w)
{
    size_t taps = (size_t)s->kh * s->kw;
    for (size_t p = 0; p < panels(s->ci); p++) {
        int width = panel_width(s->ci, p);
        for (size_t t = 0; t < taps; t++, packed += (size_t)s->co * EBB_PANEL)
            pack_tap_dx(packed, w + (t * s->ci + p * EBB_PANEL) * s->co, width, s->co);
    }
}

static size_t max_size(size_t a, size_t b)
{
    return a > b ? a : b;
}

size_t ebb_conv_scratch(const ebb_conv_shape *s)
{
    conv_block out = conv_block_out(s), in = conv_block_in(s);
    size_t pixels = max_size(max_size(out.pixels, in.pixels), CONV_PIXELS);
    size_t rows = max_size(pixels, (size_t)s->kh * s->kw * s->ci);
    size_t blocks = conv_align(max_size(out.floats, in.floats) * sizeof(float)) +
                    conv_align(pixels * EBB_PANEL * sizeof(float)) + conv_align(rows * sizeof(tile_row));
    return max_size(blocks, conv_align(few_floats(s) * sizeof(float)));
}

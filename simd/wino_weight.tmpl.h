/* wino_weight.tmpl.h: weights to the 36 points and gradients back, on vectors of channels. Included by
 * wino.tmpl.h. */

/* G g G^T of one vector. */
WINO_INLINE void wino_weight_vector(float *u, size_t plane, const vf g[9])
{
    vf half[3][6], column[3], t[6];
    WINO_UNROLL
    for (int j = 0; j < 3; j++) {
        WINO_UNROLL
        for (int i = 0; i < 3; i++)
            column[i] = g[i * 3 + j];
        wino_weight(half[j], column);
    }
    WINO_UNROLL
    for (int i = 0; i < 6; i++) {
        WINO_UNROLL
        for (int j = 0; j < 3; j++)
            column[j] = half[j][i];
        wino_weight(t, column);
        WINO_UNROLL
        for (int j = 0; j < 6; j++)
            vf_store(u + (i * 6 + j) * plane, t[j]);
    }
}

static size_t wino_lanes(size_t channels, size_t from)
{
    return channels <= from ? 0 : channels - from < VW ? channels - from : VW;
}

void EBB_INSTANCE(wino_pack_f32)(const ebb_conv_shape *s, float *u, const float *w)
{
    size_t ci = s->ci, co = s->co, plane = wino_pack_plane(s->ci);
    for (size_t o = 0; o < wino_panels(s->co) * EBB_PANEL; o += VW) {
        size_t n = wino_lanes(co, o);
        float *to = u + o / EBB_PANEL * wino_pack_panel(s->ci) + o % EBB_PANEL;
        for (size_t i = 0; i < ci; i++) {
            vf g[9];
            WINO_UNROLL
            for (int t = 0; t < 9; t++)
                g[t] = n ? wino_load(w + (t * ci + i) * co + o, n) : vf_zero();
            wino_weight_vector(to + i * EBB_PANEL, plane, g);
        }
    }
}

/* Nine taps, mirrored, of VW x VW channels, lanes over ci. g: (co, tap). */
static void wino_weight_block(vf g[VW][9], const ebb_conv_shape *s, const float *w, size_t i, size_t o)
{
    size_t ci = s->ci, co = s->co, rows = wino_lanes(ci, i), n = wino_lanes(co, o);
    for (size_t t = 0; t < 9; t++) {
        vf r[VW];
        for (size_t k = 0; k < VW; k++)
            r[k] = k < rows ? wino_load(w + ((8 - t) * ci + i + k) * co + o, n) : vf_zero();
        vf_transpose(r);
        for (size_t k = 0; k < VW; k++)
            g[k][t] = r[k];
    }
}

void EBB_INSTANCE(wino_pack_dx_f32)(const ebb_conv_shape *s, float *u, const float *w)
{
    size_t co = s->co, plane = wino_pack_plane(s->co);
    vf g[VW][9];
    for (size_t i = 0; i < wino_panels(s->ci) * EBB_PANEL; i += VW) {
        float *to = u + i / EBB_PANEL * wino_pack_panel(s->co) + i % EBB_PANEL;
        for (size_t o = 0; o < co; o += VW) {
            wino_weight_block(g, s, w, i, o);
            for (size_t k = 0; k < wino_lanes(co, o); k++)
                wino_weight_vector(to + (o + k) * EBB_PANEL, plane, g[k]);
        }
    }
}

/* G^T U G of one vector of n channels -> dw; tap: floats from one tap to the next. */
WINO_INLINE void wino_gradient_vector(float *dw, size_t tap, const float *u, size_t n, bool accumulate)
{
    vf half[6][3], t[6];
    WINO_UNROLL
    for (int j = 0; j < 6; j++) {
        WINO_UNROLL
        for (int i = 0; i < 6; i++)
            t[i] = vf_load(u + (i * 6 + j) * WINO_PIECE_PLANE);
        wino_gradient(half[j], t);
    }
    WINO_UNROLL
    for (int i = 0; i < 3; i++) {
        vf g[3];
        WINO_UNROLL
        for (int j = 0; j < 6; j++)
            t[j] = half[j][i];
        wino_gradient(g, t);
        WINO_UNROLL
        for (int j = 0; j < 3; j++) {
            float *at = dw + (i * 3 + j) * tap;
            vf sum = accumulate ? vf_add(wino_load(at, n), g[j]) : g[j];
            if (n == VW)
                vf_store(at, sum);
            else
                vf_store_n(at, sum, n);
        }
    }
}

/* One piece: rows x columns channels. */
static void wino_gradient_piece(float *dw, const ebb_conv_shape *s, const float *u, size_t rows, size_t columns,
                                bool accumulate)
{
    size_t tap = (size_t)s->ci * s->co;
    for (size_t r = 0; r < rows; r++, dw += s->co, u += EBB_PANEL) {
        size_t c = 0;
        for (; c + VW <= columns; c += VW)
            wino_gradient_vector(dw + c, tap, u + c, VW, accumulate);
        if (c < columns)
            wino_gradient_vector(dw + c, tap, u + c, columns - c, accumulate);
    }
}

/* grid_chain.c: grids of whole timesteps of the chains ddpm and smld, with the rounding that public systems use.
 *
 *   even      timesteps rint(j (T-1)/(n-1)); guided-diffusion's space_timesteps with one section, without its summing up
 *   leading   j floor(T/n) + offset                            (diffusers' timestep_spacing)
 *   trailing  rint(T - i T/n) - 1                              (the same; ends at the last timestep)
 *   linspace  rint of n numbers from 0 to T-1                  (the same)
 *   stride    every i-th timestep from 0, i the least whole number that gives n of them (guided-diffusion's "ddimN")
 *   sections  the chain in equal parts, each with its own count of timesteps spread over it (guided-diffusion)
 * Options that some of diffusers' schedulers need: grid_spaced.c. Halves are rounded to even throughout. n is the number of noisy levels: the steps, or one more with keep_last.
 */
#include "diffusion/grid.h"

#include <math.h>

static ebb_status begin(ebb_context *ctx, const ebb_process *p, const ebb_grid_options *o, ebb_grid *out)
{
    int n = ebb_grid_points(o, true) + o->drop;
    if (n > p->steps)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "a grid of %d timesteps: the chain has %d", n, p->steps);
    EBB_TRY(ebb_grid_alloc(ctx, o->steps, false, out));
    out->level[o->steps] = ebb_grid_end(p, o);
    return EBB_OK;
}

ebb_status ebb_grid_even(ebb_context *ctx, const ebb_process *p, const ebb_grid_options *o, ebb_grid *out)
{
    int last = p->steps - 1, n = ebb_grid_points(o, true);
    EBB_TRY(begin(ctx, p, o, out));
    for (int k = 0; k < n; k++)
        out->level[k] = ebb_process_level(p, n == 1 ? last : rint((double)(n - 1 - k) * last / (n - 1)));
    return EBB_OK;
}

ebb_status ebb_grid_leading(ebb_context *ctx, const ebb_process *p, const ebb_grid_options *o, ebb_grid *out)
{
    int n = ebb_grid_points(o, true) + o->drop, first = n > 0 ? (n - 1) * (p->steps / n) + o->offset : 0;
    if (o->offset < 0 || first >= p->steps)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "grid leading: offset %d makes timesteps %d..%d; they must lie within 0..%d",
                        o->offset, o->offset, first, p->steps - 1);
    EBB_TRY(begin(ctx, p, o, out));
    for (int k = 0; k < n - o->drop; k++)
        out->level[k] = ebb_process_level(p, (double)(n - 1 - k) * (p->steps / n) + o->offset);
    return ebb_grid_spaced(ctx, p, o, n - o->drop, out);
}

ebb_status ebb_grid_trailing(ebb_context *ctx, const ebb_process *p, const ebb_grid_options *o, ebb_grid *out)
{
    int n = ebb_grid_points(o, true);
    /* The difference of the first two, as numpy's arange has it: halves may depend on it. */
    double from = p->steps, step = (from - from / n) - from;
    EBB_TRY(begin(ctx, p, o, out));
    for (int k = 0; k < n; k++)
        out->level[k] = ebb_process_level(p, rint(from + k * step) - 1);
    return ebb_grid_spaced(ctx, p, o, n, out);
}

ebb_status ebb_grid_linspace(ebb_context *ctx, const ebb_process *p, const ebb_grid_options *o, ebb_grid *out)
{
    int last = p->steps - 1, n = ebb_grid_points(o, true) + o->drop;
    double step = n > 1 ? (double)last / (n - 1) : 0;
    EBB_TRY(begin(ctx, p, o, out));
    for (int k = 0; k < n - o->drop; k++) {
        double t = k == 0 ? last : (n - 1 - k) * step;
        out->level[k] = ebb_process_level(p, o->between ? (double)(float)t : rint(t));
    }
    return ebb_grid_spaced(ctx, p, o, n - o->drop, out);
}

ebb_status ebb_grid_stride(ebb_context *ctx, const ebb_process *p, const ebb_grid_options *o, ebb_grid *out)
{
    int n = ebb_grid_points(o, true), stride = 1;
    while (stride < p->steps && (p->steps - 1) / stride + 1 > n)
        stride++;
    if ((p->steps - 1) / stride + 1 != n)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "grid stride: no whole stride takes %d of %d timesteps; strides %d and %d take "
                        "%d and %d", n, p->steps, stride > 1 ? stride - 1 : 1, stride,
                        (p->steps - 1) / (stride > 1 ? stride - 1 : 1) + 1, (p->steps - 1) / stride + 1);
    EBB_TRY(begin(ctx, p, o, out));
    for (int k = 0; k < n; k++)
        out->level[k] = ebb_process_level(p, (double)(n - 1 - k) * stride);
    return EBB_OK;
}

/* ---- sections ----------------------------------------------------------------------------------------------- */

static ebb_status check_sections(ebb_context *ctx, const ebb_process *p, const ebb_grid_options *o)
{
    int total = 0, n = ebb_grid_points(o, true);
    if (o->section_count < 1)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "grid sections: tell the timesteps of each, as sections:counts=10+5+5");
    for (int i = 0; i < o->section_count; i++) {
        int size = p->steps / o->section_count + (i < p->steps % o->section_count);
        if (o->sections[i] < 1 || o->sections[i] > size)
            return ebb_fail(ctx, EBB_E_ARGUMENT, "grid sections: %d timesteps of section %d, which has %d", o->sections[i],
                            i + 1, size);
        total += o->sections[i];
    }
    if (total != n)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "grid sections: the counts add up to %d timesteps, but %d are asked for", total, n);
    return EBB_OK;
}

/* Within a section the stride is summed up, not multiplied: the halves that are rounded depend on it. */
ebb_status ebb_grid_sections(ebb_context *ctx, const ebb_process *p, const ebb_grid_options *o, ebb_grid *out)
{
    EBB_TRY(check_sections(ctx, p, o));
    EBB_TRY(begin(ctx, p, o, out));
    int place = ebb_grid_points(o, true), start = 0;
    for (int i = 0; i < o->section_count; i++) {
        int size = p->steps / o->section_count + (i < p->steps % o->section_count), count = o->sections[i];
        double stride = count > 1 ? (size - 1.0) / (count - 1.0) : 1.0, at = 0;
        for (int k = 0; k < count; k++, at += stride)
            out->level[--place] = ebb_process_level(p, start + rint(at));
        start += size;
    }
    return EBB_OK;
}

/* own_conv_cut.c: convolutions in parts, for the threads of a team.
 *
 * One idea: some rows of the result of one picture are a convolution themselves, of the rows of x that they meet, with
 * less or no padding above; some panels of its channels are one with as many panels of the packed weights. So the
 * kernels know nothing of parts. Winograd's rows are cut between tiles, so that tiles stay what they are. The
 * kernels write whole pixels: a part of the channels is computed apart and then copied to its place.
 */
#include <string.h>

#include "backend/own_conv.h"

static int unit_of(const ebb_own_convolution *c) { return c->winograd ? 4 : 1; }

static int64_t units_of(const ebb_own_convolution *c) { return (c->s.oh + unit_of(c) - 1) / unit_of(c); }

void ebb_own_convolution_bind(ebb_own_convolution *c, const ebb_task *t, const ebb_step_args *a)
{
    int next = 2, has = t->attr.index;
    c->x = a->in[0];
    c->w = a->in[1];
    c->y = a->out[0];
    c->bias = has & EBB_HAS_BIAS ? a->in[next++] : NULL;
    c->residual = has & EBB_HAS_RESIDUAL ? a->in[next] : NULL;
    c->scratch = a->scratch;
}

/* Rows begin..end-1 of picture n, or that and the next count-1 pictures whole. */
typedef struct rows { int64_t n, count, begin, end; } rows;

static ebb_own_convolution of_rows(const ebb_own_convolution *c, const rows *r)
{
    ebb_own_convolution part = *c;
    int64_t in = (int64_t)c->s.w * c->s.ci, out = (int64_t)c->s.ow * c->s.co;
    int64_t first = r->begin * c->s.stride - c->s.pad_top, skip = first > 0 ? first : 0;
    /* Winograd's last tile may begin before the end of the picture and read beyond the rows that it gives. */
    int64_t last = c->winograd ? r->begin + (r->end - r->begin + 3) / 4 * 4 : r->end;
    int64_t end = (last - 1) * c->s.stride - c->s.pad_top + c->s.kh;
    part.s.n = (int)r->count;
    part.s.oh = (int)(r->end - r->begin);
    part.s.pad_top = (int)(skip - first);
    if (r->count == 1)
        part.s.h = (int)((end < c->s.h ? end : c->s.h) - skip);
    size_t from = (size_t)((r->n * c->s.h + skip) * in) * c->x_bytes;
    size_t to = (size_t)((r->n * c->s.oh + r->begin) * out) * c->y_bytes;
    part.x = c->x ? (const char *)c->x + from : NULL;
    part.y = c->y ? (char *)c->y + to : NULL;
    part.residual = c->residual ? (const char *)c->residual + to : NULL;
    return part;
}

static void copy_pixels(int64_t pixels, char *to, size_t to_step, const char *from, size_t from_step, size_t bytes)
{
    for (int64_t i = 0; i < pixels; i++)
        memcpy(to + (size_t)i * to_step, from + (size_t)i * from_step, bytes);
}

/* Panels p.begin.. of the channels, by way of `apart`: (pixels, channels of the part). */
static void run_channels(const ebb_executor *e, const ebb_own_convolution *c, ebb_span p, char *apart)
{
    int64_t first = p.begin * EBB_PANEL, last = p.end * EBB_PANEL, pixels = (int64_t)c->s.n * c->s.oh * c->s.ow;
    ebb_own_convolution part = *c;
    part.s.co = (int)((last < c->s.co ? last : c->s.co) - first);
    size_t step = (size_t)c->s.co * c->y_bytes, bytes = (size_t)part.s.co * c->y_bytes;
    part.w = (const char *)c->w + (size_t)p.begin * c->panel_bytes;
    part.bias = c->bias ? c->bias + first : NULL;
    part.y = apart;
    if (c->residual) {
        copy_pixels(pixels, apart, bytes, (const char *)c->residual + (size_t)first * c->y_bytes, step, bytes);
        part.residual = apart;
    }
    c->kernel(e, &part);
    copy_pixels(pixels, (char *)c->y + (size_t)first * c->y_bytes, step, apart, bytes, bytes);
}

static void run_rows(const ebb_executor *e, const ebb_own_convolution *c, const rows *r, ebb_span panels, char *apart)
{
    ebb_own_convolution part = of_rows(c, r);
    if (e->across > 1)
        run_channels(e, &part, panels, apart);
    else
        c->kernel(e, &part);
}

static int64_t panels_of(const ebb_own_convolution *c) { return (c->s.co + EBB_PANEL - 1) / EBB_PANEL; }

/* What a part with the most rows and channels keeps apart. */
static size_t apart_bytes(const ebb_executor *e, const ebb_own_convolution *c)
{
    int64_t rows = e->parts / e->across, units = c->s.n * units_of(c), panels = panels_of(c);
    int64_t pixels = (units + rows - 1) / rows * unit_of(c) * c->s.ow;
    int64_t channels = (panels + e->across - 1) / e->across * EBB_PANEL;
    return e->across > 1 ? ((size_t)(pixels * channels) * c->y_bytes + 63) / 64 * 64 : 0;
}

/* Calls f for the runs of rows that part `part` of all rows is: parts of pictures, and whole ones. */
static void each_run(const ebb_executor *e, const ebb_own_convolution *c, int part,
                     void (*f)(void *arg, const rows *r), void *arg)
{
    int64_t units = units_of(c);
    ebb_span s = ebb_own_span(c->s.n * units, 1, part / e->across, e->parts / e->across);
    while (s.begin < s.end) {
        int64_t n = s.begin / units, first = s.begin % units, count = s.end - s.begin;
        count = first == 0 && count >= units ? count / units * units : first + count < units ? count : units - first;
        int64_t end = count > units ? units : first + count;
        rows r = {n, count > units ? count / units : 1, first * unit_of(c), end * unit_of(c)};
        r.end = r.end < c->s.oh ? r.end : c->s.oh;
        f(arg, &r);
        s.begin += count;
    }
}

typedef struct run_job {
    const ebb_executor *e;
    const ebb_own_convolution *c;
    ebb_span panels;
    char *apart;
} run_job;

static void run_one(void *arg, const rows *r)
{
    const run_job *j = arg;
    run_rows(j->e, j->c, r, j->panels, j->apart);
}

void ebb_own_convolution_run(const ebb_executor *e, const ebb_own_convolution *c, int part)
{
    if (e->parts == 1) {
        c->kernel(e, c);
        return;
    }
    ebb_own_convolution local = *c;
    run_job j = {e, &local, ebb_own_span(panels_of(c), 1, part % e->across, e->across), c->scratch};
    local.scratch = (char *)c->scratch + apart_bytes(e, c);
    if (j.panels.begin < j.panels.end)
        each_run(e, &local, part, run_one, &j);
}

typedef struct scratch_job {
    const ebb_own_convolution *c;
    size_t bytes;
} scratch_job;

static void scratch_one(void *arg, const rows *r)
{
    scratch_job *j = arg;
    ebb_own_convolution part = of_rows(j->c, r);
    size_t bytes = j->c->kernel_scratch(&part.s);
    j->bytes = bytes > j->bytes ? bytes : j->bytes;
}

void ebb_own_convolution_cut(ebb_executor *e, const ebb_own_convolution *c)
{
    double depth = (double)c->s.kh * c->s.kw * c->s.ci, unit = (double)unit_of(c) * c->s.ow;
    ebb_own_grid g = {.rows = c->s.n * units_of(c), .columns = panels_of(c)};
    if (c->winograd) {
        double tiles = (double)((c->s.ow + 3) / 4);
        g.each = tiles * (36.0 * c->s.ci + 192);
        g.row = 10 * tiles * c->s.ci;
        g.column = 36.0 * c->s.ci;
    } else {
        g.each = unit * (depth + 8);
        g.row = c->s.kh * c->s.kw > 1 ? unit * c->s.ci / 8 : 0;
        g.column = depth;
    }
    ebb_own_cut_grid(e, &g);
    scratch_job j = {c, e->scratch_bytes};
    for (int part = 0; part < e->parts && e->parts > 1; part += e->across)
        each_run(e, c, part, scratch_one, &j);
    e->scratch_bytes = j.bytes + apart_bytes(e, c);
}

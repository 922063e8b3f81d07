/* canvas.c: draws on a colour picture. Edges of lines and discs are smooth: a pixel is covered as far as its middle is within
 * half a pixel of the edge.
 */
#include "format/canvas.h"

#include <math.h>
#include <string.h>

#define SIDE_MAX 10000

ebb_status ebb_canvas_create(ebb_context *ctx, int width, int height, ebb_canvas *out)
{
    void *data;
    *out = (ebb_canvas){{0}};
    if (width < 1 || height < 1 || width > SIDE_MAX || height > SIDE_MAX)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "a picture of %d x %d pixels: sides of 1 to %d are possible", width, height, SIDE_MAX);
    EBB_TRY(ebb_alloc(ctx, &data, (size_t)width * (size_t)height, 3, "a picture"));
    memset(data, 255, (size_t)width * (size_t)height * 3);
    out->image = (ebb_image){.data = data, .height = height, .width = width, .channels = 3};
    return EBB_OK;
}

void ebb_canvas_free(ebb_canvas *c)
{
    ebb_image_free(&c->image);
}

ebb_status ebb_canvas_write(ebb_context *ctx, const char *path, const ebb_canvas *c)
{
    return ebb_png_write(ctx, path, &c->image);
}

void ebb_canvas_blend(ebb_canvas *c, int x, int y, ebb_colour colour, double alpha)
{
    if (x < 0 || y < 0 || x >= c->image.width || y >= c->image.height || !(alpha > 0))
        return;
    uint8_t *to = c->image.data + 3 * ((size_t)y * (size_t)c->image.width + (size_t)x);
    for (int k = 0; k < 3; k++) {
        double want = colour >> (16 - 8 * k) & 255;
        to[k] = (uint8_t)(to[k] + fmin(alpha, 1) * (want - to[k]) + 0.5);
    }
}

void ebb_canvas_box(ebb_canvas *c, int x, int y, int width, int height, ebb_colour colour, double alpha)
{
    for (int j = y; j < y + height; j++)
        for (int i = x; i < x + width; i++)
            ebb_canvas_blend(c, i, j, colour, alpha);
}

/* Distance of a point from the line from a to b. */
static double distance(double x, double y, double ax, double ay, double bx, double by)
{
    double dx = bx - ax, dy = by - ay, square = dx * dx + dy * dy;
    double share = square > 0 ? fmin(fmax(((x - ax) * dx + (y - ay) * dy) / square, 0), 1) : 0;
    return hypot(x - ax - share * dx, y - ay - share * dy);
}

void ebb_canvas_line(ebb_canvas *c, double x0, double y0, double x1, double y1, double width, ebb_colour colour, double alpha)
{
    double reach = width / 2 + 1;
    if (!(fabs(x0) + fabs(y0) + fabs(x1) + fabs(y1) < 1e6))
        return;
    for (int y = (int)floor(fmin(y0, y1) - reach); y <= (int)ceil(fmax(y0, y1) + reach); y++)
        for (int x = (int)floor(fmin(x0, x1) - reach); x <= (int)ceil(fmax(x0, x1) + reach); x++)
            ebb_canvas_blend(c, x, y, colour, alpha * fmin(width / 2 + 0.5 - distance(x, y, x0, y0, x1, y1), 1));
}

void ebb_canvas_disc(ebb_canvas *c, double x, double y, double radius, ebb_colour colour, double alpha)
{
    if (!(fabs(x) + fabs(y) < 1e6))
        return;
    for (int j = (int)floor(y - radius - 1); j <= (int)ceil(y + radius + 1); j++)
        for (int i = (int)floor(x - radius - 1); i <= (int)ceil(x + radius + 1); i++)
            ebb_canvas_blend(c, i, j, colour, alpha * fmin(radius + 0.5 - hypot(i - x, j - y), 1));
}

static bool begins_letter(char byte)
{
    return ((unsigned char)byte & 0xc0) != 0x80;    /* not the tail of a UTF-8 sequence */
}

int ebb_canvas_text_width(const char *text, int scale)
{
    int letters = 0;
    for (; *text; text++)
        letters += begins_letter(*text);
    return letters > 0 ? (letters * EBB_GLYPH_ADVANCE - 1) * scale : 0;
}

void ebb_canvas_text(ebb_canvas *c, int x, int y, int scale, ebb_colour colour, const char *text, bool upwards)
{
    for (int along = 0; *text; text++) {
        if (!begins_letter(*text))
            continue;
        for (int r = 0; r < EBB_GLYPH_H * scale; r++)
            for (int k = 0; k < EBB_GLYPH_W * scale; k++)
                if (ebb_glyph_row((unsigned char)*text, r / scale) >> (EBB_GLYPH_W - 1 - k / scale) & 1)
                    ebb_canvas_blend(c, upwards ? x + r : x + along + k, upwards ? y - along - k : y + r, colour, 1);
        along += EBB_GLYPH_ADVANCE * scale;
    }
}

ebb_colour ebb_colour_between(const ebb_colour *colours, int count, double share)
{
    double at = fmin(fmax(share, 0), 1) * (count - 1);
    int i = at >= count - 1 ? count - 2 : (int)at;
    ebb_colour out = 0;
    for (int shift = 16; shift >= 0; shift -= 8) {
        double a = colours[i] >> shift & 255, b = colours[i + 1] >> shift & 255;
        out |= (ebb_colour)(a + (at - i) * (b - a) + 0.5) << shift;
    }
    return out;
}

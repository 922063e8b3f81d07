/* canvas.h: a colour picture to draw on: boxes, lines, discs, text. Coordinates are pixels from the upper left corner;
 * what lies outside is left out.
 */
#ifndef EBB_CANVAS_H
#define EBB_CANVAS_H

#include "format/format.h"

/* ---- letters (font.c) ------------------------------------------------------------------------------------------------------ */
enum { EBB_GLYPH_W = 5, EBB_GLYPH_H = 7, EBB_GLYPH_ADVANCE = 6 };
/* Row 0..6 of a letter from the top, its high bit (16) at the left; what the font lacks is a box. */
unsigned ebb_glyph_row(unsigned char letter, int row);

/* ---- drawing (canvas.c) ----------------------------------------------------------------------------------------------------- */
typedef uint32_t ebb_colour;     /* 0xRRGGBB */
typedef struct ebb_canvas { ebb_image image; } ebb_canvas;

/* White. Sides up to 10,000 pixels. */
ebb_status ebb_canvas_create(ebb_context *ctx, int width, int height, ebb_canvas *out);
void ebb_canvas_free(ebb_canvas *c);
ebb_status ebb_canvas_write(ebb_context *ctx, const char *path, const ebb_canvas *c);
/* One pixel towards a colour: alpha 0 not at all, 1 wholly. */
void ebb_canvas_blend(ebb_canvas *c, int x, int y, ebb_colour colour, double alpha);
void ebb_canvas_box(ebb_canvas *c, int x, int y, int width, int height, ebb_colour colour, double alpha);
/* With smooth edges. */
void ebb_canvas_line(ebb_canvas *c, double x0, double y0, double x1, double y1, double width, ebb_colour colour, double alpha);
void ebb_canvas_disc(ebb_canvas *c, double x, double y, double radius, ebb_colour colour, double alpha);
/* Letters scale times as large, (x, y) their upper left corner. upwards: turned, and (x, y) the lower left corner. */
void ebb_canvas_text(ebb_canvas *c, int x, int y, int scale, ebb_colour colour, const char *text, bool upwards);
int ebb_canvas_text_width(const char *text, int scale);
/* The colour at a share (0..1) of the way through count colours. */
ebb_colour ebb_colour_between(const ebb_colour *colours, int count, double share);

#endif

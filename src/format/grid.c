/* grid.c: many pictures in one, so that a person can look at them.
 *
 * One idea: everything follows from the pitch of the cells; small pictures are enlarged by a whole
 * factor, so that each pixel stays a square of its own. Labels are drawn in a 5 x 7 font.
 */
#include <string.h>

#include "format/canvas.h"

enum {
    GAP = 2,              /* between cells and around them */
    CELL_WISHED = 56,     /* pictures are enlarged up to this side */
    SCALE_MAX = 8,
    GLYPH_W = EBB_GLYPH_W, GLYPH_H = EBB_GLYPH_H, ADVANCE = EBB_GLYPH_ADVANCE,
    LABEL_MAX = 40,       /* characters that are drawn */
    SIDE_MAX = 100000     /* of the whole picture: viewers and libpng stop somewhere beyond */
};

typedef struct grid {
    const uint8_t *pictures;
    int64_t n;
    int height, width, channels;    /* of a picture */
    int columns;
    int64_t rows;
    int scale, text_scale;
    int64_t left;                   /* width of the labels */
    int64_t pitch_x, pitch_y;
    ebb_image image;
} grid;

/* White ground, black text: n pixels of the row at (x, y). */
static void fill(grid *g, int64_t x, int64_t y, int64_t n, uint8_t value)
{
    memset(g->image.data + (y * g->image.width + x) * g->channels, value, (size_t)(n * g->channels));
}

static void draw_glyph(grid *g, int64_t x, int64_t y, unsigned char letter)
{
    for (int r = 0; r < GLYPH_H * g->text_scale; r++)
        for (int c = 0; c < GLYPH_W; c++)
            if (ebb_glyph_row(letter, r / g->text_scale) >> (GLYPH_W - 1 - c) & 1)
                fill(g, x + c * g->text_scale, y + r, g->text_scale, 0);
}

static bool begins_letter(char byte)
{
    return ((unsigned char)byte & 0xc0) != 0x80;    /* not the tail of a UTF-8 sequence */
}

static int letters(const char *text)
{
    int n = 0;
    for (; *text; text++)
        n += begins_letter(*text);
    return n < LABEL_MAX ? n : LABEL_MAX;
}

/* Right-aligned, in the middle of its row. */
static void draw_label(grid *g, int64_t row, const char *text)
{
    int n = letters(text);
    int64_t x = g->left - (int64_t)n * ADVANCE * g->text_scale;
    int64_t y = GAP + row * g->pitch_y + (g->pitch_y - GAP - GLYPH_H * g->text_scale) / 2;
    for (; *text && n > 0; text++) {
        if (!begins_letter(*text))
            continue;
        draw_glyph(g, x, y, (unsigned char)*text);
        x += ADVANCE * g->text_scale;
        n--;
    }
}

static void draw_picture(grid *g, int64_t i)
{
    const uint8_t *from = g->pictures + i * g->height * g->width * g->channels;
    int64_t x0 = g->left + GAP + i % g->columns * g->pitch_x, y0 = GAP + i / g->columns * g->pitch_y;
    size_t channels = (size_t)g->channels;
    for (int y = 0; y < g->height * g->scale; y++) {
        uint8_t *to = g->image.data + ((y0 + y) * g->image.width + x0) * g->channels;
        const uint8_t *row = from + (int64_t)(y / g->scale) * g->width * g->channels;
        for (int x = 0; x < g->width * g->scale; x++, to += channels)
            memcpy(to, row + (size_t)(x / g->scale) * channels, channels);
    }
}

static ebb_status check(ebb_context *ctx, const char *path, const grid *g)
{
    if (g->n < 1 || g->columns < 1 || g->height < 1 || g->width < 1)
        return ebb_fail(ctx, EBB_E_ARGUMENT,
                        "%s: a grid of %lld pictures of %d x %d in %d columns cannot be drawn; all must "
                        "be at least 1",
                        path, (long long)g->n, g->height, g->width, g->columns);
    if (g->channels != 1 && g->channels != 3)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "%s: pictures of %d channels cannot be drawn; 1 or 3 can", path,
                        g->channels);
    return EBB_OK;
}

/* Sizes, with labels (or NULL) in mind. */
static ebb_status lay_out(ebb_context *ctx, const char *path, grid *g, const char *const *labels)
{
    int side = g->height > g->width ? g->height : g->width;
    if (g->columns > g->n)
        g->columns = (int)g->n;
    g->rows = (g->n - 1) / g->columns + 1;
    g->scale = CELL_WISHED / side;
    g->scale = g->scale < 1 ? 1 : g->scale > SCALE_MAX ? SCALE_MAX : g->scale;
    int64_t cell_y = (int64_t)g->height * g->scale;
    g->text_scale = cell_y >= 4 * GLYPH_H ? 2 : 1;
    if (labels && cell_y < GLYPH_H)
        cell_y = GLYPH_H;
    g->pitch_x = (int64_t)g->width * g->scale + GAP;
    g->pitch_y = cell_y + GAP;
    /* Before labels are counted: the caller has one for each row, but how many rows can there be? */
    if (g->pitch_x > SIDE_MAX / g->columns || g->pitch_y > SIDE_MAX / g->rows)
        return ebb_fail(ctx, EBB_E_ARGUMENT,
                        "%s: %lld pictures of %d x %d in %d columns make a picture of more than %d pixels "
                        "a side; draw fewer",
                        path, (long long)g->n, g->height, g->width, g->columns, SIDE_MAX);
    int longest = 0;
    for (int64_t r = 0; labels && r < g->rows; r++)
        longest = letters(labels[r]) > longest ? letters(labels[r]) : longest;
    g->left = longest ? GAP + (int64_t)longest * ADVANCE * g->text_scale : 0;
    g->image.width = (int)(g->left + GAP + g->columns * g->pitch_x);
    g->image.height = (int)(GAP + g->rows * g->pitch_y);
    g->image.channels = g->channels;
    return EBB_OK;
}

ebb_status ebb_grid_write(ebb_context *ctx, const char *path, const uint8_t *pictures, int64_t n, int height,
                          int width, int channels, int columns, const char *const *labels)
{
    grid g = { .pictures = pictures,
               .n = n,
               .height = height,
               .width = width,
               .channels = channels,
               .columns = columns };
    EBB_TRY(check(ctx, path, &g));
    EBB_TRY(lay_out(ctx, path, &g, labels));
    void *data;
    size_t bytes = (size_t)g.image.width * (size_t)g.image.height * (size_t)channels;
    EBB_TRY(ebb_alloc(ctx, &data, bytes, 1, "a grid of pictures"));
    g.image.data = data;
    memset(g.image.data, 255, bytes);
    for (int64_t i = 0; i < n; i++)
        draw_picture(&g, i);
    for (int64_t r = 0; labels && r < g.rows; r++)
        draw_label(&g, r, labels[r]);
    ebb_status status = ebb_png_write(ctx, path, &g.image);
    ebb_image_free(&g.image);
    return status;
}

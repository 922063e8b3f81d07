/* image.c: PNG by libpng; always 8 bits, gray or RGB.
 *
 * One idea: libpng reports errors by a longjmp, which must not leave this file: each function that calls
 * it keeps all it holds in a job that outlives the jump, and cleans up in one place.
 */
#include <math.h>
#include <png.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include "format/format.h"

#define FILE_LIMIT ((size_t)1 << 30)
#define DEFLATE_RATIO 1032    /* deflate packs no better: a small file cannot hold a huge picture */

typedef struct job {
    ebb_context *ctx;
    const char *path;
    png_structp png;
    png_infop info;
    const unsigned char *bytes; size_t size, used;   /* reading */
    ebb_image image;
    ebb_writer *writer;                              /* writing */
    ebb_status status;
} job;

static void on_error(png_structp png, png_const_charp text)
{
    job *j = png_get_error_ptr(png);
    j->status = ebb_fail(j->ctx, EBB_E_FORMAT, "%s: PNG: %s", j->path, text);
    png_longjmp(png, 1);
}

static void on_warning(png_structp png, png_const_charp text)
{
    (void)png, (void)text;
}

/* Leaves the libpng call with an error that is recorded already. */
static void give_up(job *j, ebb_status status)
{
    j->status = status;
    png_longjmp(j->png, 1);
}

/* ---- reading ----------------------------------------------------------------------------- */

static void on_read(png_structp png, png_bytep out, size_t size)
{
    job *j = png_get_io_ptr(png);
    if (size > j->size - j->used)
        give_up(j, ebb_fail(j->ctx, EBB_E_FORMAT, "%s: offset %zu: the PNG file is cut short", j->path,
                            j->size));
    memcpy(out, j->bytes + j->used, size);
    j->used += size;
}

/* Every kind of PNG becomes gray, gray + alpha, RGB or RGBA of 8 bits. Returns the passes over it. */
static int ask_for_8_bits(png_structp png, png_infop info)
{
    png_set_expand(png);    /* palettes, fewer than 8 bits, transparent colours */
    png_set_scale_16(png);
    int passes = png_set_interlace_handling(png);
    png_read_update_info(png, info);
    return passes;
}

/* In place: one pixel of colour and alpha over white. */
static void drop_alpha(uint8_t *data, size_t pixels, int colours)
{
    for (size_t i = 0; i < pixels; i++) {
        unsigned alpha = data[i * (size_t)(colours + 1) + (size_t)colours];
        for (int c = 0; c < colours; c++) {
            unsigned value = data[i * (size_t)(colours + 1) + (size_t)c];
            data[i * (size_t)colours + (size_t)c] =
                (uint8_t)((value * alpha + 255 * (255 - alpha) + 127) / 255);
        }
    }
}

static void decode(job *j)
{
    png_read_info(j->png, j->info);
    size_t height = png_get_image_height(j->png, j->info), width = png_get_image_width(j->png, j->info);
    if (png_get_rowbytes(j->png, j->info) > j->size * DEFLATE_RATIO / height)
        give_up(j, ebb_fail(j->ctx, EBB_E_FORMAT,
                            "%s: a PNG file of %zu bytes cannot hold a picture of %zu x %zu; cut short "
                            "or damaged",
                            j->path, j->size, width, height));
    int passes = ask_for_8_bits(j->png, j->info);
    size_t row = png_get_rowbytes(j->png, j->info);
    int channels = png_get_channels(j->png, j->info);
    void *data;
    ebb_status status = ebb_alloc(j->ctx, &data, height, row, j->path);
    if (status != EBB_OK)
        give_up(j, status);
    j->image = (ebb_image){ data, (int)height, (int)width, channels };
    while (passes-- > 0)
        for (size_t y = 0; y < height; y++)
            png_read_row(j->png, j->image.data + y * row, NULL);
    png_read_end(j->png, NULL);
    if (channels == 2 || channels == 4) {
        drop_alpha(j->image.data, height * width, channels - 1);
        j->image.channels = channels - 1;
    }
}

static void read_job(job *j)
{
    j->png = png_create_read_struct(PNG_LIBPNG_VER_STRING, j, on_error, on_warning);
    j->info = j->png ? png_create_info_struct(j->png) : NULL;
    if (!j->info)
        j->status = ebb_fail(j->ctx, EBB_E_MEMORY, "%s: out of memory for libpng", j->path);
    else if (setjmp(png_jmpbuf(j->png)) == 0) {
        png_set_read_fn(j->png, j, on_read);
        decode(j);
    }
    png_destroy_read_struct(&j->png, &j->info, NULL);
}

ebb_status ebb_png_read(ebb_context *ctx, const char *path, ebb_image *out)
{
    void *bytes;
    job j = { .ctx = ctx, .path = path };
    *out = (ebb_image){ 0 };
    EBB_TRY(ebb_file_read(ctx, path, FILE_LIMIT, &bytes, &j.size));
    j.bytes = bytes;
    read_job(&j);
    ebb_free(bytes);
    if (j.status == EBB_OK)
        *out = j.image;
    else
        ebb_image_free(&j.image);
    return j.status;
}

void ebb_image_free(ebb_image *image)
{
    ebb_free(image->data);
    *image = (ebb_image){ 0 };
}

/* ---- writing ----------------------------------------------------------------------------- */

static void on_write(png_structp png, png_bytep data, size_t size)
{
    job *j = png_get_io_ptr(png);
    ebb_status status = ebb_writer_write(j->writer, data, size);
    if (status != EBB_OK)
        give_up(j, status);
}

static void on_flush(png_structp png)
{
    (void)png;
}

static void encode(job *j)
{
    const ebb_image *image = &j->image;
    size_t row = (size_t)image->width * (size_t)image->channels;
    png_set_IHDR(j->png, j->info, (png_uint_32)image->width, (png_uint_32)image->height, 8,
                 image->channels == 1 ? PNG_COLOR_TYPE_GRAY : PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE,
                 PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_write_info(j->png, j->info);
    for (int y = 0; y < image->height; y++)
        png_write_row(j->png, image->data + (size_t)y * row);
    png_write_end(j->png, NULL);
}

static void write_job(job *j)
{
    j->png = png_create_write_struct(PNG_LIBPNG_VER_STRING, j, on_error, on_warning);
    j->info = j->png ? png_create_info_struct(j->png) : NULL;
    if (!j->info)
        j->status = ebb_fail(j->ctx, EBB_E_MEMORY, "%s: out of memory for libpng", j->path);
    else if (setjmp(png_jmpbuf(j->png)) == 0) {
        png_set_write_fn(j->png, j, on_write, on_flush);
        encode(j);
    }
    png_destroy_write_struct(&j->png, &j->info);
}

ebb_status ebb_png_write(ebb_context *ctx, const char *path, const ebb_image *image)
{
    job j = { .ctx = ctx, .path = path, .image = *image };
    if (image->height < 1 || image->width < 1 || (image->channels != 1 && image->channels != 3))
        return ebb_fail(ctx, EBB_E_ARGUMENT,
                        "%s: a picture of %d x %d with %d channels cannot be written; it needs 1 or 3 "
                        "channels",
                        path, image->height, image->width, image->channels);
    EBB_TRY(ebb_writer_open(ctx, path, &j.writer));
    write_job(&j);
    if (j.status != EBB_OK) {
        ebb_writer_abort(&j.writer);
        return j.status;
    }
    return ebb_writer_commit(&j.writer);
}

ebb_status ebb_picture_write(ebb_context *ctx, const char *path, const uint8_t *picture, int height, int width, int channels)
{
    /* It is only read. */
    return ebb_png_write(ctx, path, &(ebb_image){(uint8_t *)(uintptr_t)picture, height, width, channels});
}

/* ---- pixels -------------------------------------------------------------------------------- */

void ebb_pixels_to_bytes(const float *pixels, size_t count, uint8_t *bytes)
{
    for (size_t i = 0; i < count; i++) {
        float v = 127.5f * (pixels[i] + 1.0f);
        /* A NaN fails the first comparison and becomes 0. */
        bytes[i] = v > 0.0f ? v < 255.0f ? (uint8_t)roundf(v) : 255 : 0;
    }
}

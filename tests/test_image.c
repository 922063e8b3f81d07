/* test_image.c: PNG of every kind, grids, pixels. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include <cmocka.h>
#include <png.h>

#include "support/sweep.h"

static ebb_status read_png(void)
{
    ebb_image image;
    ebb_status status = ebb_png_read(&context, path, &image);
    if (status == EBB_OK)
        ebb_image_free(&image);
    assert_null(image.data);
    return status;
}

static void test_png_round_trip(void **state)
{
    (void)state;
    uint8_t data[7 * 5 * 3];
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(i * 37);
    for (int channels = 1; channels <= 3; channels += 2) {
        ebb_image image = { data, 7, 5, channels }, back;
        assert_int_equal(ebb_png_write(&context, path, &image), EBB_OK);
        assert_int_equal(ebb_png_read(&context, path, &back), EBB_OK);
        assert_int_equal(back.height, 7);
        assert_int_equal(back.width, 5);
        assert_int_equal(back.channels, channels);
        assert_memory_equal(back.data, data, (size_t)(35 * channels));
        ebb_image_free(&back);
        sweep(read_png, never_cut);
    }
    ebb_image wrong = { data, 7, 5, 2 };
    assert_int_equal(ebb_png_write(&context, path, &wrong), EBB_E_ARGUMENT);
}

/* A 2 x 2 picture of the given kind by libpng itself. */
static void put_png(int type, int depth, int interlace, const char *rows, size_t row)
{
    FILE *f = fopen(path, "wb");
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    png_infop info = png_create_info_struct(png);
    const png_color palette[3] = { { 10, 20, 30 }, { 40, 50, 60 }, { 70, 80, 90 } };
    png_init_io(png, f);
    png_set_IHDR(png, info, 2, 2, depth, type, interlace, PNG_COMPRESSION_TYPE_DEFAULT,
                 PNG_FILTER_TYPE_DEFAULT);
    if (type == PNG_COLOR_TYPE_PALETTE)
        png_set_PLTE(png, info, palette, 3);
    png_write_info(png, info);
    int passes = png_set_interlace_handling(png);
    while (passes-- > 0)
        for (int y = 0; y < 2; y++)
            png_write_row(png, (png_const_bytep)rows + (size_t)y * row);
    png_write_end(png, NULL);
    png_destroy_write_struct(&png, &info);
    fclose(f);
}

static void expect_png(int channels, const uint8_t *pixels)
{
    ebb_image image;
    assert_int_equal(ebb_png_read(&context, path, &image), EBB_OK);
    assert_int_equal(image.height, 2);
    assert_int_equal(image.width, 2);
    assert_int_equal(image.channels, channels);
    assert_memory_equal(image.data, pixels, (size_t)(4 * channels));
    ebb_image_free(&image);
    sweep(read_png, never_cut);
}

static void test_png_kinds(void **state)
{
    (void)state;
    put_png(PNG_COLOR_TYPE_PALETTE, 2, PNG_INTERLACE_NONE, "\x10\x80", 1);
    expect_png(3, (const uint8_t[]){ 10, 20, 30, 40, 50, 60, 70, 80, 90, 10, 20, 30 });
    put_png(PNG_COLOR_TYPE_GRAY, 1, PNG_INTERLACE_NONE, "\x40\x80", 1);
    expect_png(1, (const uint8_t[]){ 0, 255, 255, 0 });
    put_png(PNG_COLOR_TYPE_GRAY, 16, PNG_INTERLACE_NONE, "\xff\xff\x80\x80\x01\x01\x00\x00", 4);
    expect_png(1, (const uint8_t[]){ 255, 128, 1, 0 });
    put_png(PNG_COLOR_TYPE_GRAY, 8, PNG_INTERLACE_ADAM7, "\1\2\3\4", 2);
    expect_png(1, (const uint8_t[]){ 1, 2, 3, 4 });
    /* Alpha: over white. */
    put_png(PNG_COLOR_TYPE_GRAY_ALPHA, 8, PNG_INTERLACE_NONE, "\x64\xff\x64\0\0\x80\xff\x80", 4);
    expect_png(1, (const uint8_t[]){ 100, 255, 127, 255 });
    put_png(PNG_COLOR_TYPE_RGB_ALPHA, 8, PNG_INTERLACE_NONE, "\1\2\3\xff\1\2\3\0\4\5\6\xff\7\10\11\xff", 8);
    expect_png(3, (const uint8_t[]){ 1, 2, 3, 255, 255, 255, 4, 5, 6, 7, 8, 9 });
}

/* A header that claims 30,000 x 30,000 pixels: refused before memory is taken for them. */
static void test_png_claim(void **state)
{
    (void)state;
    put_png(PNG_COLOR_TYPE_GRAY, 8, PNG_INTERLACE_NONE, "\1\2\3\4", 2);
    size_t size, before = ebb_mem_read().peak_bytes;
    unsigned char *bytes = get(&size);
    bytes[18] = bytes[22] = 0x75;
    uLong crc = crc32(0, bytes + 12, 17);
    for (int i = 0; i < 4; i++)
        bytes[29 + i] = (unsigned char)(crc >> (24 - 8 * i));
    put(bytes, size);
    ebb_free(bytes);
    assert_int_equal(read_png(), EBB_E_FORMAT);
    expect_message("cannot hold");
    assert_true(ebb_mem_read().peak_bytes < before + (1 << 20));
}

static void test_pixels(void **state)
{
    (void)state;
    const float x[] = { -1, 1, 0, -2, 3, 0.0f / 0.0f, 1.0f / 0.0f, -1.0f / 0.0f,
                        1.0f / 127.5f - 1, 0.4f / 127.5f - 1 };
    const uint8_t expected[] = { 0, 255, 128, 0, 255, 0, 255, 0, 1, 0 };
    uint8_t bytes[10];
    ebb_pixels_to_bytes(x, 10, bytes);
    assert_memory_equal(bytes, expected, 10);
    /* Every byte survives the way to a float and back. */
    for (int i = 0; i < 256; i++) {
        float v = (float)i / 127.5f - 1.0f;
        ebb_pixels_to_bytes(&v, 1, bytes);
        assert_int_equal(bytes[0], i);
    }
}

static uint8_t at(const ebb_image *image, int y, int x, int c)
{
    return image->data[(y * image->width + x) * image->channels + c];
}

static void test_grid(void **state)
{
    (void)state;
    enum { N = 5, H = 28, W = 20 };
    static uint8_t pictures[N * H * W * 3];
    for (size_t i = 0; i < sizeof pictures; i++)
        pictures[i] = (uint8_t)(i * 13 + i / 251);
    ebb_image image;
    for (int channels = 1; channels <= 3; channels += 2) {
        assert_int_equal(ebb_grid_write(&context, path, pictures, N, H, W, channels, 3, NULL), EBB_OK);
        assert_int_equal(ebb_png_read(&context, path, &image), EBB_OK);
        assert_int_equal(image.width, 2 + 3 * (2 * W + 2));
        assert_int_equal(image.height, 2 + 2 * (2 * H + 2));
        for (int i = 0; i < N * 2 * H * 2 * W * channels; i++) {
            int c = i % channels, x = i / channels % (2 * W), y = i / channels / (2 * W) % (2 * H);
            int k = i / channels / (2 * W) / (2 * H);
            assert_int_equal(at(&image, 2 + k / 3 * (2 * H + 2) + y, 2 + k % 3 * (2 * W + 2) + x, c),
                             pictures[((k * H + y / 2) * W + x / 2) * channels + c]);
        }
        assert_int_equal(at(&image, 0, 0, 0), 255);
        assert_int_equal(at(&image, 2 * H + 2, 50, 0), 255);
        ebb_image_free(&image);
    }
}

/* The label "T" is read back off the picture: double size, its bar of 10 x 2 black pixels on top. */
static void test_grid_labels(void **state)
{
    (void)state;
    static uint8_t pictures[2 * 28 * 28];
    const char *labels[2] = { "T", "" };
    ebb_image image;
    assert_int_equal(ebb_grid_write(&context, path, pictures, 2, 28, 28, 1, 1, labels), EBB_OK);
    assert_int_equal(ebb_png_read(&context, path, &image), EBB_OK);
    int left = 2 + 12;
    assert_int_equal(image.width, left + 2 + 58);
    int black = 0;
    for (int y = 0; y < image.height; y++)
        for (int x = 0; x < left; x++)
            black += at(&image, y, x, 0) == 0;
    assert_int_equal(black, 4 * (5 + 6));
    for (int x = 0; x < 10; x++)
        assert_int_equal(at(&image, 2 + 21, 2 + x, 0), 0);
    assert_int_equal(at(&image, 2 + 21 + 13, 2 + 4, 0), 0);
    assert_int_equal(at(&image, 2 + 21 + 14, 2 + 4, 0), 255);
    ebb_image_free(&image);
    /* A label of other letters and too many of them, beside small pictures. */
    char digits[100];
    memset(digits, '8', sizeof digits);
    digits[99] = 0;
    const char *odd[2] = { "\xc3\xa4\x01\xff", digits };
    assert_int_equal(ebb_grid_write(&context, path, pictures, 2, 1, 100, 1, 1, odd), EBB_OK);
    assert_int_equal(read_png(), EBB_OK);
}

static void test_grid_errors(void **state)
{
    (void)state;
    static const struct { int64_t n; int height, width, channels, columns; } wrong[] = {
        { 0, 1, 1, 1, 1 }, { 1, 1, 1, 2, 1 }, { 1, 1, 1, 1, 0 }, { 1, 0, 1, 1, 1 },
        { INT64_MAX, 28, 28, 1, 10 }, { INT64_MAX, 28, 28, 1, INT32_MAX }, { 1, INT32_MAX, INT32_MAX, 3, 1 },
    };
    uint8_t pixel[3] = { 0 };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(ebb_grid_write(&context, path, pixel, wrong[i].n, wrong[i].height, wrong[i].width,
                                        wrong[i].channels, wrong[i].columns, NULL), EBB_E_ARGUMENT);
    expect_message("fewer");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FILES(test_png_round_trip), FILES(test_png_kinds), FILES(test_png_claim), FILES(test_pixels),
        FILES(test_grid), FILES(test_grid_labels), FILES(test_grid_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_dataset.c: each kind of data, padding, labels, order; and what is wrong with data. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "dataset/dataset.h"
#include "format/format.h"
#include "support/temporary.h"

static ebb_context *ctx;
static temporary_folder folder;
static char path[160], labels[160];

static int setup(void **state)
{
    (void)state;
    if (!temporary_make(folder, "dataset") || ebb_context_create(NULL, &ctx) != EBB_OK)
        return 1;
    snprintf(path, sizeof path, "%s/a", folder);
    snprintf(labels, sizeof labels, "%s/b", folder);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    ebb_context_free(ctx);
    return !temporary_remove(folder) || ebb_mem_read().bytes != 0;
}

static void put(const char *name, const void *data, size_t size)
{
    FILE *f = fopen(name, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, size, f), size);
    assert_int_equal(fclose(f), 0);
}

static void assert_says(const char *part)
{
    if (strstr(ebb_message(ctx), part) == NULL)
        fail_msg("message \"%s\" does not say \"%s\"", ebb_message(ctx), part);
}

/* Three pictures of 2x2 with labels 0, 1, 2. */
static void put_idx(void)
{
    static const unsigned char pictures[] = {0, 0, 8, 3,  0,   0,   0,   3,   0, 0, 0, 2, 0, 0,
                                             0, 2, 0, 51, 102, 153, 204, 255, 1, 2, 3, 4, 5, 6};
    static const unsigned char classes[] = {0, 0, 8, 1, 0, 0, 0, 3, 0, 1, 2};
    put(path, pictures, sizeof pictures);
    put(labels, classes, sizeof classes);
}

static ebb_dataset_options idx_options(void)
{
    put_idx();
    return (ebb_dataset_options){.kind = "idx", .path = path, .labels = labels, .classes = 3};
}

static void test_idx(void **state)
{
    static const float plain[] = {-1, -0.6f, -0.2f, 0.2f}, mirrored[] = {-0.6f, -1, 0.2f, -0.2f};
    (void)state;
    ebb_dataset_options o = idx_options();
    ebb_dataset d;
    float x[4];
    assert_int_equal(ebb_dataset_open(ctx, &o, &d), EBB_OK);
    assert_int_equal(d.n, 3);
    assert_int_equal(d.numbers, 4);
    assert_int_equal(d.labels[2], 2);
    ebb_dataset_picture(&d, 0, false, x);
    for (int i = 0; i < 4; i++)
        assert_true(x[i] > plain[i] - 1e-6f && x[i] < plain[i] + 1e-6f);
    ebb_dataset_picture(&d, 0, true, x);
    for (int i = 0; i < 4; i++)
        assert_true(x[i] > mirrored[i] - 1e-6f && x[i] < mirrored[i] + 1e-6f);
    ebb_dataset_free(&d);
}

static void test_padding(void **state)
{
    (void)state;
    ebb_dataset_options o = idx_options();
    ebb_dataset d;
    o.height = 5;
    o.width = 4;
    o.limit = 2;
    assert_int_equal(ebb_dataset_open(ctx, &o, &d), EBB_OK);
    assert_int_equal(d.n, 2);
    assert_int_equal(d.numbers, 20);
    /* Rows 1 and 2, columns 1 and 2 hold the picture; all else is black. */
    static const uint8_t want[20] = {[5] = 204, [6] = 255, [9] = 1, [10] = 2};
    assert_memory_equal(d.bytes + 20, want, 20);
    ebb_dataset_free(&d);
}

static void expect_failure(const ebb_dataset_options *o, ebb_status status, const char *says)
{
    ebb_dataset d;
    ebb_status got = ebb_dataset_open(ctx, o, &d);
    if (got != status)
        fail_msg("%s instead of %s: %s", ebb_status_name(got), ebb_status_name(status), ebb_message(ctx));
    assert_says(says);
    assert_null(d.bytes);
    assert_null(d.values);
    assert_null(d.labels);
}

static void test_wrong_idx(void **state)
{
    (void)state;
    ebb_dataset_options o = idx_options();
    o.classes = 2;
    expect_failure(&o, EBB_E_SHAPE, "label 2 of picture 2 is outside 0..1");
    o = idx_options();
    o.height = o.width = 1;
    expect_failure(&o, EBB_E_SHAPE, "never cut");
    o = idx_options();
    o.channels = 3;
    expect_failure(&o, EBB_E_SHAPE, "data.channels=3");
    o = idx_options();
    o.labels = "";
    expect_failure(&o, EBB_E_ARGUMENT, "no labels");
    o = idx_options();
    o.labels = path;
    expect_failure(&o, EBB_E_SHAPE, "one axis");
    o = idx_options();
    static const unsigned char two[] = {0, 0, 8, 1, 0, 0, 0, 2, 0, 1};
    put(labels, two, sizeof two);
    expect_failure(&o, EBB_E_SHAPE, "2 labels");
    o = idx_options();
    o.path = labels;
    expect_failure(&o, EBB_E_SHAPE, "axes");
    o.path = "nowhere";
    expect_failure(&o, EBB_E_IO, "nowhere");
    o.kind = "tiff";
    expect_failure(&o, EBB_E_USAGE, "tiff");
}

static void test_npy(void **state)
{
    static const float points[] = {0.5f, -0.5f, 0.25f, 1.0f};
    static const int64_t classes[] = {7, 3}, shape[] = {2, 2}, one[] = {2};
    (void)state;
    ebb_dataset_options o = {.kind = "npy", .path = path, .labels = labels, .classes = 8};
    ebb_dataset d;
    float x[2];
    assert_int_equal(ebb_npy_write(ctx, path, 'f', 4, points, 2, shape), EBB_OK);
    assert_int_equal(ebb_npy_write(ctx, labels, 'i', 8, classes, 1, one), EBB_OK);
    assert_int_equal(ebb_dataset_open(ctx, &o, &d), EBB_OK);
    assert_int_equal(d.height, 1);
    assert_int_equal(d.width, 2);
    assert_int_equal(d.labels[0], 7);
    ebb_dataset_picture(&d, 1, false, x);
    assert_true(x[0] == 0.25f && x[1] == 1.0f);
    ebb_dataset_free(&d);
    o.classes = 7;
    expect_failure(&o, EBB_E_SHAPE, "label 7");
    /* Labels are told by what is in the file, not by the kind of the pictures. */
    static const unsigned char in_idx[] = {0, 0, 8, 1, 0, 0, 0, 2, 6, 5};
    put(labels, in_idx, sizeof in_idx);
    assert_int_equal(ebb_dataset_open(ctx, &o, &d), EBB_OK);
    assert_int_equal(d.labels[0], 6);
    ebb_dataset_free(&d);
    static const int64_t negative[] = {-1, 3};
    assert_int_equal(ebb_npy_write(ctx, labels, 'i', 8, negative, 1, one), EBB_OK);
    expect_failure(&o, EBB_E_SHAPE, "label -1");
    static const float nan_points[] = {0, 0, 0, __builtin_nanf("")};
    assert_int_equal(ebb_npy_write(ctx, path, 'f', 4, nan_points, 2, shape), EBB_OK);
    expect_failure(&o, EBB_E_NUMERIC, "picture 1");
    assert_int_equal(ebb_npy_write(ctx, path, 'i', 8, classes, 1, one), EBB_OK);
    expect_failure(&o, EBB_E_FORMAT, "uint8");
}

static void put_png(const char *name, int side, uint8_t value)
{
    char full[256];
    uint8_t pixels[16];
    memset(pixels, value, sizeof pixels);
    ebb_image image = {pixels, side, side, 1};
    snprintf(full, sizeof full, "%s/%s", folder, name);
    assert_int_equal(ebb_png_write(ctx, full, &image), EBB_OK);
}

static void make_folder(const char *name)
{
    char full[256];
    snprintf(full, sizeof full, "%s/%s", folder, name);
    assert_int_equal(mkdir(full, 0777), 0);
}

static void test_png(void **state)
{
    (void)state;
    char root[256];
    snprintf(root, sizeof root, "%s/png", folder);
    make_folder("png");
    make_folder("png/zebra");
    make_folder("png/ant");
    put_png("png/zebra/1.png", 3, 10);
    put_png("png/ant/2.png", 3, 20);
    put_png("png/ant/1.png", 3, 30);
    ebb_dataset_options o = {.kind = "png", .path = root, .classes = 2};
    ebb_dataset d;
    assert_int_equal(ebb_dataset_open(ctx, &o, &d), EBB_OK);
    assert_int_equal(d.n, 3);
    assert_int_equal(d.bytes[0], 30);
    assert_int_equal(d.bytes[9], 20);
    assert_int_equal(d.bytes[18], 10);
    assert_int_equal(d.labels[1], 0);
    assert_int_equal(d.labels[2], 1);
    ebb_dataset_free(&d);
    char one[300];
    snprintf(one, sizeof one, "%s/ant/2.png", root);
    o = (ebb_dataset_options){.kind = "png", .path = one};
    assert_int_equal(ebb_dataset_open(ctx, &o, &d), EBB_OK);
    assert_int_equal(d.n, 1);
    assert_int_equal(d.bytes[0], 20);
    assert_null(d.labels);
    ebb_dataset_free(&d);
    o.classes = 2;
    expect_failure(&o, EBB_E_ARGUMENT, "no labels");
    o.path = root;
    put_png("png/ant/3.png", 4, 1);
    expect_failure(&o, EBB_E_SHAPE, "3.png is 4x4x1");
    snprintf(root, sizeof root, "%s/empty", folder);
    make_folder("empty");
    expect_failure(&o, EBB_E_IO, "no .png");
}

/* Means of 2x2, rounded; sides that are no whole multiple are refused still. */
static void test_averages(void **state)
{
    (void)state;
    static const uint8_t grey[] = {0, 1, 10, 20, 1, 1, 30, 40, 255, 255, 7, 7, 255, 254, 7, 9}, want[] = {1, 25, 255, 8};
    static const float values[] = {-1, 1, 0, 0.5f}, mean[] = {0.125f};
    static const int64_t shape[] = {1, 4, 4}, floats[] = {1, 2, 2};
    ebb_dataset_options o = {.kind = "npy", .path = path, .height = 2, .width = 2, .average = true};
    ebb_dataset d;
    assert_int_equal(ebb_npy_write(ctx, path, 'u', 1, grey, 3, shape), EBB_OK);
    assert_int_equal(ebb_dataset_open(ctx, &o, &d), EBB_OK);
    assert_int_equal(d.numbers, 4);
    assert_memory_equal(d.bytes, want, sizeof want);
    ebb_dataset_free(&d);
    o.average = false;
    expect_failure(&o, EBB_E_SHAPE, "data.larger=average");
    o.average = true;
    o.width = 3;
    expect_failure(&o, EBB_E_SHAPE, "4x4");
    o.width = 1;
    expect_failure(&o, EBB_E_SHAPE, "4x4");
    /* What fits is padded as ever. */
    o.height = o.width = 6;
    assert_int_equal(ebb_dataset_open(ctx, &o, &d), EBB_OK);
    assert_int_equal(d.bytes[7], 0);
    assert_int_equal(d.bytes[8], 1);
    ebb_dataset_free(&d);
    o.height = o.width = 1;
    assert_int_equal(ebb_npy_write(ctx, path, 'f', 4, values, 3, floats), EBB_OK);
    assert_int_equal(ebb_dataset_open(ctx, &o, &d), EBB_OK);
    assert_memory_equal(d.values, mean, sizeof mean);
    ebb_dataset_free(&d);
}

/* Of colours: pictures (n,h,w,3) beside their grey originals. One hue a picture, and the grey value is the largest number. */
static void check_inks(const ebb_dataset *grey, const ebb_dataset *colour, uint64_t seed)
{
    int64_t pixels = grey->numbers;
    assert_int_equal(colour->channels, 3);
    assert_int_equal(colour->numbers, 3 * pixels);
    for (int64_t i = 0; i < grey->n; i++) {
        double rgb[3], most = 0, least = 1;
        ebb_ink(seed, i, rgb);
        for (int c = 0; c < 3; c++) {
            most = rgb[c] > most ? rgb[c] : most;
            least = rgb[c] < least ? rgb[c] : least;
        }
        assert_true(most == 1 && least == 0);
        for (int64_t p = 0; p < pixels; p++) {
            const uint8_t *at = colour->bytes + 3 * (i * pixels + p);
            uint8_t v = grey->bytes[i * pixels + p], top = 0;
            for (int c = 0; c < 3; c++) {
                double off = at[c] - v * rgb[c];
                assert_true(off >= -0.5 && off <= 0.5);
                top = at[c] > top ? at[c] : top;
            }
            assert_int_equal(top, v);
        }
    }
}

static void test_inks(void **state)
{
    (void)state;
    enum { HUES = 6000 };
    ebb_dataset_options o = {.kind = "synthetic", .path = "synthetic", .height = 9, .width = 7, .classes = 2, .limit = 20, .seed = 4};
    ebb_dataset grey, colour, again;
    int sixth[6] = {0};
    assert_int_equal(ebb_dataset_open(ctx, &o, &grey), EBB_OK);
    o.ink = true;
    o.channels = 3;
    /* By itself 'synthetic' would draw in three channels: here in one, which is painted. */
    assert_int_equal(ebb_dataset_open(ctx, &o, &colour), EBB_OK);
    check_inks(&grey, &colour, 4);
    assert_memory_equal(grey.labels, colour.labels, 20 * sizeof *grey.labels);
    assert_int_equal(ebb_dataset_open(ctx, &o, &again), EBB_OK);
    assert_memory_equal(colour.bytes, again.bytes, (size_t)(colour.n * colour.numbers));
    ebb_dataset_free(&again);
    /* The first pictures alone have the same inks; another seed has others. */
    o.limit = 5;
    assert_int_equal(ebb_dataset_open(ctx, &o, &again), EBB_OK);
    assert_memory_equal(colour.bytes, again.bytes, (size_t)(5 * colour.numbers));
    ebb_dataset_free(&again);
    double one[3], other[3];
    ebb_ink(4, 0, one);
    ebb_ink(5, 0, other);
    assert_memory_not_equal(one, other, sizeof one);
    /* Hues are even: each sixth of the circle, which the largest and the least channel name, has its share within 5 sd. */
    for (int i = 0; i < HUES; i++) {
        double rgb[3];
        ebb_ink(1, i, rgb);
        int top = rgb[0] == 1 ? 0 : rgb[1] == 1 ? 1 : 2, low = rgb[(top + 1) % 3] == 0 ? 1 : 0;
        sixth[2 * top + low]++;
    }
    for (int k = 0; k < 6; k++)
        if (sixth[k] < 1000 - 145 || sixth[k] > 1000 + 145)
            fail_msg("sixth %d of the hues: %d of %d", k, sixth[k], HUES);
    ebb_dataset_free(&grey);
    ebb_dataset_free(&colour);
    o.channels = 1;
    expect_failure(&o, EBB_E_SHAPE, "data.channels=1");
}

/* Floats: (x + 1)/2 is the grey value; pictures in colours stay as they are, those of two channels are refused. */
static void test_inks_of_floats(void **state)
{
    (void)state;
    static const float values[] = {-1, 0.5f, 1, 0, 0.25f, -0.5f};
    static const int64_t grey[] = {2, 1, 3, 1}, colour[] = {2, 1, 1, 3}, two[] = {1, 1, 3, 2};
    ebb_dataset_options o = {.kind = "npy", .path = path, .ink = true, .seed = 3};
    ebb_dataset d;
    assert_int_equal(ebb_npy_write(ctx, path, 'f', 4, values, 4, grey), EBB_OK);
    assert_int_equal(ebb_dataset_open(ctx, &o, &d), EBB_OK);
    for (int i = 0; i < 2; i++) {
        double rgb[3];
        ebb_ink(3, i, rgb);
        for (int k = 0; k < 9; k++) {
            double off = d.values[9 * i + k] - ((values[3 * i + k / 3] + 1.0) * rgb[k % 3] - 1);
            assert_true(off > -1e-6 && off < 1e-6);
        }
    }
    ebb_dataset_free(&d);
    assert_int_equal(ebb_npy_write(ctx, path, 'f', 4, values, 4, colour), EBB_OK);
    assert_int_equal(ebb_dataset_open(ctx, &o, &d), EBB_OK);
    assert_memory_equal(d.values, values, sizeof values);
    ebb_dataset_free(&d);
    assert_int_equal(ebb_npy_write(ctx, path, 'f', 4, values, 4, two), EBB_OK);
    expect_failure(&o, EBB_E_SHAPE, "these have 2");
}

static void test_folder(void **state)
{
    (void)state;
    char root[256];
    ebb_folder f;
    snprintf(root, sizeof root, "%s/named", folder);
    make_folder("named");
    make_folder("named/pear");
    make_folder("named/apple");
    make_folder("named/empty");
    put_png("named/pear/a.png", 2, 10);
    put_png("named/pear/b.png", 2, 10);
    put_png("named/apple/a.png", 2, 20);
    assert_int_equal(ebb_folder_look(ctx, root, &f), EBB_OK);
    assert_int_equal(f.pictures, 3);
    assert_int_equal(f.classes, 3);
    assert_string_equal(f.class[0].name, "apple");
    assert_int_equal(f.class[0].pictures, 1);
    assert_string_equal(f.class[1].name, "empty");
    assert_int_equal(f.class[1].pictures, 0);
    assert_string_equal(f.class[2].name, "pear");
    assert_int_equal(f.class[2].pictures, 2);
    assert_non_null(strstr(f.first, "named/apple/a.png"));
    ebb_folder_free(&f);
    snprintf(root, sizeof root, "%s/named/pear", folder);
    assert_int_equal(ebb_folder_look(ctx, root, &f), EBB_OK);
    assert_int_equal(f.classes, 0);
    assert_int_equal(f.pictures, 2);
    ebb_folder_free(&f);
    snprintf(root, sizeof root, "%s/named/empty", folder);
    assert_int_equal(ebb_folder_look(ctx, root, &f), EBB_E_IO);
    assert_says("no .png");
    assert_null(f.class);
}

static void test_synthetic(void **state)
{
    (void)state;
    ebb_dataset_options o = {.kind = "synthetic",
                             .path = "synthetic",
                             .height = 12,
                             .width = 10,
                             .channels = 3,
                             .classes = 4,
                             .limit = 9,
                             .seed = 5};
    ebb_dataset d, again;
    assert_int_equal(ebb_dataset_open(ctx, &o, &d), EBB_OK);
    assert_int_equal(ebb_dataset_open(ctx, &o, &again), EBB_OK);
    assert_int_equal(d.n, 9);
    assert_memory_equal(d.bytes, again.bytes, (size_t)(d.n * d.numbers));
    assert_int_equal(d.labels[7], 3);
    int bright = 0;
    for (int64_t i = 0; i < d.numbers; i++)
        bright += d.bytes[i] == 255;
    assert_true(bright > 0 && bright < d.numbers);
    ebb_dataset_free(&d);
    ebb_dataset_free(&again);
    o.height = 0;
    expect_failure(&o, EBB_E_ARGUMENT, "data.size");
}

static void test_find(void **state)
{
    (void)state;
    char found[256];
    put_idx();
    assert_int_equal(ebb_dataset_find(ctx, path, "", found, sizeof found), EBB_OK);
    assert_string_equal(found, path);
    assert_int_equal(ebb_dataset_find(ctx, "a", folder, found, sizeof found), EBB_OK);
    assert_string_equal(found, path);
    setenv("EBB_DATA", folder, 1);
    assert_int_equal(ebb_dataset_find(ctx, "b", "", found, sizeof found), EBB_OK);
    assert_string_equal(found, labels);
    unsetenv("EBB_DATA");
    assert_int_equal(ebb_dataset_find(ctx, "mnist/README.md", "", found, sizeof found), EBB_OK);
    assert_int_equal(ebb_dataset_find(ctx, "no-such", folder, found, sizeof found), EBB_E_IO);
    assert_says("no-such");
    assert_int_equal(ebb_dataset_find(ctx, "", "", found, sizeof found), EBB_E_ARGUMENT);
}

/* Each epoch is a permutation, epochs differ, and a position may be asked for in any order. */
static void test_order(void **state)
{
    enum { N = 37 };
    (void)state;
    ebb_order order, other;
    uint32_t first[3 * N];
    assert_int_equal(ebb_order_create(ctx, 11, N, &order), EBB_OK);
    assert_int_equal(ebb_order_create(ctx, 11, N, &other), EBB_OK);
    for (int e = 0; e < 3; e++) {
        int seen[N] = {0};
        for (int i = 0; i < N; i++) {
            first[e * N + i] = ebb_order_at(&order, e * N + i);
            assert_int_equal(seen[first[e * N + i]]++, 0);
        }
    }
    assert_memory_not_equal(first, first + N, N * sizeof first[0]);
    for (int i = 3 * N - 1; i >= 0; i--)
        assert_int_equal(ebb_order_at(&other, i), first[i]);
    ebb_order_free(&order);
    ebb_order_free(&other);
}

/* Each third is left out, of bytes and of floats, and the others stay what they are without: labels and inks too. */
static void test_held_out(void **state)
{
    (void)state;
    ebb_dataset all, kept;
    ebb_dataset_options o = {.kind = "synthetic", .path = "synthetic", .height = 9, .width = 7, .classes = 2, .limit = 11, .seed = 4, .ink = true};
    assert_int_equal(ebb_dataset_open(ctx, &o, &all), EBB_OK);
    o.held_out = 3;
    assert_int_equal(ebb_dataset_open(ctx, &o, &kept), EBB_OK);
    assert_int_equal(kept.n, 8);
    for (int64_t i = 0; i < kept.n; i++) {
        float want[9 * 7 * 3], got[9 * 7 * 3];
        ebb_dataset_picture(&all, i + i / 2, false, want);
        ebb_dataset_picture(&kept, i, false, got);
        assert_memory_equal(got, want, sizeof want);
        assert_int_equal(kept.labels[i], all.labels[i + i / 2]);
    }
    ebb_dataset_free(&all);
    ebb_dataset_free(&kept);
    o.held_out = 1;
    assert_int_equal(ebb_dataset_open(ctx, &o, &kept), EBB_E_ARGUMENT);
    assert_says("data.held_out=1");
    o = (ebb_dataset_options){.kind = "ring", .path = "ring", .limit = 10, .held_out = 4};
    assert_int_equal(ebb_dataset_open(ctx, &o, &kept), EBB_OK);
    assert_int_equal(kept.n, 8);
    ebb_dataset_free(&kept);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_idx),  cmocka_unit_test(test_padding), cmocka_unit_test(test_wrong_idx),
        cmocka_unit_test(test_npy),  cmocka_unit_test(test_png),     cmocka_unit_test(test_synthetic),
        cmocka_unit_test(test_find), cmocka_unit_test(test_order),
        cmocka_unit_test(test_averages), cmocka_unit_test(test_inks), cmocka_unit_test(test_inks_of_floats),
        cmocka_unit_test(test_folder), cmocka_unit_test(test_held_out),
    };
    return cmocka_run_group_tests_name("dataset", tests, setup, teardown);
}

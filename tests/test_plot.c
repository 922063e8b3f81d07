/* test_plot.c: what is drawn lies where it should: letters, lines, discs, axes, contours; nothing outside the picture.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "eval/plot.h"

static ebb_context *ctx;

static ebb_colour pixel(const ebb_canvas *c, int x, int y)
{
    const uint8_t *p = c->image.data + 3 * (y * c->image.width + x);
    return (ebb_colour)(p[0] << 16 | p[1] << 8 | p[2]);
}

static ebb_canvas canvas(int width, int height)
{
    ebb_canvas c;
    assert_int_equal(ebb_canvas_create(ctx, width, height, &c), EBB_OK);
    return c;
}

static void test_canvas(void **state)
{
    (void)state;
    ebb_canvas c = canvas(60, 40);
    ebb_canvas_box(&c, -5, -5, 10, 10, 0x102030, 1);
    assert_int_equal(pixel(&c, 4, 4), 0x102030);
    assert_int_equal(pixel(&c, 5, 4), 0xffffff);
    ebb_canvas_disc(&c, 30, 20, 6, 0xff0000, 1);
    assert_int_equal(pixel(&c, 30, 20), 0xff0000);
    assert_int_equal(pixel(&c, 35, 20), 0xff0000);
    assert_int_equal(pixel(&c, 38, 20), 0xffffff);
    ebb_canvas_line(&c, 10, 35, 50, 35, 3, 0x0000ff, 1);
    assert_int_equal(pixel(&c, 20, 35), 0x0000ff);
    assert_int_equal(pixel(&c, 20, 36), 0x0000ff);
    assert_int_equal(pixel(&c, 20, 38), 0xffffff);
    /* Half transparent over white; far outside nothing happens. */
    ebb_canvas_blend(&c, 55, 5, 0x000000, 0.5);
    assert_in_range(pixel(&c, 55, 5) & 255, 126, 129);
    ebb_canvas_line(&c, NAN, 0, 1e9, 5, 2, 0, 1);
    ebb_canvas_disc(&c, -1e5, 3, 4, 0, 1);
    ebb_canvas_text(&c, 50, 35, 3, 0, "beyond", false);
    ebb_canvas_free(&c);
    assert_int_equal(ebb_canvas_create(ctx, 0, 5, &c), EBB_E_ARGUMENT);
    assert_int_equal(ebb_canvas_create(ctx, 5, 20000, &c), EBB_E_ARGUMENT);
}

/* "T" is a bar above a stem; turned upwards the stem points right and the bar stands left. */
static void test_text(void **state)
{
    (void)state;
    ebb_canvas c = canvas(30, 30);
    ebb_canvas_text(&c, 3, 4, 1, 0, "T", false);
    for (int y = 0; y < 7; y++)
        for (int x = 0; x < 5; x++)
            assert_int_equal(pixel(&c, 3 + x, 4 + y), y == 0 || x == 2 ? 0 : 0xffffff);
    ebb_canvas_text(&c, 15, 20, 1, 0, "T", true);
    for (int x = 0; x < 7; x++)
        for (int y = 0; y < 5; y++)
            assert_int_equal(pixel(&c, 15 + x, 20 - y), x == 0 || y == 2 ? 0 : 0xffffff);
    assert_int_equal(ebb_canvas_text_width("abc", 2), 34);
    assert_int_equal(ebb_canvas_text_width("\xc3\xa4", 1), 5);       /* one letter of two bytes */
    ebb_canvas_free(&c);
}

static void test_coordinates(void **state)
{
    (void)state;
    double at[2];
    ebb_axes a = {.x = 10, .y = 20, .width = 100, .height = 50, .lo = {0, 1}, .hi = {2, 100}, .log = {false, true}};
    ebb_plot_pixel(&a, 1, 10, at);
    assert_true(fabs(at[0] - 59.5) < 1e-9 && fabs(at[1] - 44.5) < 1e-9);
    ebb_plot_pixel(&a, 0, 100, at);
    assert_true(fabs(at[0] - 9.5) < 1e-9 && fabs(at[1] - 19.5) < 1e-9);
    assert_int_equal(ebb_colour_between((ebb_colour[]){0x000000, 0x640000, 0x6400c8}, 3, 0.25), 0x320000);
    assert_int_equal(ebb_colour_between((ebb_colour[]){0x000000, 0x640000, 0x6400c8}, 3, 2), 0x6400c8);
}

/* Around a round normal law, half of the mass lies within sqrt(2 ln 2) standard deviations. */
static void test_contour(void **state)
{
    (void)state;
    enum { SIDE = 100 };
    static double density[2 * SIDE * SIDE];
    ebb_target t;
    ebb_axes a = {.x = 0, .y = 0, .width = 400, .height = 400, .lo = {-4, -4}, .hi = {4, 4}};
    ebb_canvas c = canvas(400, 400);
    assert_int_equal(ebb_target_named(ctx, "gaussian:mean=0,sd=1", &t), EBB_OK);
    ebb_plot_density(&a, &t, SIDE, density);
    ebb_plot_contour(&c, &a, density, SIDE, 0.5, 0xff0000, density + SIDE * SIDE);
    for (int y = 0; y < 400; y++)
        for (int x = 0; x < 400; x++) {
            double r = hypot((x + 0.5) / 50 - 4, (y + 0.5) / 50 - 4), off = fabs(r - sqrt(2 * log(2))) * 50;
            if (off > 4)
                assert_int_equal(pixel(&c, x, y), 0xffffff);
        }
    for (int k = 0; k < 64; k++) {                 /* the ring is closed */
        double angle = 6.283185307179586 * k / 64, best = 255;
        for (double r = -3; r <= 3; r += 0.5) {
            double radius = sqrt(2 * log(2)) * 50 + r;
            best = fmin(best, pixel(&c, (int)(199.5 + radius * cos(angle)), (int)(199.5 + radius * sin(angle))) & 255);
        }
        assert_true(best < 160);
    }
    ebb_plot_map(&c, &a, density, SIDE);
    assert_int_equal(pixel(&c, 5, 5), 0xffffff);
    assert_true((pixel(&c, 200, 200) >> 16) < 0x20);
    ebb_canvas_free(&c);
    ebb_target_free(&t);
}

/* The frame stands where it should, with numbers below and at the left of it. */
static void test_axes(void **state)
{
    (void)state;
    ebb_axes a = {.x = 80, .y = 40, .width = 300, .height = 200, .lo = {-1, 1e-6}, .hi = {1, 1}, .log = {false, true},
                  .title = "title", .label = {"x", "y"}};
    ebb_canvas c = canvas(420, 320);
    double x[] = {-0.5, 0.5}, y[] = {1e-3, 1e-3};
    ebb_plot_curve(&c, &a, x, y, 2, 3, 0xff0000, true);
    ebb_plot_bars(&c, &(ebb_axes){.x = 80, .y = 40, .width = 300, .height = 200, .lo = {-1, 0}, .hi = {1, 1}}, 0.8, 0.1, (double[]){5}, 1, 0x00ff00);
    ebb_plot_axes(&c, &a);
    assert_int_equal(pixel(&c, 230, 39), EBB_PLOT_INK);
    assert_int_equal(pixel(&c, 230, 240), EBB_PLOT_INK);
    assert_int_equal(pixel(&c, 79, 100), EBB_PLOT_INK);
    assert_int_equal(pixel(&c, 230, 140), 0xff0000);          /* 1e-3 is in the middle */
    assert_true((pixel(&c, 357, 60) >> 8 & 255) == 255 && (pixel(&c, 357, 60) >> 16) < 200);
    int below = 0, left = 0;
    for (int k = 0; k < 420 * 320; k++) {
        int px = k % 420, py = k / 420;
        below += py > 248 && pixel(&c, px, py) == EBB_PLOT_INK;
        left += px < 72 && py < 245 && pixel(&c, px, py) == EBB_PLOT_INK;
    }
    assert_true(below > 200 && left > 200);
    ebb_canvas_free(&c);
}

static int setup(void **state)
{
    (void)state;
    return ebb_context_create(NULL, &ctx) != EBB_OK;
}

static int teardown(void **state)
{
    (void)state;
    ebb_context_free(ctx);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_canvas), cmocka_unit_test(test_text), cmocka_unit_test(test_coordinates),
        cmocka_unit_test(test_contour), cmocka_unit_test(test_axes),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}

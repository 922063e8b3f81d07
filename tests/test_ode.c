/* test_ode.c: the adaptive integrator: order, tolerances, both directions, rows that do not see each other, errors. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "diffusion/ode.h"
#include "support/one_context.h"

enum { ROWS = 4, COUNT = 2 };

/* A pendulum, each row at its own pace: y0' = w y1, y1' = -w sin(y0). */
typedef struct pendulum { double pace[ROWS]; int64_t n, calls, stop_at; bool skip; } pendulum;

static int swing(void *self, const double *t, const uint8_t *active, const double *y, double *dy)
{
    pendulum *p = self;
    (void)t;
    for (int64_t i = 0; i < p->n; i++) {
        if (p->skip && !active[i])
            continue;
        dy[2 * i] = p->pace[i] * y[2 * i + 1];
        dy[2 * i + 1] = -p->pace[i] * sin(y[2 * i]);
    }
    return ++p->calls == p->stop_at;
}

/* y' = t^4: what a method of fifth order integrates exactly, the time of each stage included. */
static int powers(void *self, const double *t, const uint8_t *active, const double *y, double *dy)
{
    (void)self, (void)active, (void)y;
    for (int d = 0; d < 2; d++)
        dy[d] = pow(*t, 4);
    return 0;
}

/* y' = y^2 from 1: infinite at t = 1. */
static int explode(void *self, const double *t, const uint8_t *active, const double *y, double *dy)
{
    (void)self, (void)t, (void)active;
    dy[0] = y[0] * y[0];
    return 0;
}

static int not_finite(void *self, const double *t, const uint8_t *active, const double *y, double *dy)
{
    const double *from = self;
    (void)active, (void)y;
    dy[0] = *t >= *from ? NAN : 1;
    return 0;
}

static double work[9 * ROWS * COUNT + 6 * ROWS];

static ebb_status solve(ebb_ode *o, double *y)
{
    assert_true(ebb_ode_work(o->n, o->count) <= sizeof work / sizeof *work);
    memset(work, 0xff, sizeof work);
    return ebb_ode_solve(ctx, o, y, work);
}

static const double starts[ROWS][COUNT] = {{1, 0}, {0.5, 1}, {-2, 0.25}, {0.01, 0}};
static const double paces[ROWS] = {1, 3, 0.5, 2};

static ebb_ode swings(pendulum *p, double rtol)
{
    return (ebb_ode){.n = p->n, .count = 2, .f = swing, .self = p, .from = 0, .to = 3, .rtol = rtol, .atol = rtol};
}

static void test_fifth_order(void **state)
{
    (void)state;
    double y[2] = {0, 1};
    ebb_ode o = {.n = 1, .count = 2, .f = powers, .from = -1, .to = 2, .rtol = 1e-3, .atol = 1e-3};
    assert_int_equal(solve(&o, y), EBB_OK);
    assert_true(fabs(y[0] - 33.0 / 5) < 1e-13 && fabs(y[1] - 1 - 33.0 / 5) < 1e-13);
}

/* The error stays near the tolerance, and evaluations grow as its fifth root. */
static void test_tolerance(void **state)
{
    (void)state;
    double exact[ROWS * COUNT], y[ROWS * COUNT];
    pendulum p = {.n = ROWS};
    memcpy(p.pace, paces, sizeof paces);
    memcpy(exact, starts, sizeof exact);
    ebb_ode o = swings(&p, 1e-13);
    assert_int_equal(solve(&o, exact), EBB_OK);
    int64_t before = 0, first = 0;
    for (double rtol = 1e-3; rtol > 1e-11; rtol /= 100) {
        memcpy(y, starts, sizeof y);
        o = swings(&p, rtol);
        p.calls = 0;
        assert_int_equal(solve(&o, y), EBB_OK);
        assert_int_equal(o.nfe, p.calls);
        for (int d = 0; d < ROWS * COUNT; d++)
            if (!(fabs(y[d] - exact[d]) <= 50 * rtol))
                fail_msg("rtol %g: error %g at %d", rtol, fabs(y[d] - exact[d]), d);
        assert_true(o.nfe > before);
        before = o.nfe;
        first = first > 0 ? first : o.nfe;
    }
    double grown = (double)before / (double)first, law = pow(1e8, 0.2);
    if (!(grown > law / 3 && grown < law * 1.5))
        fail_msg("from rtol 1e-3 to 1e-11 %g times as many evaluations; about %g fit the order", grown, law);
}

/* Alone, among others, in another order, with and without what has arrived: the same bits and counts. */
static void test_rows(void **state)
{
    (void)state;
    double all[ROWS * COUNT], y[ROWS * COUNT];
    int64_t needed[ROWS], own[ROWS];
    for (int skip = 0; skip < 2; skip++) {
        pendulum p = {.n = ROWS, .skip = skip};
        memcpy(p.pace, paces, sizeof paces);
        memcpy(all, starts, sizeof all);
        ebb_ode o = swings(&p, 1e-6);
        o.row_nfe = needed;
        assert_int_equal(solve(&o, all), EBB_OK);
        assert_true(needed[1] > needed[2]);
        for (int i = 0; i < ROWS; i++) {
            pendulum one = {.n = 1, .pace = {paces[i]}};
            memcpy(y, starts[i], sizeof starts[i]);
            o = swings(&one, 1e-6);
            o.row_nfe = own;
            assert_int_equal(solve(&o, y), EBB_OK);
            assert_memory_equal(y, all + 2 * i, 2 * sizeof *y);
            assert_int_equal(own[0], needed[i]);
            assert_int_equal(o.nfe, needed[i]);
        }
        for (int i = 0; i < ROWS; i++) {
            p.pace[i] = paces[ROWS - 1 - i];
            memcpy(y + 2 * i, starts[ROWS - 1 - i], sizeof starts[i]);
        }
        o = swings(&p, 1e-6);
        assert_int_equal(solve(&o, y), EBB_OK);
        for (int i = 0; i < ROWS; i++)
            assert_memory_equal(y + 2 * i, all + 2 * (ROWS - 1 - i), 2 * sizeof *y);
    }
}

static void test_directions(void **state)
{
    (void)state;
    double y[ROWS * COUNT];
    pendulum p = {.n = ROWS};
    memcpy(p.pace, paces, sizeof paces);
    memcpy(y, starts, sizeof y);
    ebb_ode o = swings(&p, 1e-9);
    assert_int_equal(solve(&o, y), EBB_OK);
    o.from = 3;
    o.to = 0;
    assert_int_equal(solve(&o, y), EBB_OK);
    for (int d = 0; d < ROWS * COUNT; d++)
        assert_true(fabs(y[d] - starts[d / 2][d % 2]) < 1e-6);
    o.from = o.to = 1;
    double before[ROWS * COUNT];
    memcpy(before, y, sizeof y);
    assert_int_equal(solve(&o, y), EBB_OK);
    assert_int_equal(o.nfe, 0);
    assert_memory_equal(y, before, sizeof y);
}

static void expect(ebb_status got, ebb_status want, const char *says)
{
    assert_int_equal(got, want);
    if (strstr(ebb_message(ctx), says) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", ebb_message(ctx), says);
}

static void test_errors(void **state)
{
    (void)state;
    double y[2] = {1, 0}, from = 0.5;
    ebb_ode o = {.n = 1, .count = 1, .f = explode, .from = 0, .to = 2, .rtol = 1e-6, .atol = 1e-6};
    expect(solve(&o, y), EBB_E_NUMERIC, "row 0 cannot leave t = 1");
    o.f = not_finite;
    o.self = &from;
    expect(solve(&o, y), EBB_E_NUMERIC, "not finite");
    assert_non_null(strstr(ebb_message(ctx), "0.5"));
    from = -1;
    expect(solve(&o, y), EBB_E_NUMERIC, "at the start");
    pendulum p = {.n = 1, .pace = {1}, .stop_at = 9};
    o = swings(&p, 1e-6);
    expect(solve(&o, y), EBB_E_ARGUMENT, "stopped");
    assert_int_equal(o.nfe, 9);
    p.stop_at = 0;
    o.most = 20;
    expect(solve(&o, y), EBB_E_NUMERIC, "20 evaluations");
    o = swings(&p, 0);
    expect(solve(&o, y), EBB_E_ARGUMENT, "rtol");
    o = swings(&p, NAN);
    expect(solve(&o, y), EBB_E_ARGUMENT, "rtol");
    o = swings(&p, 1e-3);
    o.to = INFINITY;
    expect(solve(&o, y), EBB_E_ARGUMENT, "finite times");
    o.to = 1;
    o.count = 0;
    expect(solve(&o, y), EBB_E_ARGUMENT, "rows");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fifth_order), cmocka_unit_test(test_tolerance), cmocka_unit_test(test_rows),
        cmocka_unit_test(test_directions),  cmocka_unit_test(test_errors),
    };
    return cmocka_run_group_tests(tests, make_context, free_context);
}

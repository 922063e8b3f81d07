/* derivative_check.c: makes the derivatives of a case in every mode and compares them. */
#include "support/derivative_check.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/oracle.h"
#include "support/randgraph.h"

/* Of identities between derivatives, and of differences: five-point, error h^4 f^(5)/30. */
#define EXACT 1e-10
#define DIFFERENCE 1e-6
#define STEP 1e-4
/* Numbers inside a case are of the order of one: what their rounding leaves in a difference. */
#define ROUNDING (1e-15 / STEP)

ebb_value derivative_x(derivative_case *c, ebb_shape shape, double low, double high)
{
    char name[16];
    snprintf(name, sizeof name, "x%d", c->nx);
    c->low[c->nx] = low;
    c->high[c->nx] = high;
    return c->x[c->nx++] = ebb_input(c->g, name, EBB_F32, shape);
}

void derivative_y(derivative_case *c, ebb_value y)
{
    c->y[c->ny++] = y;
}

/* ---- the derivatives as nodes ------------------------------------------------------------ */

typedef struct derivatives {
    ebb_value u[DERIVATIVE_Y], v[DERIVATIVE_X], w[DERIVATIVE_X];    /* directions */
    ebb_value jv[DERIVATIVE_Y], ju[DERIVATIVE_X];                   /* J v, J' u */
    ebb_value grad[DERIVATIVE_X];                                   /* of S */
    ebb_value hw_rr[DERIVATIVE_X], hw_fr[DERIVATIVE_X], hw_rf[DERIVATIVE_X], hv_fr[DERIVATIVE_X];
    ebb_value vhw_ff;
} derivatives;

static void new_directions(ebb_graph *g, const char *letter, const ebb_value *like, int n, ebb_value *out)
{
    for (int i = 0; i < n; i++) {
        char name[32];
        snprintf(name, sizeof name, "direction %s%d", letter, i);
        out[i] = ebb_input(g, name, EBB_F32, ebb_graph_shape(g, like[i]));
    }
}

/* sum over i of <a_i, b_i>. */
static ebb_value inner(ebb_graph *g, const ebb_value *a, const ebb_value *b, int n)
{
    ebb_value sum = ebb_constant(g, EBB_SCALAR, 0);
    for (int i = 0; i < n; i++)
        sum = ebb_add(g, sum, ebb_sum_all(g, ebb_mul(g, a[i], b[i])));
    return sum;
}

static void make_derivatives(const derivative_case *c, derivatives *d)
{
    ebb_graph *g = c->g;
    ebb_value wave[DERIVATIVE_Y], along_w;
    new_directions(g, "u", c->y, c->ny, d->u);
    new_directions(g, "v", c->x, c->nx, d->v);
    new_directions(g, "w", c->x, c->nx, d->w);
    ebb_jvp(g, c->y, c->ny, c->x, d->v, c->nx, d->jv);
    ebb_vjp(g, inner(g, d->u, c->y, c->ny), EBB_NONE, c->x, c->nx, d->ju);
    for (int i = 0; i < c->ny; i++)
        wave[i] = ebb_sin(g, c->y[i]);
    ebb_value s = inner(g, d->u, wave, c->ny);
    ebb_vjp(g, s, EBB_NONE, c->x, c->nx, d->grad);
    ebb_vjp(g, inner(g, d->grad, d->w, c->nx), EBB_NONE, c->x, c->nx, d->hw_rr);
    ebb_jvp(g, d->grad, c->nx, c->x, d->w, c->nx, d->hw_fr);
    ebb_jvp(g, d->grad, c->nx, c->x, d->v, c->nx, d->hv_fr);
    ebb_jvp(g, &s, 1, c->x, d->w, c->nx, &along_w);
    ebb_vjp(g, along_w, EBB_NONE, c->x, c->nx, d->hw_rf);
    ebb_jvp(g, &along_w, 1, c->x, d->v, c->nx, &d->vhw_ff);
    if (ebb_graph_status(g) != EBB_OK)
        fail_msg("%s: %s", c->name, ebb_message(g->ctx));
}

/* ---- numbers ----------------------------------------------------------------------------- */

static int64_t count(const derivative_case *c, ebb_value v)
{
    return ebb_shape_count(ebb_graph_shape(c->g, v));
}

static double largest(const double *a, int64_t n)
{
    double top = 0;
    for (int64_t i = 0; i < n; i++)
        top = fmax(top, fabs(a[i]));
    return top;
}

/* <a, b> over the values of two lists of nodes, and the sum of the absolute terms. */
static double inner_of(const derivative_case *c, const oracle *o, const ebb_value *a, const ebb_value *b,
                       int n, double *magnitude)
{
    double sum = 0;
    *magnitude = 0;
    for (int i = 0; i < n; i++)
        for (int64_t k = 0; k < count(c, a[i]); k++) {
            double term = oracle_get(o, a[i])[k] * oracle_get(o, b[i])[k];
            sum += term;
            *magnitude += fabs(term);
        }
    return sum;
}

static void same_number(const derivative_case *c, const char *what, double a, double b, double scale)
{
    if (!(fabs(a - b) <= EXACT * scale))
        fail_msg("%s: %s: %.15g and %.15g differ by %.2g of %.2g", c->name, what, a, b, fabs(a - b), scale);
}

static void same_arrays(const derivative_case *c, const char *what, const double *a, const double *b,
                        int64_t n, double tolerance)
{
    for (int64_t i = 0; i < n; i++)
        if (!(fabs(a[i] - b[i]) <= tolerance))
            fail_msg("%s: %s: element %lld is %.15g, should be %.15g within %.2g", c->name, what,
                     (long long)i, a[i], b[i], tolerance);
}

/* Every leaf at its random place, moved by `step` along v. */
static void set_leaves(const derivative_case *c, const derivatives *d, oracle *o, double step)
{
    ebb_graph *g = c->g;
    for (int k = 0; k < g->ninputs + g->nparams; k++) {
        ebb_value leaf = k < g->ninputs ? g->inputs[k] : g->params[k - g->ninputs];
        int64_t n = count(c, leaf);
        double *data = malloc((size_t)n * sizeof *data), *v = malloc((size_t)n * sizeof *v);
        assert_true(data && v);
        randgraph_fill(g, leaf, 7, data);
        for (int i = 0; i < c->nx; i++)
            if (c->x[i] == leaf) {
                randgraph_fill(g, d->v[i], 7, v);
                for (int64_t j = 0; j < n; j++)
                    data[j] = c->low[i] + (c->high[i] - c->low[i]) * (data[j] + 1) / 2 + step * v[j];
            }
        oracle_set(o, leaf, data);
        free(data);
        free(v);
    }
}

/* Which side each max, min and step of the graph is on: a hash (FNV-1a). */
static uint64_t sides(const derivative_case *c, const oracle *o)
{
    uint64_t hash = 14695981039346656037u;
    for (ebb_value v = 0; v < c->g->count; v++) {
        const ebb_node *n = &c->g->node[v];
        bool pair = n->op == EBB_OP_max || n->op == EBB_OP_min;
        if (!pair && n->op != EBB_OP_step)
            continue;
        const double *a = oracle_get(o, n->in[0]), *b = pair ? oracle_get(o, n->in[1]) : NULL;
        for (int64_t k = 0; k < count(c, v); k++)
            hash = (hash ^ (a[k] > (b ? b[k] : 0))) * 1099511628211u;
    }
    return hash;
}

/* Derivatives along v of the values of n nodes by differences, against the nodes in `want`. There is nothing to
 * compare where a kink lies between the places. */
static void check_differences(derivative_case *c, const derivatives *d, oracle *o, const char *what,
                              const ebb_value *of, const ebb_value *want, int n)
{
    static const double weight[] = { 1.0 / 12, -8.0 / 12, 8.0 / 12, -1.0 / 12 };
    static const double place[] = { -2, -1, 1, 2 };
    double **slope = calloc((size_t)n, sizeof *slope);
    uint64_t side[4];
    for (int i = 0; i < n; i++)
        slope[i] = calloc((size_t)count(c, of[i]), sizeof **slope);
    for (int p = 0; p < 4; p++) {
        set_leaves(c, d, o, place[p] * STEP);
        oracle_run(o);
        side[p] = sides(c, o);
        for (int i = 0; i < n; i++)
            for (int64_t k = 0; k < count(c, of[i]); k++)
                slope[i][k] += weight[p] / STEP * oracle_get(o, of[i])[k];
    }
    set_leaves(c, d, o, 0);
    oracle_run(o);
    bool smooth = true;
    for (int p = 0; p < 4; p++)
        smooth &= side[p] == sides(c, o);
    c->kinks += !smooth;
    double scale = 0;
    for (int i = 0; i < n; i++) {
        /* Rounding of the values shows in their differences, also where these are small. */
        double value = largest(oracle_get(o, of[i]), count(c, of[i]));
        scale = fmax(scale, largest(slope[i], count(c, of[i])) + 1e-3 * value);
    }
    for (int i = 0; i < n; i++) {
        if (smooth)
            same_arrays(c, what, oracle_get(o, want[i]), slope[i], count(c, of[i]), DIFFERENCE * scale + ROUNDING);
        free(slope[i]);
    }
    free(slope);
}

/* ---- the identities ---------------------------------------------------------------------- */

static bool check_first_order(derivative_case *c, const derivatives *d, oracle *o)
{
    double m, n;
    double forward = inner_of(c, o, d->u, d->jv, c->ny, &m), reverse = inner_of(c, o, d->ju, d->v, c->nx, &n);
    same_number(c, "<u, Jv> = <J'u, v>", forward, reverse, m + n);
    check_differences(c, d, o, "Jv against differences", c->y, d->jv, c->ny);
    return m + n > 0;
}

static void check_second_order(derivative_case *c, const derivatives *d, oracle *o)
{
    double m, n, k;
    double vhw = inner_of(c, o, d->v, d->hw_fr, c->nx, &m), whv = inner_of(c, o, d->w, d->hv_fr, c->nx, &n);
    same_number(c, "<v, Hw> = <w, Hv>", vhw, whv, m + n);
    same_number(c, "forward over forward", oracle_get(o, d->vhw_ff)[0], vhw, m + n);
    same_number(c, "reverse over reverse", inner_of(c, o, d->v, d->hw_rr, c->nx, &k), vhw, m + n);
    double top = 0;
    for (int i = 0; i < c->nx; i++)
        top = fmax(top, largest(oracle_get(o, d->hw_fr[i]), count(c, c->x[i])));
    for (int i = 0; i < c->nx; i++) {
        const double *want = oracle_get(o, d->hw_fr[i]);
        int64_t size = count(c, c->x[i]);
        same_arrays(c, "Hw by reverse over reverse", oracle_get(o, d->hw_rr[i]), want, size, EXACT * top);
        same_arrays(c, "Hw by reverse over forward", oracle_get(o, d->hw_rf[i]), want, size, EXACT * top);
    }
    check_differences(c, d, o, "Hv against differences of the gradient", d->grad, d->hv_fr, c->nx);
}

static void check_shapes(const derivative_case *c, const derivatives *d)
{
    for (int i = 0; i < c->ny; i++)
        assert_true(ebb_shape_equal(ebb_graph_shape(c->g, d->jv[i]), ebb_graph_shape(c->g, c->y[i])));
    for (int i = 0; i < c->nx; i++) {
        ebb_shape x = ebb_graph_shape(c->g, c->x[i]);
        assert_true(ebb_shape_equal(ebb_graph_shape(c->g, d->ju[i]), x));
        assert_true(ebb_shape_equal(ebb_graph_shape(c->g, d->hw_rr[i]), x));
        assert_true(ebb_shape_equal(ebb_graph_shape(c->g, d->hw_rf[i]), x));
    }
}

bool derivative_check(derivative_case *c)
{
    derivatives d;
    make_derivatives(c, &d);
    check_shapes(c, &d);
    oracle *o = oracle_create(c->g);
    set_leaves(c, &d, o, 0);
    oracle_run(o);
    bool moves = check_first_order(c, &d, o);
    check_second_order(c, &d, o);
    oracle_free(o);
    return moves;
}

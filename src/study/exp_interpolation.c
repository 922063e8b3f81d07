/* exp_interpolation.c: E7, E15: pictures between pictures, by the codes that the probability flow gives them (Song et al. 2021,
 * sec. 5.3 and app. D.3).
 *
 * Held-out digits in pairs are encoded, the ways between their codes decoded. A picture must come back from its code, the nearer
 * the smaller the tolerance of both integrations. Codes of a normal law lie near one sphere: along the great circle they must
 * stay as long as its ends are, along the line they fall short of it, to |u+v|/2 in the middle. And the way must be continuous
 * in pictures: with twice as many stops the largest move from one to the next becomes smaller, as it would not where the picture
 * jumps.
 */
#include <math.h>
#include <string.h>

#include "study/experiment.h"

enum { PAIRS = 4, STOPS = 17, SHOWN = 9, PATHS = 2, ROWS = 2 * PAIRS };
static const char *const paths[PATHS] = {"spherical", "linear"};

typedef struct job {
    ebb_trial *x;
    ebb_model *model;
    int pairs;
    ebb_latent_options o;
    ebb_trial_pictures ends;     /* (2 pairs) */
    double *codes, *way;         /* (2 pairs, numbers), (pairs, STOPS, numbers) */
    float *pictures[PATHS];      /* (pairs, STOPS, numbers) */
} job;

static double length(int64_t n, const double *a)
{
    double square = 0;
    for (int64_t d = 0; d < n; d++)
        square += a[d] * a[d] / (double)n;
    return sqrt(square);
}

static double apart(int64_t n, const float *a, const float *b)
{
    double square = 0;
    for (int64_t d = 0; d < n; d++)
        square += ((double)a[d] - b[d]) * ((double)a[d] - b[d]) / (double)n;
    return sqrt(square);
}

/* ---- figures ------------------------------------------------------------------------------------------------------------------ */

/* Lengths (root mean square) of codes and of those between. */
static void check_lengths(job *j, int path)
{
    int64_t n = j->ends.numbers;
    double least = INFINITY, most = 0, middle = 0, off = 0;
    for (int p = 0; p < j->pairs; p++) {
        const double *u = j->codes + 2 * p * n, *v = u + n, *way = j->way + p * STOPS * n;
        double shorter = fmin(length(n, u), length(n, v)), longer = fmax(length(n, u), length(n, v)), half = 0;
        for (int s = 0; s < STOPS; s++) {
            least = fmin(least, length(n, way + s * n) / shorter);
            most = fmax(most, length(n, way + s * n) / longer);
        }
        for (int64_t d = 0; d < n; d++)
            half += (u[d] + v[d]) * (u[d] + v[d]) / (4.0 * (double)n);
        middle += length(n, way + STOPS / 2 * n) / (0.5 * (shorter + longer)) / j->pairs;
        off = fmax(off, fabs(length(n, way + STOPS / 2 * n) - sqrt(half)));
    }
    if (path == 0) {
        ebb_trial_expect(j->x, least, 1 - 1e-9, INFINITY, "at least 1", "great circle: least length, beside the shorter end's");
        ebb_trial_expect(j->x, most, 0, 1 + 1e-9, "at most 1, but for angles above 90 degrees", "great circle: most length, beside the longer end's");
    } else {
        ebb_trial_expect(j->x, middle, 0.5, 0.9, "well below 1; of independent codes 0.71", "line: length in the middle, beside the ends'");
        ebb_trial_expect(j->x, off, 0, 1e-12, "0: it is |u+v|/2", "line: the same less |u+v|/2");
    }
}

/* Their codes decoded again; and, less exactly, as the ends of the ways. */
static ebb_status check_ends(job *j, const ebb_latent_options *exact)
{
    int64_t n = j->ends.numbers, count = 2 * j->pairs;
    double square = 0, loose = 0, most = 0, code = 0;
    float *again;
    EBB_TRY(ebb_alloc(j->x->ctx, (void **)&again, (size_t)count, (size_t)n * sizeof *again, "pictures"));
    ebb_status status = ebb_trial_decode(j->x, j->model, exact, "decoding again", count, j->codes, again);
    for (int64_t i = 0; i < count; i++) {
        const float *truth = j->ends.x + i * n;
        square += pow(apart(n, again + i * n, truth), 2) / (double)count;
        loose += pow(apart(n, j->pictures[0] + (i / 2 * STOPS + i % 2 * (STOPS - 1)) * n, truth), 2) / (double)count;
        code += length(n, j->codes + i * n) / (double)count;
        for (int64_t d = 0; d < n; d++)
            most = fmax(most, fabs((double)again[i * n + d] - truth[d]));
    }
    ebb_free(again);
    ebb_trial_expect(j->x, code, 0.9, 1.1, "1 within 10%", "length of codes (root mean square)");
    ebb_trial_expect(j->x, sqrt(square), 0, 0.005, "at most 0.005; a grey level: 0.0078", "pictures from their codes, off by (root mean square)");
    ebb_trial_expect(j->x, most, 0, 0.25, "at most 0.25", "the same, at most");
    ebb_trial_expect(j->x, sqrt(square / loose), 0, 0.5, "at most 1/2", "the same (root mean square) beside a tolerance 100 times as large");
    return status;
}

/* The largest move of each pair's way, of all stops beside every second. */
static void check_moves(job *j, int path)
{
    int64_t n = j->ends.numbers;
    double ratio = 0;
    for (int p = 0; p < j->pairs; p++) {
        const float *way = j->pictures[path] + p * STOPS * n;
        double fine = 0, coarse = 0;
        for (int s = 1; s < STOPS; s++) {
            fine = fmax(fine, apart(n, way + (s - 1) * n, way + s * n));
            coarse = s >= 2 && s % 2 == 0 ? fmax(coarse, apart(n, way + (s - 2) * n, way + s * n)) : coarse;
        }
        ratio += fine / coarse / j->pairs;
    }
    if (path == 0)
        ebb_trial_expect(j->x, ratio, 0.5, 0.95, "0.5 to 0.95; 1: it jumps", "great circle: largest move with 16 steps beside that with 8");
    else
        ebb_trial_figure(j->x, ratio, "", "line: largest move with 16 steps beside that with 8");
}

/* ---- working ------------------------------------------------------------------------------------------------------------------ */

static ebb_status walk(job *j, int path)
{
    int64_t n = j->ends.numbers;
    for (int p = 0; p < j->pairs; p++)
        EBB_TRY(ebb_latent_between(j->x->ctx, paths[path], n, j->codes + 2 * p * n, j->codes + (2 * p + 1) * n, STOPS,
                                   j->way + p * STOPS * n, NULL));
    check_lengths(j, path);
    EBB_TRY(ebb_trial_decode(j->x, j->model, &j->o, path == 0 ? "decoding, great circle" : "decoding, line", j->pairs * STOPS, j->way,
                             j->pictures[path]));
    check_moves(j, path);
    return EBB_OK;
}

/* Each pair by both ways, every second stop. */
static ebb_status draw(job *j)
{
    const char *names[ROWS];
    ebb_trial_pictures p = j->ends;
    size_t n = (size_t)p.numbers;
    p.n = j->pairs * PATHS * SHOWN;
    EBB_TRY(ebb_alloc(j->x->ctx, (void **)&p.x, (size_t)p.n, n * sizeof *p.x, "strips"));
    for (int64_t i = 0; i < p.n; i++) {
        int64_t row = i / SHOWN, stop = i % SHOWN * (STOPS - 1) / (SHOWN - 1);
        names[row] = row % 2 == 0 ? "circle" : "line";
        memcpy(p.x + (size_t)i * n, j->pictures[row % 2] + (size_t)(row / 2 * STOPS + stop) * n, n * sizeof *p.x);
    }
    ebb_status status = ebb_trial_grid(j->x, "", &p, j->pairs * PATHS, SHOWN, names);
    ebb_free(p.x);
    return status;
}

static ebb_status make(job *j)
{
    ebb_context *ctx = j->x->ctx;
    EBB_TRY(ebb_trial_model(j->x, 0, &j->model));
    EBB_TRY(ebb_trial_pictures_for(j->x, j->model, EBB_TEST_DIGITS, NULL, 0, 2 * j->pairs, &j->ends));
    size_t n = (size_t)j->ends.numbers, pairs = (size_t)j->pairs;
    EBB_TRY(ebb_alloc(ctx, (void **)&j->codes, pairs * (2 + STOPS), n * sizeof(double), "codes"));
    EBB_TRY(ebb_alloc(ctx, (void **)&j->pictures[0], pairs * PATHS * STOPS, n * sizeof(float), "pictures"));
    j->way = j->codes + 2 * pairs * n;
    j->pictures[1] = j->pictures[0] + pairs * STOPS * n;
    return EBB_OK;
}

ebb_status ebb_exp_interpolation(ebb_trial *x)
{
    job j = {.x = x, .pairs = (int)ebb_trial_scale(x, PAIRS, 1), .o = ebb_latent_defaults()};
    ebb_latent_options exact = j.o;
    j.o.rtol = j.o.atol = x->o.quick ? 1e-2 : 1e-3;
    exact.rtol = exact.atol = j.o.rtol / 100;
    ebb_status status = make(&j);
    if (status == EBB_OK)
        status = ebb_trial_encode(x, j.model, &exact, "encoding", j.ends.n, j.ends.x, j.codes);
    for (int path = 0; path < PATHS && status == EBB_OK; path++)
        status = walk(&j, path);
    if (status == EBB_OK)
        status = check_ends(&j, &exact);
    if (status == EBB_OK)
        status = draw(&j);
    ebb_free(j.codes);
    ebb_free(j.pictures[0]);
    ebb_trial_pictures_free(&j.ends);
    ebb_model_free(j.model);
    return status;
}

/* targets.c: the laws of targets.def, and the text that names one with its options: "ring:modes=6,sd=0.05".
 *
 * Curves and squares are mixtures of many small normal laws as well, so that their scores are exact too. Where a law has
 * classes, they are what a person would name: a mode, a moon, an arm, a square.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "diffusion/target.h"

#define PI 3.14159265358979323846
#define OPTIONS_MAX 8

/* A mixture that grows part by part. */
typedef struct growing {
    int parts, dim, most;
    double *weight, *mean, *cov; /* one allocation */
    int32_t *label;
} growing;

static ebb_status grow_create(ebb_context *ctx, int most, int dim, growing *g)
{
    size_t k = (size_t)most, d = (size_t)dim;
    if (most > EBB_TARGET_PARTS_MAX)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "law of %d parts: at most %d are possible", most, EBB_TARGET_PARTS_MAX);
    *g = (growing){.dim = dim, .most = most};
    EBB_TRY(ebb_alloc(ctx, (void **)&g->weight, k * (1 + d + d * d) + (k + 1) / 2, sizeof(double), "a law"));
    g->mean = g->weight + k;
    g->cov = g->mean + k * d;
    g->label = (int32_t *)(void *)(g->cov + k * d * d);
    return EBB_OK;
}

/* One more part, alike in each direction; returns its covariance. */
static double *grow(growing *g, int label, const double *mean, double sd)
{
    int k = g->parts++, n = g->dim;
    double *cov = g->cov + k * n * n;
    g->weight[k] = 1;
    g->label[k] = label;
    for (int i = 0; i < n; i++)
        g->mean[k * n + i] = mean[i];
    for (int i = 0; i < n * n; i++)
        cov[i] = i % (n + 1) == 0 ? sd * sd : 0;
    return cov;
}

static ebb_status grow_end(ebb_context *ctx, growing *g, ebb_target *out)
{
    ebb_status status = ebb_target_create(ctx, g->parts, g->dim, g->weight, g->mean, g->cov, g->label, out);
    ebb_free(g->weight);
    return status;
}

/* ---- the laws; o: the options in the order of their row ------------------------------------------------------------ */

static ebb_status make_gaussian(ebb_context *ctx, const double *o, ebb_target *out)
{
    growing g;
    double mean[EBB_TARGET_DIM_MAX];
    if (o[0] > EBB_TARGET_DIM_MAX)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "dim=%g: at most %d is possible", o[0], EBB_TARGET_DIM_MAX);
    for (int i = 0; i < (int)o[0]; i++)
        mean[i] = o[1];
    EBB_TRY(grow_create(ctx, 1, (int)o[0], &g));
    grow(&g, 0, mean, o[2]);
    return grow_end(ctx, &g, out);
}

/* count modes on a line, evenly around 0. */
static ebb_status line(ebb_context *ctx, int count, double spacing, double sd, ebb_target *out)
{
    growing g;
    EBB_TRY(grow_create(ctx, count, 1, &g));
    for (int k = 0; k < count; k++)
        grow(&g, k, (double[]){(k - (count - 1) / 2.0) * spacing}, sd);
    return grow_end(ctx, &g, out);
}

static ebb_status make_two_modes(ebb_context *ctx, const double *o, ebb_target *out)
{
    return line(ctx, 2, o[0], o[1], out);
}

static ebb_status make_digits(ebb_context *ctx, const double *o, ebb_target *out)
{
    return line(ctx, (int)o[0], o[1], o[2], out);
}

/* Three modes at the same places; cov (3,2,2). */
static ebb_status three(ebb_context *ctx, double scale, const double *cov, ebb_target *out)
{
    static const double weight[] = {0.2, 0.5, 0.3}, mean[] = {-1.5, 0.5, 1.0, 1.0, 0.2, -1.2};
    static const int32_t label[] = {0, 1, 1};
    double scaled_mean[6], scaled_cov[12];
    for (int i = 0; i < 6; i++)
        scaled_mean[i] = scale * mean[i];
    for (int i = 0; i < 12; i++)
        scaled_cov[i] = scale * scale * cov[i];
    return ebb_target_create(ctx, 3, 2, weight, scaled_mean, scaled_cov, label, out);
}

static ebb_status make_mixture(ebb_context *ctx, const double *o, ebb_target *out)
{
    static const double cov[] = {0.07938473, 0.02510746,  0.02510746,  0.03061527, 0.11019803,  -0.05912698,
                                 -0.05912698, 0.08980197, 0.10559754, -0.02829737, -0.02829737, 0.06440246};
    return three(ctx, o[0], cov, out);
}

static ebb_status make_blobs(ebb_context *ctx, const double *o, ebb_target *out)
{
    static const double cov[] = {0.08, 0.02, 0.02, 0.06, 0.10, -0.04, -0.04, 0.12, 0.11, 0.02, 0.02, 0.07};
    return three(ctx, o[0], cov, out);
}

static ebb_status make_ring(ebb_context *ctx, const double *o, ebb_target *out)
{
    growing g;
    EBB_TRY(grow_create(ctx, (int)o[0], 2, &g));
    for (int k = 0; k < g.most; k++)
        grow(&g, k, (double[]){o[1] * cos(2 * PI * k / g.most), o[1] * sin(2 * PI * k / g.most)}, o[2]);
    return grow_end(ctx, &g, out);
}

static ebb_status make_grid(ebb_context *ctx, const double *o, ebb_target *out)
{
    growing g;
    int side = (int)fmin(o[0], EBB_TARGET_PARTS_MAX);
    EBB_TRY(grow_create(ctx, side > 64 ? EBB_TARGET_PARTS_MAX + 1 : side * side, 2, &g));
    for (int k = 0; k < g.most; k++)
        grow(&g, k, (double[]){(k % side - (side - 1) / 2.0) * o[1], (k / side - (side - 1) / 2.0) * o[1]}, o[2]);
    return grow_end(ctx, &g, out);
}

/* The upper half of one circle and the lower half of another, each begun in the middle of the other. */
static ebb_status make_moons(ebb_context *ctx, const double *o, ebb_target *out)
{
    growing g;
    int each = (int)fmin(o[0], EBB_TARGET_PARTS_MAX);
    double r = o[1];
    EBB_TRY(grow_create(ctx, 2 * each, 2, &g));
    for (int k = 0; k < g.most; k++) {
        double side = k < each ? 1 : -1, angle = PI * (k % each + 0.5) / each;
        grow(&g, k / each, (double[]){side * (r * cos(angle) - r / 2), side * (r * sin(angle) - r / 4)}, o[2]);
    }
    return grow_end(ctx, &g, out);
}

/* Parts at equal distances along r = radius u, angle = 2 pi turns u: u the root of what is spread evenly, near enough. */
static ebb_status make_spiral(ebb_context *ctx, const double *o, ebb_target *out)
{
    growing g;
    int each = (int)fmin(o[2], EBB_TARGET_PARTS_MAX), arms = (int)fmin(o[0], EBB_TARGET_PARTS_MAX);
    int64_t all = (int64_t)arms * each;
    EBB_TRY(grow_create(ctx, all > EBB_TARGET_PARTS_MAX ? EBB_TARGET_PARTS_MAX + 1 : (int)all, 2, &g));
    for (int k = 0; k < g.most; k++) {
        double u = sqrt((k % each + 1.0) / each), angle = 2 * PI * (o[1] * u + (double)(k / each) / arms);
        grow(&g, k / each, (double[]){o[3] * u * cos(angle), o[3] * u * sin(angle)}, o[4]);
    }
    return grow_end(ctx, &g, out);
}

/* Squares whose row and column add up to an even number; their parts stand in the middles of parts x parts equal cells and
 * are so wide that the sum of a row has no ripples: nearly uniform inside, soft at the edges. */
static ebb_status make_checkerboard(ebb_context *ctx, const double *o, ebb_target *out)
{
    growing g;
    int side = (int)fmin(o[0], 1000), parts = (int)fmin(o[2], 1000), label = 0;
    int64_t all = ((int64_t)side * side + 1) / 2 * parts * parts;
    double square = o[1] / side, cell = square / parts;
    EBB_TRY(grow_create(ctx, all > EBB_TARGET_PARTS_MAX ? EBB_TARGET_PARTS_MAX + 1 : (int)all, 2, &g));
    for (int s = 0; s < side * side; s++) {
        if ((s / side + s % side) % 2 != 0)
            continue;
        for (int k = 0; k < parts * parts; k++)
            grow(&g, label, (double[]){s % side * square + (k % parts + 0.5) * cell - o[1] / 2,
                                       s / side * square + (k / parts + 0.5) * cell - o[1] / 2}, 0.45 * cell);
        label++;
    }
    return grow_end(ctx, &g, out);
}

static double normal_number(const ebb_rng_at *at, int i)
{
    double u = ebb_rng_uniform(at, (uint32_t)(2 * i)), angle = 2 * PI * ebb_rng_uniform(at, (uint32_t)(2 * i + 1));
    return sqrt(-2 * log(1 - u)) * cos(angle);
}

/* Means spread N(0,1), covariances sd^2 (1 + 3 v v') of a random unit v. */
static ebb_status make_high(ebb_context *ctx, const double *o, ebb_target *out)
{
    growing g;
    int n = (int)o[0];
    double mean[EBB_TARGET_DIM_MAX], v[EBB_TARGET_DIM_MAX], length;
    if (n > EBB_TARGET_DIM_MAX)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "dim=%g: at most %d is possible", o[0], EBB_TARGET_DIM_MAX);
    EBB_TRY(grow_create(ctx, (int)o[1], n, &g));
    for (int k = 0; k < g.most; k++) {
        ebb_rng_at at = {.seed = (uint64_t)o[4], .stream = EBB_STREAM_LAW, .sample = (uint32_t)k};
        length = 0;
        for (int i = 0; i < n; i++) {
            mean[i] = o[2] * normal_number(&at, i);
            v[i] = normal_number(&at, n + i);
            length += v[i] * v[i];
        }
        double *cov = grow(&g, k, mean, o[3]);
        for (int i = 0; i < n * n; i++)
            cov[i] += 3 * o[3] * o[3] * v[i / n] * v[i % n] / length;
    }
    return grow_end(ctx, &g, out);
}

/* ---- by name ------------------------------------------------------------------------------------------------------------ */

static const struct row {
    ebb_target_kind kind;
    ebb_status (*make)(ebb_context *ctx, const double *option, ebb_target *out);
} rows[] = {
#define TARGET(name, function, options, help) {{name, options, help}, function},
#include "diffusion/targets.def"
#undef TARGET
};
#define ROWS ((int)(sizeof rows / sizeof rows[0]))

const ebb_target_kind *ebb_target_kind_at(int i)
{
    return i >= 0 && i < ROWS ? &rows[i].kind : NULL;
}

typedef struct option { char key[32]; double value; } option;

/* Takes one "key=number" from *text; false: it is not of that form. */
static bool cut_option(const char **text, option *out)
{
    size_t n = strcspn(*text, "=,");
    char *end;
    if (n == 0 || n >= sizeof out->key || (*text)[n] != '=')
        return false;
    memcpy(out->key, *text, n);
    out->key[n] = 0;
    out->value = strtod(*text + n + 1, &end);
    if (end == *text + n + 1 || (*end != 0 && *end != ',') || !isfinite(out->value))
        return false;
    *text = *end == ',' ? end + 1 : end;
    return true;
}

/* Counts are whole numbers from 1, lengths numbers above 0. */
static ebb_status check_option(ebb_context *ctx, const char *law, const option *given)
{
    static const char *const counts[] = {"dim", "classes", "modes", "side", "parts", "arms", "seed", NULL};
    bool whole = false;
    for (int i = 0; counts[i] != NULL; i++)
        whole = whole || strcmp(counts[i], given->key) == 0;
    double most = strcmp(given->key, "seed") == 0 ? 4294967295.0 : whole ? EBB_TARGET_PARTS_MAX : 1e6;
    if (whole && (given->value < 1 || given->value > most || given->value != floor(given->value)))
        return ebb_fail(ctx, EBB_E_ARGUMENT, "law %s: %s=%g: a whole number from 1 to %.0f is needed", law, given->key,
                        given->value, most);
    if (!whole && strcmp(given->key, "mean") != 0 && strcmp(given->key, "turns") != 0 && !(given->value > 0))
        return ebb_fail(ctx, EBB_E_ARGUMENT, "law %s: %s=%g: a number above 0 is needed", law, given->key, given->value);
    if (fabs(given->value) > most)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "law %s: %s=%g is too large", law, given->key, given->value);
    return EBB_OK;
}

/* "key=value,..." over the defaults of a row. */
static ebb_status read_options(ebb_context *ctx, const ebb_target_kind *kind, const char *text, double *value)
{
    option known[OPTIONS_MAX], given;
    const char *names[OPTIONS_MAX], *defaults = kind->options;
    char near[80];
    int count = 0, at;
    for (; count < OPTIONS_MAX && *defaults != 0 && cut_option(&defaults, &known[count]); count++) {
        names[count] = known[count].key;
        value[count] = known[count].value;
    }
    while (*text != 0) {
        if (!cut_option(&text, &given))
            return ebb_fail(ctx, EBB_E_USAGE, "law %s: '%.60s' is not of the form key=number; it takes %s", kind->name, text,
                            kind->options);
        for (at = 0; at < count && strcmp(names[at], given.key) != 0;)
            at++;
        if (at == count)
            return ebb_fail(ctx, EBB_E_USAGE, "law %s: unknown option '%s'%s (it takes %s)", kind->name, given.key,
                            ebb_suggest(given.key, names, count, near, sizeof near), kind->options);
        EBB_TRY(check_option(ctx, kind->name, &given));
        value[at] = given.value;
    }
    return EBB_OK;
}

ebb_status ebb_target_named(ebb_context *ctx, const char *name, ebb_target *out)
{
    size_t n = strcspn(name, ":");
    const char *names[ROWS];
    char near[80], head[64];
    double value[OPTIONS_MAX];
    *out = (ebb_target){0};
    for (int i = 0; i < ROWS; i++) {
        names[i] = rows[i].kind.name;
        if (strlen(names[i]) != n || strncmp(names[i], name, n) != 0)
            continue;
        EBB_TRY(read_options(ctx, &rows[i].kind, name[n] == ':' ? name + n + 1 : name + n, value));
        return rows[i].make(ctx, value, out);
    }
    snprintf(head, sizeof head, "%.*s", (int)(n < 63 ? n : 63), name);
    return ebb_fail(ctx, EBB_E_USAGE, "no exact law of the name '%s'%s", head,
                    ebb_suggest(head, names, ROWS, near, sizeof near));
}

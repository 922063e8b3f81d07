/* latent_verbs.c: the verbs of ebb latent: encode, decode, interpolate, temperature.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/latent.h"

enum { ENCODE_USUAL = 100, WAY_USUAL = 9, ROW_USUAL = 8 };

static int no_memory(int64_t n)
{
    return cli_fail("no memory for %lld pictures: take fewer, with -n", (long long)n);
}

static double rms_of(int64_t count, const double *x)
{
    double square = 0;
    for (int64_t i = 0; i < count; i++)
        square += x[i] * x[i] / (double)count;
    return sqrt(square);
}

/* Columns of a grid of n pictures: as ebb sample has them. */
static int columns_of(int64_t n)
{
    return latent.columns > 0 ? latent.columns : (int)ceil(sqrt((double)n));
}

/* ---- encode ---------------------------------------------------------------------------------------------------------- */

static void report_codes(latent_job *j, int64_t n, const double *codes)
{
    double mean = 0, rms = rms_of(n * j->numbers, codes);
    for (int64_t i = 0; i < n * j->numbers; i++)
        mean += codes[i] / (double)(n * j->numbers);
    json_object_set_new(j->report, "mean", json_real(mean));
    json_object_set_new(j->report, "deviation", json_real(sqrt(fmax(rms * rms - mean * mean, 0))));
}

static ebb_status encode_all(latent_job *j, const ebb_pictures *p, double *codes, float *again)
{
    ebb_status status = latent_encode(j, "encoding", "nfe", p->n, p->pixels, codes);
    if (status == EBB_OK && !latent.unchecked)
        status = latent_decode(j, "decoding again", "nfe_back", p->n, codes, again);
    if (status == EBB_OK)
        status = ebb_latent_write(j->ctx, j->model, latent.out, p->n, codes);
    if (status != EBB_OK)
        return status;
    report_codes(j, p->n, codes);
    if (!latent.unchecked)
        json_object_set_new(j->report, "round_trip", latent_error(p->pixels, again, p->n * j->numbers));
    return EBB_OK;
}

/* So many pictures as there are, when the number is left open. */
static ebb_status read_pictures(latent_job *j, ebb_pictures *p)
{
    ebb_status status = ebb_pictures_read(j->ctx, j->model, j->rest[0], latent.labels, latent.first, latent.n, p);
    if (status == EBB_OK && latent.n == 0 && p->n > ENCODE_USUAL)
        p->n = ENCODE_USUAL;
    if (status == EBB_OK && latent.labels)
        j->o.labels = p->labels;
    return status;
}

static int encode(latent_job *j)
{
    ebb_pictures p;
    ebb_status status = read_pictures(j, &p);
    if (status != EBB_OK)
        return latent_fail(j, status);
    size_t count = (size_t)(p.n * j->numbers);
    double *codes = malloc(count * sizeof *codes);
    float *again = malloc(count * sizeof *again);
    int code = codes && again ? CLI_OK : no_memory(p.n);
    json_object_set_new(j->report, "pictures", json_integer(p.n));
    if (code == CLI_OK && (status = encode_all(j, &p, codes, again)) != EBB_OK)
        code = latent_fail(j, status);
    free(codes);
    free(again);
    ebb_pictures_free(&p);
    return code;
}

/* ---- decode ------------------------------------------------------------------------------------------------------------ */

static ebb_status read_labels(latent_job *j, int64_t n, int32_t **labels)
{
    if (!latent.labels)
        return EBB_OK;
    ebb_status status = ebb_labels_read(j->ctx, j->model, latent.labels, latent.first, n, labels);
    j->o.labels = *labels;
    return status;
}

static int decode(latent_job *j)
{
    double *codes;
    int32_t *labels = NULL;
    int64_t n;
    ebb_status status = ebb_latent_read(j->ctx, j->model, j->rest[0], latent.first, latent.n, &codes, &n);
    if (status == EBB_OK)
        status = read_labels(j, n, &labels);
    float *pixels = status == EBB_OK ? malloc((size_t)(n * j->numbers) * sizeof *pixels) : NULL;
    int code = status != EBB_OK ? latent_fail(j, status) : pixels ? CLI_OK : no_memory(n);
    if (code == CLI_OK) {
        json_object_set_new(j->report, "pictures", json_integer(n));
        status = latent_decode(j, "decoding", "nfe", n, codes, pixels);
        if (status == EBB_OK)
            status = latent_write(j, n, pixels, columns_of(n), NULL);
        if (status != EBB_OK)
            code = latent_fail(j, status);
    }
    free(pixels);
    ebb_labels_free(labels);
    ebb_latent_free(codes);
    return code;
}

/* ---- interpolate --------------------------------------------------------------------------------------------------------- */

typedef struct way_end {
    double *code;                /* (numbers) */
    float *picture;              /* (numbers) where it is one of a file; else NULL */
} way_end;

/* FILE[:K]: the file's name to `path`, and K. */
static int split_name(const char *text, char *path, size_t size, long long *k)
{
    const char *colon = strrchr(text, ':');
    char *end;
    *k = 0;
    bool numbered = colon && colon[1] && strspn(colon + 1, "0123456789") == strlen(colon + 1) && access(text, F_OK) != 0;
    if (numbered) {
        errno = 0;
        *k = strtoll(colon + 1, &end, 10);
        if (errno)
            return cli_fail_usage("%s: the number behind the colon is too large", text);
    }
    int n = snprintf(path, size, "%.*s", numbered ? (int)(colon - text) : (int)strlen(text), text);
    return n >= 0 && (size_t)n < size ? CLI_OK : cli_fail_usage("%s: the name is too long", text);
}

static ebb_status take_code(latent_job *j, const char *path, long long k, way_end *e)
{
    double *codes;
    int64_t n;
    ebb_status status = ebb_latent_read(j->ctx, j->model, path, k, 1, &codes, &n);
    if (status == EBB_OK)
        memcpy(e->code, codes, (size_t)j->numbers * sizeof *codes);
    ebb_latent_free(codes);
    return status;
}

static ebb_status take_picture(latent_job *j, const char *path, long long k, way_end *e)
{
    ebb_pictures p;
    ebb_status status = ebb_pictures_read(j->ctx, j->model, path, NULL, k, 1, &p);
    if (status == EBB_OK) {
        memcpy(e->picture, p.pixels, (size_t)j->numbers * sizeof *p.pixels);
        status = latent_encode(j, "encoding", NULL, 1, e->picture, e->code);
    }
    ebb_pictures_free(&p);
    return status;
}

/* A sample of the seed, a code or a picture; picture becomes NULL unless it is one. */
static int take_end(latent_job *j, const char *text, way_end *e)
{
    char path[4096];
    long long k;
    if (strspn(text, "0123456789") == strlen(text) && access(text, F_OK) != 0) {
        errno = 0;
        k = strtoll(text, NULL, 10);
        if (errno)
            return cli_fail_usage("%s: the index of a sample is too large", text);
        e->picture = NULL;
        ebb_status status = ebb_latent_noise(j->ctx, j->model, j->seed, k, 1, e->code);
        return status == EBB_OK ? CLI_OK : latent_fail(j, status);
    }
    int code = split_name(text, path, sizeof path, &k);
    if (code != CLI_OK)
        return code;
    /* An npy that holds no codes may hold pictures. */
    ebb_status status = cli_ends_with(path, ".npy") ? take_code(j, path, k, e) : EBB_E_FORMAT;
    if (status == EBB_E_FORMAT)
        status = take_picture(j, path, k, e);
    else
        e->picture = NULL;
    return status == EBB_OK ? CLI_OK : latent_fail(j, status);
}

/* Root mean square from each picture to the next: even on a way along which the picture changes evenly. */
static void report_way(latent_job *j, int64_t n, const float *pixels, const way_end ends[2])
{
    json_t *moves = json_array(), *trips = json_array();
    for (int64_t i = 0; i + 1 < n; i++) {
        json_t *error = latent_error(pixels + i * j->numbers, pixels + (i + 1) * j->numbers, j->numbers);
        json_array_append(moves, json_object_get(error, "rms"));
        json_decref(error);
    }
    for (int e = 0; e < 2; e++)
        json_array_append_new(trips, ends[e].picture ? latent_error(ends[e].picture, pixels + (e ? n - 1 : 0) * j->numbers, j->numbers)
                                                     : json_null());
    json_object_set_new(j->report, "moves", moves);
    if (ends[0].picture || ends[1].picture)
        json_object_set_new(j->report, "round_trip", trips);
    json_decref(ends[0].picture || ends[1].picture ? NULL : trips);
}

static ebb_status walk_way(latent_job *j, int64_t n, const way_end ends[2], double *codes, float *pixels)
{
    const char *path = latent.path ? latent.path : "spherical";
    double angle;
    ebb_status status = ebb_latent_between(j->ctx, path, j->numbers, ends[0].code, ends[1].code, n, codes, &angle);
    if (status == EBB_OK)
        status = latent_decode(j, "decoding", "nfe", n, codes, pixels);
    if (status == EBB_OK)
        status = latent_write(j, n, pixels, (int)n, NULL);
    if (status != EBB_OK)
        return status;
    json_object_set_new(j->report, "path", json_string(path));
    json_object_set_new(j->report, "pictures", json_integer(n));
    json_object_set_new(j->report, "degrees", json_real(angle * 180 / 3.14159265358979323846));
    json_object_set_new(j->report, "lengths", json_pack("[f,f]", rms_of(j->numbers, ends[0].code), rms_of(j->numbers, ends[1].code)));
    report_way(j, n, pixels, ends);
    return EBB_OK;
}

static int interpolate(latent_job *j)
{
    int64_t n = latent.n > 0 ? latent.n : WAY_USUAL;
    size_t numbers = (size_t)j->numbers, count = (size_t)n * numbers;
    double *codes = calloc(count + 2 * numbers, sizeof *codes);
    float *pixels = calloc(count + 2 * numbers, sizeof *pixels);
    int code = !codes || !pixels ? no_memory(n) : CLI_OK;
    if (code == CLI_OK) {
        way_end ends[2] = {{codes + count, pixels + count}, {codes + count + numbers, pixels + count + numbers}};
        for (int e = 0; e < 2 && code == CLI_OK; e++)
            code = take_end(j, j->rest[e], &ends[e]);
        ebb_status status = code == CLI_OK ? walk_way(j, n, ends, codes, pixels) : EBB_OK;
        if (status != EBB_OK)
            code = latent_fail(j, status);
    }
    free(codes);
    free(pixels);
    return code;
}

/* ---- temperature ----------------------------------------------------------------------------------------------------------- */

static int read_values(double *value, int *count)
{
    const char *text = latent.values ? latent.values : "0.4,0.6,0.8,1";
    char *end;
    for (*count = 0; *count < LATENT_VALUES_MAX; text = end + 1) {
        value[*count] = strtod(text, &end);
        if (end == text || (*end && *end != ',') || !isfinite(value[*count]) || value[*count] < 0)
            return cli_fail_usage("--values %s: give numbers from 0, as 0.4,0.6,0.8,1", latent.values);
        ++*count;
        if (*end == 0)
            return CLI_OK;
    }
    return cli_fail_usage("--values: more than %d rows", LATENT_VALUES_MAX);
}

/* Of the pictures of a row around their mean: tau times that of the data where the law is normal. */
static double spread(const latent_job *j, int64_t n, const float *row)
{
    double square = 0;
    for (int64_t d = 0; d < j->numbers; d++) {
        double mean = 0;
        for (int64_t i = 0; i < n; i++)
            mean += row[i * j->numbers + d] / (double)n;
        for (int64_t i = 0; i < n; i++)
            square += (row[i * j->numbers + d] - mean) * (row[i * j->numbers + d] - mean) / (double)(n * j->numbers);
    }
    return sqrt(square);
}

typedef struct rows { int64_t n; int count; double value[LATENT_VALUES_MAX]; double *codes; float *pixels; int32_t *labels; } rows;

static void fill_rows(const latent_job *j, rows *r)
{
    int64_t each = r->n * j->numbers;
    for (int k = r->count - 1; k >= 0; k--)
        for (int64_t i = 0; i < each; i++)
            r->codes[k * each + i] = r->value[k] * r->codes[i];
    for (int64_t i = 0; i < r->count * r->n; i++)
        r->labels[i] = j->label == EBB_LABEL_ALL ? (int32_t)(i % r->n * j->shape.classes / r->n) : j->label;
}

static ebb_status scale(latent_job *j, rows *r)
{
    char text[LATENT_VALUES_MAX][24];
    const char *labels[LATENT_VALUES_MAX];
    int64_t all = r->count * r->n;
    ebb_status status = ebb_latent_noise(j->ctx, j->model, j->seed, latent.first, r->n, r->codes);
    if (status != EBB_OK)
        return status;
    fill_rows(j, r);
    j->o.labels = r->labels;
    status = latent_decode(j, "decoding", "nfe", all, r->codes, r->pixels);
    json_t *list = json_array();
    for (int k = 0; k < r->count; k++) {
        snprintf(text[k], sizeof text[k], "%g", r->value[k]);
        labels[k] = text[k];
        json_array_append_new(list, json_pack("{s:f, s:f}", "temperature", r->value[k], "spread",
                                              spread(j, r->n, r->pixels + k * r->n * j->numbers)));
    }
    json_object_set_new(j->report, "pictures", json_integer(all));
    json_object_set_new(j->report, "rows", list);
    return status == EBB_OK ? latent_write(j, all, r->pixels, (int)r->n, labels) : status;
}

static int temperature(latent_job *j)
{
    rows r = {.n = latent.n > 0 ? latent.n : j->label == EBB_LABEL_ALL ? j->shape.classes : ROW_USUAL};
    int code = read_values(r.value, &r.count);
    if (code != CLI_OK)
        return code;
    if (j->label == EBB_LABEL_ALL && r.n % j->shape.classes != 0)
        return cli_fail_usage("-n %lld: with --class all give a multiple of the %d classes", (long long)r.n, j->shape.classes);
    size_t all = (size_t)r.count * (size_t)r.n, count = all * (size_t)j->numbers;
    r.codes = calloc(count, sizeof *r.codes);
    r.pixels = calloc(count, sizeof *r.pixels);
    r.labels = calloc(all, sizeof *r.labels);
    ebb_status status = EBB_OK;
    if (!r.codes || !r.pixels || !r.labels)
        code = no_memory((int64_t)all);
    else if ((status = scale(j, &r)) != EBB_OK)
        code = latent_fail(j, status);
    free(r.codes);
    free(r.pixels);
    free(r.labels);
    return code;
}

const latent_verb latent_verbs[] = {
    {"encode", "PICTURES", "pictures to codes, and how far they are off when decoded again", "first labels unchecked ", 1, 1, encode},
    {"decode", "CODES.npy", "codes to pictures", "first labels sampler grid steps columns ", 1, 1, decode},
    {"interpolate", "A B", "a strip of pictures on the way between two (Song et al. 2021, sec. 5.3)",
     "sampler grid steps path seed ", 2, 2, interpolate},
    {"temperature", "", "samples from codes that are scaled, a row for each value: below 1 less varied, nearer to the middle",
     "first sampler grid steps values seed all ", 0, 0, temperature},
    {NULL, NULL, NULL, NULL, 0, 0, NULL},
};

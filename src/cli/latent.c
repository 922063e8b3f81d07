/* latent.c: ebb latent: pictures to codes and back along the probability flow, and what can be done with codes.
 *
 * The first word is a verb; each option says in the table of verbs which of them it is of, so that none is ignored.
 */
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/latent.h"

latent_given latent;

static const struct poptOption options[] = {
    {"out", 'o', POPT_ARG_STRING, &latent.out, 0, "encode: codes, float64 (N,H,W,C) (.npy); else a grid (.png), or float32 (N,H,W,C) (.npy)", "FILE"},
    {"number", 'n', POPT_ARG_LONGLONG, &latent.n, 0, "pictures: encode: default 100; decode: all; interpolate: on the way with both ends, 9; temperature: in a row, 8, or one a class", "N"},
    {"first", 0, POPT_ARG_LONGLONG, &latent.first, 0, "encode, decode: index of the first in the file; temperature: of the seed (default 0)", "I"},
    {"class", 0, POPT_ARG_STRING, &latent.class, 0, "of all pictures (default: none); temperature: or the same number of each", "K|all"},
    {"labels", 0, POPT_ARG_STRING, &latent.labels, 0, "encode, decode: class of each picture (npy, idx)", "FILE"},
    {"guidance", 0, POPT_ARG_DOUBLE, &latent.guidance, 0, "weight w: eps = (1+w) eps_class - w eps_all, both ways (default 0)", "W"},
    {"rtol", 0, POPT_ARG_DOUBLE, &latent.rtol, 0, "relative tolerance of a step (default 1e-5)", "X"},
    {"atol", 0, POPT_ARG_DOUBLE, &latent.atol, 0, "absolute tolerance of a step (default 1e-5)", "X"},
    {"sampler", 0, POPT_ARG_STRING, &latent.sampler, 0, "not encode: decode by a sampler that draws no noise, as ddim or dpmpp-2m (default: integrate)", "S"},
    {"grid", 0, POPT_ARG_STRING, &latent.grid, 0, "levels that the sampler walks through", "G"},
    {"steps", 0, POPT_ARG_INT, &latent.steps, 0, "steps of the sampler (default: its own)", "N"},
    {"path", 0, POPT_ARG_STRING, &latent.path, 0, "interpolate: spherical: the great circle (default); linear: the line", "P"},
    {"values", 0, POPT_ARG_STRING, &latent.values, 0, "temperature: one row for each (default 0.4,0.6,0.8,1)", "T,T"},
    {"seed", 0, POPT_ARG_STRING, &latent.seed, 0, "interpolate, temperature: of the samples (default 0)", "K"},
    {"columns", 0, POPT_ARG_INT, &latent.columns, 0, "decode: pictures in a row of the grid", "C"},
    {"unchecked", 0, POPT_ARG_NONE, &latent.unchecked, 0, "encode: do not decode again to see how far it is from the pictures", NULL},
    {"precision", 0, POPT_ARG_STRING, &latent.precision, 0, "of activations: f32 (default) or bf16", "P"},
    CLI_COMMON_OPTIONS,
};

static void more_help(FILE *out)
{
    fprintf(out, "\nVerbs:\n");
    for (const latent_verb *v = latent_verbs; v->name; v++)
        fprintf(out, "  %s MODEL%s%s\n      %s\n", v->name, *v->arguments ? " " : "", v->arguments, v->help);
    fprintf(out, "\nPICTURES: a PNG file, a folder of them, npy (uint8, or float32 in -1..1) or idx. A, B: the index of a sample of\n"
                 "--seed, or FILE[:K], picture or code number K of a file (default 0). Whoever decodes gives the class and guidance\n"
                 "of encoding. Codes are standard normal numbers: noise over the deviation that it starts with.\n");
}

/* ---- what is given -------------------------------------------------------------------------------------------------- */

static const latent_verb *verb_of(const cli_line *line)
{
    for (const latent_verb *v = latent_verbs; line->count > 0 && v->name; v++)
        if (strcmp(line->rest[0], v->name) == 0)
            return v;
    return NULL;
}

/* An option that this verb does not take. */
static const char *idle(const latent_verb *v)
{
    const struct { const char *name; int given; } all[] = {
        {"first ", latent.first != 0}, {"labels ", latent.labels != NULL}, {"sampler ", latent.sampler != NULL},
        {"grid ", latent.grid != NULL}, {"steps ", latent.steps != 0}, {"path ", latent.path != NULL},
        {"values ", latent.values != NULL}, {"seed ", latent.seed != NULL}, {"columns ", latent.columns != 0},
        {"unchecked ", latent.unchecked},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (all[i].given && !strstr(v->options, all[i].name))
            return all[i].name;
    return NULL;
}

static int unknown_verb(const cli_line *line)
{
    const char *names[8];
    int n = 0;
    for (; latent_verbs[n].name; n++)
        names[n] = latent_verbs[n].name;
    names[n] = NULL;
    if (line->count == 0)
        return cli_fail_usage("what to do? give encode, decode, interpolate or temperature, then a model");
    const char *near = cli_nearest(line->rest[0], names);
    return cli_fail_usage("%s is none of encode, decode, interpolate, temperature%s%s%s", line->rest[0], near ? "; did you mean \"" : "",
                          near ? near : "", near ? "\"?" : "");
}

static int check_output(const latent_verb *v)
{
    bool npy = latent.out && cli_ends_with(latent.out, ".npy"), codes = strcmp(v->name, "encode") == 0;
    if (!latent.out)
        return cli_fail_usage("where to? give -o FILE.npy%s", codes ? "" : " or -o FILE.png");
    if (!npy && (codes || !cli_ends_with(latent.out, ".png")))
        return cli_fail_usage("-o %s: the name must end in %s", latent.out, codes ? ".npy" : ".png or .npy");
    return CLI_OK;
}

static int check(const cli_line *line)
{
    const latent_verb *v = verb_of(line);
    if (!v)
        return unknown_verb(line);
    if (line->count < 2)
        return cli_fail_usage("which model? give the path of a model.safetensors behind %s", v->name);
    if (line->count - 2 < v->least)
        return cli_fail_usage("%s: give MODEL %s", v->name, v->arguments);
    if (line->count - 2 > v->most)
        return cli_fail_usage("%s: \"%s\" is one too many: give MODEL %s", v->name, line->rest[2 + v->most], v->arguments);
    const char *name = idle(v);
    if (name)
        return cli_fail_usage("--%.*s is not of %s", (int)strlen(name) - 1, name, v->name);
    if (latent.n < 0 || latent.n > INT_MAX || latent.first < 0 || latent.steps < 0 || latent.columns < 0)
        return cli_fail_usage("-n, --first, --steps and --columns take numbers from 0 to 2147483647");
    if (!(latent.rtol >= 0 && latent.rtol < 1) || !(latent.atol >= 0 && latent.atol < 1))
        return cli_fail_usage("--rtol and --atol take numbers above 0 and below 1, as 1e-5");
    if (!isfinite(latent.guidance))
        return cli_fail_usage("--guidance takes a finite number");
    if (latent.class && latent.labels)
        return cli_fail_usage("--class and --labels: give one of them");
    if (latent.sampler && (latent.rtol != 0 || latent.atol != 0) && strcmp(v->name, "interpolate") != 0)
        return cli_fail_usage("--rtol and --atol are of the integration: they do not go with --sampler");
    if (!latent.sampler && (latent.grid || latent.steps))
        return cli_fail_usage("--grid and --steps are a sampler's: give --sampler too");
    int code = check_output(v);
    return code == CLI_OK ? cli_check_folder(latent.out) : code;
}

/* ---- work that takes time -------------------------------------------------------------------------------------------- */

static int on_progress(void *user, double done)
{
    char left[32];
    const latent_job *j = user;
    double gone = cli_seconds() - j->start, rate = done * (double)j->pictures / (gone > 0 ? gone : 1);
    cli_progress(done >= 1, "%s  %.1f%%  %.3g pictures/s  left %s", j->doing, 100 * done, rate,
                 cli_duration(done > 0 ? gone * (1 - done) / done : 0, left));
    return cli_stopped();
}

/* Evaluations for a picture: mean and most. */
static void report_nfe(latent_job *j, const char *key, int64_t n)
{
    double mean = 0;
    int64_t most = 0;
    for (int64_t i = 0; i < n; i++) {
        mean += (double)j->o.nfe[i] / (double)n;
        most = j->o.nfe[i] > most ? j->o.nfe[i] : most;
    }
    json_object_set_new(j->report, key, json_pack("{s:f, s:I}", "mean", mean, "most", (json_int_t)most));
}

static ebb_status work(latent_job *j, const char *doing, const char *key, int64_t n, const float *in, double *codes, float *out)
{
    j->doing = doing;
    j->start = cli_seconds();
    j->pictures = n;
    j->o.progress = on_progress;
    j->o.user = j;
    j->o.nfe = calloc((size_t)n, sizeof *j->o.nfe);
    if (!j->o.nfe)
        return EBB_E_MEMORY;
    ebb_status status = in ? ebb_latent_encode(j->ctx, j->model, &j->o, n, in, codes)
                           : ebb_latent_decode(j->ctx, j->model, &j->o, n, codes, out);
    if (status == EBB_OK && key)
        report_nfe(j, key, n);
    free(j->o.nfe);
    j->o.nfe = NULL;
    cli_progress_end();
    return status;
}

ebb_status latent_decode(latent_job *j, const char *doing, const char *key, int64_t n, const double *codes, float *pixels)
{
    j->o.sampler = latent.sampler;
    j->o.grid = latent.grid;
    j->o.steps = latent.steps;
    return work(j, doing, key, n, NULL, (double *)codes, pixels);
}

ebb_status latent_encode(latent_job *j, const char *doing, const char *key, int64_t n, const float *pixels, double *codes)
{
    j->o.sampler = j->o.grid = NULL;
    j->o.steps = 0;
    return work(j, doing, key, n, pixels, codes, NULL);
}

int latent_fail(const latent_job *j, ebb_status status)
{
    if (cli_stopped())
        return cli_fail("stopped; %s was not written", latent.out), CLI_INTERRUPTED;
    if (status == EBB_E_MEMORY && ebb_message(j->ctx)[0] == 0)
        return cli_fail("no memory for so many pictures: take fewer, with -n and --first");
    return cli_fail_context(j->ctx, status);
}

ebb_status latent_write(latent_job *j, int64_t n, const float *pixels, int columns, const char *const *labels)
{
    const int64_t shape[4] = {n, j->shape.height, j->shape.width, j->shape.channels};
    if (cli_ends_with(latent.out, ".npy"))
        return ebb_npy_write(j->ctx, latent.out, 'f', 4, pixels, 4, shape);
    uint8_t *bytes = malloc((size_t)(n * j->numbers));
    if (!bytes)
        return EBB_E_MEMORY;
    ebb_pixels_to_bytes(pixels, (size_t)(n * j->numbers), bytes);
    ebb_status status = ebb_grid_write(j->ctx, latent.out, bytes, n, j->shape.height, j->shape.width, j->shape.channels, columns, labels);
    free(bytes);
    return status;
}

json_t *latent_error(const float *a, const float *b, int64_t count)
{
    double square = 0, most = 0;
    for (int64_t i = 0; i < count; i++) {
        double off = (double)a[i] - b[i];
        square += off * off / (double)count;
        most = fmax(most, fabs(off));
    }
    return json_pack("{s:f, s:f}", "rms", sqrt(square), "most", most);
}

/* ---- running ----------------------------------------------------------------------------------------------------------- */

static int begin(latent_job *j, const latent_verb *v, const char *path)
{
    j->shape.size = sizeof j->shape;
    ebb_status status = ebb_model_load(j->ctx, path, &j->model);
    if (status == EBB_OK)
        status = ebb_model_describe(j->model, &j->shape);
    if (status != EBB_OK)
        return cli_fail_context(j->ctx, status);
    j->numbers = (int64_t)j->shape.height * j->shape.width * j->shape.channels;
    int code = cli_read_seed(latent.seed, &j->seed);
    return code == CLI_OK ? cli_read_class(latent.class, &j->shape, strstr(v->options, "all ") != NULL, &j->label) : code;
}

static int run_verb(ebb_context *ctx, const cli_line *line)
{
    const latent_verb *v = verb_of(line);
    double start = cli_seconds();
    latent_job j = {.ctx = ctx, .o = ebb_latent_defaults(), .label = EBB_LABEL_NONE, .rest = (const char *const *)line->rest + 2,
                    .report = json_pack("{s:s, s:s, s:s}", "job", v->name, "model", line->rest[1], "file", latent.out)};
    int code = begin(&j, v, line->rest[1]);
    j.o.label = j.label == EBB_LABEL_ALL ? EBB_LABEL_NONE : j.label;
    j.o.guidance = latent.guidance;
    j.o.rtol = latent.rtol;
    j.o.atol = latent.atol;
    j.o.precision = latent.precision;
    cli_stop_catch();
    if (code == CLI_OK)
        code = v->work(&j);
    json_object_set_new(j.report, "seconds", json_real(cli_seconds() - start));
    if (code == CLI_OK && cli_common.json)
        cli_json_print(j.report);
    else if (code == CLI_OK)
        cli_json_show(j.report, 0);
    json_decref(j.report);
    ebb_model_free(j.model);
    return code;
}

static int run(const cli_command *self, int argc, const char **argv)
{
    return cli_run(self, options, argc, argv, check, run_verb);
}

const cli_command cli_latent = {
    .name = "latent",
    .summary = "codes of pictures along the probability flow: encode, decode, interpolate, scale",
    .arguments = "VERB MODEL [...] -o FILE",
    .examples = "  ebb latent encode runs/digits/model.safetensors mnist/mnist-test-images-idx3-ubyte.gz -n 20 -o codes.npy\n"
                "  ebb latent decode runs/digits/model.safetensors codes.npy -o again.png\n"
                "  ebb latent interpolate runs/digits/model.safetensors a.png codes.npy:3 -o strip.png\n"
                "  ebb latent temperature runs/digits/model.safetensors --class all --values 0.4,0.6,0.8,1 -o grid.png\n",
    .run = run,
    .more_help = more_help,
};

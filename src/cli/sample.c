/* sample.c: ebb sample: draws pictures from a model into a PNG grid or an npy array.
 *
 * Sample i of a seed is the same picture however many are drawn: --first makes a long series in parts.
 */
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

static struct {
    char *out, *class, *sampler, *grid, *seed, *precision, *guidance, *interval, *guide, *classifier, *form;
    long long n, first;
    int steps, columns;
    double eta, scale;
} given = {.eta = NAN, .scale = NAN};   /* NaN: not given */

static const struct poptOption options[] = {
    {"out", 'o', POPT_ARG_STRING, &given.out, 0, "a grid (.png), or uint8 (N,H,W,C) (.npy)", "FILE"},
    {"number", 'n', POPT_ARG_LONGLONG, &given.n, 0, "pictures (default 16, or 8 a class)", "N"},
    {"class", 0, POPT_ARG_STRING, &given.class, 0, "draw this class, or the same number of each", "K|all"},
    {"sampler", 0, POPT_ARG_STRING, &given.sampler, 0, "the method and its settings, see below: NAME[:key=value,...]", "S"},
    {"grid", 0, POPT_ARG_STRING, &given.grid, 0, "levels that it walks through, see below: KIND[:key=value,...]", "G"},
    {"steps", 0, POPT_ARG_INT, &given.steps, 0, "steps of the sampler (default: the model's, or the sampler's own)",
     "N"},
    CLI_GUIDANCE_OPTIONS(&given.guidance, &given.interval, "the model's"),
    {"guide-model", 0, POPT_ARG_STRING, &given.guide, 0,
     "guidance leads away from this weaker model, not from the model without its class (Karras et al. 2024)", "FILE"},
    {"classifier", 0, POPT_ARG_STRING, &given.classifier, 0,
     "a classifier of noisy pictures leads to the class, too: also a model without classes, or with --guidance -1", "FILE"},
    {"classifier-scale", 0, POPT_ARG_DOUBLE, &given.scale, 0, "how strongly (default 1)", "S"},
    {"classifier-form", 0, POPT_ARG_STRING, &given.form, 0, "how its gradient acts, see below (default epsilon)", "F"},
    {"eta", 0, POPT_ARG_DOUBLE, &given.eta, 0, "noise of samplers that take it, see below: 0 none to 1 ancestral (default: the model's, or the sampler's own)", "E"},
    {"seed", 0, POPT_ARG_STRING, &given.seed, 0, "seed of the noise (default 0)", "K"},
    {"precision", 0, POPT_ARG_STRING, &given.precision, 0, "of activations: f32 or bf16 (default: as trained)", "P"},
    {"first", 0, POPT_ARG_LONGLONG, &given.first, 0, "index of the first picture of the seed (default 0)",
     "I"},
    {"columns", 0, POPT_ARG_INT, &given.columns, 0, "pictures in a row of the grid", "C"},
    CLI_COMMON_OPTIONS,
};

static void more_help(FILE *out)
{
    cli_help_list(out, CLI_GUIDANCE_HELP, ebb_guidance_list);
    cli_help_list(out, "Forms of classifier guidance", ebb_guide_form_list);
    cli_help_list(out, "Samplers (default: the model's) [settings that they take]", ebb_sampler_list);
    cli_help_list(out, "Settings, as in --sampler edm:churn=40,s_noise=1.003", ebb_setting_list);
    cli_help_list(out, "Grids, as in --grid karras:rho=5 (default: the sampler's own) [options that they take]", ebb_grid_list);
}

static int check(const cli_line *line)
{
    if (line->count != 1)
        return cli_fail_usage(line->count ? "one model at a time: \"%s\" is one too many"
                                          : "which model? give the path of a model.safetensors, or a folder of diffusers%s",
                              line->count ? line->rest[1] : "");
    if (!given.out)
        return cli_fail_usage("where to? give -o FILE.png or -o FILE.npy");
    if (!cli_ends_with(given.out, ".png") && !cli_ends_with(given.out, ".npy"))
        return cli_fail_usage("-o %s: the name must end in .png or .npy", given.out);
    if (given.n < 0 || given.n > INT_MAX || given.first < 0 || given.steps < 0 || given.columns < 0)
        return cli_fail_usage("-n, --first, --steps and --columns take numbers from 0 to 2147483647");
    if (isinf(given.eta) || isinf(given.scale))
        return cli_fail_usage("--eta and --classifier-scale take finite numbers");
    if (!given.classifier && (!isnan(given.scale) || given.form))
        return cli_fail_usage("--classifier-scale and --classifier-form say how --classifier acts: give that too");
    return cli_check_folder(given.out);
}

static int on_progress(void *start, int64_t done, int64_t total)
{
    char left[32];
    double gone = cli_seconds() - *(double *)start;
    cli_progress(done == total, "sampling  evaluation %lld/%lld  left %s", (long long)done, (long long)total,
                 cli_duration(gone / (double)done * (double)(total - done), left));
    return cli_stopped();
}

/* --class, --seed and the number of pictures. */
static int read_options(const ebb_model_shape *shape, ebb_sample_options *o)
{
    int code = cli_read_seed(given.seed, &o->seed);
    if (code == CLI_OK)
        code = cli_read_class(given.class, shape, true, &o->label);
    if (code != CLI_OK)
        return code;
    o->n = given.n ? given.n : o->label == EBB_LABEL_ALL ? 8 * (int64_t)shape->classes : 16;
    if (o->label == EBB_LABEL_ALL && o->n % shape->classes != 0)
        return cli_fail_usage("-n %lld: with --class all give a multiple of the %d classes", (long long)o->n,
                              shape->classes);
    return CLI_OK;
}

/* Pictures in a row: with all classes a divisor of the pictures of one, so that no row mixes two. */
static int grid_columns(const ebb_sample_options *o, int classes)
{
    int64_t block = o->label == EBB_LABEL_ALL ? o->n / classes : o->n, columns = given.columns;
    if (columns == 0 && o->label == EBB_LABEL_ALL)
        for (columns = block < 32 ? block : 32; block % columns != 0;)
            columns--;
    else if (columns == 0)
        columns = (int64_t)ceil(sqrt((double)o->n));
    if (o->label == EBB_LABEL_ALL && block % columns != 0) {
        cli_fail_usage("--columns %lld does not divide the %lld pictures of a class", (long long)columns,
                       (long long)block);
        return 0;
    }
    return (int)columns;
}

static ebb_status write_grid(ebb_context *ctx, const ebb_sample_options *o, const ebb_model_shape *s,
                             const uint8_t *bytes, int columns)
{
    if (o->label != EBB_LABEL_ALL)
        return ebb_grid_write(ctx, given.out, bytes, o->n, s->height, s->width, s->channels, columns, NULL);
    int64_t rows = o->n / columns, rows_of_class = rows / s->classes;
    const char **labels = calloc((size_t)rows, sizeof *labels);
    char (*names)[12] = calloc((size_t)s->classes, sizeof *names);
    ebb_status status = EBB_E_MEMORY;
    if (labels && names) {
        for (int k = 0; k < s->classes; k++)
            snprintf(names[k], sizeof names[k], "%d", k);
        for (int64_t r = 0; r < rows; r++)
            labels[r] = names[r / rows_of_class];
        status =
            ebb_grid_write(ctx, given.out, bytes, o->n, s->height, s->width, s->channels, columns, labels);
    }
    free(names);
    free(labels);
    return status;
}

static ebb_status write_pictures(ebb_context *ctx, const ebb_sample_options *o, const ebb_model_shape *s,
                                 const uint8_t *bytes, int columns)
{
    const int64_t shape[4] = {o->n, s->height, s->width, s->channels};
    if (columns == 0)
        return ebb_npy_write_u8(ctx, given.out, bytes, 4, shape);
    return write_grid(ctx, o, s, bytes, columns);
}

/* nfe: evaluations of networks for a picture. */
static void report_end(const ebb_sample_options *o, const ebb_model_shape *s, int64_t nfe, double seconds)
{
    if (cli_common.json) {
        json_t *json =
            json_pack("{s:s, s:[I,i,i,i], s:s?, s:I, s:I, s:f, s:f}", "file", given.out, "shape", (json_int_t)o->n,
                      s->height, s->width, s->channels, "sampler", o->sampler, "first", (json_int_t)o->first,
                      "nfe", (json_int_t)nfe, "seconds", seconds, "images_per_second", (double)o->n / seconds);
        cli_json_print(json);
        json_decref(json);
    } else {
        printf("%s: %lld pictures of %lld evaluations in %.1f s\n", given.out, (long long)o->n, (long long)nfe, seconds);
    }
}

static int draw(ebb_context *ctx, ebb_model *model, const ebb_model_shape *s, ebb_sample_options *o)
{
    int code = read_options(s, o), columns = 0;
    int64_t nfe = 0;
    if (code == CLI_OK && cli_ends_with(given.out, ".png") && (columns = grid_columns(o, s->classes)) == 0)
        code = CLI_USAGE;
    if (code != CLI_OK)
        return code;
    size_t count = (size_t)o->n * (size_t)s->height * (size_t)s->width * (size_t)s->channels;
    float *pixels = calloc(count, sizeof *pixels);
    uint8_t *bytes = malloc(count);
    double start = cli_seconds();
    o->progress = on_progress;
    o->user = &start;
    o->evaluations = &nfe;
    cli_stop_catch();
    if (!pixels || !bytes) {
        code = cli_fail("no memory for %lld pictures: draw them in parts, with --first", (long long)o->n);
    } else {
        ebb_status status = ebb_sample(ctx, model, o, pixels);
        if (status == EBB_OK) {
            ebb_pixels_to_bytes(pixels, count, bytes);
            status = write_pictures(ctx, o, s, bytes, columns);
        }
        if (cli_stopped() && status != EBB_OK)
            code = (cli_fail("stopped; %s was not written", given.out), CLI_INTERRUPTED);
        else if (status != EBB_OK)
            code = cli_fail_context(ctx, status);
        else
            report_end(o, s, nfe, cli_seconds() - start);
    }
    free(bytes);
    free(pixels);
    return code;
}

static int read_guidance(ebb_context *ctx, ebb_sample_options *o)
{
    int code = given.guidance ? cli_guidance_read(ctx, given.guidance, &o->guidance) : CLI_OK;
    if (code == CLI_OK && given.interval)
        code = cli_interval_read(given.interval, &o->guidance_low, &o->guidance_high);
    return code;
}

/* The model, and those that lead it. */
static int load(ebb_context *ctx, const char *path, ebb_sample_options *o, ebb_model **model)
{
    ebb_status status = ebb_model_load(ctx, path, model);
    if (status == EBB_OK && given.guide)
        status = ebb_model_load(ctx, given.guide, &o->guide);
    if (status == EBB_OK && given.classifier)
        status = ebb_model_load(ctx, given.classifier, &o->classifier);
    return status == EBB_OK ? CLI_OK : cli_fail_context(ctx, status);
}

static int sample(ebb_context *ctx, const cli_line *line)
{
    ebb_sample_options o = ebb_sample_defaults();
    ebb_model_shape shape = {.size = sizeof shape};
    ebb_model *model = NULL;
    if (given.sampler)
        o.sampler = given.sampler;
    if (given.grid)
        o.grid = given.grid;
    o.first = given.first;
    o.precision = given.precision;
    o.steps = given.steps;
    o.eta = given.eta;
    o.classifier_scale = given.scale;
    o.classifier_form = given.form;
    int code = read_guidance(ctx, &o);
    if (code == CLI_OK)
        code = load(ctx, line->rest[0], &o, &model);
    if (code == CLI_OK && ebb_model_describe(model, &shape) == EBB_OK) {
        ebb_model_shape other = {.size = sizeof other};
        /* A model without classes is led to those of the classifier. */
        if (shape.classes == 0 && o.classifier && ebb_model_describe(o.classifier, &other) == EBB_OK)
            shape.classes = other.classes;
        code = draw(ctx, model, &shape, &o);
    }
    ebb_model_free(o.guide);
    ebb_model_free(o.classifier);
    ebb_model_free(model);
    return code;
}

static int run(const cli_command *self, int argc, const char **argv)
{
    return cli_run(self, options, argc, argv, check, sample);
}

const cli_command cli_sample = {
    .name = "sample",
    .summary = "draws pictures from a model",
    .arguments = "MODEL -o FILE.png|FILE.npy",
    .examples =
        "  ebb sample runs/digits/model.safetensors --class all -n 80 -o digits.png\n"
        "  ebb sample runs/digits/model.safetensors -n 1000 --sampler ddim --steps 50 -o digits.npy\n"
        "  ebb sample runs/digits/model.safetensors --sampler dpmpp-2m --steps 20 -o digits.png\n"
        "  ebb sample ddpm-cifar10-32 -n 16 -o cifar.png\n"
        "  ebb sample runs/digits/model.safetensors --class 7 --guidance scale:3 --guidance-interval 0.3,5 -o sevens.png\n"
        "  ebb sample runs/digits/model.safetensors --class 7 --guidance -1 --classifier runs/digits-classifier/model.safetensors "
        "--classifier-scale 3 -o sevens.png\n",
    .run = run,
    .more_help = more_help,
};

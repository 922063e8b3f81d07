/* restore.c: ebb restore: pictures from measurements of them: hidden pixels, colours, details filled in by a model.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

static struct {
    char *task, *mask, *method, *grid, *class, *guidance, *interval, *seed, *precision, *out;
    long long index, pictures;
    int copies, factor, steps, as_given, plain;
    double sigma, blur;
} given;

static const struct poptOption options[] = {
    {"out", 'o', POPT_ARG_STRING, &given.out, 0, "rows to look at (.png), or restorations, uint8 (N,H,W,C) (.npy)", "FILE"},
    {"task", 0, POPT_ARG_STRING, &given.task, 0, "what is known of the picture, see below (default inpaint)", "T"},
    {"mask", 0, POPT_ARG_STRING, &given.mask, 0, "inpaint: a PNG, white known and black not, or a rule, see below", "M"},
    {"factor", 0, POPT_ARG_INT, &given.factor, 0, "super-resolution: side of the blocks (default 4)", "F"},
    {"blur", 0, POPT_ARG_DOUBLE, &given.blur, 0, "deblur: standard deviation of the blur in pixels (default 1)", "B"},
    {"sigma", 0, POPT_ARG_DOUBLE, &given.sigma, 0, "standard deviation of the measurement's noise; black is -1, white 1 (default 0)", "S"},
    {"given", 0, POPT_ARG_NONE, &given.as_given, 0, "PICTURE is the measurement itself, not the truth to be measured", NULL},
    {"method", 0, POPT_ARG_STRING, &given.method, 0, "and its settings, see below (default ddrm): NAME[:key=value,...]", "M"},
    {"grid", 0, POPT_ARG_STRING, &given.grid, 0, "levels that it walks through, as of ebb sample: KIND[:key=value,...]", "G"},
    {"steps", 0, POPT_ARG_INT, &given.steps, 0, "of the method (default: its own)", "N"},
    {"copies", 'n', POPT_ARG_INT, &given.copies, 0, "restorations of each picture (default 4; --plain: 1)", "N"},
    {"index", 0, POPT_ARG_LONGLONG, &given.index, 0, "which picture of an IDX or npy file or a folder (default 0)", "I"},
    {"pictures", 0, POPT_ARG_LONGLONG, &given.pictures, 0, "so many from there on (default 1)", "N"},
    {"class", 0, POPT_ARG_STRING, &given.class, 0, "of all pictures, for a conditional model", "K"},
    CLI_GUIDANCE_OPTIONS(&given.guidance, &given.interval, "0, the class alone"),
    {"seed", 0, POPT_ARG_STRING, &given.seed, 0, "of noise and random masks (default 0)", "K"},
    {"plain", 0, POPT_ARG_NONE, &given.plain, 0, "-o FILE.png is the restored picture alone, pixel by pixel", NULL},
    {"precision", 0, POPT_ARG_STRING, &given.precision, 0, "of activations: f32 or bf16 (default: as trained)", "P"},
    CLI_COMMON_OPTIONS,
};

static void more_help(FILE *out)
{
    cli_help_list(out, "Tasks", ebb_task_list);
    cli_help_list(out, "Masks", ebb_mask_list);
    cli_help_list(out, "Methods", ebb_restorer_list);
    cli_help_list(out, CLI_GUIDANCE_HELP, ebb_guidance_list);
    cli_help_list(out, "Settings of methods, as in --method dps:zeta=0.3", ebb_restore_setting_list);
}

static int check(const cli_line *line)
{
    if (line->count < 2)
        return cli_fail_usage(line->count ? "which picture? give a .png, .npy or IDX file%s"
                                          : "which model, and which picture? give a model.safetensors and a file of pictures%s", "");
    if (line->count > 2)
        return cli_fail_usage("one model and one file of pictures: \"%s\" is one too many", line->rest[2]);
    if (!given.out)
        return cli_fail_usage("where to? give -o FILE.png or -o FILE.npy");
    if (!cli_ends_with(given.out, ".png") && !cli_ends_with(given.out, ".npy"))
        return cli_fail_usage("-o %s: the name must end in .png or .npy", given.out);
    if (given.copies < 0 || given.index < 0 || given.pictures < 0 || given.factor < 0 || given.steps < 0)
        return cli_fail_usage("-n, --index, --pictures, --factor and --steps take numbers from 0");
    if (!(given.sigma >= 0) || !isfinite(given.sigma) || !(given.blur >= 0) || !isfinite(given.blur))
        return cli_fail_usage("--sigma and --blur take finite numbers from 0");
    if (given.plain && (!cli_ends_with(given.out, ".png") || given.copies > 1 || given.pictures > 1))
        return cli_fail_usage("--plain is of one picture, one copy and a .png file; several: -o FILE.npy");
    return cli_check_folder(given.out);
}

static int read_class(ebb_context *ctx, const ebb_model_shape *shape, ebb_restore_options *o)
{
    int code = given.class ? cli_read_class(given.class, shape, false, &o->label) : CLI_OK;
    if (code == CLI_OK && given.guidance)
        code = cli_guidance_read(ctx, given.guidance, &o->guidance);
    return code == CLI_OK && given.interval ? cli_interval_read(given.interval, &o->guidance_low, &o->guidance_high) : code;
}

static int read_options(ebb_context *ctx, const ebb_model_shape *shape, ebb_restore_options *o)
{
    int code = read_class(ctx, shape, o);
    o->task = given.task;
    o->mask = given.mask;
    o->factor = given.factor;
    o->blur = given.blur;
    o->sigma = given.sigma;
    o->method = given.method;
    o->grid = given.grid;
    o->steps = given.steps;
    o->copies = given.copies ? given.copies : given.plain ? 1 : 4;
    o->first = given.index;
    o->given = given.as_given;
    o->precision = given.precision;
    return code == CLI_OK && given.seed ? cli_read_seed(given.seed, &o->seed) : code;
}

static int on_progress(void *start, int64_t done, int64_t total)
{
    char left[32];
    double gone = cli_seconds() - *(double *)start, rate = (double)done / fmax(gone, 1e-6);
    cli_progress(done == total, "restoring  evaluation %lld/%lld  %.3g/s  left %s", (long long)done, (long long)total, rate,
                 cli_duration((double)(total - done) / rate, left));
    return cli_stopped();
}

/* ---- the result ------------------------------------------------------------------------------------------------------------- */

typedef struct result { const ebb_restore_options *o; ebb_model_shape shape; ebb_pictures in; float *measured, *restored; } result;

static size_t numbers(const result *r)
{
    return (size_t)r->shape.height * (size_t)r->shape.width * (size_t)r->shape.channels;
}

/* Truth (unless the measurement was given), measurement, restorations: a row for each picture. */
static ebb_status write_rows(ebb_context *ctx, const result *r)
{
    int truths = r->o->given ? 0 : 1, columns = truths + 1 + r->o->copies;
    size_t one = numbers(r), n = (size_t)r->in.n, copies = (size_t)r->o->copies;
    uint8_t *bytes = malloc(n * (size_t)columns * one), *at = bytes;
    if (!bytes)
        return EBB_E_MEMORY;
    for (size_t i = 0; i < n; i++) {
        if (truths) {
            ebb_pixels_to_bytes(r->in.pixels + i * one, one, at);
            at += one;
        }
        ebb_pixels_to_bytes(r->measured + i * one, one, at);
        ebb_pixels_to_bytes(r->restored + i * copies * one, copies * one, at + one);
        at += (1 + copies) * one;
    }
    ebb_status status = ebb_grid_write(ctx, given.out, bytes, (int64_t)n * columns, r->shape.height, r->shape.width,
                                       r->shape.channels, columns, NULL);
    free(bytes);
    return status;
}

static ebb_status write_restored(ebb_context *ctx, const result *r)
{
    size_t all = (size_t)r->in.n * (size_t)r->o->copies * numbers(r);
    const int64_t shape[4] = {r->in.n * r->o->copies, r->shape.height, r->shape.width, r->shape.channels};
    uint8_t *bytes = malloc(all);
    if (!bytes)
        return EBB_E_MEMORY;
    ebb_pixels_to_bytes(r->restored, all, bytes);
    ebb_status status = given.plain ? ebb_picture_write(ctx, given.out, bytes, r->shape.height, r->shape.width, r->shape.channels)
                                    : ebb_npy_write_u8(ctx, given.out, bytes, 4, shape);
    free(bytes);
    return status;
}

static double number(const json_t *json, const char *key)
{
    return json_number_value(json_object_get(json, key));
}

static void show(const json_t *json, const result *r, double seconds)
{
    printf("%s: %lld pictures, %d restorations each, by %s in %lld evaluations, %.1f s\n", given.out, (long long)r->in.n, r->o->copies,
           json_string_value(json_object_get(json, "method")), (long long)number(json, "evaluations"), seconds);
    printf("  %lld of %lld numbers measured (%s), noise %.3g; |y - H x| %.3g (root mean square)\n", (long long)number(json, "known"),
           (long long)number(json, "numbers"), json_string_value(json_object_get(json, "task")), number(json, "sigma"),
           number(json, "consistency"));
    if (json_object_get(json, "spread"))
        printf("  the copies of a picture differ from their mean by %.3g (root mean square)\n", number(json, "spread"));
    if (json_object_get(json, "psnr"))
        printf("  PSNR %.2f dB, of the mean of the copies %.2f dB, of the measurement %.2f dB\n", number(json, "psnr"),
               number(json, "psnr_of_mean"), number(json, "psnr_measured"));
}

static int finish(ebb_context *ctx, const result *r, char *text, double seconds)
{
    json_t *json = cli_json_take(text);
    if (!json)
        return CLI_ERROR;
    ebb_status status = given.plain || cli_ends_with(given.out, ".npy") ? write_restored(ctx, r) : write_rows(ctx, r);
    if (status == EBB_OK && cli_common.json) {
        json_object_set_new(json, "file", json_string(given.out));
        json_object_set_new(json, "seconds", json_real(seconds));
        cli_json_print(json);
    } else if (status == EBB_OK) {
        show(json, r, seconds);
    }
    json_decref(json);
    return status == EBB_OK ? CLI_OK : cli_fail_context(ctx, status);
}

/* ---- working ---------------------------------------------------------------------------------------------------------------- */

static int work(ebb_context *ctx, ebb_model *model, ebb_restore_options *o, result *r)
{
    char *text = NULL;
    double start = cli_seconds();
    size_t n = (size_t)r->in.n;
    r->measured = calloc(n * numbers(r), sizeof *r->measured);
    r->restored = calloc(n * (size_t)o->copies * numbers(r), sizeof *r->restored);
    if (!r->measured || !r->restored)
        return cli_fail("no memory for %zu pictures of %d copies: restore fewer at once", n, o->copies);
    o->progress = on_progress;
    o->user = &start;
    cli_stop_catch();
    ebb_status status = ebb_restore(ctx, model, o, r->in.n, r->in.pixels, r->measured, r->restored, &text);
    if (cli_stopped() && status != EBB_OK)
        return cli_fail("stopped; %s was not written", given.out), CLI_INTERRUPTED;
    return status == EBB_OK ? finish(ctx, r, text, cli_seconds() - start) : cli_fail_context(ctx, status);
}

static int restore(ebb_context *ctx, const cli_line *line)
{
    ebb_model *model = NULL;
    ebb_restore_options o = ebb_restore_defaults();
    result r = {.o = &o, .shape.size = sizeof r.shape};
    int code = CLI_OK;
    ebb_status status = ebb_model_load(ctx, line->rest[0], &model);
    if (status == EBB_OK)
        status = ebb_model_describe(model, &r.shape);
    if (status == EBB_OK)
        code = read_options(ctx, &r.shape, &o);
    if (status == EBB_OK && code == CLI_OK)
        status = ebb_restore_pictures(ctx, model, &o, line->rest[1], given.pictures ? given.pictures : 1, &r.in);
    if (status != EBB_OK)
        code = cli_fail_context(ctx, status);
    else if (code == CLI_OK)
        code = work(ctx, model, &o, &r);
    free(r.measured);
    free(r.restored);
    ebb_pictures_free(&r.in);
    ebb_model_free(model);
    return code;
}

static int run(const cli_command *self, int argc, const char **argv)
{
    return cli_run(self, options, argc, argv, check, restore);
}

const cli_command cli_restore = {
    .name = "restore",
    .summary = "fills in what is hidden, blurred or noisy in pictures",
    .arguments = "MODEL PICTURE -o FILE.png|FILE.npy",
    .examples =
        "  ebb restore runs/digits/model.safetensors mnist/mnist-test-images-idx3-ubyte.gz --index 3 --pictures 8 \\\n"
        "      --mask half:bottom --method repaint:resamples=5 --steps 100 -o filled.png\n"
        "  ebb restore runs/digits/model.safetensors digit.png --mask half:right --class 8 --guidance 2 -o eights.png\n"
        "  ebb restore runs/digits/model.safetensors digit.png --task super-resolution --factor 2 -o digit-2.png\n"
        "  ebb restore runs/digits/model.safetensors noisy.png --given --task denoise --sigma 0.5 --plain -o clean.png\n",
    .run = run,
    .more_help = more_help,
};

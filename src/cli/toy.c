/* toy.c: ebb toy: samplers over exact laws, and how far their samples are from them.
 */
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

static struct {
    char *score, *model, *save, *process, *sampler, *grid, *class, *seed, *out, *guidance, *interval, *form;
    long long n;
    int steps, nfe, resamples, compare, convergence, panels, restore, list;
    double scale, sigma;
    char *task;
} given;

static const struct poptOption options[] = {
    {"score", 0, POPT_ARG_STRING, &given.score, 0, "exact (default); train: a network learns it first, by the keys", "S"},
    {"model", 0, POPT_ARG_STRING, &given.model, 0, "the score of this trained model, over its process", "FILE"},
    {"save", 0, POPT_ARG_STRING, &given.save, 0, "--score train: keep the model", "FILE"},
    {"process", 0, POPT_ARG_STRING, &given.process, 0, "how noise is added (default vp): KIND[:key=value,...] of the keys process.*", "P"},
    {"sampler", 0, POPT_ARG_STRING, &given.sampler, 0,
     "the method and its settings (default heun): NAME[:key=value,...]; --compare, --convergence: several, with + between (default: all)", "S"},
    {"grid", 0, POPT_ARG_STRING, &given.grid, 0, "levels that it walks through (default: its own): KIND[:key=value,...]", "G"},
    {"steps", 0, POPT_ARG_INT, &given.steps, 0, "steps of the sampler (default: its own)", "N"},
    {"number", 'n', POPT_ARG_LONGLONG, &given.n, 0, "samples (default 10000; --compare 4000)", "N"},
    {"class", 0, POPT_ARG_STRING, &given.class, 0, "sample this class", "K"},
    CLI_GUIDANCE_OPTIONS(&given.guidance, &given.interval, "0"),
    {"classifier-scale", 0, POPT_ARG_DOUBLE, &given.scale, 0,
     "led by scale times the exact grad log p(class | x_t), from the score of all unless --guidance says otherwise", "S"},
    {"classifier-form", 0, POPT_ARG_STRING, &given.form, 0, "how that acts, see below (default epsilon)", "F"},
    {"seed", 0, POPT_ARG_STRING, &given.seed, 0, "seed of the samples (default 0)", "K"},
    {"resamples", 0, POPT_ARG_INT, &given.resamples, 0, "of the intervals of distances (default 40; -1: no intervals)", "B"},
    {"out", 'o', POPT_ARG_STRING, &given.out, 0, "a picture (.png), or the samples, f64 (N,dim) (.npy)", "FILE"},
    {"compare", 0, POPT_ARG_NONE, &given.compare, 0, "every sampler at one number of evaluations, as a table", NULL},
    {"nfe", 0, POPT_ARG_INT, &given.nfe, 0, "--compare: evaluations a sample (default 50)", "N"},
    {"convergence", 0, POPT_ARG_NONE, &given.convergence, 0, "how fast samplers' errors fall, at 24 .. 384 steps", NULL},
    {"panels", 0, POPT_ARG_NONE, &given.panels, 0, "two modes on a line: Langevin dynamics from one of them for T = 0.1, 1, 10", NULL},
    {"restore", 0, POPT_ARG_NONE, &given.restore, 0, "methods of ebb restore (--sampler: a list with +) against the exact posterior", NULL},
    {"task", 0, POPT_ARG_STRING, &given.task, 0, "--restore: inpaint (half of the numbers known), super-resolution (their mean), denoise", "T"},
    {"sigma", 0, POPT_ARG_DOUBLE, &given.sigma, 0, "--restore: standard deviation of the measurement's noise (default 0)", "S"},
    {"list", 0, POPT_ARG_NONE, &given.list, 0, "list the laws with their options", NULL},
    CLI_COMMON_OPTIONS,
};

static void more_help(FILE *out)
{
    cli_help_list(out, "Laws, as in ebb toy ring:modes=6,sd=0.05 (--list: with their options)", ebb_target_list);
    cli_help_list(out, CLI_GUIDANCE_HELP, ebb_guidance_list);
    cli_help_list(out, "Forms of classifier guidance", ebb_guide_form_list);
    cli_help_list(out, "Distances", ebb_distance_list);
    cli_help_list(out, "Samplers", ebb_sampler_list);
    cli_help_list(out, "Settings, as in --sampler edm:churn=40,s_noise=1.003", ebb_setting_list);
    cli_help_list(out, "Grids, as in --grid karras:rho=5", ebb_grid_list);
}

static const char *job(void)
{
    return given.compare ? "compare" : given.convergence ? "convergence" : given.panels ? "panels" : given.restore ? "restore" : "samples";
}

static int check(const cli_line *line)
{
    if (given.list)
        return line->count == 0 ? CLI_OK : cli_fail_usage("--list takes no law: \"%s\"", line->rest[0]);
    if (line->count < 1)
        return cli_fail_usage("over which law? name one, as mixture or ring:modes=6 (--list shows them)");
    for (int i = 1; i < line->count; i++)
        if (!strchr(line->rest[i], '='))
            return cli_fail_usage("one law and key=value after it: \"%s\" is neither", line->rest[i]);
    if (given.compare + given.convergence + given.panels + given.restore > 1)
        return cli_fail_usage("--compare, --convergence, --panels and --restore: give one of them");
    if (!given.restore && (given.task || given.sigma != 0))
        return cli_fail_usage("--task and --sigma are of --restore");
    if (!(given.sigma >= 0) || !isfinite(given.sigma))
        return cli_fail_usage("--sigma takes a finite number from 0");
    if (given.nfe && !given.compare)
        return cli_fail_usage("--nfe is of --compare; else give --steps");
    if (given.steps < 0 || given.n < 0 || given.nfe < 0)
        return cli_fail_usage("-n, --steps and --nfe take numbers from 0");
    if (given.out && !cli_ends_with(given.out, ".png") && !cli_ends_with(given.out, ".npy"))
        return cli_fail_usage("-o %s: the name must end in .png or .npy", given.out);
    if (!isfinite(given.scale))
        return cli_fail_usage("--classifier-scale takes a finite number");
    if (given.form && given.scale == 0)
        return cli_fail_usage("--classifier-form says how --classifier-scale acts: give both");
    int code = given.out ? cli_check_folder(given.out) : CLI_OK;
    return code == CLI_OK && given.save ? cli_check_folder(given.save) : code;
}

/* ---- showing ---------------------------------------------------------------------------------------------------------------- */

/* {name: {...}} as rows with the name first. */
static json_t *as_rows(const json_t *object, const char *what)
{
    const char *key;
    json_t *value, *rows = json_array();
    json_object_foreach ((json_t *)object, key, value) {
        json_t *row = json_pack("{s:s}", what, key);
        json_object_update(row, value);
        json_array_append_new(rows, row);
    }
    return rows;
}

static void show_rows(const char *title, json_t *rows)
{
    if (json_array_size(rows) == 0)
        return;
    printf("\n%s\n", title);
    cli_table(rows, 2);
}

static double number(const json_t *json, const char *key)
{
    return json_number_value(json_object_get(json, key));
}

static void show_test(const json_t *json, const char *key, const char *what)
{
    const json_t *test = json_object_get(json, key);
    if (test && !json_is_null(json_object_get(test, "value")))
        printf("  chi-square of %s: %.4g, %d degrees of freedom, by chance %.3g\n", what, number(test, "value"),
               (int)number(test, "freedom"), number(test, "chance"));
}

static void show_samples(const json_t *json)
{
    json_t *distances = as_rows(json_object_get(json, "distances"), "distance");
    printf("%lld samples by %s over grid %s: %lld steps, %lld evaluations each\n", (long long)number(json, "samples"),
           json_string_value(json_object_get(json, "sampler")), json_string_value(json_object_get(json, "grid")),
           (long long)number(json, "steps"), (long long)number(json, "nfe"));
    show_rows("Distances to the law (floor: of as many true points; low, high: 90% by resampling)", distances);
    json_decref(distances);
    if (json_object_get(json, "flow_error"))
        printf("  from the exact probability flow, root mean square: %.4g\n", number(json, "flow_error"));
    bool modes = json_array_size(json_object_get(json, "modes")) > 1;
    if (modes)
        show_rows("Modes", json_object_get(json, "modes"));
    show_test(json, "chi_square", "modes");
    json_t *classes = json_object_get(json, "classes");
    bool tilted = json_object_get(json_array_get(classes, 0), "tilted") != NULL;
    if (!modes || tilted)
        show_rows(tilted ? "Classes (tilted: of the law p^-w p_class^(1+w), which guided walks do not sample)" : "Classes", classes);
    if (json_array_size(json_object_get(json, "classes")) != json_array_size(json_object_get(json, "modes")))
        show_test(json, "class_chi_square", "classes");
    show_rows("Fisher divergence E |s - true score|^2 of the learned score, by level", json_object_get(json, "fisher"));
}

/* Steps, evaluations and errors of a row as columns. */
static json_t *flat_orders(const json_t *rows)
{
    size_t i, k;
    json_t *row, *value, *out = json_array();
    json_array_foreach ((json_t *)rows, i, row) {
        json_t *flat = json_pack("{s:O, s:O, s:O, s:O}", "sampler", json_object_get(row, "sampler"), "error of",
                                 json_object_get(row, "error_of"), "order", json_object_get(row, "order"), "last order",
                                 json_object_get(row, "last_order"));
        json_array_foreach (json_object_get(row, "error"), k, value) {
            char name[32];
            snprintf(name, sizeof name, "%lld steps",
                     (long long)json_integer_value(json_array_get(json_object_get(row, "steps"), k)));
            /* Three digits are what an error has to say. */
            char text[32];
            snprintf(text, sizeof text, "%.2e", json_number_value(value));
            json_object_set_new(flat, name, json_string(text));
        }
        json_array_append_new(out, flat);
    }
    return out;
}

static void show_compared(const json_t *json)
{
    size_t i;
    json_t *row, *rows = json_array();
    printf("%lld samples of each sampler at about %lld evaluations\n\n", (long long)number(json, "samples"),
           (long long)number(json, "budget"));
    json_array_foreach (json_object_get(json, "rows"), i, row)
        if (!json_object_get(row, "refused"))
            json_array_append(rows, row);
    cli_table(rows, 0);
    json_decref(rows);
    json_array_foreach (json_object_get(json, "rows"), i, row)
        if (json_object_get(row, "refused"))
            printf("%s: %s\n", json_string_value(json_object_get(row, "sampler")),
                   json_string_value(json_object_get(row, "refused")));
}

static void show_list(const char *title, const json_t *list)
{
    size_t i;
    json_t *value;
    printf("%s (", title);
    json_array_foreach ((json_t *)list, i, value)
        printf("%s%.4g", i > 0 ? ", " : "", json_number_value(value));
    printf(")");
}

static void show_restored(const json_t *json)
{
    printf("%s, noise %.3g", json_string_value(json_object_get(json, "task")), number(json, "sigma"));
    show_list(": point", json_object_get(json, "truth"));
    show_list(", measured", json_object_get(json, "y"));
    show_list(", mean of the posterior", json_object_get(json, "posterior_mean"));
    printf("\n");
    show_rows("Errors of samples given the measurement (last row: of true ones)", json_object_get(json, "rows"));
}

static void show(json_t *json)
{
    printf("%s: %s score, process %s\n", json_string_value(json_object_get(json, "target")),
           json_string_value(json_object_get(json, "score")), json_string_value(json_object_get(json, "process")));
    if (json_object_get(json, "training"))
        printf("trained %lld steps, mean loss of the last %.4g\n", (long long)number(json_object_get(json, "training"), "steps"),
               number(json_object_get(json, "training"), "loss"));
    if (given.compare) {
        show_compared(json);
    } else if (given.convergence) {
        json_t *rows = flat_orders(json_object_get(json, "rows"));
        show_rows("Errors of samplers (order: slope of log error over log steps)", rows);
        show_rows("TV(output, data) and the three terms of its bound (Chen et al. 2023): start, step, score", json_object_get(json, "theorem"));
        json_decref(rows);
    } else if (given.panels) {
        printf("spectral gap of Langevin dynamics %.4g; expected to have crossed: (1 - exp(-gap T))/2\n", number(json, "gap"));
        show_rows("Particles that began in one mode", json_object_get(json, "rows"));
    } else if (given.restore) {
        show_restored(json);
    } else {
        show_samples(json);
    }
    if (given.out)
        printf("\n%s written\n", given.out);
}

/* ---- working ---------------------------------------------------------------------------------------------------------------- */

static int read_numbers(ebb_toy_options *o)
{
    char *end;
    int code = cli_read_seed(given.seed, &o->seed);
    if (code != CLI_OK)
        return code;
    errno = 0;
    if (given.class) {
        long label = strtol(given.class, &end, 10);
        if (errno || *end || end == given.class || label < 0 || label > INT_MAX)
            return cli_fail_usage("--class %s: give a whole number from 0", given.class);
        o->label = (int)label;
    }
    return CLI_OK;
}

/* A classifier leads from the score of all, where nothing else is said. */
static int read_guidance(ebb_context *ctx, ebb_toy_options *o)
{
    o->guidance = given.scale != 0 ? -1 : 0;
    o->classifier_scale = given.scale;
    o->classifier_form = given.form;
    int code = given.guidance ? cli_guidance_read(ctx, given.guidance, &o->guidance) : CLI_OK;
    return code == CLI_OK && given.interval ? cli_interval_read(given.interval, &o->guidance_low, &o->guidance_high) : code;
}

static int list_laws(ebb_context *ctx)
{
    char *text = NULL;
    ebb_status status = ebb_target_list(ctx, &text);
    return cli_finish(ctx, status, text, NULL);
}

static int run_job(ebb_context *ctx, const ebb_toy_options *o)
{
    char *text = NULL;
    cli_stop_catch();
    ebb_status status = ebb_toy(ctx, o, &text);
    cli_progress_end();
    if (cli_stopped() && status != EBB_OK)
        return cli_fail("stopped"), CLI_INTERRUPTED;
    return cli_finish(ctx, status, text, show);
}

static int toy(ebb_context *ctx, const cli_line *line)
{
    cli_work w = {0};
    ebb_toy_options o = ebb_toy_defaults();
    int code = read_numbers(&o);
    if (given.list)
        return list_laws(ctx);
    if (code == CLI_OK)
        code = read_guidance(ctx, &o);
    if (code != CLI_OK)
        return code;
    o.target = line->rest[0];
    o.job = job();
    o.score = given.score;
    o.model = given.model;
    o.save = given.save;
    o.process = given.process;
    o.settings = line->rest + 1;
    o.settings_count = line->count - 1;
    o.sampler = given.sampler;
    o.grid = given.grid;
    o.steps = given.steps;
    o.nfe = given.nfe;
    o.n = given.n;
    o.task = given.task;
    o.sigma = given.sigma;
    o.resamples = given.resamples;
    o.picture = given.out && cli_ends_with(given.out, ".png") ? given.out : NULL;
    o.samples = given.out && !o.picture ? given.out : NULL;
    o.progress = cli_progress_work;
    o.user = &w;
    return run_job(ctx, &o);
}

static int run(const cli_command *self, int argc, const char **argv)
{
    return cli_run(self, options, argc, argv, check, toy);
}

const cli_command cli_toy = {
    .name = "toy",
    .summary = "runs samplers over laws that are known exactly, and measures the distance",
    .arguments = "LAW [key=value ...]",
    .examples = "  ebb toy mixture -o mixture.png                          # heun over the exact score\n"
                "  ebb toy ring:modes=6 --sampler euler-maruyama --steps 200 -o ring.png\n"
                "  ebb toy moons --score train train.steps=2000 --save moons.safetensors -o moons.png\n"
                "  ebb toy digits-1d --class 7 --guidance -0.5 --sampler euler-maruyama -o digits.png\n"
                "  ebb toy digits-1d --class 7 --classifier-scale 2 --classifier-form mean --sampler ddpm\n"
                "  ebb toy mixture --compare --nfe 20 --sampler heun+dpmpp-2m+unipc+ddim\n"
                "  ebb toy mixture --convergence -o orders.png\n"
                "  ebb toy mixture --restore --sigma 0.1 -o restored.png             # with --model FILE: over a learned score\n"
                "  ebb toy two-modes:separation=4 --panels -o panels.png\n",
    .run = run,
    .more_help = more_help,
};

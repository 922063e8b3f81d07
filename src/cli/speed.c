/* speed.c: ebb speed: measures training steps or network evaluations of a recipe on random data. */
#include <math.h>
#include <string.h>

#include "cli/cli.h"

static struct { int train, eval, sample, profile, batch; double seconds; } given;

static const struct poptOption options[] = {
    {"train", 0, POPT_ARG_NONE, &given.train, 0, "forward, backward, AdamW and EMA (the default)", NULL},
    {"eval", 0, POPT_ARG_NONE, &given.eval, 0, "network evaluations only", NULL},
    {"sample", 0, POPT_ARG_NONE, &given.sample, 0, "pictures from noise to end, by the recipe's sampler", NULL},
    {"batch", 0, POPT_ARG_INT, &given.batch, 0, "pictures a step, or a sampling run (default: the recipe's)", "B"},
    CLI_PRECISION_OPTION,
    {"seconds", 0, POPT_ARG_DOUBLE, &given.seconds, 0, "measure at least so long, and 5 steps or one sampling run (default 3)",
     "S"},
    {"profile", 0, POPT_ARG_NONE, &given.profile, 0, "also where the time goes, by operation", NULL},
    CLI_COMMON_OPTIONS,
};

static int check(const cli_line *line)
{
    (void)line;
    if (given.train + given.eval + given.sample > 1)
        return cli_fail_usage("--train, --eval or --sample: one of them");
    if (given.batch < 0 || !(given.seconds >= 0 && given.seconds < 1e6))
        return cli_fail_usage("--batch and --seconds take positive numbers");
    return CLI_OK;
}

/* Numbers of a row of the profile with as many places as help. */
static json_t *row_of(const json_t *row)
{
    static const struct { const char *key, *title; double scale; int places; } numbers[] = {
        {"ms", "ms", 1, 3}, {"share", "share %", 100, 1}, {"GFLOP/s", "GFLOP/s", 1, 1}, {"GB/s", "GB/s", 1, 1}};
    static const char *const words[] = {"phase", "op", "backend", "implementation", "count"};
    json_t *out = json_object();
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        json_t *word = json_object_get(row, words[i]);
        json_object_set_new(out, words[i], word ? json_incref(word) : json_string(""));
    }
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        char text[64] = "";
        const json_t *number = json_object_get(row, numbers[i].key);
        if (number)
            snprintf(text, sizeof text, "%.*f", numbers[i].places, numbers[i].scale * json_number_value(number));
        json_object_set_new(out, numbers[i].title, json_string(text));
    }
    return out;
}

/* The speed, then the table of the profile. */
static void show(json_t *report)
{
    json_t *profile = json_incref(json_object_get(report, "profile")), *rows = json_array(), *row;
    size_t i;
    json_object_del(report, "profile");
    cli_json_show(report, 0);
    json_array_foreach(json_object_get(profile, "rows"), i, row)
        json_array_append_new(rows, row_of(row));
    if (profile) {
        putchar('\n');
        cli_table(rows, 0);
    }
    json_decref(rows);
    json_decref(profile);
}

static int speed(ebb_context *ctx, const cli_line *line)
{
    int code = CLI_OK;
    ebb_recipe *recipe = cli_recipe_read(ctx, line, NULL, &code);
    if (!recipe)
        return code;
    ebb_speed_options o = {.size = sizeof o,
                           .eval = given.eval,
                           .sample = given.sample,
                           .batch = given.batch,
                           .seconds = given.seconds,
                           .profile = given.profile};
    char *text = NULL;
    ebb_status status = ebb_speed(ctx, recipe, &o, &text);
    ebb_recipe_free(recipe);
    return cli_finish(ctx, status, text, show);
}

static int run(const cli_command *self, int argc, const char **argv)
{
    return cli_run(self, options, argc, argv, check, speed);
}

const cli_command cli_speed = {
    .name = "speed",
    .summary = "measures images a second of a recipe: training, evaluating or sampling",
    .arguments = "RECIPE [key=value ...]",
    .examples = "  ebb speed unet-s --train --batch 64 --threads 2 --json\n"
                "  ebb speed unet-s --eval --batch 16 --profile\n"
                "  ebb speed unet-s --sample --batch 64 sample.sampler=ddim sample.steps=50\n",
    .run = run,
    .shared = true,
};

/* speed.c: ebb speed: measures training steps or network evaluations of a recipe on random data. */
#include <math.h>
#include <string.h>

#include "cli/cli.h"

static struct { int train, eval, batch; char *precision; double seconds; } given;

static const struct poptOption options[] = {
    {"train", 0, POPT_ARG_NONE, &given.train, 0, "forward, backward, AdamW and EMA (the default)", NULL},
    {"eval", 0, POPT_ARG_NONE, &given.eval, 0, "network evaluations only", NULL},
    {"batch", 0, POPT_ARG_INT, &given.batch, 0, "pictures a step (default: the recipe's)", "B"},
    {"precision", 0, POPT_ARG_STRING, &given.precision, 0, "f32 (default) or bf16", "P"},
    {"seconds", 0, POPT_ARG_DOUBLE, &given.seconds, 0, "measure at least so long, and 5 steps (default 3)",
     "S"},
    CLI_COMMON_OPTIONS,
};

static int check(const cli_line *line)
{
    (void)line;
    if (given.train && given.eval)
        return cli_fail_usage("--train or --eval: one of them");
    if (given.batch < 0 || !(given.seconds >= 0 && given.seconds < 1e6))
        return cli_fail_usage("--batch and --seconds take positive numbers");
    if (given.precision && strcmp(given.precision, "f32") != 0 && strcmp(given.precision, "bf16") != 0)
        return cli_fail_usage("--precision %s: give f32 or bf16", given.precision);
    return CLI_OK;
}

static int speed(ebb_context *ctx, const cli_line *line)
{
    int code = CLI_OK;
    ebb_recipe *recipe = cli_recipe_read(ctx, line, NULL, &code);
    if (!recipe)
        return code;
    ebb_speed_options o = {.size = sizeof o,
                           .eval = given.eval,
                           .batch = given.batch,
                           .seconds = given.seconds,
                           .precision = given.precision ? given.precision : "f32"};
    char *text;
    ebb_status status = ebb_speed(ctx, recipe, &o, &text);
    json_t *json = status == EBB_OK ? cli_json_take(text) : NULL;
    if (status != EBB_OK)
        code = cli_fail_context(ctx, status);
    else if (!json)
        code = CLI_ERROR;
    else if (cli_common.json)
        cli_json_print(json);
    else
        cli_json_show(json, 0);
    json_decref(json);
    ebb_recipe_free(recipe);
    return code;
}

static int run(const cli_command *self, int argc, const char **argv)
{
    return cli_run(self, options, argc, argv, check, speed);
}

const cli_command cli_speed = {
    .name = "speed",
    .summary = "measures images a second of a recipe, training or evaluating",
    .arguments = "RECIPE [key=value ...]",
    .examples = "  ebb speed unet-s --train --batch 64 --threads 2 --json\n",
    .run = run,
};

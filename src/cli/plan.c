/* plan.c: ebb plan: shows each step that a recipe's training, or evaluation, runs through, or what memory it takes. */
#include <string.h>

#include "cli/cli.h"

static struct { int eval, memory; } given;

static const struct poptOption options[] = {
    {"eval", 0, POPT_ARG_NONE, &given.eval, 0, "the plan of evaluation instead of training", NULL},
    {"memory", 0, POPT_ARG_NONE, &given.memory, 0, "what memory it takes for what, instead of the steps", NULL},
    CLI_PRECISION_OPTION,
    CLI_COMMON_OPTIONS,
};

/* One step as a row of the table: MFLOP instead of FLOPs, lifetime as "first-last" (in steps). */
static json_t *row_of(const json_t *step)
{
    static const char *const keep[] = {"step", "phase", "op", "shape", "type", "backend", "implementation", "bytes"};
    json_t *row = json_object();
    for (size_t i = 0; i < sizeof keep / sizeof keep[0]; i++)
        json_object_set(row, keep[i], json_object_get(step, keep[i]));
    char text[64];
    snprintf(text, sizeof text, "%.2f", (double)json_integer_value(json_object_get(step, "flops")) / 1e6);
    json_object_set_new(row, "MFLOP", json_string(text));
    const json_t *life = json_object_get(step, "lifetime");
    snprintf(text, sizeof text, "%lld-%lld", (long long)json_integer_value(json_array_get(life, 0)),
             (long long)json_integer_value(json_array_get(life, 1)));
    json_object_set_new(row, "lifetime", json_string(life ? text : "kept"));
    return row;
}

/* The table of steps, then the totals. */
static void show(json_t *report)
{
    json_t *rows = json_array(), *step;
    size_t i;
    json_array_foreach(json_object_get(report, "steps"), i, step)
        json_array_append_new(rows, row_of(step));
    cli_table(rows, 0);
    putchar('\n');
    json_object_del(report, "steps");
    cli_json_show(report, 0);
    json_decref(rows);
}

static double megabytes(const json_t *object, const char *key)
{
    return 1e-6 * (double)json_integer_value(json_object_get(object, key));
}

/* Rows of the list with megabytes for bytes. */
static json_t *in_megabytes(const json_t *list)
{
    json_t *rows = json_array(), *item, *value;
    const char *key;
    size_t i;
    json_array_foreach((json_t *)list, i, item) {
        json_t *row = json_object();
        json_object_foreach(item, key, value)
            if (strcmp(key, "bytes") == 0)
                json_object_set_new(row, "MB", json_sprintf("%.2f", megabytes(item, "bytes")));
            else
                json_object_set(row, key, value);
        json_array_append_new(rows, row);
    }
    return rows;
}

/* Who holds what, the sum, and the worst moment of a worker's arena. */
static void show_memory(json_t *report)
{
    const json_t *peak = json_object_get(report, "peak");
    json_t *parts = in_megabytes(json_object_get(report, "parts"));
    json_t *values = in_megabytes(json_object_get(peak, "values"));
    cli_table(parts, 0);
    printf("\n%.1f MB in all, beside code and libraries (%s, batch %lld in shards of %lld, %s, train.memory=%s)\n",
           megabytes(report, "total_bytes"), json_string_value(json_object_get(report, "kind")),
           (long long)json_integer_value(json_object_get(report, "batch")),
           (long long)json_integer_value(json_object_get(report, "shard")),
           json_string_value(json_object_get(report, "precision")),
           json_string_value(json_object_get(report, "memory")));
    printf("\nA worker has most activations in step %lld (%s), %.1f MB; the largest:\n",
           (long long)json_integer_value(json_object_get(peak, "step")),
           json_string_value(json_object_get(peak, "op")), megabytes(peak, "alive_bytes"));
    cli_table(values, 0);
    json_decref(parts);
    json_decref(values);
}

static int plan(ebb_context *ctx, const cli_line *line)
{
    int code = CLI_OK;
    ebb_recipe *recipe = cli_recipe_read(ctx, line, NULL, &code);
    if (!recipe)
        return code;
    char *text = NULL;
    ebb_status status = (given.memory ? ebb_memory_report : ebb_plan_report)(ctx, recipe, given.eval, &text);
    ebb_recipe_free(recipe);
    return cli_finish(ctx, status, text, given.memory ? show_memory : show);
}

static int run(const cli_command *self, int argc, const char **argv)
{
    return cli_run(self, options, argc, argv, NULL, plan);
}

const cli_command cli_plan = {
    .name = "plan",
    .summary = "shows the steps of a recipe: operation, shape, back end, bytes, FLOPs, lifetime",
    .arguments = "RECIPE [key=value ...]",
    .examples = "  ebb plan digits --eval\n  ebb plan unet-s train.batch=64 --json\n"
                "  ebb plan unet-l --memory train.memory=low\n",
    .run = run,
};

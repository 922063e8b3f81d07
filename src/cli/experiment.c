/* experiment.c: ebb experiment: the lectures' experiments, one or all, each with its figures beside what they must be.
 */
#include <string.h>

#include "cli/cli.h"

static struct { char *out; int again, quick, list; } given;

static const struct poptOption options[] = {
    {"out", 'o', POPT_ARG_STRING, &given.out, 0, "directory of results, pictures and models (default runs/experiments)", "DIR"},
    {"again", 0, POPT_ARG_NONE, &given.again, 0, "all: also those that have a result there (models are still used again)", NULL},
    {"quick", 0, POPT_ARG_NONE, &given.quick, 0, "few steps and samples, to see that all works: nothing is claimed", NULL},
    {"list", 0, POPT_ARG_NONE, &given.list, 0, "list the experiments, what they rest on, and where they are from", NULL},
    CLI_COMMON_OPTIONS,
};

static void more_help(FILE *out)
{
    cli_help_list(out, "Experiments", ebb_experiment_list);
    fputs("\nExit code 0: every figure is what it must be (--quick: all could be run); 1: some are not, or data are missing and an\n"
          "experiment was not run; 3: stopped, and the same command goes on.\n", out);
}

static int check(const cli_line *line)
{
    if (given.list)
        return line->count == 0 ? CLI_OK : cli_fail_usage("--list takes no experiment: \"%s\"", line->rest[0]);
    if (line->count < 1)
        return cli_fail_usage("which experiment? give a name, or all (--list shows them)");
    if (line->count > 1)
        return cli_fail_usage("one experiment, or all: \"%s\" is one too many", line->rest[1]);
    if (given.again && strcmp(line->rest[0], "all") != 0)
        return cli_fail_usage("--again is of all: %s alone is always run", line->rest[0]);
    return CLI_OK;
}

/* ---- showing --------------------------------------------------------------------------------------------------------------- */

static const char *text_of(const json_t *json, const char *key)
{
    const char *text = json_string_value(json_object_get(json, key));
    return text ? text : "";
}

static json_int_t whole(const json_t *json, const char *key)
{
    return json_integer_value(json_object_get(json, key));
}

static const char *verdict(const json_t *check)
{
    const json_t *pass = json_object_get(check, "pass");
    return json_is_true(pass) ? "pass" : json_is_false(pass) ? "FAIL" : "";
}

static void show(const json_t *result)
{
    size_t i;
    json_t *check, *rows = json_array(), *path;
    printf("%s (%s; %s): %s\n", text_of(result, "name"), text_of(result, "row"), text_of(result, "source"), text_of(result, "help"));
    if (*text_of(result, "missing"))
        printf("  not run: %s\n", text_of(result, "missing"));
    json_array_foreach (json_object_get(result, "checks"), i, check)
        json_array_append_new(rows, json_pack("{s:O, s:O, s:O, s:s}", "figure", json_object_get(check, "name"), "measured",
                                              json_object_get(check, "value"), "expected", json_object_get(check, "expected"),
                                              "", verdict(check)));
    if (json_array_size(rows) > 0)
        cli_table(rows, 2);
    json_decref(rows);
    json_array_foreach (json_object_get(result, "pictures"), i, path)
        printf("  picture: %s\n", json_string_value(path));
    printf("  %s: %lld of %lld figures pass, %.1f s%s\n\n", text_of(result, "state"), (long long)whole(result, "passed"),
           (long long)(whole(result, "passed") + whole(result, "failed")), json_number_value(json_object_get(result, "seconds")),
           json_is_true(json_object_get(result, "kept")) ? ", as an earlier run found" : "");
}

static void show_list(const json_t *list)
{
    size_t i;
    json_t *row;
    json_array_foreach (list, i, row) {
        printf("%-18s %-4s %s\n", text_of(row, "name"), text_of(row, "row"), text_of(row, "help"));
        printf("%-18s      from %s%s%s\n", "", text_of(row, "source"), *text_of(row, "models") ? "; models: " : "",
               text_of(row, "models"));
    }
}

/* ---- running --------------------------------------------------------------------------------------------------------------- */

/* NULL with *code: CLI_INTERRUPTED, or what kind of failure the context's message is of. */
static json_t *run_one(ebb_context *ctx, const char *name, int keep, int *code)
{
    char *text;
    cli_work w = {.name = name, .start = cli_seconds()};
    ebb_experiment_options o = {.size = sizeof o, .name = name, .dir = given.out, .keep = keep, .quick = given.quick,
                                .progress = cli_progress_work, .user = &w};
    ebb_status status = ebb_experiment(ctx, &o, &text);
    cli_progress_end();
    if (status == EBB_OK)
        return cli_json_take(text);
    if (cli_stopped())
        cli_fail("%s; the same command goes on", ebb_message(ctx));
    *code = cli_stopped() ? CLI_INTERRUPTED : cli_fail_context(ctx, status);
    return NULL;
}

static bool good(const json_t *result)
{
    return strcmp(text_of(result, "state"), "passed") == 0 || strcmp(text_of(result, "state"), "quick") == 0;
}

static int one(ebb_context *ctx, const char *name)
{
    int code = CLI_ERROR;
    json_t *result = run_one(ctx, name, 0, &code);
    if (!result)
        return code;
    if (cli_common.json)
        cli_json_print(result);
    else
        show(result);
    code = good(result) ? CLI_OK : CLI_ERROR;
    json_decref(result);
    return code;
}

static json_t *summary_row(const json_t *experiment, const json_t *result)
{
    return json_pack("{s:s, s:s, s:s, s:I, s:I, s:f}", "row", text_of(experiment, "row"), "experiment", text_of(experiment, "name"),
                     "result", result ? text_of(result, "state") : "error", "passed", whole(result, "passed"), "failed",
                     whole(result, "failed"), "seconds", json_number_value(json_object_get(result, "seconds")));
}

/* One row after the other; an error of one is told and does not keep the others from running. */
static int run_all(ebb_context *ctx, const json_t *list, json_t *summary, json_t *results)
{
    size_t i;
    json_t *experiment;
    int worst = CLI_OK;
    json_array_foreach (list, i, experiment) {
        int code = CLI_OK;
        json_t *result = run_one(ctx, text_of(experiment, "name"), !given.again, &code);
        if (!result && code == CLI_INTERRUPTED)
            return code;
        json_array_append_new(summary, summary_row(experiment, result));
        worst = result && good(result) ? worst : CLI_ERROR;
        if (result && !cli_common.json) {
            show(result);
            fflush(stdout);
        }
        if (result)
            json_array_append_new(results, result);
    }
    return worst;
}

static int all(ebb_context *ctx, const json_t *list)
{
    double start = cli_seconds();
    char took[32];
    json_t *summary = json_array(), *results = json_array();
    int code = run_all(ctx, list, summary, results);
    if (code != CLI_INTERRUPTED && cli_common.json) {
        json_t *json = json_pack("{s:O, s:O, s:f}", "rows", summary, "results", results, "seconds", cli_seconds() - start);
        cli_json_print(json);
        json_decref(json);
    } else if (code != CLI_INTERRUPTED) {
        cli_table(summary, 0);
        printf("\n%zu experiments in %s\n", json_array_size(summary), cli_duration(cli_seconds() - start, took));
    }
    json_decref(summary);
    json_decref(results);
    return code;
}

static int experiment(ebb_context *ctx, const cli_line *line)
{
    char *text;
    if (!given.list && strcmp(line->rest[0], "all") != 0) {
        cli_stop_catch();
        return one(ctx, line->rest[0]);
    }
    ebb_status status = ebb_experiment_list(ctx, &text);
    if (status != EBB_OK)
        return cli_fail_context(ctx, status);
    json_t *list = cli_json_take(text);
    int code = list ? CLI_OK : CLI_ERROR;
    if (list && given.list) {
        if (cli_common.json)
            cli_json_print(list);
        else
            show_list(list);
    } else if (list) {
        cli_stop_catch();
        code = all(ctx, list);
    }
    json_decref(list);
    return code;
}

static int run(const cli_command *self, int argc, const char **argv)
{
    return cli_run(self, options, argc, argv, check, experiment);
}

const cli_command cli_experiment = {
    .name = "experiment",
    .summary = "repeats the lectures' experiments: figures beside what they must be, pictures",
    .arguments = "NAME|all",
    .examples = "  ebb experiment langevin\n  ebb experiment all -o runs/experiments\n  ebb experiment --list\n",
    .run = run,
    .more_help = more_help,
};

/* check.c: ebb check: compares what this machine's kernels compute with their specification.
 *
 * Exit codes: 0 all equal, 1 differences (or an error), 2 usage.
 */
#include <string.h>

#include "cli/cli.h"

static struct { int kernels, sample; char *isa, *kernel; } given;

static const struct poptOption options[] = {
    {"kernels", 0, POPT_ARG_NONE, &given.kernels, 0, "every fast kernel against plain C, bit for bit", NULL},
    {"isa", 0, POPT_ARG_STRING, &given.isa, 0, "only this instruction set (ebb info cpu lists them)", "NAME"},
    {"kernel", 0, POPT_ARG_STRING, &given.kernel, 0, "only this kernel, such as conv_f32", "NAME"},
    {"sample", 0, POPT_ARG_INT, &given.sample, 0, "only every Nth case", "N"},
    CLI_COMMON_OPTIONS,
};

static int check_line(const cli_line *line)
{
    if (!given.kernels)
        return cli_fail_usage("check what? give --kernels");
    if (line->count)
        return cli_fail_usage("\"%s\": check takes options only", line->rest[0]);
    if (given.sample < 0)
        return cli_fail_usage("--sample %d: give 1 or more", given.sample);
    return CLI_OK;
}

static int on_progress(void *start, const char *kernel, double done)
{
    char left[32];
    double gone = cli_seconds() - *(double *)start;
    if (done > 0.01)   /* before that, who knows */
        cli_progress(done >= 1.0, "checking  %3.0f %%  %s  left %s", 100 * done, kernel,
                     cli_duration(gone / done * (1.0 - done), left));
    return cli_stopped();
}

/* Kernels, cases and failures of each instruction set. */
static json_t *summary(const json_t *rows)
{
    json_t *list = json_array(), *row;
    size_t i;
    json_array_foreach(rows, i, row) {
        static const char *const sums[] = {"cases", "compared", "failures"};
        const char *isa = json_string_value(json_object_get(row, "isa"));
        json_t *last = json_array_get(list, json_array_size(list) - 1);
        if (!last || strcmp(json_string_value(json_object_get(last, "isa")), isa) != 0) {
            last = json_pack("{s:s, s:i, s:i, s:i, s:i}", "isa", isa, "kernels", 0, "cases", 0, "compared", 0,
                             "failures", 0);
            json_array_append_new(list, last);
        }
        json_object_set_new(last, "kernels",
                            json_integer(json_integer_value(json_object_get(last, "kernels")) + 1));
        for (int k = 0; k < 3; k++)
            json_object_set_new(last, sums[k], json_integer(json_integer_value(json_object_get(last, sums[k])) +
                                                            json_integer_value(json_object_get(row, sums[k]))));
    }
    return list;
}

static void show(json_t *report)
{
    json_t *rows = json_object_get(report, "rows"), *table = summary(rows), *row;
    size_t i;
    cli_table(table, 0);
    putchar('\n');
    json_array_foreach(rows, i, row) {
        const char *message = json_string_value(json_object_get(row, "message"));
        if (message)
            printf("%s\n", message);
    }
    json_object_del(report, "rows");
    cli_json_show(report, 0);
    json_decref(table);
}

static int check(ebb_context *ctx, const cli_line *line)
{
    (void)line;
    double start = cli_seconds();
    ebb_check_options o = {.size = sizeof o, .cpu = given.isa, .kernel = given.kernel, .sample = given.sample,
                           .progress = on_progress, .user = &start};
    char *text;
    cli_stop_catch();
    ebb_status status = ebb_check_kernels(ctx, &o, &text);
    if (status != EBB_OK)
        return cli_fail_context(ctx, status);
    json_t *json = cli_json_take(text);
    if (!json)
        return CLI_ERROR;
    bool equal = json_integer_value(json_object_get(json, "failures")) == 0;
    bool stopped = json_is_true(json_object_get(json, "stopped"));
    cli_progress_end();
    cli_json_end(json, show);
    return !equal ? CLI_ERROR : stopped ? CLI_INTERRUPTED : CLI_OK;
}

static int run(const cli_command *self, int argc, const char **argv)
{
    return cli_run(self, options, argc, argv, check_line, check);
}

const cli_command cli_check = {
    .name = "check",
    .summary = "checks that this machine's fast kernels compute what they should",
    .arguments = "--kernels",
    .examples = "  ebb check --kernels\n  ebb check --kernels --isa avx2 --kernel conv_f32 --json\n",
    .run = run,
};

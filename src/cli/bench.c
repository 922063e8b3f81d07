/* bench.c: ebb bench: which sampler, at how many evaluations, gives what quality at what cost here.
 */
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

static struct {
    char *out, *samplers, *nfe, *grids, *guidance, *metric, *class, *seed, *model, *process, *data, *labels, *keep, *against;
    long long n;
    int quick, full, reference, resamples, list;
} given;

static const struct poptOption options[] = {
    {"out", 'o', POPT_ARG_STRING, &given.out, 0, "directory of results.json, results.csv, report.html, plots and finished cells", "DIR"},
    {"quick", 0, POPT_ARG_NONE, &given.quick, 0, "few cells and samples, to see how it goes", NULL},
    {"full", 0, POPT_ARG_NONE, &given.full, 0, "every sampler, more grids, budgets and samples", NULL},
    {"samplers", 0, POPT_ARG_STRING, &given.samplers, 0, "with commas between, each NAME[:key=value,...] (default: see --list)", "LIST"},
    {"nfe", 0, POPT_ARG_STRING, &given.nfe, 0, "budgets of network evaluations a sample, as 5,10,20: as many steps as they pay for", "LIST"},
    {"grids", 0, POPT_ARG_STRING, &given.grids, 0, "levels to walk through, as own,karras:rho=5; own: each sampler's own", "LIST"},
    {"guidance", 0, POPT_ARG_STRING, &given.guidance, 0, "strengths of guidance, as 0,1.5,scale:3 (default 0; of a model its recipe's)", "LIST"},
    {"reference", 0, POPT_ARG_INT, &given.reference, 0,
     "evaluations of the ancestral sampler that all are held against (default 1000; --quick 200; -1: none)", "N"},
    {"metric", 0, POPT_ARG_STRING, &given.metric, 0, "that recommendations go by (default: frechet; of laws sliced-w2, on a line w2)", "M"},
    {"number", 'n', POPT_ARG_LONGLONG, &given.n, 0, "samples of each cell (default: pictures 500, --quick 64, --full 2000; of laws 10000, 2000, 50000)", "N"},
    {"class", 0, POPT_ARG_STRING, &given.class, 0, "samples of this class, none, or all (default)", "K"},
    {"seed", 0, POPT_ARG_STRING, &given.seed, 0, "seed of the noise that every cell starts from (default 0)", "K"},
    {"resamples", 0, POPT_ARG_INT, &given.resamples, 0, "of the intervals (default 40; -1: no intervals)", "B"},
    {"model", 0, POPT_ARG_STRING, &given.model, 0, "laws: a model that learned the score: its error apart from that of the steps", "FILE"},
    {"process", 0, POPT_ARG_STRING, &given.process, 0, "laws: how noise is added (default vp): KIND[:key=value,...]", "P"},
    {"data", 0, POPT_ARG_STRING, &given.data, 0, "models: pictures to judge by, file, folder or recipe (default: those trained on)", "DATA"},
    {"labels", 0, POPT_ARG_STRING, &given.labels, 0, "models: labels of idx and npy data, or in place of the recipe's", "FILE"},
    {"keep", 0, POPT_ARG_STRING, &given.keep, 0, "models: directory of the classifier that judges, trained if missing (default runs/experiments)", "DIR"},
    {"against", 0, POPT_ARG_STRING, &given.against, 0,
     "say what has changed beyond the intervals since another run (results.json), or beside a table (sampler,nfe,metric,value)", "REF"},
    CLI_PRECISION_OPTION,
    {"list", 0, POPT_ARG_NONE, &given.list, 0, "list what is run at which scale", NULL},
    CLI_COMMON_OPTIONS,
};

static void more_help(FILE *out)
{
    cli_help_list(out, "Laws, as in ebb bench toy:ring:modes=6", ebb_target_list);
    cli_help_list(out, "Metrics of pictures", ebb_metric_list);
    cli_help_list(out, "Metrics of laws, and flow-error: from where the exact flow leads", ebb_distance_list);
    cli_help_list(out, "Samplers", ebb_sampler_list);
    cli_help_list(out, "Grids", ebb_grid_list);
    fputs("\nFinished cells stay in DIR/cells: the same command again measures only what is not there. Exit code 1: an error,\n"
          "or something is worse than --against beyond its interval; 3: stopped, and the same command goes on.\n", out);
}

static int check(const cli_line *line)
{
    if (given.list)
        return line->count == 0 ? CLI_OK : cli_fail_usage("--list takes nothing else: \"%s\"", line->rest[0]);
    if (line->count < 1)
        return cli_fail_usage("a benchmark of what? name a model's file, or a law, as toy:mixture");
    if (line->count > 1)
        return cli_fail_usage("one subject: \"%s\" is one too many", line->rest[1]);
    if (!given.out)
        return cli_fail_usage("where are the results to go? give -o DIR");
    if (given.quick && given.full)
        return cli_fail_usage("--quick and --full: give one of them");
    if (given.n < 0)
        return cli_fail_usage("-n takes numbers from 0");
    return CLI_OK;
}

/* ---- progress -------------------------------------------------------------------------------------------------------------- */

/* When the command began, and, for what is left, when the first cell did (0: not yet). */
typedef struct clock_of_work { double start, first; } clock_of_work;

static int on_progress(void *user, const char *doing, int64_t cell, int64_t cells, double done)
{
    char left[32];
    clock_of_work *w = user;
    if (cells > 0 && w->first == 0)
        w->first = cli_seconds();
    double gone = cli_seconds() - (cells > 0 ? w->first : w->start);
    if (gone > 0.2 && cells == 0)
        cli_progress(false, "%s  %.0f%%", doing, 100 * done);
    else if (gone > 0.2 && done > 0)
        cli_progress(false, "cell %lld/%lld  %s  %.0f%%  %.3g cells/min  left %s", (long long)cell + 1, (long long)cells, doing, 100 * done,
                     60 * (double)cells * done / gone, cli_duration(gone * (1 - done) / done, left));
    return cli_stopped();
}

/* ---- showing --------------------------------------------------------------------------------------------------------------- */

static const char *text_of(const json_t *json, const char *key)
{
    const char *text = json_string_value(json_object_get(json, key));
    return text ? text : "";
}

static long long whole(const json_t *json, const char *key)
{
    return json_integer_value(json_object_get(json, key));
}

static json_t *found_of(const json_t *cell, const char *metric)
{
    return json_object_get(json_object_get(cell, "metrics"), metric);
}

static bool is_refused(const json_t *cell)
{
    return json_object_get(cell, "refused") != NULL;
}

/* The chosen metric and where samples have been let lie; rows in the order of the grid. */
static json_t *table_of(const json_t *results)
{
    size_t i;
    json_t *cell, *rows = json_array();
    const char *metric = text_of(results, "metric");
    json_array_foreach (json_object_get(results, "cells"), i, cell) {
        if (is_refused(cell))
            continue;
        json_t *row = json_pack("{s:O, s:O, s:O, s:O, s:O}", "sampler", json_object_get(cell, "sampler"), "grid", json_object_get(cell, "grid"),
                                "guidance", json_object_get(cell, "guidance"), "steps", json_object_get(cell, "steps"), "nfe",
                                json_object_get(cell, "nfe"));
        const json_t *found = found_of(cell, metric);
        json_object_set(row, metric, found ? json_object_get(found, "value") : json_null());
        json_object_set(row, "low", found ? json_object_get(found, "low") : json_null());
        json_object_set(row, "high", found ? json_object_get(found, "high") : json_null());
        json_object_set(row, "a second", json_object_get(cell, "per_second"));
        json_object_set_new(row, "", json_string(strcmp(text_of(cell, "role"), "cell") == 0 ? "" : text_of(cell, "role")));
        json_array_append_new(rows, row);
    }
    return rows;
}

/* What is the same is only counted. */
static void show_against(const json_t *against)
{
    size_t i;
    json_t *row, *rows = json_array();
    static const char *const members[] = {"verdict", "sampler", "grid", "guidance", "nfe", "metric", "was", "is", "low", "high"};
    json_array_foreach (json_object_get(against, "rows"), i, row) {
        json_t *line = json_object();
        for (int k = 0; k < 10; k++)
            json_object_set(line, members[k], json_object_get(row, members[k]));
        if (strcmp(text_of(row, "verdict"), "same") != 0)
            json_array_append(rows, line);
        json_decref(line);
    }
    if (against)
        printf("\nAgainst %s: %lld better, %lld worse, %lld the same within the intervals, %lld new, %lld missing\n",
               text_of(against, "reference"), whole(against, "better"), whole(against, "worse"), whole(against, "same"),
               whole(against, "new"), whole(against, "missing"));
    if (json_array_size(rows) > 0)
        cli_table(rows, 2);
    json_array_foreach (json_object_get(against, "differs"), i, row)
        printf("  other %s than there\n", text_of(row, "member"));
    json_decref(rows);
}

static void show(json_t *results)
{
    size_t i;
    json_t *row, *rows = table_of(results);
    cli_table(rows, 0);
    json_decref(rows);
    json_array_foreach (json_object_get(results, "cells"), i, row)
        if (is_refused(row))
            printf("%s over %s: %s\n", text_of(row, "sampler"), text_of(row, "grid"), text_of(row, "refused"));
    printf("\nThe best of each budget of evaluations by %s:\n", text_of(results, "metric"));
    json_array_foreach (json_object_get(results, "budgets"), i, row)
        printf("  %4lld: %s\n", (long long)json_integer_value(json_object_get(row, "nfe")), text_of(row, "text"));
    show_against(json_object_get(results, "against"));
    printf("\n%s/report.html, results.json, results.csv and plots written\n", given.out);
}

static void show_list(json_t *list)
{
    size_t i;
    json_t *row;
    cli_table(json_object_get(list, "samplers"), 0);
    printf("\nbudgets:");
    json_array_foreach (json_object_get(list, "budgets"), i, row)
        printf(" %lld (%s)", (long long)json_integer_value(json_object_get(row, "nfe")), text_of(row, "scale"));
    printf("\n");
}

/* ---- working --------------------------------------------------------------------------------------------------------------- */

static int read_class(int *label)
{
    char *end;
    if (!given.class || strcmp(given.class, "all") == 0)
        return CLI_OK;
    if (strcmp(given.class, "none") == 0) {
        *label = EBB_LABEL_NONE;
        return CLI_OK;
    }
    errno = 0;
    long value = strtol(given.class, &end, 10);
    if (errno || *end || end == given.class || value < 0 || value > INT_MAX)
        return cli_fail_usage("--class %s: give a whole number from 0, none or all", given.class);
    *label = (int)value;
    return CLI_OK;
}

static void add_text(char command[4096], const char *text)
{
    size_t n = strlen(command);
    snprintf(command + n, 4096 - n, "%s", text);
}

/* How to do it again, as it was given; what a shell could take for its own is quoted, a quote by leaving the quotes: 'it'\''s'. */
static void add_word(char command[4096], const char *word)
{
    size_t plain = strspn(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=:,./");
    const char *quote = word[plain] == 0 && *word ? "" : "'";
    add_text(command, " ");
    add_text(command, quote);
    for (; *word; word++)
        add_text(command, *word == '\'' ? "'\\''" : (char[]){*word, 0});
    add_text(command, quote);
}

static void add_option(char command[4096], const char *name, const char *value)
{
    if (value) {
        add_word(command, name);
        add_word(command, value);
    }
}

static void add_number(char command[4096], const char *name, long long value)
{
    char text[32];
    snprintf(text, sizeof text, "%lld", value);
    add_option(command, name, value != 0 ? text : NULL);
}

static void tell_command(const char *what, char command[4096])
{
    snprintf(command, 4096, "ebb bench");
    add_word(command, what);
    if (given.quick || given.full)
        add_word(command, given.quick ? "--quick" : "--full");
    add_option(command, "--samplers", given.samplers);
    add_option(command, "--nfe", given.nfe);
    add_option(command, "--grids", given.grids);
    add_option(command, "--guidance", given.guidance);
    add_number(command, "--reference", given.reference);
    add_option(command, "--metric", given.metric);
    add_number(command, "-n", given.n);
    add_option(command, "--class", given.class);
    add_option(command, "--seed", given.seed);
    add_number(command, "--resamples", given.resamples);
    add_option(command, "--model", given.model);
    add_option(command, "--process", given.process);
    add_option(command, "--data", given.data);
    add_option(command, "--labels", given.labels);
    add_option(command, "--keep", given.keep);
    add_option(command, "--precision", cli_common.precision);
    add_option(command, "-o", given.out);
}

static int run_bench(ebb_context *ctx, const char *what)
{
    char *text = NULL, command[4096];
    clock_of_work w = {.start = cli_seconds()};
    ebb_bench_options o = ebb_bench_defaults();
    int code = cli_read_seed(given.seed, &o.seed);
    code = code == CLI_OK ? read_class(&o.label) : code;
    if (code != CLI_OK)
        return code;
    tell_command(what, command);
    o.what = what;
    o.dir = given.out;
    o.scale = given.quick ? -1 : given.full;
    o.samplers = given.samplers;
    o.nfe = given.nfe;
    o.grids = given.grids;
    o.guidance = given.guidance;
    o.reference = given.reference;
    o.metric = given.metric;
    o.n = given.n;
    o.resamples = given.resamples;
    o.model = given.model;
    o.process = given.process;
    o.data = given.data;
    o.labels = given.labels;
    o.keep = given.keep;
    o.precision = cli_common.precision;
    o.against = given.against;
    o.command = command;
    o.progress = on_progress;
    o.user = &w;
    cli_stop_catch();
    ebb_status status = ebb_bench(ctx, &o, &text);
    cli_progress_end();
    if (cli_stopped() && status != EBB_OK)
        return cli_fail("%s; the same command goes on", ebb_message(ctx)), CLI_INTERRUPTED;
    if (status != EBB_OK)
        return cli_finish(ctx, status, text, NULL);
    json_t *results = cli_json_take(text);
    bool worse = whole(json_object_get(results, "against"), "worse") > 0;
    code = results ? cli_json_end(results, show) : CLI_ERROR;
    return code == CLI_OK && worse ? CLI_ERROR : code;
}

static int bench(ebb_context *ctx, const cli_line *line)
{
    char *text = NULL;
    if (!given.list)
        return run_bench(ctx, line->rest[0]);
    ebb_status status = ebb_bench_list(ctx, &text);
    return cli_finish(ctx, status, text, show_list);
}

static int run(const cli_command *self, int argc, const char **argv)
{
    return cli_run(self, options, argc, argv, check, bench);
}

const cli_command cli_bench = {
    .name = "bench",
    .summary = "which sampler, at how many evaluations, gives what quality at what cost: a report",
    .arguments = "MODEL|toy:LAW",
    .examples = "  ebb bench runs/digits/model.safetensors -n 1000 -o runs/bench\n"
                "  ebb bench toy:mixture -o runs/mixture\n"
                "  ebb bench toy:ring:modes=6 --samplers heun,edm:churn=40,unipc --nfe 10,20 --grids own,karras:rho=5 -o runs/ring\n",
    .run = run,
    .more_help = more_help,
};

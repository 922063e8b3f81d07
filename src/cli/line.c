/* line.c: reads a command's options and arguments.
 *
 * popt parses; this file adds "did you mean" for unknown options, and help with examples.
 */
#include <string.h>

#include "cli/cli.h"

cli_common_options cli_common;

/* Edit distance (Levenshtein); words of more than 63 letters are far from everything. */
static int distance(const char *a, const char *b)
{
    size_t la = strlen(a), lb = strlen(b);
    int row[64];
    if (la > 63 || lb > 63)
        return 64;
    for (size_t j = 0; j <= lb; j++)
        row[j] = (int)j;
    for (size_t i = 1; i <= la; i++) {
        int diagonal = row[0];
        row[0] = (int)i;
        for (size_t j = 1; j <= lb; j++) {
            int change = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            int least = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;
            row[j] = change < least ? change : least;
        }
    }
    return row[lb];
}

const char *cli_nearest(const char *word, const char *const *names)
{
    const char *best = NULL;
    int least = (int)strlen(word) / 3 + 2;
    for (; *names; names++) {
        int d = distance(word, *names);
        if (d < least) {
            least = d;
            best = *names;
        }
    }
    return best;
}

static void print_help(const cli_line *line, const cli_command *command)
{
    printf("ebb %s: %s\n\n", command->name, command->summary);
    poptPrintHelp(line->popt, stdout, 0);
    if (command->more_help)
        command->more_help(stdout);
    printf("\nExamples:\n%s", command->examples);
}

static int bad_option(const cli_line *line, const cli_command *command, const struct poptOption *options,
                      int error)
{
    const char *given = poptBadOption(line->popt, POPT_BADOPTION_NOALIAS);
    if (error != POPT_ERROR_BADOPT)
        return cli_fail_usage("%s: %s; see ebb %s --help", given, poptStrerror(error), command->name);
    const char *names[32], *near;
    int n = 0;
    for (; (options->longName || options->shortName) && n < 31; options++)
        if (options->longName)
            names[n++] = options->longName;
    names[n] = NULL;
    char word[64];
    size_t dashes = strspn(given, "-");
    snprintf(word, sizeof word, "%.*s", (int)strcspn(given + dashes, "="), given + dashes);
    near = dashes == 2 ? cli_nearest(word, names) : NULL;
    if (near)
        return cli_fail_usage("%s has no option %s; did you mean --%s?", command->name, given, near);
    return cli_fail_usage("%s has no option %s; see ebb %s --help", command->name, given, command->name);
}

/* Reads options into their variables. False: *code is the exit code (help was printed, or a usage error).
 * Free in both cases. */
static bool read_line(cli_line *line, const cli_command *command, const struct poptOption *options, int argc,
                   const char **argv, int *code)
{
    /* popt keeps pointers to both as long as the line lives. */
    static char name[32], usage[128];
    snprintf(name, sizeof name, "ebb %s", command->name);
    snprintf(usage, sizeof usage, "[OPTION...] %s", command->arguments);
    argv[0] = name;
    *line = (cli_line){.popt = poptGetContext(NULL, argc, argv, options, 0)};
    if (!line->popt) {
        *code = cli_fail("out of memory");
        return false;
    }
    poptSetOtherOptionHelp(line->popt, usage);
    int rc = poptGetNextOpt(line->popt);
    *code = CLI_OK;
    if (rc < -1)
        *code = bad_option(line, command, options, rc);
    else if (cli_common.help)
        print_help(line, command);
    else if (cli_common.threads < 0)
        *code = cli_fail_usage("--threads %d: give 1 or more, or 0 for all cores", cli_common.threads);
    else {
        line->rest = poptGetArgs(line->popt);
        while (line->rest && line->rest[line->count])
            line->count++;
        return true;
    }
    return false;
}

static void free_line(cli_line *line)
{
    poptFreeContext(line->popt);
}

/* The key=value that --precision stands for, or NULL. */
static const char *precision_assignment(void)
{
    static const char *const known[] = {"precision.type=f32", "precision.type=bf16", "precision.type=auto"};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strcmp(strchr(known[i], '=') + 1, cli_common.precision) == 0)
            return known[i];
    return NULL;
}

ebb_recipe *cli_recipe_read(ebb_context *ctx, const cli_line *line, const char *fallback, int *code)
{
    int i = line->count > 0 && !strchr(line->rest[0], '=');
    const char *name = i ? line->rest[0] : fallback;
    ebb_recipe *recipe = NULL;
    if (!name) {
        *code = cli_fail_usage("which recipe? give a name (ebb recipes lists them) or a JSON file");
        return NULL;
    }
    const char *precision = cli_common.precision ? precision_assignment() : NULL;
    if (cli_common.precision && !precision) {
        *code = cli_fail_usage("--precision %s: give f32, bf16 or auto", cli_common.precision);
        return NULL;
    }
    ebb_status status = ebb_recipe_load(ctx, name, &recipe);
    for (; status == EBB_OK && i < line->count; i++)
        status = ebb_recipe_set(ctx, recipe, line->rest[i]);
    if (status == EBB_OK && precision)
        status = ebb_recipe_set(ctx, recipe, precision);
    status = ebb_ranks_agree(ctx, status);
    if (status == EBB_OK)
        return recipe;
    *code = cli_fail_context(ctx, status);
    ebb_recipe_free(recipe);
    return NULL;
}

int cli_run(const cli_command *self, const struct poptOption *options, int argc, const char **argv,
            int (*check)(const cli_line *line), int (*work)(ebb_context *ctx, const cli_line *line))
{
    cli_line line;
    int code;
    if (read_line(&line, self, options, argc, argv, &code) && (!check || (code = check(&line)) == CLI_OK)) {
        ebb_context *ctx = cli_context(&code);
        if (ctx && (!self->shared || cli_ranks_begin(ctx, &code))) {
            cli_warn(ctx);
            code = cli_ranks_end(ctx, work(ctx, &line));
        }
        ebb_context_free(ctx);
    }
    free_line(&line);
    return code;
}

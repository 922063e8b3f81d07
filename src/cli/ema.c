/* ema.c: ebb ema: a model of averaged weights, with a window of any width, from the snapshots of a run. */
#include "cli/cli.h"

static struct { double width; long long step; char *out; } given;

static const struct poptOption options[] = {
    {"width", 0, POPT_ARG_DOUBLE, &given.width, 0, "standard deviation of the window in parts of the run, as 0.1", "W"},
    {"step", 0, POPT_ARG_LONGLONG, &given.step, 0, "average up to this step (default: the last snapshot's)", "N"},
    {"out", 'o', POPT_ARG_STRING, &given.out, 0, "the model to write", "FILE"},
    CLI_COMMON_OPTIONS,
};

static int check(const cli_line *line)
{
    if (line->count != 1)
        return cli_fail_usage("of which run? give the one folder that ebb train wrote its ema-*.safetensors to");
    if (!given.out)
        return cli_fail_usage("where to? give -o FILE.safetensors");
    return given.width > 0 ? CLI_OK : cli_fail_usage("of what width? give --width, as --width 0.1");
}

static int make(ebb_context *ctx, const cli_line *line)
{
    char *text = NULL;
    ebb_status status = ebb_ema_make(ctx, line->rest[0], given.width, given.step, given.out, &text);
    return cli_finish(ctx, status, text, NULL);
}

static int run(const cli_command *self, int argc, const char **argv)
{
    return cli_run(self, options, argc, argv, check, make);
}

const cli_command cli_ema = {
    .name = "ema",
    .summary = "averages the snapshots of a run with a window of any width",
    .arguments = "DIR",
    .examples = "  ebb ema runs/digits --width 0.1 -o averaged.safetensors\n",
    .run = run,
};

/* main.c: the ebb program: finds the command and runs it.
 *
 * Exit codes: 0 done, 1 error, 2 usage, 3 interrupted (training was saved and can go on).
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"

static const cli_command *const commands[] = {&cli_train, &cli_sample, &cli_nll, &cli_restore, &cli_latent, &cli_toy, &cli_info, &cli_plan,
                                              &cli_speed, &cli_check, &cli_recipes, &cli_ema, &cli_experiment, &cli_classify, &cli_bench,
                                              &cli_eval,
                                              &cli_convert, &cli_compare, &cli_dump, NULL};

static void print_overview(FILE *out)
{
    fprintf(out, "ebb %s trains diffusion models and samples from them on CPUs.\n\n"
                 "Usage: ebb COMMAND [OPTION...] [ARGUMENT...]\n\nCommands:\n", ebb_version());
    for (int i = 0; commands[i]; i++)
        fprintf(out, "  %-10s %s\n", commands[i]->name, commands[i]->summary);
    fprintf(out, "  %-10s %s\n  %-10s %s\n\nExamples:\n%s%s", "help", "prints this, or the help of a command",
            "version", "prints the version", cli_train.examples, cli_sample.examples);
}

static const cli_command *find(const char *name)
{
    for (int i = 0; commands[i]; i++)
        if (strcmp(commands[i]->name, name) == 0)
            return commands[i];
    return NULL;
}

static int unknown(const char *name)
{
    const char *names[sizeof commands / sizeof commands[0] + 2];
    int n = 0;
    for (; commands[n]; n++)
        names[n] = commands[n]->name;
    names[n++] = "help";
    names[n++] = "version";
    names[n] = NULL;
    const char *near = cli_nearest(name + strspn(name, "-"), names);
    if (near)
        return cli_fail_usage("no command \"%s\"; did you mean \"%s\"?", name, near);
    return cli_fail_usage("no command \"%s\"; ebb --help lists them", name);
}

static int run(int argc, const char **argv)
{
    const char *name = argc > 1 ? argv[1] : "";
    if (strcmp(name, "--version") == 0 || strcmp(name, "version") == 0) {
        printf("ebb %s\n", ebb_version());
        return CLI_OK;
    }
    bool help = strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0;
    if (argc < 2 || (help && argc == 2)) {
        print_overview(help ? stdout : stderr);
        return help ? CLI_OK : CLI_USAGE;
    }
    if (help) {
        const char *of[] = {"", "--help", NULL};
        const cli_command *command = find(argv[2]);
        return command ? command->run(command, 2, of) : unknown(argv[2]);
    }
    const cli_command *command = find(name);
    return command ? command->run(command, argc - 1, argv + 1) : unknown(name);
}

/* A closed stdin, stdout or stderr would give its number to the next file that is opened, and our
 * messages would go into it. A closed stdout becomes one that cannot be written, which shows at the end. */
static void hold_standard_files(void)
{
    for (int fd = 0; fd <= 2; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", fd == 2 ? O_WRONLY : O_RDONLY) < 0)
            _exit(CLI_ERROR);
}

int main(int argc, char **argv)
{
    hold_standard_files();
    /* A reader that goes away and a file over the size limit are errors of write, not signals. */
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    int code = run(argc, (const char **)argv);
    errno = 0;
    bool lost = fflush(stdout) != 0 || ferror(stdout);
    if (lost && errno != EPIPE)
        cli_fail("cannot write to standard output: %s", errno ? strerror(errno) : "an earlier write failed");
    return lost && code == CLI_OK ? CLI_ERROR : code;
}

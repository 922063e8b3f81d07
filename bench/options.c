/* options.c: the command line of the benchmarks, and the way to Google Benchmark's own. */
#include <popt.h>
#include <regex.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

static regex_t filter;
static int rows;

bench_options bench = {.threads = 1, .shapes = "all"};

static void usage(const char *message, const char *value)
{
    fprintf(stderr, "bench: %s%s; see --help\n", message, value);
    exit(2);
}

static void check(const char *isa)
{
    int found = isa ? ebb_isa_from_name(isa) : (int)ebb_isa_best();
    if (found < 0)
        usage("no instruction set is called ", isa);
    if (!ebb_isa_available((ebb_isa)found))
        usage("this machine or build has no ", isa);
    if (bench.threads < 1 || bench.threads > BENCH_THREADS)
        usage("--threads: give 1 to 64", "");
    if (!bench.rounds)
        bench.rounds = bench.quick ? 3 : 15;
    if (bench.rounds < 1 || bench.rounds > BENCH_ROUNDS)
        usage("--rounds: give 1 to 201", "");
    if (regcomp(&filter, bench.filter ? bench.filter : "", REG_EXTENDED | REG_NOSUB) != 0)
        usage("--filter is no regular expression: ", bench.filter);
    if (strcmp(bench.shapes, "all") != 0 && (strlen(bench.shapes) != 1 || !strchr("sml", bench.shapes[0])))
        usage("--shapes: give s, m, l or all, not ", bench.shapes);
    bench.isa = (ebb_isa)found;
    bench.kernels = ebb_kernels_get(bench.isa);
}

bool bench_wants(char size)
{
    return strcmp(bench.shapes, "all") == 0 || bench.shapes[0] == size;
}

void bench_begin(int argc, char **argv, const char *about, const char *example)
{
    const char *isa = NULL;
    int help = 0;
    const struct poptOption options[] = {
        {"threads", 0, POPT_ARG_INT, &bench.threads, 0, "threads, each with its own pictures (default: 1)", "T"},
        {"filter", 0, POPT_ARG_STRING, &bench.filter, 0, "only rows whose name matches", "REGEX"},
        {"json", 0, POPT_ARG_STRING, &bench.json, 0, "write the results there, too", "FILE"},
        {"isa", 0, POPT_ARG_STRING, &isa, 0, "kernels of this instruction set (default: the best)", "NAME"},
        {"shapes", 0, POPT_ARG_STRING, &bench.shapes, 0, "of U-Net s, m, l or all (default: all)", "SIZE"},
        {"rounds", 0, POPT_ARG_INT, &bench.rounds, 0, "rounds of each row (default: 15)", "N"},
        {"quick", 0, POPT_ARG_NONE, &bench.quick, 0, "a few short rounds: only shows that it works", NULL},
        {"help", 'h', POPT_ARG_NONE, &help, 0, "print this help", NULL}, POPT_TABLEEND,
    };
    poptContext popt = poptGetContext(NULL, argc, (const char **)argv, options, 0);
    int code = poptGetNextOpt(popt);
    if (code < -1)
        usage(poptStrerror(code), poptBadOption(popt, 0));
    if (poptPeekArg(popt))
        usage("takes no argument: ", poptPeekArg(popt));
    if (help) {
        puts(about);
        poptPrintHelp(popt, stdout, 0);
        printf("\nExample:\n%s\nbench/README.md says what the columns mean.\n", example);
        exit(0);
    }
    check(isa);
    /* popt's strings live as long as its context, which stays */
}

bool bench_add(void (*body)(bench_state *, void *), void *arg, const char *format, ...)
{
    char name[160];
    va_list args;
    va_start(args, format);
    vsnprintf(name, sizeof name, format, args);
    va_end(args);
    if (regexec(&filter, name, 0, NULL, 0) != 0)
        return false;
    bench_shim_add(name, bench.rounds, body, arg);
    rows++;
    return true;
}

void bench_add_summary(void (*body)(bench_state *, void *), void *arg, const char *name)
{
    bench_shim_add(name, 1, body, arg);
}

int bench_end(void)
{
    char text[16], json[1024];
    char *argv[] = {(char *)"bench", (char *)"--benchmark_out_format=json", json, NULL};
    if (rows == 0) {
        fprintf(stderr, "bench: nothing matches --filter %s\n", bench.filter ? bench.filter : "");
        return 1;
    }
    snprintf(text, sizeof text, "%d", bench.threads);
    bench_shim_context("ebb_threads", text);
    bench_shim_context("ebb_isa", ebb_isa_name(bench.isa));
    snprintf(json, sizeof json, "--benchmark_out=%s", bench.json ? bench.json : "");
    return bench_shim_run(bench.json ? 3 : 1, argv) == 0;
}

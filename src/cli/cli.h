/* cli.h: what the commands of the ebb program share.
 *
 * One file a command. The program sees the public header only; it alone prints and exits. Results go to
 * stdout (with --json as one line of JSON), progress and errors to stderr.
 */
#ifndef EBB_CLI_H
#define EBB_CLI_H

#include <jansson.h>
#include <popt.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "ebb.h"

enum { CLI_OK = 0, CLI_ERROR = 1, CLI_USAGE = 2, CLI_INTERRUPTED = 3 };

typedef struct cli_command {
    const char *name, *summary;
    const char *arguments;                       /* after the options in the usage line */
    const char *examples;                        /* lines for --help */
    int (*run)(const struct cli_command *self, int argc, const char **argv);
    void (*more_help)(FILE *out);                /* NULL: none */
    bool shared;                                 /* the processes that mpirun starts do it together */
} cli_command;

extern const cli_command cli_train, cli_sample, cli_info, cli_plan, cli_speed, cli_check, cli_recipes, cli_ema, cli_nll, cli_toy,
    cli_experiment, cli_restore, cli_latent, cli_classify, cli_bench, cli_eval, cli_convert, cli_compare,
    cli_dump;

/* ---- line.c: options and arguments ------------------------------------------------------------ */
/* Options that every command has; members are set by cli_run. */
typedef struct cli_common_options { int json, threads, help; char *bind, *precision; } cli_common_options;
extern cli_common_options cli_common;
#define CLI_COMMON_OPTIONS                                                                             \
    {"threads", 0, POPT_ARG_INT, &cli_common.threads, 0, "threads (default: one a core)", "T"},        \
    {"bind", 0, POPT_ARG_STRING, &cli_common.bind, 0, "keep threads to: none, domain, core or auto",   \
     "PLACE"},                                                                                         \
    {"json", 0, POPT_ARG_NONE, &cli_common.json, 0, "print the result as one line of JSON", NULL},     \
    {"help", 'h', POPT_ARG_NONE, &cli_common.help, 0, "print this help", NULL}, POPT_TABLEEND

/* Of the commands that take a recipe to compute with. */
#define CLI_PRECISION_OPTION                                                                           \
    {"precision", 0, POPT_ARG_STRING, &cli_common.precision, 0,                                        \
     "of activations: f32, bf16 or auto (default: the recipe's)", "P"}

/* What a command line leaves when its options are read: rest[0..count). */
typedef struct cli_line { poptContext popt; const char **rest; int count; } cli_line;
/* What every command does: reads the line, checks it (check may be NULL), makes a context, works, frees. */
int cli_run(const cli_command *self, const struct poptOption *options, int argc, const char **argv,
            int (*check)(const cli_line *line), int (*work)(ebb_context *ctx, const cli_line *line));
/* The name of the list (ended by NULL) nearest to `word`, or NULL when none is near. */
const char *cli_nearest(const char *word, const char *const *names);
/* A recipe from rest: [RECIPE] [key=value ...]; `fallback` when there is no RECIPE (NULL: one is needed). Then
 * --precision.
 * NULL: the message was printed and *code is the exit code. */
ebb_recipe *cli_recipe_read(ebb_context *ctx, const cli_line *line, const char *fallback, int *code);

/* ---- given.c: what several commands are given ---------------------------------------------------- */
/* A longer text that ends so. */
bool cli_ends_with(const char *text, const char *end);
/* The folder of an output must take a file: better to know before the work than after it. */
int cli_check_folder(const char *path);
/* --seed and --class; text NULL leaves the value as it is. all: "all" is EBB_LABEL_ALL. */
int cli_read_seed(const char *text, uint64_t *seed);
int cli_read_class(const char *text, const ebb_model_shape *shape, bool all, int *label);

/* ---- guidance.c: --guidance, --guidance-interval; the exit code when a message was printed -------- */
#define CLI_GUIDANCE_OPTIONS(guidance, interval, usual)                                                                 \
    {"guidance", 0, POPT_ARG_STRING, guidance, 0,                                                                      \
     "how strongly samples are led to the class: w, or another convention's value, see below: [NAME:]VALUE (default: " \
     usual ")", "W"},                                                                                                  \
    {"guidance-interval", 0, POPT_ARG_STRING, interval, 0,                                                             \
     "guidance acts where LOW < sigma/alpha <= HIGH only (Kynkaanniemi et al. 2024)", "LOW,HIGH"}
#define CLI_GUIDANCE_HELP "Guidance, as in --guidance 1.5 or --guidance scale:2.5, which are the same"
int cli_guidance_read(ebb_context *ctx, const char *text, double *w);
int cli_interval_read(const char *text, double *low, double *high);

/* ---- say.c: messages and results ---------------------------------------------------------------- */
/* "ebb: message" on stderr; return CLI_ERROR and CLI_USAGE. */
int cli_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
int cli_fail_usage(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The context's message; CLI_USAGE for unknown keys and names, else CLI_ERROR. */
int cli_fail_context(const ebb_context *ctx, ebb_status status);
/* A context with --threads, or NULL with *code set. */
ebb_context *cli_context(int *code);
/* What the context warns of, if anything. */
void cli_warn(const ebb_context *ctx);
/* Parses and frees what the library returned; NULL with a message when it is not JSON. */
json_t *cli_json_take(char *text);
/* The end of a command whose result is JSON, in every way it can end: the message of a failure; the JSON as it is for
 * programs (--json), or by show for people (NULL: cli_json_show), on rank 0. Frees text or json; returns the exit code. */
int cli_finish(const ebb_context *ctx, ebb_status status, char *text, void (*show)(json_t *));
int cli_json_end(json_t *json, void (*show)(json_t *));
/* For --help: name and help of each entry of a list of the library. */
void cli_help_list(FILE *out, const char *title, ebb_status (*list)(ebb_context *, char **));
/* One line of JSON on stdout. */
void cli_json_print(const json_t *json);
/* For people: "key: value" lines, nested by indentation; arrays of objects as tables. */
void cli_json_show(const json_t *json, int indent);
void cli_table(const json_t *rows, int indent);

/* ---- progress.c -------------------------------------------------------------------------------- */
/* One line on stderr: rewritten in place on a terminal, else a new line every few seconds. `last`: print
 * in any case, and end the line. */
void cli_progress(bool last, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Work of several parts, whose progress is told by progress(work, doing, done, total): rate and time left are of what is being
 * done now, from where it began, since a training may go on from its middle. Returns cli_stopped(). */
typedef struct cli_work { const char *name; double start; int64_t first; char doing[80]; } cli_work;     /* name: or NULL; else zeros */
int cli_progress_work(void *work, const char *doing, int64_t done, int64_t total);
/* Ends a line that is being rewritten. */
void cli_progress_end(void);
/* mm:ss, or h:mm:ss */
const char *cli_duration(double seconds, char buffer[32]);
double cli_seconds(void);

/* ---- ranks.c ----------------------------------------------------------------------------------- */
/* Joins the other processes, if mpirun started some; false: the message was printed and *code is set. From then
 * on only rank 0 prints. */
bool cli_ranks_begin(ebb_context *ctx, int *code);
/* The exit code of this process when the work ended with `code`. */
int cli_ranks_end(ebb_context *ctx, int code);

/* ---- speaker.c --------------------------------------------------------------------------------- */
/* Whether this process speaks for all. */
bool cli_speaks(void);
/* Its rank, and how many there are. */
int cli_speaker(int *ranks);
void cli_speaker_set(int rank, int ranks);

/* ---- stop.c ------------------------------------------------------------------------------------ */
/* From now on the first SIGINT, SIGTERM, SIGHUP or SIGUSR1 only sets a flag; a second one ends the program. */
void cli_stop_catch(void);
bool cli_stopped(void);

#endif

/* train.c: ebb train: runs a recipe to its end, or until a signal, and tells how it goes. */
#include <math.h>

#include "cli/cli.h"

static struct { char *out, *resume; } given;

static const struct poptOption options[] = {
    {"out", 'o', POPT_ARG_STRING, &given.out, 0, "directory of the run (made when missing)", "DIR"},
    {"resume", 0, POPT_ARG_STRING, &given.resume, 0, "go on with the run in DIR: the same bits as uncut",
     "DIR"},
    CLI_PRECISION_OPTION,
    CLI_COMMON_OPTIONS,
};

static void more_help(FILE *out)
{
    cli_help_list(out, "Recipes (default digits; a JSON file will do; keys: ebb recipes --keys)",
                  ebb_recipe_list);
}

static void report_progress(const ebb_train_report *r, bool last)
{
    char left[32], accuracy[32] = "";
    if (isfinite(r->accuracy))
        snprintf(accuracy, sizeof accuracy, "  accuracy %.3f", r->accuracy);
    cli_progress(last, "step %lld/%lld  loss %.4f%s  %.0f images/s  left %s", (long long)r->step,
                 (long long)r->steps, r->loss_mean, accuracy, r->images_per_second,
                 cli_duration(r->seconds_left, left));
}

static void report_end(const ebb_train_report *r, const char *dir, bool interrupted)
{
    if (cli_common.json) {
        json_t *json = json_pack("{s:s, s:I, s:I, s:f, s:f, s:b}", "dir", dir, "step", (json_int_t)r->step,
                                 "steps", (json_int_t)r->steps, "loss_mean", r->loss_mean,
                                 "images_per_second", r->images_per_second, "interrupted", (int)interrupted);
        cli_json_print(json);
        json_decref(json);
    }
    if (interrupted)
        fprintf(stderr, "stopped after step %lld of %lld, saved; go on with: ebb train --resume %s\n",
                (long long)r->step, (long long)r->steps, dir);
    else if (!cli_common.json && isfinite(r->accuracy))
        printf("%s/model.safetensors is ready; next: ebb classify %s/model.safetensors, ebb sample MODEL --class K --classifier "
               "%s/model.safetensors -o samples.png\n", dir, dir, dir);
    else if (!cli_common.json)
        printf("%s/model.safetensors is ready; next: ebb sample %s/model.safetensors -o samples.png\n", dir,
               dir);
}

static json_int_t whole(const json_t *json, const char *key)
{
    return json_integer_value(json_object_get(json, key));
}

/* What will be trained, and the memory it will hold at most, before the first step. */
static ebb_status announce(ebb_trainer *trainer)
{
    char *text;
    ebb_status status = ebb_trainer_about(trainer, &text);
    json_t *about = status == EBB_OK ? cli_json_take(text) : NULL;
    char ranks[32] = "";
    if (whole(about, "ranks") > 1)
        snprintf(ranks, sizeof ranks, "a rank, %lld ranks x ", (long long)whole(about, "ranks"));
    if (about && cli_speaks())
        fprintf(stderr, "%s: %.3g million parameters, %lld pictures %lldx%lldx%lld, batch %lld, "
                "at most %.0f MB beside code and libraries, %s%lld threads, %s, %s\n",
                json_string_value(json_object_get(about, "recipe")),
                1e-6 * (double)whole(about, "parameters"), (long long)whole(about, "pictures"),
                (long long)whole(about, "height"), (long long)whole(about, "width"),
                (long long)whole(about, "channels"), (long long)whole(about, "batch"),
                1e-6 * (double)whole(about, "memory_bytes"), ranks, (long long)whole(about, "threads"),
                json_string_value(json_object_get(about, "cpu")),
                json_string_value(json_object_get(about, "precision")));
    json_decref(about);
    return status;
}

static int train(ebb_context *ctx, ebb_trainer *trainer, const char *dir)
{
    ebb_train_report report = {.size = sizeof report};
    ebb_status status = ebb_ranks_agree(ctx, announce(trainer));
    int stopped = 0;
    cli_stop_catch();
    while (status == EBB_OK && !report.done && !stopped) {
        status = ebb_trainer_step(trainer, &report);
        if (status == EBB_OK)
            report_progress(&report, report.done);
        stopped = cli_stopped();
        if (status == EBB_OK)
            status = ebb_ranks_any(ctx, &stopped);
    }
    bool interrupted = status == EBB_OK && !report.done;
    if (interrupted) {
        cli_progress_end();
        status = ebb_trainer_save(trainer);
    }
    if (status != EBB_OK)
        return cli_fail_context(ctx, status);
    if (cli_speaks())
        report_end(&report, dir, interrupted);
    return interrupted ? CLI_INTERRUPTED : CLI_OK;
}

static ebb_trainer *start(ebb_context *ctx, const cli_line *line, int *code)
{
    ebb_trainer *trainer = NULL;
    ebb_status status;
    if (given.resume) {
        status = ebb_trainer_resume(ctx, given.resume, &trainer);
    } else {
        ebb_recipe *recipe = cli_recipe_read(ctx, line, "digits", code);
        if (!recipe)
            return NULL;
        status = ebb_trainer_create(ctx, recipe, given.out, &trainer);
        ebb_recipe_free(recipe);
    }
    if (status != EBB_OK)
        *code = cli_fail_context(ctx, status);
    return status == EBB_OK ? trainer : NULL;
}

static int start_and_train(ebb_context *ctx, const cli_line *line)
{
    int code = CLI_OK;
    ebb_trainer *trainer = start(ctx, line, &code);
    if (trainer)
        code = train(ctx, trainer, given.resume ? given.resume : given.out);
    ebb_trainer_free(trainer);
    return code;
}

static int check(const cli_line *line)
{
    if (given.resume && given.out)
        return cli_fail_usage("--resume goes on in its own directory: leave -o away");
    if (given.resume && line->count > 0)
        return cli_fail_usage("--resume takes the recipe from the checkpoint: leave \"%s\" away",
                              line->rest[0]);
    if (given.resume && cli_common.precision)
        return cli_fail_usage("--resume goes on in the precision that the run began with: leave --precision away");
    if (!given.resume && !given.out)
        return cli_fail_usage("where to? give -o DIR for a new run, or --resume DIR to go on with one");
    return CLI_OK;
}

static int run(const cli_command *self, int argc, const char **argv)
{
    return cli_run(self, options, argc, argv, check, start_and_train);
}

const cli_command cli_train = {
    .name = "train",
    .summary = "trains a model by a recipe",
    .arguments = "[RECIPE] [key=value ...] -o DIR",
    .examples = "  ebb train digits train.steps=500 -o runs/digits\n  ebb train --resume runs/digits\n"
                "  mpirun -n 2 ebb train unet-s -o runs/s\n",
    .run = run,
    .more_help = more_help,
    .shared = true,
};

/* recipes.c: ebb recipes: lists the built-in recipes, shows one whole, or lists every key there is. */
#include "cli/cli.h"

static struct { int keys, lists; } given;

static const struct poptOption options[] = {
    {"keys", 0, POPT_ARG_NONE, &given.keys, 0, "every key with type, default and meaning", NULL},
    {"lists", 0, POPT_ARG_NONE, &given.lists, 0, "every process, prediction, loss, weighting and average by name", NULL},
    CLI_COMMON_OPTIONS,
};

/* The text of a recipe with its overrides: what a file of it would hold. */
static ebb_status recipe_text(ebb_context *ctx, const cli_line *line, char **text, int *code)
{
    ebb_recipe *recipe = cli_recipe_read(ctx, line, "digits", code);
    if (!recipe)
        return EBB_OK;
    ebb_status status = ebb_recipe_text(ctx, recipe, text);
    ebb_recipe_free(recipe);
    return status;
}

static int show(ebb_context *ctx, const cli_line *line)
{
    int code = CLI_OK;
    char *text = NULL;
    bool one = line->count > 0;
    ebb_status status = given.lists  ? ebb_recipe_lists(ctx, &text)
                        : given.keys ? ebb_recipe_keys(ctx, &text)
                        : one      ? recipe_text(ctx, line, &text, &code)
                                   : ebb_recipe_list(ctx, &text);
    if (status != EBB_OK)
        return cli_fail_context(ctx, status);
    json_t *json = text ? cli_json_take(text) : NULL;
    if (!json)
        return code ? code : CLI_ERROR;
    if (cli_common.json)
        cli_json_print(json);
    else if (one && !given.keys && !given.lists) {
        json_dumpf(json, stdout, JSON_INDENT(2));
        putchar('\n');
    } else
        cli_json_show(json, 0);
    json_decref(json);
    return code;
}

static int run(const cli_command *self, int argc, const char **argv)
{
    return cli_run(self, options, argc, argv, NULL, show);
}

const cli_command cli_recipes = {
    .name = "recipes",
    .summary = "lists the built-in recipes, prints one as JSON, or lists every key",
    .arguments = "[RECIPE] [key=value ...]",
    .examples = "  ebb recipes\n  ebb recipes digits train.steps=500 > my.json\n  ebb recipes --keys\n",
    .run = run,
};

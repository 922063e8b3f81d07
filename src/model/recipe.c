/* recipe.c: recipes as files: load by name or path, override keys, write back whole.
 *
 * The JSON has one object a section. A recipe may leave keys out (they keep their defaults); the text
 * that ebb writes has every key, so that a model file says all that its training depended on.
 */
#include <stdio.h>
#include <string.h>

#include "model/recipe.h"
#include "model/report.h"

#define NAMES_MAX 64

ebb_status ebb_recipe_default(ebb_context *ctx, ebb_recipe **out)
{
    EBB_TRY(ebb_alloc(ctx, (void **)out, 1, sizeof **out, "recipe"));
    for (int i = 0; i < ebb_keys_count; i++) {
        json_t *value = NULL;
        ebb_status status = ebb_key_parse(ctx, &ebb_keys[i], ebb_keys[i].initial, &value);
        if (status == EBB_OK)
            status = ebb_key_store(ctx, &ebb_keys[i], value, "", *out);
        json_decref(value);
        if (status != EBB_OK) {
            ebb_recipe_free(*out);
            *out = NULL;
            return status;
        }
    }
    return EBB_OK;
}

ebb_status ebb_recipe_copy(ebb_context *ctx, const ebb_recipe *recipe, ebb_recipe **out)
{
    EBB_TRY(ebb_alloc(ctx, (void **)out, 1, sizeof **out, "recipe"));
    **out = *recipe;
    return EBB_OK;
}

void ebb_recipe_free(ebb_recipe *recipe)
{
    ebb_free(recipe);
}

int ebb_recipe_height(const ebb_recipe *r)
{
    return r->data_size.count > 0 ? r->data_size.at[0] : 0;
}

int ebb_recipe_width(const ebb_recipe *r)
{
    return r->data_size.count > 1 ? r->data_size.at[1] : ebb_recipe_height(r);
}

/* ---- JSON -> recipe --------------------------------------------------------------------- */

static ebb_status read_section(ebb_context *ctx, const char *section, json_t *object, const char *where,
                               ebb_recipe *recipe)
{
    const char *name;
    json_t *value;
    if (!json_is_object(object))
        return ebb_fail(ctx, EBB_E_FORMAT, "%s'%s' must be an object of keys, as {\"%s\": {...}}", where,
                        section, section);
    json_object_foreach (object, name, value) {
        char full[128];
        const ebb_key *key;
        snprintf(full, sizeof full, "%.60s.%.60s", section, name);
        EBB_TRY(ebb_key_find(ctx, full, where, &key));
        EBB_TRY(ebb_key_store(ctx, key, value, where, recipe));
    }
    return EBB_OK;
}

static bool is_section(const char *name)
{
    for (int i = 0; i < ebb_keys_count; i++)
        if (strcmp(ebb_keys[i].section, name) == 0)
            return true;
    return false;
}

static ebb_status unknown_section(ebb_context *ctx, const char *name, const char *where)
{
    const char *sections[NAMES_MAX];
    char near[128];
    int count = 0;
    for (int i = 0; i < ebb_keys_count && count < NAMES_MAX; i++)
        if (i == 0 || strcmp(ebb_keys[i].section, ebb_keys[i - 1].section) != 0)
            sections[count++] = ebb_keys[i].section;
    return ebb_fail(ctx, EBB_E_USAGE, "%sunknown recipe section '%s'%s", where, name,
                    ebb_suggest(name, sections, count, near, sizeof near));
}

static ebb_status read_sections(ebb_context *ctx, json_t *root, const char *where, ebb_recipe *recipe)
{
    const char *section;
    json_t *object;
    if (!json_is_object(root))
        return ebb_fail(ctx, EBB_E_FORMAT, "%sa recipe is a JSON object of sections", where);
    json_object_foreach (root, section, object) {
        if (!is_section(section))
            return unknown_section(ctx, section, where);
        EBB_TRY(read_section(ctx, section, object, where, recipe));
    }
    return EBB_OK;
}

static ebb_status from_json(ebb_context *ctx, json_t *root, const char *where, const char *directory,
                            ebb_recipe **out)
{
    char prefix[EBB_TEXT_MAX];
    snprintf(prefix, sizeof prefix, "%.500s: ", where);
    EBB_TRY(ebb_recipe_default(ctx, out));
    ebb_status status = read_sections(ctx, root, prefix, *out);
    if (status == EBB_OK && strlen(directory) >= sizeof(*out)->directory)
        status = ebb_fail(ctx, EBB_E_ARGUMENT, "%sthe name of the recipe's folder is too long", prefix);
    if (status == EBB_OK) {
        strcpy((*out)->directory, directory);
        return EBB_OK;
    }
    ebb_recipe_free(*out);
    *out = NULL;
    return status;
}

ebb_status ebb_recipe_parse(ebb_context *ctx, const char *text, const char *where, const char *directory,
                            ebb_recipe **out)
{
    json_t *root;
    *out = NULL;
    EBB_TRY(ebb_json_parse(ctx, text, where, &root));
    ebb_status status = from_json(ctx, root, where, directory, out);
    json_decref(root);
    return status;
}

static ebb_status load_file(ebb_context *ctx, const char *path, ebb_recipe **out)
{
    json_t *root;
    char directory[EBB_TEXT_MAX] = ".";
    const char *slash = strrchr(path, '/');
    if (slash != NULL && slash - path >= EBB_TEXT_MAX)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "path of the recipe is longer than %d bytes: %s",
                        EBB_TEXT_MAX - 1, path);
    if (slash != NULL)
        snprintf(directory, sizeof directory, "%.*s", slash == path ? 1 : (int)(slash - path), path);
    EBB_TRY(ebb_json_read(ctx, path, &root));
    ebb_status status = from_json(ctx, root, path, directory, out);
    json_decref(root);
    return status;
}

static ebb_status unknown_recipe(ebb_context *ctx, const char *name)
{
    const char *names[NAMES_MAX];
    char list[512] = "", near[128];
    int count = 0;
    for (const ebb_embedded *e = ebb_embedded_recipes; e->name != NULL && count < NAMES_MAX; e++) {
        size_t used = strlen(list);
        snprintf(list + used, sizeof list - used, "%s%s", used ? ", " : "", e->name);
        names[count++] = e->name;
    }
    return ebb_fail(ctx, EBB_E_USAGE, "no built-in recipe and no file '%s'%s (built in: %s)", name,
                    ebb_suggest(name, names, count, near, sizeof near), list);
}

const ebb_embedded *ebb_recipe_built_in(const char *name)
{
    for (const ebb_embedded *e = ebb_embedded_recipes; e->name != NULL; e++)
        if (strcmp(e->name, name) == 0)
            return e;
    return NULL;
}

ebb_status ebb_recipe_load(ebb_context *ctx, const char *name, ebb_recipe **out)
{
    const ebb_embedded *built_in = ebb_recipe_built_in(name);
    *out = NULL;
    if (built_in != NULL)
        return ebb_recipe_parse(ctx, built_in->text, name, "", out);
    size_t n = strlen(name);
    bool path = strchr(name, '/') != NULL || (n > 5 && strcmp(name + n - 5, ".json") == 0);
    if (!path && !ebb_file_exists(name))
        return unknown_recipe(ctx, name);
    return load_file(ctx, name, out);
}

/* "precision=bf16" is short for the key that is meant. */
static const char *full_name(const char *name) { return strcmp(name, "precision") == 0 ? "precision.type" : name; }

ebb_status ebb_recipe_set(ebb_context *ctx, ebb_recipe *recipe, const char *assignment)
{
    char full[128];
    const ebb_key *key;
    json_t *value;
    const char *equals = strchr(assignment, '=');
    if (equals == NULL)
        return ebb_fail(ctx, EBB_E_USAGE, "'%s' is not of the form key=value, as in train.steps=2000",
                        assignment);
    snprintf(full, sizeof full, "%.*s", (int)(equals - assignment > 120 ? 120 : equals - assignment),
             assignment);
    EBB_TRY(ebb_key_find(ctx, full_name(full), "", &key));
    EBB_TRY(ebb_key_parse(ctx, key, equals + 1, &value));
    ebb_status status = ebb_key_store(ctx, key, value, "", recipe);
    json_decref(value);
    return status;
}

/* ---- recipe -> JSON --------------------------------------------------------------------- */

static bool at_default(ebb_context *ctx, const ebb_key *key, const json_t *value)
{
    json_t *initial = NULL;
    bool same = ebb_key_parse(ctx, key, key->initial, &initial) == EBB_OK && json_equal(initial, value);
    json_decref(initial);
    return same;
}

static ebb_status write_text(ebb_context *ctx, const ebb_recipe *recipe, bool whole, char **json)
{
    json_t *root = json_object();
    bool fine = root != NULL;
    for (int i = 0; fine && i < ebb_keys_count; i++) {
        const ebb_key *key = &ebb_keys[i];
        json_t *value = ebb_key_json(key, recipe);
        if (!whole && key->later && at_default(ctx, key, value)) {
            json_decref(value);
            continue;
        }
        if (json_object_get(root, key->section) == NULL)
            fine = json_object_set_new(root, key->section, json_object()) == 0;
        json_t *section = json_object_get(root, key->section);
        fine = json_object_set_new(section, key->name, value) == 0 && fine;
    }
    ebb_status status = fine ? ebb_json_text(ctx, root, 2, json)
                             : ebb_fail(ctx, EBB_E_MEMORY, "no memory for the text of the recipe");
    json_decref(root);
    return status;
}

ebb_status ebb_recipe_text(ebb_context *ctx, const ebb_recipe *recipe, char **json)
{
    return write_text(ctx, recipe, true, json);
}

ebb_status ebb_recipe_identity(ebb_context *ctx, const ebb_recipe *recipe, char **json)
{
    return write_text(ctx, recipe, false, json);
}

static json_t *key_row(const ebb_key *key)
{
    static const char *const names[] = {"int", "real", "bool", "text", "ints"};
    json_t *row = json_pack("{s:s, s:s, s:s, s:s}", "key", key->full, "type",
                            key->choices ? "choice" : names[key->type], "default", key->initial, "help",
                            key->help);
    if (row != NULL && key->choices != NULL)
        json_object_set_new(row, "choices", json_string(key->choices));
    if (row != NULL && key->max > key->min) {
        json_object_set_new(row, "min", json_real(key->min));
        json_object_set_new(row, "max", json_real(key->max));
    }
    return row;
}

ebb_status ebb_recipe_keys(ebb_context *ctx, char **json)
{
    json_t *list = json_array();
    for (int i = 0; i < ebb_keys_count; i++)
        json_array_append_new(list, key_row(&ebb_keys[i]));
    return ebb_report_text(ctx, list, json);
}

ebb_status ebb_recipe_list(ebb_context *ctx, char **json)
{
    json_t *list = json_array();
    ebb_status status = EBB_OK;
    for (const ebb_embedded *e = ebb_embedded_recipes; status == EBB_OK && e->name != NULL; e++) {
        ebb_recipe *recipe;
        status = ebb_recipe_load(ctx, e->name, &recipe);
        if (status == EBB_OK)
            json_array_append_new(list, json_pack("{s:s, s:s}", "name", e->name, "help", recipe->about_help));
        ebb_recipe_free(recipe);
    }
    if (status == EBB_OK)
        return ebb_report_text(ctx, list, json);
    json_decref(list);
    return status;
}

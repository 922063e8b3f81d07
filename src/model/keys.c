/* keys.c: the table made from recipe.def, and one key's way between text, JSON and the struct.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/recipe.h"

const ebb_key ebb_keys[] = {
#define KEY(section, name, type, initial, min, max, help)                                             \
    {#section, #name, #section "." #name, EBB_KEY_##type, offsetof(ebb_recipe, section##_##name), initial, \
     min, max, NULL, help, false},
#define KEY_LATER(section, name, type, initial, min, max, help)                                       \
    {#section, #name, #section "." #name, EBB_KEY_##type, offsetof(ebb_recipe, section##_##name), initial, \
     min, max, NULL, help, true},
#define CHOICE(section, name, initial, choices, help)                                                \
    {#section, #name, #section "." #name, EBB_KEY_TEXT, offsetof(ebb_recipe, section##_##name), initial, \
     0, 0, choices, help, false},
#define CHOICE_LATER(section, name, initial, choices, help)                                          \
    {#section, #name, #section "." #name, EBB_KEY_TEXT, offsetof(ebb_recipe, section##_##name), initial, \
     0, 0, choices, help, true},
#include "model/recipe.def"
#undef KEY
#undef CHOICE
};
enum { KEYS = sizeof ebb_keys / sizeof ebb_keys[0] };
const int ebb_keys_count = KEYS;

ebb_status ebb_key_find(ebb_context *ctx, const char *full, const char *where, const ebb_key **out)
{
    const char *names[KEYS];
    char near[128];
    for (int i = 0; i < KEYS; i++) {
        names[i] = ebb_keys[i].full;
        *out = &ebb_keys[i];
        if (strcmp(full, names[i]) == 0)
            return EBB_OK;
    }
    *out = NULL;
    return ebb_fail(ctx, EBB_E_USAGE, "%sunknown recipe key '%s'%s", where, full,
                    ebb_suggest(full, names, KEYS, near, sizeof near));
}

static ebb_status wrong_type(ebb_context *ctx, const ebb_key *key, const char *where, const char *text)
{
    static const char *const types[] = {"a whole number", "a number", "true or false", "a text",
                                        "whole numbers such as 1,2,2"};
    return ebb_fail(ctx, EBB_E_ARGUMENT, "%s%s=%s: expected %s (%s)", where, key->full, text,
                    types[key->type], key->help);
}

/* ---- text -> JSON ----------------------------------------------------------------------- */

static json_t *parse_int(const char *text)
{
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    return end == text || *end != 0 || errno != 0 ? NULL : json_integer(value);
}

static json_t *parse_real(const char *text)
{
    char *end;
    double value = strtod(text, &end);
    return end == text || *end != 0 || !isfinite(value) ? NULL : json_real(value);
}

static json_t *parse_bool(const char *text)
{
    static const char *const yes[] = {"true", "1", "yes", "on"}, *const no[] = {"false", "0", "no", "off"};
    for (int i = 0; i < 4; i++) {
        if (strcmp(text, yes[i]) == 0)
            return json_true();
        if (strcmp(text, no[i]) == 0)
            return json_false();
    }
    return NULL;
}

/* "", "1,2,2" or "[1, 2, 2]" */
static json_t *parse_ints(const char *text)
{
    json_t *list = json_array();
    size_t length = strlen(text);
    bool brackets = length >= 2 && text[0] == '[' && text[length - 1] == ']';
    const char *at = text + (brackets ? 1 : 0), *stop = text + length - (brackets ? 1 : 0);
    while (list != NULL && at < stop) {
        char *end;
        errno = 0;
        long long value = strtoll(at, &end, 10);
        bool number = end != at && end <= stop && errno == 0;
        bool separated = end == stop || (*end == ',' && end + 1 < stop);
        if (!number || !separated || json_array_append_new(list, json_integer(value)) != 0) {
            json_decref(list);
            return NULL;
        }
        at = end + 1;
    }
    return list;
}

ebb_status ebb_key_parse(ebb_context *ctx, const ebb_key *key, const char *text, json_t **out)
{
    switch (key->type) {
    case EBB_KEY_INT: *out = parse_int(text); break;
    case EBB_KEY_REAL: *out = parse_real(text); break;
    case EBB_KEY_BOOL: *out = parse_bool(text); break;
    case EBB_KEY_TEXT: *out = json_string(text); break;
    case EBB_KEY_INTS: *out = parse_ints(text); break;
    }
    return *out ? EBB_OK : wrong_type(ctx, key, "", text);
}

/* ---- JSON -> recipe --------------------------------------------------------------------- */

static ebb_status check_range(ebb_context *ctx, const ebb_key *key, double value, const char *where)
{
    if (value >= key->min && value <= key->max)
        return EBB_OK;
    return ebb_fail(ctx, EBB_E_ARGUMENT, "%s%s=%.10g is outside %.10g..%.10g (%s)", where, key->full, value,
                    key->min, key->max, key->help);
}

static bool is_choice(const char *choices, const char *text)
{
    size_t n = strlen(text);
    for (const char *at = choices; at != NULL; at = strchr(at, '|') ? strchr(at, '|') + 1 : NULL)
        if (n > 0 && strncmp(at, text, n) == 0 && (at[n] == '|' || at[n] == 0))
            return true;
    return false;
}

static ebb_status store_text(ebb_context *ctx, const ebb_key *key, const char *text, const char *where,
                             char *to)
{
    if (key->choices != NULL && !is_choice(key->choices, text))
        return ebb_fail(ctx, EBB_E_ARGUMENT, "%s%s=%s: expected one of %s", where, key->full, text,
                        key->choices);
    if (strlen(text) >= EBB_TEXT_MAX)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "%s%s is longer than %d bytes", where, key->full,
                        EBB_TEXT_MAX - 1);
    /* Zeros to the end: equal recipes are equal bytes. */
    memset(to, 0, EBB_TEXT_MAX);
    strcpy(to, text);
    return EBB_OK;
}

static ebb_status store_ints(ebb_context *ctx, const ebb_key *key, const json_t *value, const char *where,
                             ebb_key_INTS *to)
{
    ebb_key_INTS list = {0};
    bool single = json_is_integer(value);
    size_t count = single ? 1 : json_array_size(value);
    if (count > EBB_INTS_MAX)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "%s%s has more than %d numbers", where, key->full, EBB_INTS_MAX);
    for (size_t i = 0; i < count; i++) {
        const json_t *item = single ? value : json_array_get(value, i);
        if (!json_is_integer(item))
            return wrong_type(ctx, key, where, "[...]");
        EBB_TRY(check_range(ctx, key, (double)json_integer_value(item), where));
        list.at[list.count++] = (int32_t)json_integer_value(item);
    }
    *to = list;
    return EBB_OK;
}

static bool type_fits(const ebb_key *key, const json_t *value)
{
    switch (key->type) {
    case EBB_KEY_INT: return json_is_integer(value);
    case EBB_KEY_REAL: return json_is_number(value);
    case EBB_KEY_BOOL: return json_is_boolean(value);
    case EBB_KEY_TEXT: return json_is_string(value);
    case EBB_KEY_INTS: return json_is_array(value) || json_is_integer(value);
    }
    return false;
}

ebb_status ebb_key_store(ebb_context *ctx, const ebb_key *key, const json_t *value, const char *where,
                         ebb_recipe *recipe)
{
    void *to = (char *)recipe + key->offset;
    if (!type_fits(key, value))
        return wrong_type(ctx, key, where,
                          json_is_string(value) ? json_string_value(value) : "(another type)");
    switch (key->type) {
    case EBB_KEY_INT:
        EBB_TRY(check_range(ctx, key, (double)json_integer_value(value), where));
        *(ebb_key_INT *)to = json_integer_value(value);
        return EBB_OK;
    case EBB_KEY_REAL:
        EBB_TRY(check_range(ctx, key, json_number_value(value), where));
        *(ebb_key_REAL *)to = json_number_value(value);
        return EBB_OK;
    case EBB_KEY_BOOL: *(ebb_key_BOOL *)to = json_is_true(value); return EBB_OK;
    case EBB_KEY_TEXT: return store_text(ctx, key, json_string_value(value), where, to);
    case EBB_KEY_INTS: return store_ints(ctx, key, value, where, to);
    }
    return EBB_OK;
}

/* ---- recipe -> JSON --------------------------------------------------------------------- */

static json_t *ints_json(const ebb_key_INTS *list)
{
    json_t *array = json_array();
    for (int32_t i = 0; array != NULL && i < list->count; i++)
        json_array_append_new(array, json_integer(list->at[i]));
    return array;
}

json_t *ebb_key_json(const ebb_key *key, const ebb_recipe *recipe)
{
    const void *from = (const char *)recipe + key->offset;
    switch (key->type) {
    case EBB_KEY_INT: return json_integer(*(const ebb_key_INT *)from);
    case EBB_KEY_REAL: return json_real(*(const ebb_key_REAL *)from);
    case EBB_KEY_BOOL: return json_boolean(*(const ebb_key_BOOL *)from);
    case EBB_KEY_TEXT: return json_string(from);
    case EBB_KEY_INTS: return ints_json(from);
    }
    return NULL;
}

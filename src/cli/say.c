/* say.c: messages on stderr, results on stdout.
 *
 * People get "key: value" lines and tables of whatever JSON the library returns; programs get the JSON.
 */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

static void complain(const char *format, va_list args)
{
    if (!cli_speaks())
        return;
    cli_progress_end();
    fputs("ebb: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
}

int cli_fail(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    complain(format, args);
    va_end(args);
    return CLI_ERROR;
}

int cli_fail_usage(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    complain(format, args);
    va_end(args);
    return CLI_USAGE;
}

int cli_fail_context(const ebb_context *ctx, ebb_status status)
{
    const char *message = ctx ? ebb_message(ctx) : "";
    cli_fail("%s", message[0] ? message : ebb_status_name(status));
    return status == EBB_E_USAGE ? CLI_USAGE : CLI_ERROR;
}

ebb_context *cli_context(int *code)
{
    ebb_context_options options = {.size = sizeof options, .threads = cli_common.threads, .bind = cli_common.bind};
    ebb_context *ctx = NULL;
    ebb_status status = ebb_context_create(&options, &ctx);
    if (status == EBB_OK)
        return ctx;
    *code = cli_fail_context(ctx, status);
    ebb_context_free(ctx);
    return NULL;
}

void cli_warn(const ebb_context *ctx)
{
    if (ebb_warning(ctx)[0])
        cli_fail("warning: %s", ebb_warning(ctx));
}

json_t *cli_json_take(char *text)
{
    json_error_t error;
    json_t *json = json_loads(text, JSON_DECODE_ANY, &error);
    ebb_text_free(text);
    if (!json)
        cli_fail("the library returned bad JSON (line %d: %s): a defect of ebb", error.line, error.text);
    return json;
}

int cli_json_end(json_t *json, void (*show)(json_t *))
{
    if (!json)
        return CLI_ERROR;
    if (cli_common.json)
        cli_json_print(json);
    else if (cli_speaks() && show)
        show(json);
    else if (cli_speaks())
        cli_json_show(json, 0);
    json_decref(json);
    return CLI_OK;
}

int cli_finish(const ebb_context *ctx, ebb_status status, char *text, void (*show)(json_t *))
{
    return status == EBB_OK ? cli_json_end(cli_json_take(text), show) : cli_fail_context(ctx, status);
}

void cli_json_print(const json_t *json)
{
    if (!cli_speaks())
        return;
    json_dumpf(json, stdout, JSON_COMPACT | JSON_ENCODE_ANY);
    putchar('\n');
}

/* " [eta, ...]": the settings or options that a row of a list takes, where it takes some. */
static void print_taken(FILE *out, const json_t *taken)
{
    for (size_t i = 0; i < json_array_size(taken); i++)
        fprintf(out, "%s%s", i == 0 ? " [" : ", ", json_string_value(json_array_get(taken, i)));
    if (json_array_size(taken) > 0)
        fputc(']', out);
}

void cli_help_list(FILE *out, const char *title, ebb_status (*list)(ebb_context *, char **))
{
    ebb_context *ctx = NULL;
    char *text;
    json_t *json = NULL, *item;
    size_t i;
    if (ebb_context_create(NULL, &ctx) == EBB_OK && list(ctx, &text) == EBB_OK)
        json = cli_json_take(text);
    if (json)
        fprintf(out, "\n%s:\n", title);
    json_array_foreach(json, i, item) {
        fprintf(out, "  %-17s %s", json_string_value(json_object_get(item, "name")),
                json_string_value(json_object_get(item, "help")));
        print_taken(out, json_object_get(item, "takes"));
        fputc('\n', out);
    }
    json_decref(json);
    ebb_context_free(ctx);
}

/* ---- for people ---------------------------------------------------------------------------------- */

static bool is_list_of_objects(const json_t *json)
{
    return json_is_array(json) && json_array_size(json) > 0 && json_is_object(json_array_get(json, 0));
}

/* Integers up to 9999 plain, longer ones in groups of three: 1,623,169. */
static void integer_text(json_int_t value, char *out, size_t size)
{
    char digits[32];
    int n = snprintf(digits, sizeof digits, "%lld", (long long)value), sign = value < 0;
    size_t at = 0;
    for (int i = 0; i < n && at + 2 < size; i++) {
        if (n - sign > 4 && i > sign && (n - i) % 3 == 0)
            out[at++] = ',';
        out[at++] = digits[i];
    }
    out[at] = 0;
}

/* A cell of a table or the value of a line. A shape reads 8x32x32x64. */
static void value_text(const char *key, const json_t *json, char *out, size_t size)
{
    out[0] = 0;
    if (json_is_string(json))
        snprintf(out, size, "%s", json_string_value(json));
    else if (json_is_integer(json))
        integer_text(json_integer_value(json), out, size);
    else if (json_is_real(json))
        snprintf(out, size, "%.6g", json_real_value(json));
    else if (json_is_boolean(json))
        snprintf(out, size, "%s", json_is_true(json) ? "yes" : "no");
    else if (json_is_null(json))
        snprintf(out, size, "-");
    else if (json_is_array(json)) {
        size_t i, at = 0;
        json_t *item;
        const char *between = strcmp(key, "shape") == 0 ? "x" : ", ";
        json_array_foreach(json, i, item) {
            char text[256];
            if (json_is_integer(item))
                snprintf(text, sizeof text, "%lld", (long long)json_integer_value(item));
            else
                value_text(key, item, text, sizeof text);
            int n = snprintf(out + at, size - at, "%s%s", i ? between : "", text);
            if (n < 0 || (size_t)n >= size - at)
                break;
            at += (size_t)n;
        }
    } else {
        char *text = json_dumps(json, JSON_COMPACT);
        snprintf(out, size, "%s", text ? text : "");
        free(text);
    }
}

/* Width of a column over the header and all rows; *number: all its cells look like numbers. */
static int column_width(const json_t *rows, const char *key, bool *number)
{
    size_t i;
    json_t *row;
    char text[1024];
    int width = (int)strlen(key);
    *number = true;
    json_array_foreach(rows, i, row) {
        const json_t *cell = json_object_get(row, key);
        if (!cell)
            continue;
        value_text(key, cell, text, sizeof text);
        width = (int)strlen(text) > width ? (int)strlen(text) : width;
        *number = *number && (json_is_number(cell) || strspn(text, "0123456789.,-") == strlen(text));
    }
    return width;
}

void cli_table(const json_t *rows, int indent)
{
    enum { COLUMNS = 32 };
    const char *key[COLUMNS], *name;
    int width[COLUMNS], columns = 0;
    bool number[COLUMNS];
    json_t *row, *cell;
    size_t r;
    json_object_foreach(json_array_get(rows, 0), name, cell) {
        if (columns == COLUMNS)
            break;
        key[columns] = name;
        width[columns] = column_width(rows, name, &number[columns]);
        columns++;
    }
    for (int c = 0; c < columns; c++)
        printf("%*s%*s", c ? 2 : indent, "", number[c] ? width[c] : c + 1 < columns ? -width[c] : 0, key[c]);
    putchar('\n');
    json_array_foreach(rows, r, row) {
        for (int c = 0; c < columns; c++) {
            char text[1024] = "";
            cell = json_object_get(row, key[c]);
            if (cell)
                value_text(key[c], cell, text, sizeof text);
            printf("%*s%*s", c ? 2 : indent, "",
                   number[c]         ? width[c]
                   : c + 1 < columns ? -width[c]
                                     : 0,
                   text);
        }
        putchar('\n');
    }
}

void cli_json_show(const json_t *json, int indent)
{
    const char *key;
    json_t *value;
    char text[1024];
    if (is_list_of_objects(json)) {
        cli_table(json, indent);
        return;
    }
    if (!json_is_object(json)) {
        value_text("", json, text, sizeof text);
        printf("%*s%s\n", indent, "", text);
        return;
    }
    json_object_foreach((json_t *)json, key, value) {
        if (json_is_object(value) || is_list_of_objects(value)) {
            printf("%*s%s:\n", indent, "", key);
            cli_json_show(value, indent + 2);
        } else {
            value_text(key, value, text, sizeof text);
            printf("%*s%s: %s\n", indent, "", key, text);
        }
    }
}

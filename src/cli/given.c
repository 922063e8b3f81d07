/* given.c: what several commands are given alike: outputs, seeds, classes of a model.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"

bool cli_ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n > m && strcmp(text + n - m, end) == 0;
}

int cli_check_folder(const char *path)
{
    char folder[PATH_MAX];
    const char *slash = strrchr(path, '/');
    int n = slash ? (int)(slash - path) : 0;
    snprintf(folder, sizeof folder, "%.*s", slash ? (n ? n : 1) : 1, slash ? path : ".");
    return access(folder, W_OK | X_OK) == 0 ? CLI_OK : cli_fail("cannot write %s: folder %s: %s", path, folder, strerror(errno));
}

int cli_read_seed(const char *text, uint64_t *seed)
{
    char *end;
    if (!text)
        return CLI_OK;
    errno = 0;
    *seed = strtoull(text, &end, 10);
    if (errno || *end || end == text || text[0] == '-')
        return cli_fail_usage("--seed %s: give a whole number from 0 to 18446744073709551615", text);
    return CLI_OK;
}

int cli_read_class(const char *text, const ebb_model_shape *shape, bool all, int *label)
{
    char *end;
    if (!text)
        return CLI_OK;
    if (shape->classes == 0)
        return cli_fail_usage("--class %s: this model knows no classes", text);
    if (all && strcmp(text, "all") == 0) {
        *label = EBB_LABEL_ALL;
        return CLI_OK;
    }
    long value = strtol(text, &end, 10);
    if (*end || end == text || value < 0 || value >= shape->classes)
        return cli_fail_usage("--class %s: give a number from 0 to %d%s", text, shape->classes - 1, all ? ", or all" : "");
    *label = (int)value;
    return CLI_OK;
}

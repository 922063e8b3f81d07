/* test_refs.c: test_refs DIR holds ebb against every reference in DIR and says how many entries it checked.
 *
 * Exit code 0: all agree; 1: some do not; 2: DIR cannot be read.
 */
#include <stdio.h>
#include <string.h>

#include "against/refs.h"

static const struct { const char *file; void (*check)(refs *r); const char *later; } sections[] = {
#define SECTION(file, function) {file, function, NULL},
#define LATER(file, why) {file, NULL, why},
#include "against/sections.def"
#undef SECTION
#undef LATER
};
enum { SECTIONS = sizeof sections / sizeof sections[0] };

static void check_claims(refs *r)
{
    const char *key;
    json_t *value;
    int i = 0;
    json_object_foreach (r->root, key, value)
        if (!r->claimed[i++] && strcmp(key, "note") != 0) {
            r->entry = key;
            refs_fail(r, "nothing here checks this");
        }
}

static bool run(refs *r, const char *file, void (*check)(refs *r))
{
    char path[1024];
    json_error_t error;
    long entries = r->entries, values = r->values, failed = r->failed;
    snprintf(path, sizeof path, "%s/%s", r->directory, file);
    if (!ebb_file_exists(path)) {
        printf("%-28s not in this directory\n", file);
        return true;
    }
    r->root = json_load_file(path, 0, &error);
    if (r->root == NULL) {
        printf("%s:%d: %s\n", path, error.line, error.text);
        return false;
    }
    void *claimed;
    if (ebb_alloc(r->ctx, &claimed, json_object_size(r->root) + 1, sizeof *r->claimed, "claims") != EBB_OK)
        return false;
    r->claimed = claimed;
    r->file = file;
    r->entry = "";
    r->shown = 0;
    check(r);
    check_claims(r);
    printf("%-28s %5ld entries, %7ld numbers, %ld failed\n", file, r->entries - entries, r->values - values,
           r->failed - failed);
    json_decref(r->root);
    ebb_free(claimed);
    return true;
}

/* A row of folders "NAME*" + "/file" once for each folder. */
static bool run_each(refs *r, const char *file, void (*check)(refs *r))
{
    size_t stem = strcspn(file, "*");
    char **names, path[512];
    int32_t count;
    bool fine = true;
    if (file[stem] == 0)
        return run(r, file, check);
    if (ebb_directory_list(r->ctx, r->directory, &names, &count) != EBB_OK)
        return false;
    for (int32_t i = 0; fine && i < count; i++) {
        size_t length = strlen(names[i]);
        if (strncmp(names[i], file, stem) != 0 || names[i][length - 1] != '/')
            continue;
        snprintf(path, sizeof path, "%.*s%s", (int)length - 1, names[i], file + stem + 1);
        fine = run(r, path, check);
    }
    ebb_free(names);
    return fine;
}

/* Files and folders that no row of sections.def names. */
static void find_strangers(refs *r)
{
    char **names;
    int32_t count;
    if (ebb_directory_list(r->ctx, r->directory, &names, &count) != EBB_OK)
        return;
    for (int32_t i = 0; i < count; i++) {
        bool known = strstr(names[i], ".json") == NULL && names[i][strlen(names[i]) - 1] != '/';
        for (int s = 0; s < SECTIONS; s++) {
            size_t stem = strcspn(sections[s].file, "*");
            known = known || strncmp(names[i], sections[s].file, sections[s].file[stem] == '*' ? stem : 512) == 0;
        }
        if (!known) {
            r->file = names[i];
            r->entry = "file";
            r->shown = 0;
            refs_fail(r, "nothing here checks this");
        }
    }
    ebb_free(names);
}

int main(int argc, char **argv)
{
    refs r = {.directory = argc == 2 ? argv[1] : NULL};
    if (r.directory == NULL || !ebb_file_exists(r.directory)) {
        fprintf(stderr, "test_refs DIR: a directory of reference numbers, as tests/refs\n");
        return 2;
    }
    if (ebb_context_create(NULL, &r.ctx) != EBB_OK)
        return 2;
    for (int s = 0; s < SECTIONS; s++)
        if (sections[s].check != NULL && !run_each(&r, sections[s].file, sections[s].check))
            return 2;
    find_strangers(&r);
    for (int s = 0; s < SECTIONS; s++)
        if (sections[s].later != NULL)
            printf("%-28s later: %s\n", sections[s].file, sections[s].later);
    printf("%ld entries checked (%ld numbers), %ld failed\n", r.entries, r.values, r.failed);
    ebb_context_free(r.ctx);
    return r.failed > 0;
}

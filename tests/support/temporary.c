/* temporary.c: makes and removes a test's folder. */
#include <stdio.h>
#include <stdlib.h>

#include "support/temporary.h"

bool temporary_make(temporary_folder folder, const char *name)
{
    /* mkdtemp puts letters of its own in the place of the X */
    int length = snprintf(folder, sizeof(temporary_folder), "/tmp/ebb-%s-XXXXXX", name);
    return length > 0 && (size_t)length < sizeof(temporary_folder) && mkdtemp(folder);
}

bool temporary_remove(const char *folder)
{
    char command[128];
    snprintf(command, sizeof command, "rm -r '%s'", folder);
    return system(command) == 0;
}

const char *temporary_path(const char *folder, const char *name)
{
    static char path[32][4200];
    static int turn;
    char *to = path[turn++ % 32];
    snprintf(to, sizeof path[0], "%s/%s", folder, name);
    return to;
}

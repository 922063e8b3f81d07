/* temporary.h: a folder of a test's own in /tmp, so that a test that was killed leaves nothing in the tree. */
#ifndef EBB_TEST_TEMPORARY_H
#define EBB_TEST_TEMPORARY_H

#include <stdbool.h>

typedef char temporary_folder[64];

/* name: what it begins with. False when there is none. */
bool temporary_make(temporary_folder folder, const char *name);
/* With all that is in it; true when it is gone. */
bool temporary_remove(const char *folder);

/* FOLDER/NAME: good until 32 others have been asked for. */
const char *temporary_path(const char *folder, const char *name);

#endif

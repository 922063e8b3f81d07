/* sweep.h: one file in a directory of its own, damaged in every way; for tests of formats.
 *
 * cmocka.h and what it needs come before this header.
 */
#ifndef EBB_TEST_SWEEP_H
#define EBB_TEST_SWEEP_H

#include "format/format.h"

extern ebb_context context;
extern char path[96];                 /* of the file */

int make_folder(void **state);        /* set-up: path in a new directory */
int remove_folder(void **state);      /* tear-down: fails when anything else was left in it */
#define FILES(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

void put(const void *data, size_t size);      /* content of the file */
unsigned char *get(size_t *size);             /* ebb_free */
/* The context's message holds this text, and the path. */
void expect_message(const char *says);

/* Reads `path` and frees the result. */
typedef ebb_status (*read_fn)(void);
/* Whether reading may succeed although byte `at` was changed, or the file was cut there. */
typedef bool (*may_fn)(const unsigned char *bytes, size_t size, size_t at, bool cut);
/* Cuts the valid file at `path` at every length and changes every byte: each time an error with a
 * message, or a success that `may` allows. The file is as before in the end. */
void sweep(read_fn read, may_fn may);
/* Changes may go unnoticed, cuts not. */
bool never_cut(const unsigned char *bytes, size_t size, size_t at, bool cut);

#endif

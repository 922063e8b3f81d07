/* contexts.h: two contexts, of one thread and of three, for tests that results do not depend on threads.
 */
#ifndef EBB_TEST_CONTEXTS_H
#define EBB_TEST_CONTEXTS_H

#include "ebb.h"

/* 0, or the number of those that could not be made: what cmocka's setup returns. */
int contexts_create(ebb_context *ctx[2]);
void contexts_free(ebb_context *ctx[2]);

#endif

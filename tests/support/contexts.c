/* contexts.c: contexts of one and of three threads (contexts.h).
 */
#include "support/contexts.h"

int contexts_create(ebb_context *ctx[2])
{
    int failed = 0;
    for (int k = 0; k < 2; k++) {
        ebb_context_options o = {.size = sizeof o, .threads = 1 + 2 * k};
        failed += ebb_context_create(&o, &ctx[k]) != EBB_OK;
    }
    return failed;
}

void contexts_free(ebb_context *ctx[2])
{
    ebb_context_free(ctx[0]);
    ebb_context_free(ctx[1]);
}

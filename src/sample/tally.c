/* tally.c: the progress of a job over shards, and its first failure. */
#include "sample/tally.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

void ebb_tally_begin(ebb_tally *t, int64_t shards, int (*progress)(void *user, double done), void *user)
{
    *t = (ebb_tally){.progress = progress, .user = user, .shards = shards};
    atomic_flag_clear(&t->calling);
}

static void lock(ebb_tally *t)
{
    while (atomic_flag_test_and_set(&t->calling))
        ebb_par_yield();
}

int ebb_tally_report(ebb_tally *t, double *part, double done)
{
    if (t->progress != NULL) {
        lock(t);
        t->done += done - *part;
        *part = done;
        /* After a stop nothing more is told. */
        if (atomic_load(&t->stopped) == 0 && t->progress(t->user, fmin(t->done / (double)t->shards, 1)) != 0)
            atomic_store(&t->stopped, 1);
        atomic_flag_clear(&t->calling);
    }
    return atomic_load(&t->stopped);
}

void ebb_tally_leave(ebb_tally *t, double *part, ebb_status status, const char *why, ...)
{
    va_list args;
    lock(t);
    t->done += 1 - *part;
    *part = 0;
    if (status != EBB_OK && t->status == EBB_OK && atomic_load(&t->stopped) == 0) {
        va_start(args, why);
        vsnprintf(t->why, sizeof t->why, why, args);
        va_end(args);
        t->status = status;
        atomic_store(&t->stopped, 1);
    }
    atomic_flag_clear(&t->calling);
}

bool ebb_tally_stopped(ebb_tally *t) { return atomic_load(&t->stopped) != 0; }

ebb_status ebb_tally_result(ebb_context *ctx, ebb_tally *t, const char *doing)
{
    if (t->status != EBB_OK)
        return ebb_fail(ctx, t->status, "%s", t->why);
    return ebb_tally_stopped(t) ? ebb_fail(ctx, EBB_E_ARGUMENT, "%s: stopped before the last picture", doing) : EBB_OK;
}

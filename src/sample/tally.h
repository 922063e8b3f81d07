/* tally.h: what the workers of a job over shards tell its caller: which part is done, and why it ended early.
 */
#ifndef EBB_TALLY_H
#define EBB_TALLY_H

#include <stdatomic.h>

#include "model/model.h"

typedef struct ebb_tally {
    int (*progress)(void *user, double done);    /* one thread at a time; non-zero stops; NULL: nobody is told */
    void *user;
    int64_t shards;              /* of the whole job */
    atomic_flag calling;         /* guards what follows, and progress() */
    double done;                 /* shards, and parts of those that workers are at */
    ebb_status status;           /* the first failure of a shard, and its words */
    char why[400];
    atomic_int stopped;
} ebb_tally;

void ebb_tally_begin(ebb_tally *t, int64_t shards, int (*progress)(void *user, double done), void *user);
/* A worker has done that part, 0 to 1, of its shard; *part: what it said last. Non-zero: stop. */
int ebb_tally_report(ebb_tally *t, double *part, double done);
/* A worker leaves its shard. A failure stops all; the words of the first are kept. */
void ebb_tally_leave(ebb_tally *t, double *part, ebb_status status, const char *why, ...) __attribute__((format(printf, 4, 5)));
bool ebb_tally_stopped(ebb_tally *t);
/* Of the whole: EBB_OK, the first failure, or stopped, which the message says of `doing`. */
ebb_status ebb_tally_result(ebb_context *ctx, ebb_tally *t, const char *doing);

#endif

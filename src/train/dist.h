/* dist.h: the other processes that train the same model, as a table of what can be done with them.
 *
 * dist.c fills the table by MPI. A context that is alone has none (ctx->dist is NULL), and nobody calls MPI.
 * share, tell and close are collective: every rank has to make the same calls in the same order.
 */
#ifndef EBB_DIST_H
#define EBB_DIST_H

#include "format/format.h"

typedef struct ebb_dist {
    int rank, ranks;
    int64_t *board;              /* (ranks): room for one word of each */
    /* Every rank has put `bytes` at all + rank * bytes; afterwards all of it is everywhere. */
    ebb_status (*share)(ebb_context *ctx, void *all, size_t bytes);
    /* What rank `from` has there goes to all others. */
    ebb_status (*tell)(ebb_context *ctx, int from, void *data, size_t bytes);
    /* Room for at least `count` requests of those that follow, which start and return at once. Not while any
     * is on its way. */
    ebb_status (*reserve)(ebb_context *ctx, int count);
    ebb_status (*send)(ebb_context *ctx, int request, int to, int tag, const float *data, int64_t n);
    ebb_status (*receive)(ebb_context *ctx, int request, int from, int tag, float *data, int64_t n);
    /* Whether requests first..first+count-1 are done; moves all that are on their way. */
    ebb_status (*test)(ebb_context *ctx, int first, int count, bool *done);
    /* Leaves the others and frees the table; a failure when one of the calls before had failed, and then
     * the table stays, for abort. */
    ebb_status (*close)(ebb_context *ctx);
    void (*abort)(ebb_context *ctx, int code);
} ebb_dist;

#ifdef EBB_HAVE_MPI
ebb_status ebb_dist_open(ebb_context *ctx, ebb_dist **out);
#endif

/* ---- what follows from these (ranks.c); all do nothing for a context that is alone -------------------- */
int ebb_ranks_of(const ebb_context *ctx);
bool ebb_rank_first(const ebb_context *ctx);
/* A failure when `bytes` bytes of data differ between ranks: "ranks 0 and 2 have different <what>". Collective. */
uint64_t ebb_hash(uint64_t hash, const void *data, size_t bytes);
ebb_status ebb_ranks_same(ebb_context *ctx, uint64_t hash, const char *what);

#endif

/* exchange.c: all-reduce in a fixed order.
 *
 * A chunk is cut into one piece a rank. First every rank sends each piece to its owner, who sums what all
 * have sent in the pairwise tree over ranks (the upper rows of the tree over shards, shards.c): which rank
 * adds does not change a bit. Then the owners send their sums to all. So a rank sends and receives
 * 2 (R-1)/R times the gradient, the least there is (Patarasu & Yuan 2009), and each sum is made once.
 *
 * Messages need calls to move, so workers poll between the steps of a plan; one at a time, others pass by.
 * Chunks go in the same order on all ranks, from the last to the first, through a few lanes in turn, each
 * with room for what comes in: with any number of lanes the oldest chunk can move on, so that no two
 * ranks wait for each other.
 */
#include <stdatomic.h>

#include "train/exchange.h"

#define LANES 4
#define ALIGN_FLOATS 16

enum { IDLE, TO_OWNERS, TO_ALL };

struct ebb_exchange {
    ebb_context *ctx;
    ebb_dist *dist;
    const ebb_params *params;
    int lanes, requests;         /* requests: of a lane */
    int64_t piece;               /* floats at most */
    float *inbox;                /* (lanes, ranks, piece) */
    float **leaf;                /* (ranks): pieces to be summed */
    int phase[LANES], chunk[LANES];
    _Atomic(float *) *offered;   /* (chunks): this rank's sums, NULL: not ready */
    int next;                    /* chunk to start next; those above it have been started */
    int left;                    /* chunks that are not done */
    ebb_status status;
    atomic_flag busy;
};

static int count_of(const ebb_exchange *x) { return x->params->chunks; }

static void renew(ebb_exchange *x)
{
    for (int c = 0; c < count_of(x); c++)
        atomic_store(&x->offered[c], NULL);
    x->next = count_of(x) - 1;
    x->left = count_of(x);
}

static ebb_status make(ebb_exchange *x)
{
    size_t ranks = (size_t)x->dist->ranks;
    int64_t share = (x->params->chunk + x->dist->ranks - 1) / x->dist->ranks;
    x->lanes = count_of(x) < LANES ? count_of(x) : LANES;
    x->requests = 2 * x->dist->ranks;
    x->piece = (share + ALIGN_FLOATS - 1) / ALIGN_FLOATS * ALIGN_FLOATS;
    EBB_TRY(ebb_alloc(x->ctx, (void **)&x->inbox, (size_t)x->lanes * ranks * (size_t)x->piece, sizeof(float),
                      "gradients of other ranks"));
    EBB_TRY(ebb_alloc(x->ctx, (void **)&x->leaf, ranks, sizeof *x->leaf, "sum over ranks"));
    EBB_TRY(ebb_alloc(x->ctx, (void **)&x->offered, (size_t)count_of(x), sizeof *x->offered,
                      "chunks of the gradient"));
    renew(x);
    return x->dist->reserve(x->ctx, x->lanes * x->requests);
}

ebb_status ebb_exchange_create(ebb_context *ctx, const ebb_params *params, ebb_exchange **out)
{
    *out = NULL;
    if (ebb_ranks_of(ctx) == 1)
        return EBB_OK;
    EBB_TRY(ebb_alloc(ctx, (void **)out, 1, sizeof **out, "sum over ranks"));
    **out = (ebb_exchange){.ctx = ctx, .dist = ctx->dist, .params = params, .busy = ATOMIC_FLAG_INIT};
    ebb_status status = make(*out);
    if (status != EBB_OK) {
        ebb_exchange_free(*out);
        *out = NULL;
    }
    return status;
}

void ebb_exchange_free(ebb_exchange *x)
{
    if (x == NULL)
        return;
    ebb_free(x->inbox);
    ebb_free(x->leaf);
    ebb_free(x->offered);
    ebb_free(x);
}

/* ---- pieces ----------------------------------------------------------------------------- */

/* The last ranks' pieces may be short or empty. */
static int64_t piece_length(const ebb_exchange *x, int c, int rank)
{
    int64_t rest = ebb_params_chunk(x->params, c) - rank * x->piece;
    return rest < 0 ? 0 : rest < x->piece ? rest : x->piece;
}

static float *piece_of(const ebb_exchange *x, int c, int rank)
{
    return atomic_load(&x->offered[c]) + rank * x->piece;
}

static float *inbox_of(const ebb_exchange *x, int lane, int rank)
{
    return x->inbox + ((int64_t)lane * x->dist->ranks + rank) * x->piece;
}

/* Messages of no floats are not sent. */
static ebb_status swap_pieces(ebb_exchange *x, int lane, int phase)
{
    ebb_dist *d = x->dist;
    int c = x->chunk[lane], base = lane * x->requests, tag = 2 * c + (phase == TO_ALL);
    int64_t own = piece_length(x, c, d->rank);
    for (int k = 1; k < d->ranks; k++) {
        /* Each starts with its neighbour, so that not all send to the same rank at once. */
        int r = (d->rank + k) % d->ranks;
        int64_t other = piece_length(x, c, r);
        bool out = phase == TO_OWNERS;
        float *to = out ? inbox_of(x, lane, r) : piece_of(x, c, r), *from = piece_of(x, c, out ? r : d->rank);
        if ((out ? own : other) > 0)
            EBB_TRY(d->receive(x->ctx, base + 2 * k, r, tag, to, out ? own : other));
        if ((out ? other : own) > 0)
            EBB_TRY(d->send(x->ctx, base + 2 * k + 1, r, tag, from, out ? other : own));
    }
    x->phase[lane] = phase;
    return EBB_OK;
}

/* This rank's piece of all ranks: node i of a row is the sum of nodes 2i and 2i+1 of the row below. */
static void sum_own(ebb_exchange *x, int lane)
{
    int ranks = x->dist->ranks, rank = x->dist->rank, c = x->chunk[lane];
    size_t n = (size_t)piece_length(x, c, rank);
    for (int r = 0; r < ranks; r++)
        x->leaf[r] = r == rank ? piece_of(x, c, rank) : inbox_of(x, lane, r);
    for (int step = 1; step < ranks; step *= 2)
        for (int r = 0; r + step < ranks; r += 2 * step) {
            float *to = 2 * step < ranks ? x->leaf[r] : piece_of(x, c, rank);
            x->ctx->kernels->add_f32(n, to, x->leaf[r], x->leaf[r + step]);
        }
}

/* ---- moving on -------------------------------------------------------------------------- */

static ebb_status start(ebb_exchange *x)
{
    while (x->next >= 0 && atomic_load(&x->offered[x->next]) != NULL) {
        int lane = x->next % x->lanes;
        if (x->phase[lane] != IDLE)
            break;
        x->chunk[lane] = x->next--;
        EBB_TRY(swap_pieces(x, lane, TO_OWNERS));
    }
    return EBB_OK;
}

static ebb_status move(ebb_exchange *x, int lane)
{
    bool done;
    EBB_TRY(x->dist->test(x->ctx, lane * x->requests, x->requests, &done));
    if (!done)
        return EBB_OK;
    if (x->phase[lane] == TO_OWNERS) {
        sum_own(x, lane);
        return swap_pieces(x, lane, TO_ALL);
    }
    x->phase[lane] = IDLE;
    x->left--;
    return EBB_OK;
}

static ebb_status advance(ebb_exchange *x)
{
    EBB_TRY(start(x));
    for (int lane = 0; lane < x->lanes; lane++)
        if (x->phase[lane] != IDLE)
            EBB_TRY(move(x, lane));
    return EBB_OK;
}

void ebb_exchange_offer(ebb_exchange *x, int c, float *chunk)
{
    atomic_store(&x->offered[c], chunk);
}

void ebb_exchange_poll(ebb_exchange *x)
{
    if (atomic_flag_test_and_set(&x->busy))
        return;
    if (x->status == EBB_OK)
        x->status = advance(x);
    atomic_flag_clear(&x->busy);
}

ebb_status ebb_exchange_finish(ebb_exchange *x)
{
    for (;;) {
        ebb_exchange_poll(x);
        if (x->status != EBB_OK || x->left == 0)
            break;
        ebb_par_yield();
    }
    renew(x);
    return x->status;
}

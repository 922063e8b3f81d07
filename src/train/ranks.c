/* ranks.c: several processes as one job: beginning, end, and agreement on what happened.
 *
 * A rank that returned with an error while the others go on would leave them waiting for ever. So whatever
 * can fail on one rank alone (a file, memory) is followed by an agreement: a failure of one becomes a
 * failure of all, with the same message.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "train/dist.h"

int ebb_ranks_of(const ebb_context *ctx) { return ctx->dist != NULL ? ctx->dist->ranks : 1; }

bool ebb_rank_first(const ebb_context *ctx) { return ctx->dist == NULL || ctx->dist->rank == 0; }

/* ---- beginning and end ------------------------------------------------------------------ */

int ebb_ranks_launched(void)
{
    /* Open MPI; MPICH, Intel MPI and others with Hydra; MVAPICH. */
    static const char *const sizes[] = {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MV2_COMM_WORLD_SIZE"};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        const char *size = ebb_environment(sizes[i]);
        if (size != NULL)
            return atoi(size) > 1;
    }
    /* Other launchers with PMIx, as srun, do not tell the number. */
    return ebb_environment("PMIX_RANK") != NULL;
}

ebb_status ebb_ranks_begin(ebb_context *ctx, int *rank, int *ranks)
{
    if (ctx->dist != NULL)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "this context belongs to a job of %d ranks already", ctx->dist->ranks);
#ifdef EBB_HAVE_MPI
    EBB_TRY(ebb_dist_open(ctx, &ctx->dist));
    *rank = ctx->dist->rank;
    *ranks = ctx->dist->ranks;
    return EBB_OK;
#else
    *rank = 0;
    *ranks = 1;
    return ebb_fail(ctx, EBB_E_UNSUPPORTED, "this build has no MPI, so that several processes cannot train "
                    "together: build where MPI is installed (libopenmpi-dev), or start without mpirun");
#endif
}

ebb_status ebb_ranks_end(ebb_context *ctx) { return ctx->dist != NULL ? ctx->dist->close(ctx) : EBB_OK; }

void ebb_ranks_abort(ebb_context *ctx, int code)
{
    if (ctx->dist != NULL)
        ctx->dist->abort(ctx, code);
}

/* ---- agreement -------------------------------------------------------------------------- */

ebb_status ebb_ranks_agree(ebb_context *ctx, ebb_status mine)
{
    ebb_dist *d = ctx->dist;
    int failed = 0, first = 0;
    if (d == NULL)
        return mine;
    d->board[d->rank] = mine;
    EBB_TRY(d->share(ctx, d->board, sizeof *d->board));
    for (int r = d->ranks - 1; r >= 0; r--)
        if (d->board[r] != EBB_OK) {
            failed++;
            first = r;
        }
    if (failed == 0)
        return EBB_OK;
    EBB_TRY(d->tell(ctx, first, ctx->message, sizeof ctx->message));
    ctx->status = (ebb_status)d->board[first];
    /* What failed everywhere, as a mistake in the recipe, is no matter of one rank. */
    return failed == d->ranks ? ctx->status : ebb_fail_prefix(ctx, "rank %d of %d", first, d->ranks);
}

ebb_status ebb_ranks_any(ebb_context *ctx, int *flag)
{
    ebb_dist *d = ctx->dist;
    if (d == NULL)
        return EBB_OK;
    d->board[d->rank] = *flag;
    EBB_TRY(d->share(ctx, d->board, sizeof *d->board));
    for (int r = 0; r < d->ranks; r++)
        *flag |= d->board[r] != 0;
    return EBB_OK;
}

uint64_t ebb_hash(uint64_t hash, const void *data, size_t bytes)
{
    const char *p = data;
    for (uint64_t word; bytes > 0; p += sizeof word) {
        size_t n = bytes < sizeof word ? bytes : sizeof word;
        word = bytes;
        memcpy(&word, p, n);
        hash = (hash ^ word) * 0x9e3779b97f4a7c15u;
        hash ^= hash >> 32;
        bytes -= n;
    }
    return hash;
}

ebb_status ebb_ranks_same(ebb_context *ctx, uint64_t hash, const char *what)
{
    ebb_dist *d = ctx->dist;
    if (d == NULL)
        return EBB_OK;
    d->board[d->rank] = (int64_t)hash;
    EBB_TRY(d->share(ctx, d->board, sizeof *d->board));
    for (int r = 1; r < d->ranks; r++)
        if (d->board[r] != d->board[0])
            return ebb_fail(ctx, EBB_E_ARGUMENT, "ranks 0 and %d have different %s: all ranks have to be given the "
                            "same", r, what);
    return EBB_OK;
}

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

#ifdef EBB_HAVE_MPI
/* Where a rank runs. */
typedef struct seat { char host[256]; ebb_cpus cpus; } seat;

static bool overlap(const seat *a, const seat *b)
{
    uint64_t both = 0;
    for (int i = 0; i < EBB_CPUS_MAX / 64; i++)
        both |= a->cpus.word[i] & b->cpus.word[i];
    return both != 0 && strcmp(a->host, b->host) == 0;
}

/* Ranks that were not given processors of their own share them. */
static ebb_status share_processors(ebb_context *ctx)
{
    ebb_dist *d = ctx->dist;
    seat *seats;
    ebb_topology machine;
    int before = 0, sharing = 0;
    EBB_TRY(ebb_alloc(ctx, (void **)&seats, (size_t)d->ranks, sizeof *seats, "places of ranks"));
    ebb_par_machine(&machine);
    seats[d->rank].cpus = machine.allowed;
    ebb_os_host(seats[d->rank].host, sizeof seats->host);
    ebb_status status = d->share(ctx, seats, sizeof *seats);
    for (int r = 0; r < d->ranks && status == EBB_OK; r++) {
        bool shares = overlap(&seats[r], &seats[d->rank]);
        sharing += shares;
        before += shares && r < d->rank;
    }
    if (status == EBB_OK)
        ebb_context_share(ctx, before, sharing > 1 ? sharing : 1);
    ebb_free(seats);
    return status;
}
#endif

ebb_status ebb_ranks_begin(ebb_context *ctx, int *rank, int *ranks)
{
    if (ctx->dist != NULL)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "this context belongs to a job of %d ranks already", ctx->dist->ranks);
#ifdef EBB_HAVE_MPI
    EBB_TRY(ebb_dist_open(ctx, &ctx->dist));
    *rank = ctx->dist->rank;
    *ranks = ctx->dist->ranks;
    return share_processors(ctx);
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

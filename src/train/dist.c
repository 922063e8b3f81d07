/* dist.c: MPI, and the only file that knows it: the few verbs of dist.h.
 *
 * Errors of MPI become statuses: the communicator is a copy of the world's that returns them. Any thread may
 * call, one at a time (MPI_THREAD_SERIALIZED). Who starts MPI here also ends it; a program that has
 * started it keeps it.
 */
#include <mpi.h>

#include "train/dist.h"

typedef struct dist {
    ebb_dist face;               /* first: a pointer to one is a pointer to the other */
    MPI_Comm comm;
    MPI_Request *request;
    int requests;
    bool ours;                   /* MPI was started here */
    bool broken;
} dist;

static dist *of(const ebb_context *ctx) { return (dist *)ctx->dist; }

static ebb_status check(ebb_context *ctx, int code, const char *call)
{
    char text[MPI_MAX_ERROR_STRING] = "";
    int length;
    if (code == MPI_SUCCESS)
        return EBB_OK;
    if (ctx->dist != NULL)
        of(ctx)->broken = true;
    MPI_Error_string(code, text, &length);
    return ebb_fail(ctx, EBB_E_IO, "%s failed: %s", call, text);
}

/* ---- verbs ------------------------------------------------------------------------------ */

static ebb_status share_all(ebb_context *ctx, void *all, size_t bytes)
{
    return check(ctx, MPI_Allgather(MPI_IN_PLACE, 0, MPI_BYTE, all, (int)bytes, MPI_BYTE, of(ctx)->comm),
                 "MPI_Allgather");
}

static ebb_status tell_all(ebb_context *ctx, int from, void *data, size_t bytes)
{
    return check(ctx, MPI_Bcast(data, (int)bytes, MPI_BYTE, from, of(ctx)->comm), "MPI_Bcast");
}

static ebb_status make_room(ebb_context *ctx, int count)
{
    dist *d = of(ctx);
    if (count <= d->requests)
        return EBB_OK;
    ebb_free(d->request);
    d->requests = 0;
    EBB_TRY(ebb_alloc(ctx, (void **)&d->request, (size_t)count, sizeof *d->request, "messages between ranks"));
    d->requests = count;
    for (int i = 0; i < count; i++)
        d->request[i] = MPI_REQUEST_NULL;
    return EBB_OK;
}

static ebb_status send_to(ebb_context *ctx, int request, int to, int tag, const float *data, int64_t n)
{
    dist *d = of(ctx);
    return check(ctx, MPI_Isend(data, (int)n, MPI_FLOAT, to, tag, d->comm, &d->request[request]), "MPI_Isend");
}

static ebb_status receive_from(ebb_context *ctx, int request, int from, int tag, float *data, int64_t n)
{
    dist *d = of(ctx);
    return check(ctx, MPI_Irecv(data, (int)n, MPI_FLOAT, from, tag, d->comm, &d->request[request]), "MPI_Irecv");
}

static ebb_status test_some(ebb_context *ctx, int first, int count, bool *done)
{
    int flag = 0;
    ebb_status status = check(ctx, MPI_Testall(count, of(ctx)->request + first, &flag, MPI_STATUSES_IGNORE),
                              "MPI_Testall");
    *done = flag != 0;
    return status;
}

/* ---- beginning and end ------------------------------------------------------------------ */

static void leave(ebb_context *ctx, dist *d)
{
    if (d->comm != MPI_COMM_NULL)
        MPI_Comm_free(&d->comm);
    if (d->ours)
        MPI_Finalize();
    ebb_free(d->request);
    ebb_free(d->face.board);
    ebb_free(d);
    ctx->dist = NULL;
}

static ebb_status end(ebb_context *ctx)
{
    if (of(ctx)->broken)
        return ebb_fail_prefix(ctx, "the other ranks cannot be reached any more");
    leave(ctx, of(ctx));
    return EBB_OK;
}

static void abort_all(ebb_context *ctx, int code) { MPI_Abort(of(ctx)->comm, code); }

/* MPI as it is, or started. */
static ebb_status start(ebb_context *ctx, dist *d)
{
    int begun, ended, level;
    MPI_Initialized(&begun);
    MPI_Finalized(&ended);
    if (ended)
        return ebb_fail(ctx, EBB_E_UNSUPPORTED, "MPI has ended in this process and cannot be started again");
    if (begun) {
        MPI_Query_thread(&level);
    } else {
        EBB_TRY(check(ctx, MPI_Init_thread(NULL, NULL, MPI_THREAD_SERIALIZED, &level), "MPI_Init_thread"));
        d->ours = true;
    }
    if (level < MPI_THREAD_SERIALIZED)
        return ebb_fail(ctx, EBB_E_UNSUPPORTED, "MPI was started, or made, for calls from one thread only: ebb "
                        "calls it from any, one at a time (MPI_THREAD_SERIALIZED)");
    EBB_TRY(check(ctx, MPI_Comm_dup(MPI_COMM_WORLD, &d->comm), "MPI_Comm_dup"));
    MPI_Comm_set_errhandler(d->comm, MPI_ERRORS_RETURN);
    MPI_Comm_rank(d->comm, &d->face.rank);
    MPI_Comm_size(d->comm, &d->face.ranks);
    return ebb_alloc(ctx, (void **)&d->face.board, (size_t)d->face.ranks, sizeof *d->face.board, "ranks");
}

ebb_status ebb_dist_open(ebb_context *ctx, ebb_dist **out)
{
    dist *d;
    *out = NULL;
    EBB_TRY(ebb_alloc(ctx, (void **)&d, 1, sizeof *d, "ranks"));
    *d = (dist){.face = {.share = share_all, .tell = tell_all, .reserve = make_room, .send = send_to, .receive = receive_from,
                         .test = test_some, .close = end, .abort = abort_all},
                .comm = MPI_COMM_NULL};
    ebb_status status = start(ctx, d);
    if (status == EBB_OK)
        *out = &d->face;
    else
        leave(ctx, d);
    return status;
}

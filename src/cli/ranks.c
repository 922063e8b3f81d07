/* ranks.c: the program as one of several processes.
 *
 * All of them do the same, and failures are those of all (ebb.h), so rank 0 speaks for them, and its exit code
 * is the job's: mpirun ends the others as soon as one returns another code than 0, which must not happen
 * to rank 0 while it still writes.
 */
#include "cli/cli.h"

bool cli_ranks_begin(ebb_context *ctx, int *code)
{
    if (!ebb_ranks_launched())
        return true;
    int rank = 0, ranks = 1;
    ebb_status status = ebb_ranks_begin(ctx, &rank, &ranks);
    cli_speaker_set(rank, ranks);
    if (status != EBB_OK)
        *code = cli_fail_context(ctx, status);
    return status == EBB_OK;
}

int cli_ranks_end(ebb_context *ctx, int code)
{
    if (ebb_ranks_end(ctx) == EBB_OK)
        return cli_speaks() ? code : CLI_OK;
    int ranks, rank = cli_speaker(&ranks);
    cli_speaker_set(0, ranks);
    code = cli_fail("rank %d of %d: %s", rank, ranks, ebb_message(ctx));
    ebb_ranks_abort(ctx, code);
    return code;
}

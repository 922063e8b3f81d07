/* ranks.c: the program as one of several processes.
 *
 * All of them do the same, and failures are those of all (ebb.h), so rank 0 speaks for them, and its exit code
 * is the job's: mpirun ends the others as soon as one returns another code than 0, which must not happen
 * to rank 0 while it still writes.
 */
#include "cli/cli.h"

static struct { int rank, ranks; } self = {0, 1};

bool cli_ranks_begin(ebb_context *ctx, int *code)
{
    if (!ebb_ranks_launched())
        return true;
    ebb_status status = ebb_ranks_begin(ctx, &self.rank, &self.ranks);
    if (status != EBB_OK)
        *code = cli_fail_context(ctx, status);
    return status == EBB_OK;
}

int cli_ranks_end(ebb_context *ctx, int code)
{
    if (ebb_ranks_end(ctx) == EBB_OK)
        return self.rank == 0 ? code : CLI_OK;
    int rank = self.rank;
    self.rank = 0;
    code = cli_fail("rank %d of %d: %s", rank, self.ranks, ebb_message(ctx));
    ebb_ranks_abort(ctx, code);
    return code;
}

bool cli_speaks(void)
{
    return self.rank == 0;
}

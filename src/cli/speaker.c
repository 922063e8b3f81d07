/* speaker.c: which of several processes this one is, and so whether it says anything: rank 0 speaks for all.
 */
#include "cli/cli.h"

static struct { int rank, ranks; } self = {0, 1};

void cli_speaker_set(int rank, int ranks)
{
    self.rank = rank;
    self.ranks = ranks;
}

int cli_speaker(int *ranks)
{
    *ranks = self.ranks;
    return self.rank;
}

bool cli_speaks(void)
{
    return self.rank == 0;
}

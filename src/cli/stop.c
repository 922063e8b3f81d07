/* stop.c: SIGINT, SIGTERM, SIGHUP and SIGUSR1 ask long work to end well.
 *
 * The first one sets a flag that the work looks at between steps; the handler then takes itself off, so
 * that a second one ends the program at once (files are written atomically, nothing is left half-done).
 * mpirun forwards SIGUSR1 to its processes and leaves them the time they need; SIGINT and SIGTERM it does not
 * forward: it ends them by SIGTERM and, a second later, by SIGKILL.
 */
#include <signal.h>
#include <stddef.h>

#include "cli/cli.h"

static volatile sig_atomic_t stopped;

static void on_signal(int number)
{
    (void)number;
    stopped = 1;
}

void cli_stop_catch(void)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESETHAND | SA_RESTART}, old;
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGUSR1, &action, NULL);
    /* nohup ignores SIGHUP, and means it. */
    if (sigaction(SIGHUP, NULL, &old) == 0 && old.sa_handler != SIG_IGN)
        sigaction(SIGHUP, &action, NULL);
}

bool cli_stopped(void)
{
    return stopped;
}

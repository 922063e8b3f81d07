/* progress.c: one line on stderr that tells how far the work is.
 *
 * On a terminal the line is rewritten in place, at most ten times a second; elsewhere (a log file) a new
 * line is printed every few seconds.
 */
#include <stdarg.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"

static struct { bool open; double printed; } state = {.printed = -1e9};

double cli_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void cli_progress(bool last, const char *format, ...)
{
    bool terminal = isatty(STDERR_FILENO);
    double now = cli_seconds();
    if (!cli_speaks() || (!last && now - state.printed < (terminal ? 0.1 : 3.0)))
        return;
    state.printed = now;
    va_list args;
    va_start(args, format);
    if (terminal)
        fputs("\r\033[K", stderr);
    vfprintf(stderr, format, args);
    va_end(args);
    state.open = terminal;
    if (!terminal)
        fputc('\n', stderr);
    else if (last)
        cli_progress_end();
}

void cli_progress_end(void)
{
    if (state.open)
        fputc('\n', stderr);
    state.open = false;
}

const char *cli_duration(double seconds, char buffer[32])
{
    long s = seconds > 0 && seconds < 1e9 ? (long)(seconds + 0.5) : 0;
    if (s < 3600)
        snprintf(buffer, 32, "%02ld:%02ld", s / 60, s % 60);
    else
        snprintf(buffer, 32, "%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
    return buffer;
}

int cli_progress_work(void *work, const char *doing, int64_t done, int64_t total)
{
    char left[32];
    cli_work *w = work;
    double now = cli_seconds();
    if (strcmp(w->doing, doing) != 0 || done < w->first) {
        snprintf(w->doing, sizeof w->doing, "%s", doing);
        w->start = now;
        w->first = done;
    }
    double gone = now - w->start, rate = (double)(done - w->first) / (gone > 1e-6 ? gone : 1e-6);
    if (gone > 0.2 && rate > 0)
        cli_progress(false, "%s%s%s  %lld/%lld  %.3g/s  left %s", w->name ? w->name : "", w->name ? ": " : "", doing, (long long)done,
                     (long long)total, rate, cli_duration((double)(total - done) / rate, left));
    return cli_stopped();
}

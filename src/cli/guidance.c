/* guidance.c: the options of guidance that several commands have, as numbers. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

int cli_guidance_read(ebb_context *ctx, const char *text, double *w)
{
    return ebb_guidance_parse(ctx, text, w) == EBB_OK ? CLI_OK : cli_fail_usage("--guidance: %s", ebb_message(ctx));
}

int cli_interval_read(const char *text, double *low, double *high)
{
    char *end;
    *low = strtod(text, &end);
    bool fine = end != text && *end == ',';
    const char *second = end + 1;
    *high = fine ? strtod(second, &end) : 0;
    if (!fine || end == second || *end != 0 || !isfinite(*low) || !isfinite(*high) || *low < 0 || *low >= *high)
        return cli_fail_usage("--guidance-interval %s: give two numbers LOW,HIGH of sigma/alpha, 0 <= LOW < HIGH, as 0.3,5", text);
    return CLI_OK;
}

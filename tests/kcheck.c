/* kcheck.c: every kernel of kernels.def, on every ISA of this machine, against simd/c (src/check), as a program
 * that needs no library, so that it runs on a cross target.
 * Usage: kcheck [--isa NAME] [--kernel NAME]. A row that an ISA takes over from an older one is run once.
 */
#include <stdio.h>
#include <string.h>

#include "check/kcheck.h"

static void say(void *user, const char *text)
{
    (void)user;
    printf("  %s\n", text);
}

/* Returns the failures. */
static long check_isa(ebb_isa isa, const char *only)
{
    static kcheck k;
    ebb_kcheck_start(&k, isa);
    k.say = say;
    int own = 0;
    for (int i = 0; ebb_kcheck_row(i).name; i++) {
        kcheck_row row = ebb_kcheck_row(i);
        if ((only && strcmp(only, row.name) != 0) || !ebb_kcheck_own(isa, i))
            continue;
        own++;
        if (!ebb_kcheck_run(&k, i))
            ebb_kcheck_fail(&k, "%s: out of memory, or a case with more than %d buffers", row.name, KCHECK_BUFFERS);
        if (!row.exact && isa != EBB_ISA_C)
            printf("  %s %s: largest error %.3f of its bound\n", ebb_isa_name(isa), row.name, k.worst);
    }
    ebb_kcheck_release(&k);
    printf("isa %s: %d kernels of its own, %ld cases, %ld failures\n", ebb_isa_name(isa), own, k.cases, k.failures);
    fflush(stdout);
    return k.failures + (own > 0 && k.cases == 0);
}

static bool known(const char *kernel)
{
    for (int i = 0; ebb_kcheck_row(i).name; i++)
        if (strcmp(kernel, ebb_kcheck_row(i).name) == 0)
            return true;
    return false;
}

static const char *option(int argc, char **argv, const char *name)
{
    for (int i = 1; i + 1 < argc; i += 2)
        if (strcmp(argv[i], name) == 0)
            return argv[i + 1];
    return NULL;
}

int main(int argc, char **argv)
{
    const char *isa_name = option(argc, argv, "--isa"), *kernel = option(argc, argv, "--kernel");
    int only = isa_name ? ebb_isa_from_name(isa_name) : -1;
    long failures = 0;

    if (argc % 2 == 0 || (argc > 1 && !isa_name && !kernel) || (isa_name && only < 0) || (kernel && !known(kernel))) {
        fprintf(stderr, "usage: kcheck [--isa NAME] [--kernel NAME]\n");
        return 2;
    }
    if (only >= 0 && !ebb_isa_available((ebb_isa)only)) {
        fprintf(stderr, "kcheck: this machine or build has no %s\n", isa_name);
        return 2;
    }
    for (int i = 0; i < EBB_ISA_COUNT; i++)
        if (ebb_isa_available((ebb_isa)i) && (only < 0 || i == only))
            failures += check_isa((ebb_isa)i, kernel);
    return failures != 0;
}

/* kcheck.c: every kernel of kernels.def, on every ISA of this machine, against simd/c (src/check), as a program
 * that needs no library, so that it runs on a cross target.
 * Usage: kcheck [--isa NAME] [--kernel NAME] [--sample N] [--inside] [--list]
 * --sample runs every Nth case, --inside only the pass whose data touch no guard page (qemu reads lanes that a
 * masked load leaves out), --list says what each kernel had. A row that an ISA takes over from an older one is run
 * once.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "check/kcheck.h"

static void say(void *user, const char *text)
{
    (void)user;
    printf("  %s\n", text);
}

static struct { const char *isa, *kernel, *sample; bool list, inside; } given;

/* The processor time so far. */
static double seconds(void) { return (double)clock() / CLOCKS_PER_SEC; }

/* Returns the failures. */
static long check_isa(ebb_isa isa, long *cases)
{
    static kcheck k;
    ebb_kcheck_start(&k, isa);
    k.say = say;
    k.sample = given.sample ? atol(given.sample) : 1;
    k.inside = given.inside;
    /* simd/c has run beside every other ISA: what is left are results in place. */
    if (isa == EBB_ISA_C && !given.isa)
        k.sample *= 4;
    int own = 0;
    double start = seconds();
    for (int i = 0; ebb_kcheck_row(i).name; i++) {
        kcheck_row row = ebb_kcheck_row(i);
        long before = k.cases;
        double row_start = seconds();
        if ((given.kernel && strcmp(given.kernel, row.name) != 0) || !ebb_kcheck_own(isa, i))
            continue;
        own++;
        if (!ebb_kcheck_run(&k, i))
            ebb_kcheck_fail(&k, "%s: out of memory, or a case with more than %d buffers", row.name, KCHECK_BUFFERS);
        if (given.list)
            printf("  %-10s %-18s %6ld cases %6.2f s\n", ebb_isa_name(isa), row.name, k.cases - before,
                   seconds() - row_start);
        if (!row.exact && isa != EBB_ISA_C)
            printf("  %s %s: largest error %.3f of its bound\n", ebb_isa_name(isa), row.name, k.worst);
    }
    ebb_kcheck_release(&k);
    printf("isa %s: %d kernels of its own, %ld cases, %ld arrays compared, %ld failures, %.1f s\n", ebb_isa_name(isa),
           own, k.cases, k.compared, k.failures, seconds() - start);
    fflush(stdout);
    *cases += k.cases;
    return k.failures + (own > 0 && k.cases == 0);
}

static bool known(const char *kernel)
{
    for (int i = 0; ebb_kcheck_row(i).name; i++)
        if (strcmp(kernel, ebb_kcheck_row(i).name) == 0)
            return true;
    return false;
}

static bool read_options(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        const char **value = strcmp(argv[i], "--isa") == 0 ? &given.isa
                           : strcmp(argv[i], "--kernel") == 0 ? &given.kernel
                           : strcmp(argv[i], "--sample") == 0 ? &given.sample : NULL;
        if (strcmp(argv[i], "--list") == 0)
            given.list = true;
        else if (strcmp(argv[i], "--inside") == 0)
            given.inside = true;
        else if (!value || ++i == argc)
            return false;
        else
            *value = argv[i];
    }
    return (!given.isa || ebb_isa_from_name(given.isa) >= 0) && (!given.kernel || known(given.kernel)) &&
           (!given.sample || atol(given.sample) > 0);
}

int main(int argc, char **argv)
{
    long failures = 0, cases = 0;
    if (!read_options(argc, argv)) {
        fprintf(stderr, "usage: kcheck [--isa NAME] [--kernel NAME] [--sample N] [--inside] [--list]\n");
        return 2;
    }
    int only = given.isa ? ebb_isa_from_name(given.isa) : -1;
    if (only >= 0 && !ebb_isa_available((ebb_isa)only)) {
        fprintf(stderr, "kcheck: this machine or build has no %s\n", given.isa);
        return 2;
    }
    for (int i = 0; i < EBB_ISA_COUNT; i++)
        if (ebb_isa_available((ebb_isa)i) && (only < 0 || i == only))
            failures += check_isa((ebb_isa)i, &cases);
    printf("%ld cases, %ld failures\n", cases, failures);
    return failures != 0;
}

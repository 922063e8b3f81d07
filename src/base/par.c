/* par.c: the only OpenMP in the library.
 *
 * One idea: workers take the next item from a shared counter. Which worker gets which item is left to
 * chance, so callers keep results by item, never by worker; then thread counts cannot change a bit.
 * A worker may lead a team, whose other threads wait for what it wants done together. They spin, because the
 * steps between two meetings take microseconds; after a while they sleep, so that more threads than cores come
 * forward too.
 * Denormal numbers are flushed in every worker (they are slow on many CPUs), also in a single one,
 * because the value of a denormal result must not depend on the thread count either.
 *
 * Memory belongs to the domain of the processor that first wrote to it. A worker writes its arena first, so it
 * is enough that it runs in the same domain each time: places are set when a loop begins and taken back when
 * it ends, as the threads belong to OpenMP, or to the caller.
 */
#include <limits.h>
#include <omp.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#ifdef __linux__
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif
#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

#include "base/base.h"

typedef uint64_t float_mode;

#if defined(__x86_64__)
enum { FLUSH = 0x8040 };              /* MXCSR: FTZ (bit 15) and DAZ (bit 6) */

static float_mode flush_begin(void)
{
    unsigned old = _mm_getcsr();
    _mm_setcsr(old | FLUSH);
    return old;
}

static void flush_end(float_mode old)
{
    /* Only the two bits go back: exception flags raised meanwhile stay visible. */
    _mm_setcsr((_mm_getcsr() & ~(unsigned)FLUSH) | ((unsigned)old & FLUSH));
}
#elif defined(__aarch64__)
static float_mode flush_begin(void)
{
    float_mode old;
    __asm__ volatile("mrs %0, fpcr" : "=r"(old));
    __asm__ volatile("msr fpcr, %0" : : "r"(old | ((float_mode)1 << 24)));   /* FZ */
    return old;
}

static void flush_end(float_mode old)
{
    __asm__ volatile("msr fpcr, %0" : : "r"(old));
}
#else
static float_mode flush_begin(void)
{
    return 0;
}

static void flush_end(float_mode old)
{
    (void)old;
}
#endif

/* ---- teams ------------------------------------------------------------------------------- */

/* Pauses before a waiting thread sleeps: some 50 microseconds; fewer where it keeps another from a core. */
enum { SPINS = 4000, SPINS_CROWDED = 20 };

/* Written by different threads: a cache line each. */
typedef struct team {
    _Alignas(64) atomic_int arrived;
    _Alignas(64) atomic_uint round;   /* meetings so far */
    atomic_int sleepers;
    _Alignas(64) ebb_together_fn fn;  /* of the leader; NULL: go home */
    void *arg;
    int members, spins;
} team;

static _Thread_local bool inside;     /* this thread is a worker already */
static _Thread_local team *mine;      /* NULL: alone */

static void pause_a_little(void)
{
#if defined(__x86_64__)
    _mm_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* Until another round than this has begun, or earlier. */
static void sleep_through(team *t, unsigned round)
{
    atomic_fetch_add(&t->sleepers, 1);
#ifdef __linux__
    syscall(SYS_futex, &t->round, FUTEX_WAIT_PRIVATE, round, NULL, NULL, 0);
#else
    (void)round;
    sched_yield();
#endif
    atomic_fetch_sub(&t->sleepers, 1);
}

static void wake_all(team *t)
{
#ifdef __linux__
    if (atomic_load(&t->sleepers) > 0)
        syscall(SYS_futex, &t->round, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
#else
    (void)t;
#endif
}

static void meet(team *t)
{
    unsigned round = atomic_load_explicit(&t->round, memory_order_relaxed);
    if (atomic_fetch_add_explicit(&t->arrived, 1, memory_order_acq_rel) + 1 == t->members) {
        atomic_store_explicit(&t->arrived, 0, memory_order_relaxed);
        atomic_store(&t->round, round + 1);
        wake_all(t);
        return;
    }
    for (int spins = 0; atomic_load_explicit(&t->round, memory_order_acquire) == round; spins++) {
        if (spins < t->spins)
            pause_a_little();
        else
            sleep_through(t, round);
    }
}

void ebb_par_meet(void)
{
    if (mine)
        meet(mine);
}

void ebb_par_together(ebb_together_fn fn, void *arg)
{
    if (!mine) {
        fn(arg, 0, 1);
        return;
    }
    mine->fn = fn;
    mine->arg = arg;
    meet(mine);
    fn(arg, 0, mine->members);
    meet(mine);
}

/* A member that does not lead. */
static void follow(team *t, int member)
{
    for (;;) {
        meet(t);
        if (!t->fn)
            return;
        t->fn(t->arg, member, t->members);
        meet(t);
    }
}

/* ---- workers ----------------------------------------------------------------------------- */

typedef struct job {
    atomic_int_fast64_t next;
    int64_t n;
    ebb_par_fn fn;
    void *arg;
} job;

static void work(job *j, int worker)
{
    for (;;) {
        int64_t item = atomic_fetch_add(&j->next, 1);
        if (item >= j->n)
            return;
        j->fn(j->arg, item, worker);
    }
}

/* ---- places ------------------------------------------------------------------------------- */

static ebb_topology places;               /* written once, by the first who binds */
static atomic_int places_taken, places_ready, binding, first_place;

void ebb_par_bind(ebb_bind bind, const ebb_topology *machine)
{
    if (bind != EBB_BIND_NONE && atomic_exchange(&places_taken, 1) == 0) {
        places = *machine;
        atomic_store(&places_ready, 1);
    }
    atomic_store(&binding, (int)bind);
}

ebb_bind ebb_par_binding(void)
{
    return atomic_load(&places_ready) ? (ebb_bind)atomic_load(&binding) : EBB_BIND_NONE;
}

void ebb_par_first_place(int first)
{
    atomic_store(&first_place, first);
}

/* True: the worker has its place, and has to get the one before it back. */
static bool take_place(int worker, ebb_cpus *before)
{
    ebb_bind bind = ebb_par_binding();
    if (bind == EBB_BIND_NONE || !ebb_os_cpus(before))
        return false;
    worker = (worker + atomic_load(&first_place)) % EBB_CPUS_MAX;
    ebb_cpus one = {0};
    if (bind == EBB_BIND_CORE)
        ebb_cpus_add(&one, places.worker_cpu[worker]);
    return ebb_os_set_cpus(bind == EBB_BIND_CORE ? &one : &places.domain[places.worker_domain[worker]].cpus);
}

/* Thread `member` of a team works (0) or follows. */
static void serve(job *j, team *t, int worker, int member)
{
    bool outer = inside;
    team *outer_team = mine;
    float_mode mode = flush_begin();
    inside = true;
    mine = t->members > 1 ? t : NULL;
    if (member > 0) {
        follow(t, member);
    } else {
        work(j, worker);
        if (mine) {
            t->fn = NULL;
            meet(t);
        }
    }
    mine = outer_team;
    inside = outer;
    flush_end(mode);
}

enum { TEAMS_MAX = 64 };              /* that have more than one member */

void ebb_par_teams(int teams, int members, int64_t n, ebb_par_fn fn, void *arg)
{
    job j = { 0, n, fn, arg };
    if (n < teams)
        teams = (int)n;
    if (n <= 0)
        return;
    if ((teams <= 1 && members <= 1) || inside) {
        serve(&j, &(team){.members = 1}, 0, 0);
        return;
    }
    if (members > 1 && teams > TEAMS_MAX)
        teams = TEAMS_MAX;
    team of[TEAMS_MAX];
    bool crowded = teams * members > omp_get_num_procs();
    for (int i = 0; i < teams && members > 1; i++)
        of[i] = (team){.members = members, .spins = crowded ? SPINS_CROWDED : SPINS};
#pragma omp parallel num_threads(teams * members)
    {
        /* There may be fewer threads than asked for: then whole teams, or one that is smaller. */
        int got = omp_get_num_threads(), me = omp_get_thread_num();
        ebb_cpus before;
        bool moved = take_place(me, &before);
        if (members <= 1) {
            serve(&j, &(team){.members = 1}, me, 0);
        } else {
            if (got < members && me == 0)
                of[0].members = got;
#pragma omp barrier
            if (me < (got < members ? got : got / members * members))
                serve(&j, &of[me / members], me / members, me % members);
        }
        if (moved)
            ebb_os_set_cpus(&before);
    }
}

void ebb_par_for(int threads, int64_t n, ebb_par_fn fn, void *arg) { ebb_par_teams(threads, 1, n, fn, arg); }

bool ebb_par_bound_by_openmp(void)
{
    return omp_get_proc_bind() != omp_proc_bind_false;
}

/* When OpenMP binds threads, that of the caller sees its own place only: then all places together count. */
static void allowed_cpus(ebb_cpus *out)
{
    bool known = ebb_os_cpus(out);
    int places = ebb_par_bound_by_openmp() ? omp_get_num_places() : 0;
    for (int p = 0; p < places; p++) {
        int ids[EBB_CPUS_MAX], count = omp_get_place_num_procs(p);
        if (count > EBB_CPUS_MAX)
            continue;
        omp_get_place_proc_ids(p, ids);
        for (int i = 0; i < count; i++)
            if (ids[i] >= 0 && ids[i] < EBB_CPUS_MAX)
                ebb_cpus_add(out, ids[i]);
    }
    if (known)
        return;
    int procs = omp_get_num_procs();
    for (int c = 0; c < procs && c < EBB_CPUS_MAX; c++)
        ebb_cpus_add(out, c);
}

void ebb_par_machine(ebb_topology *out)
{
    ebb_cpus allowed;
    allowed_cpus(&allowed);
    ebb_topology_read("", &allowed, out);
}

int ebb_par_default_threads(const ebb_topology *machine, const char **source)
{
    const char *wanted = getenv("OMP_NUM_THREADS");
    bool said = wanted && *wanted;
    *source = said ? "OMP_NUM_THREADS" : "default";
    return said ? omp_get_max_threads() : ebb_topology_threads(machine);
}

int ebb_par_single_begin(void)
{
    int token = omp_get_max_threads();
    omp_set_num_threads(1);
    return token;
}

void ebb_par_single_end(int token)
{
    omp_set_num_threads(token);
}

void ebb_par_yield(void)
{
    sched_yield();
}

double ebb_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

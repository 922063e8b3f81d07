/* test_topology.c: what the files of a machine say: read from trees of files that are made here, after those
 * that Linux shows on servers; where workers then run; and who is warned of too many threads.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/base.h"
#include "support/temporary.h"

static temporary_folder root;
static ebb_topology t;

static void put(const char *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void put(const char *text, const char *format, ...)
{
    char name[256], path[512];
    va_list args;
    va_start(args, format);
    vsnprintf(name, sizeof name, format, args);
    va_end(args);
    snprintf(path, sizeof path, "%s/%s", root, name);
    for (char *p = path + strlen(root) + 1; (p = strchr(p, '/')) != NULL; p++) {
        *p = 0;
        mkdir(path, 0700);
        *p = '/';
    }
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fprintf(f, "%s\n", text);
    assert_int_equal(fclose(f), 0);
}

static int make_root(void **state)
{
    (void)state;
    return temporary_make(root, "topology") ? 0 : -1;
}

static int remove_root(void **state)
{
    (void)state;
    ebb_par_bind(EBB_BIND_NONE, NULL);
    return temporary_remove(root) ? 0 : -1;
}

/* Processors c and c + cores are one core; sockets of `per_socket` cores, each a domain. */
static void make_server(int cores, int per_socket)
{
    char text[64];
    for (int c = 0; c < 2 * cores; c++) {
        int core = c % cores, socket = core / per_socket;
        snprintf(text, sizeof text, "%d,%d", core, core + cores);
        put(text, "sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", c);
        put(text, "sys/devices/system/cpu/cpu%d/cache/index0/shared_cpu_list", c);
        put("1", "sys/devices/system/cpu/cpu%d/cache/index0/level", c);
        put("Data", "sys/devices/system/cpu/cpu%d/cache/index0/type", c);
        put("48K", "sys/devices/system/cpu/cpu%d/cache/index0/size", c);
        int first = socket * per_socket, last = first + per_socket - 1;
        snprintf(text, sizeof text, "%d-%d,%d-%d", first, last, first + cores, last + cores);
        put(text, "sys/devices/system/cpu/cpu%d/cache/index1/shared_cpu_list", c);
        put("3", "sys/devices/system/cpu/cpu%d/cache/index1/level", c);
        put("Unified", "sys/devices/system/cpu/cpu%d/cache/index1/type", c);
        put("32M", "sys/devices/system/cpu/cpu%d/cache/index1/size", c);
        put(text, "sys/devices/system/node/node%d/cpulist", socket);
        snprintf(text, sizeof text, "%d", socket);
        put(text, "sys/devices/system/cpu/cpu%d/topology/physical_package_id", c);
    }
    snprintf(text, sizeof text, "0-%d", cores / per_socket - 1);
    put(text, "sys/devices/system/node/online");
}

static void read_allowed(const char *list)
{
    ebb_cpus allowed;
    assert_true(ebb_cpus_parse(list, &allowed));
    ebb_topology_read(root, &allowed, &t);
}

/* ---- lists -------------------------------------------------------------------------------- */

static void test_lists(void **state)
{
    (void)state;
    static const char *const good[][2] = {{"0", "0"}, {"0-3", "0-3"}, {"1,2,3,7\n", "1-3,7"}, {"", ""},
                                          {"0-1,64-65,1023", "0-1,64-65,1023"}, {"5,4", "4-5"},
                                          {"1022-2000,5000", "1022-1023"}};
    static const char *const bad[] = {"all", "-1", "1--2", "1-", "1;2", "0x3", " 1"};
    ebb_cpus set;
    char text[64];
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_true(ebb_cpus_parse(good[i][0], &set));
        ebb_cpus_text(&set, text, sizeof text);
        assert_string_equal(text, good[i][1]);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(ebb_cpus_parse(bad[i], &set));
}

/* ---- machines ----------------------------------------------------------------------------- */

static void test_server(void **state)
{
    (void)state;
    ebb_cache cache[EBB_CACHES_MAX];
    make_server(8, 4);
    read_allowed("0-15");
    assert_int_equal(t.cpus, 16);
    assert_int_equal(t.cores, 8);
    assert_int_equal(t.sockets, 2);
    assert_int_equal(t.domains, 2);
    assert_int_equal(t.domain[1].cores, 4);
    assert_true(ebb_cpus_has(&t.domain[1].cpus, 12) && !ebb_cpus_has(&t.domain[1].cpus, 8));
    assert_int_equal(ebb_topology_threads(&t), 8);
    assert_int_equal(ebb_topology_limit(&t), 16);
    /* One worker a core on both sockets in turn, then the cores' second threads, then again. */
    static const int cpu[] = {0, 4, 1, 5, 2, 6, 3, 7, 8, 12, 9, 13, 10, 14, 11, 15, 0, 4};
    for (int w = 0; w < 18; w++) {
        assert_int_equal(t.worker_cpu[w], cpu[w]);
        assert_int_equal(t.worker_domain[w], cpu[w] % 8 / 4);
    }
    assert_int_equal(ebb_topology_caches(root, &t, cache), 2);
    assert_true(cache[0].level == 1 && cache[0].type == 'd' && cache[0].bytes == 48 << 10 && cache[0].instances == 8);
    assert_true(cache[1].level == 3 && cache[1].type == 'u' && cache[1].bytes == 32 << 20 && cache[1].instances == 2);
}

/* Part of a machine: three cores of one socket, one of them with both threads, and one of the other. */
static void test_part(void **state)
{
    (void)state;
    ebb_cache cache[EBB_CACHES_MAX];
    make_server(8, 4);
    read_allowed("1-3,9,14");
    assert_int_equal(t.cpus, 5);
    assert_int_equal(t.cores, 4);
    assert_int_equal(t.domains, 2);
    assert_int_equal(t.domain[0].cores, 3);
    assert_int_equal(t.domain[1].cores, 1);
    int of[2] = {0};
    for (int w = 0; w < 8; w++)
        of[t.worker_domain[w]]++;
    assert_int_equal(of[0], 6);   /* as the cores: three to one */
    assert_int_equal(ebb_topology_caches(root, &t, cache), 2);
    assert_int_equal(cache[0].instances, 4);
    read_allowed("4-7");
    assert_int_equal(t.domains, 1);
    assert_int_equal(t.domain[0].number, 1);
    assert_int_equal(t.sockets, 1);
}

/* Files that are missing or senseless: a plain machine, every processor in one domain and no more than one. */
static void test_strange(void **state)
{
    (void)state;
    read_allowed("0-3");
    assert_int_equal(t.cores, 4);
    assert_int_equal(t.domains, 1);
    assert_int_equal(t.sockets, 1);
    assert_true(t.quota == 0);
    put("0-1", "sys/devices/system/node/online");
    put("0-2", "sys/devices/system/node/node0/cpulist");
    put("2-9", "sys/devices/system/node/node1/cpulist");
    put("none", "sys/devices/system/cpu/cpu1/topology/thread_siblings_list");
    put("-1", "sys/devices/system/cpu/cpu1/topology/physical_package_id");
    put("0::nonsense", "proc/self/cgroup");
    read_allowed("0-4");
    assert_int_equal(t.domains, 2);
    assert_int_equal(ebb_cpus_count(&t.domain[0].cpus), 3);
    assert_int_equal(ebb_cpus_count(&t.domain[1].cpus), 2);
    assert_int_equal(t.cores, 5);
    read_allowed("");
    assert_int_equal(ebb_topology_threads(&t), 1);
}

/* ---- quotas ------------------------------------------------------------------------------- */

static void test_quota(void **state)
{
    (void)state;
    put("0::/user.slice/job", "proc/self/cgroup");
    put("max 100000", "sys/fs/cgroup/user.slice/job/cpu.max");
    read_allowed("0-7");
    assert_true(t.quota == 0);
    put("250000 100000", "sys/fs/cgroup/user.slice/cpu.max");   /* of the group that it is in */
    read_allowed("0-7");
    assert_true(t.quota == 2.5);
    assert_int_equal(ebb_topology_threads(&t), 3);
    assert_int_equal(ebb_topology_limit(&t), 3);
    put("40000 100000", "sys/fs/cgroup/cpu.max");
    read_allowed("0-7");
    assert_true(t.quota == 0.4);
    assert_int_equal(ebb_topology_threads(&t), 1);
    put("900000 100000", "sys/fs/cgroup/cpu.max");              /* more than there are */
    put("max 100000", "sys/fs/cgroup/user.slice/cpu.max");
    read_allowed("0-7");
    assert_int_equal(ebb_topology_threads(&t), 8);
}

static void test_quota_version1(void **state)
{
    (void)state;
    put("5:cpuset:/a\n4:cpu,cpuacct:/a/b\n1:name=systemd:/c", "proc/self/cgroup");
    put("-1", "sys/fs/cgroup/cpu/a/b/cpu.cfs_quota_us");
    put("100000", "sys/fs/cgroup/cpu/a/b/cpu.cfs_period_us");
    read_allowed("0-7");
    assert_true(t.quota == 0);
    put("50000", "sys/fs/cgroup/cpu/a/cpu.cfs_quota_us");
    put("25000", "sys/fs/cgroup/cpu/a/cpu.cfs_period_us");
    read_allowed("0-7");
    assert_true(t.quota == 2);
    assert_int_equal(ebb_topology_limit(&t), 2);
}

/* ---- memory ------------------------------------------------------------------------------- */

static void test_memory(void **state)
{
    (void)state;
    read_allowed("0-7");
    assert_true(t.memory == 0);
    put("MemFree:  5 kB\nMemTotal:       1000 kB\nMemAvailable:    7 kB", "proc/meminfo");
    put("0::/user.slice/job", "proc/self/cgroup");
    put("max", "sys/fs/cgroup/user.slice/job/memory.max");
    read_allowed("0-7");
    assert_true(t.memory == 1024000);
    put("512000", "sys/fs/cgroup/user.slice/memory.max");       /* of the group that it is in */
    read_allowed("0-7");
    assert_true(t.memory == 512000);
    put("4:memory:/a", "proc/self/cgroup");
    put("9223372036854771712", "sys/fs/cgroup/memory/a/memory.limit_in_bytes");
    read_allowed("0-7");
    assert_true(t.memory == 1024000);
    put("4096", "sys/fs/cgroup/memory/memory.limit_in_bytes");
    read_allowed("0-7");
    assert_true(t.memory == 4096);
}

/* ---- places ------------------------------------------------------------------------------- */

enum { ITEMS = 64 };
static ebb_cpus seen[ITEMS];
static int worker_of[ITEMS];

static void look(void *arg, int64_t item, int worker)
{
    (void)arg;
    worker_of[item] = worker;
    ebb_os_cpus(&seen[item]);
}

static void test_places(void **state)
{
    (void)state;
    ebb_cpus before, after;
    ebb_par_machine(&t);
    assert_true(t.cpus >= 1 && t.cores >= 1 && t.cores <= t.cpus && t.sockets >= 1 && t.domains >= 1);
    if (!ebb_os_cpus(&before) || ebb_par_bound_by_openmp())
        skip();
    for (ebb_bind bind = EBB_BIND_DOMAIN; bind <= EBB_BIND_CORE; bind++) {
        ebb_par_bind(bind, &t);
        assert_int_equal(ebb_par_binding(), bind);
        ebb_par_for(3, ITEMS, look, NULL);
        for (int i = 0; i < ITEMS; i++) {
            ebb_cpus want = t.domain[t.worker_domain[worker_of[i]]].cpus, one = {0};
            ebb_cpus_add(&one, t.worker_cpu[worker_of[i]]);
            assert_memory_equal(&seen[i], bind == EBB_BIND_CORE ? &one : &want, sizeof want);
        }
        ebb_os_cpus(&after);
        assert_memory_equal(&after, &before, sizeof before);
        ebb_par_bind(EBB_BIND_NONE, &t);
        ebb_par_for(3, ITEMS, look, NULL);   /* the others have theirs back, too */
        for (int i = 0; i < ITEMS; i++)
            assert_memory_equal(&seen[i], &before, sizeof before);
    }
}

/* Large memory is still nobody's when it is handed out, so that the first worker to write there has it near. */
static void test_first_touch(void **state)
{
    (void)state;
    enum { BYTES = 8 << 20 };
    unsigned char page[BYTES / 4096] = {0};
    void *p;
    assert_int_equal(ebb_alloc(NULL, &p, BYTES, 1, "test"), EBB_OK);
    size_t size = (size_t)sysconf(_SC_PAGESIZE);
    assert_int_equal((uintptr_t)p % size, 0);
    assert_int_equal(mincore(p, BYTES, (void *)page), 0);
    for (size_t i = 0; i < BYTES / size; i++)
        assert_int_equal(page[i] & 1, 0);
    ((char *)p)[0] = 1;
    assert_int_equal(mincore(p, BYTES, (void *)page), 0);
    assert_int_equal(page[0] & 1, 1);
    ebb_free(p);
}

/* ---- contexts ----------------------------------------------------------------------------- */

static ebb_context *context_of(int threads, const char *bind, ebb_status status)
{
    ebb_context *ctx;
    ebb_context_options o = {.size = sizeof o, .threads = threads, .bind = bind};
    assert_int_equal(ebb_context_create(&o, &ctx), status);
    return ctx;
}

static void test_warning(void **state)
{
    (void)state;
    char asked[16], here[16];
    ebb_par_machine(&t);
    int limit = ebb_topology_limit(&t);
    snprintf(asked, sizeof asked, "%d", limit + 7);
    snprintf(here, sizeof here, "%d", limit);
    unsetenv("OMP_NUM_THREADS");
    ebb_context *ctx = context_of(limit, NULL, EBB_OK);
    assert_string_equal(ebb_warning(ctx), "");
    ebb_context_free(ctx);
    ctx = context_of(limit + 7, NULL, EBB_OK);
    assert_non_null(strstr(ebb_warning(ctx), asked));
    assert_non_null(strstr(ebb_warning(ctx), here));
    assert_non_null(strstr(ebb_warning(ctx), "option"));
    ebb_context_free(ctx);
    ctx = context_of(limit, NULL, EBB_OK);
    ebb_context_share(ctx, 1, 2);   /* asked for, so it stays, with a warning */
    assert_int_equal(ctx->threads, limit);
    assert_non_null(strstr(ebb_warning(ctx), limit > 1 ? "each of 2 processes" : ""));
    ebb_context_free(ctx);
    ctx = context_of(0, NULL, EBB_OK);
    int threads = ctx->threads;
    ebb_context_share(ctx, 1, 2);
    assert_int_equal(ctx->threads, threads > 1 ? threads / 2 : 1);
    assert_string_equal(ebb_warning(ctx), "");
    ebb_par_first_place(0);
    ebb_context_free(ctx);
    ctx = context_of(0, NULL, EBB_OK);
    assert_int_equal(ctx->threads, ebb_topology_threads(&t));
    assert_string_equal(ebb_warning(ctx), "");
    ebb_context_free(ctx);
}

static void test_bind_option(void **state)
{
    (void)state;
    unsetenv("EBB_BIND");
    ebb_context *ctx = context_of(1, "nowhere", EBB_E_USAGE);
    assert_non_null(strstr(ebb_message(ctx), "auto, none, domain, core"));
    ebb_context_free(ctx);
    setenv("EBB_BIND", "elsewhere", 1);
    ctx = context_of(1, NULL, EBB_E_USAGE);
    assert_non_null(strstr(ebb_message(ctx), "EBB_BIND"));
    ebb_context_free(ctx);
    if (ebb_par_bound_by_openmp())
        skip();
    setenv("EBB_BIND", "core", 1);
    ebb_context_free(context_of(1, NULL, EBB_OK));
    assert_int_equal(ebb_par_binding(), EBB_BIND_CORE);
    unsetenv("EBB_BIND");
    ebb_context_free(context_of(1, NULL, EBB_OK));
    ebb_par_machine(&t);
    assert_int_equal(ebb_par_binding(), t.domains > 1 ? EBB_BIND_DOMAIN : EBB_BIND_NONE);
}

#define WITH_ROOT(test) cmocka_unit_test_setup_teardown(test, make_root, remove_root)
int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lists),       WITH_ROOT(test_server),       WITH_ROOT(test_part),
        WITH_ROOT(test_strange),            WITH_ROOT(test_quota),        WITH_ROOT(test_quota_version1),
        WITH_ROOT(test_memory),
        WITH_ROOT(test_places),             cmocka_unit_test(test_first_touch), cmocka_unit_test(test_warning),
        WITH_ROOT(test_bind_option),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

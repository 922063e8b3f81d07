/* test_base.c: the ground layer: messages, memory, files, threads, random numbers. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/base.h"
#include "support/temporary.h"

static ebb_context context;
static temporary_folder folder;

static const char *in_folder(const char *name)
{
    return temporary_path(folder, name);
}

static int make_folder(void **state)
{
    (void)state;
    return temporary_make(folder, "base") ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    return temporary_remove(folder) ? 0 : -1;
}

static int files_in_folder(void)
{
    char command[128];
    int n = -1;
    snprintf(command, sizeof command, "ls -A '%s' | wc -l", folder);
    FILE *f = popen(command, "r");
    assert_non_null(f);
    assert_int_equal(fscanf(f, "%d", &n), 1);
    pclose(f);
    return n;
}

/* ---- errors ------------------------------------------------------------------------------ */

static void test_messages(void **state)
{
    (void)state;
    assert_int_equal(ebb_fail(&context, EBB_E_SHAPE, "%d is not %s", 3, "four"), EBB_E_SHAPE);
    assert_string_equal(ebb_message(&context), "3 is not four");
    assert_int_equal(ebb_fail_prefix(&context, "layer %d", 7), EBB_E_SHAPE);
    assert_string_equal(ebb_message(&context), "layer 7: 3 is not four");
    /* The old message may be an argument of the new one. */
    ebb_fail(&context, EBB_E_IO, "so: %s", ebb_message(&context));
    assert_string_equal(ebb_message(&context), "so: layer 7: 3 is not four");
    for (int i = 0; i < 400; i++)
        ebb_fail_prefix(&context, "again %d", i);
    assert_in_range(strlen(ebb_message(&context)), 900, sizeof context.message - 1);
    assert_memory_equal(ebb_message(&context), "again 399: again 398: ", 22);
    for (int s = 0; s <= EBB_E_INTERNAL; s++)
        assert_string_not_equal(ebb_status_name((ebb_status)s), "unknown");
    assert_int_equal(ebb_fail(NULL, EBB_E_IO, "nobody hears"), EBB_E_IO);
}

/* ---- memory -------------------------------------------------------------------------------- */

static void test_memory(void **state)
{
    (void)state;
    static const size_t sizes[] = { 0,        1, 63, 64, 65, 4096, (4u << 20) - 1, 4u << 20, (4u << 20) + 1,
                                    33u << 20 };
    ebb_mem_stats before = ebb_mem_read();
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        void *p;
        assert_int_equal(ebb_alloc(&context, &p, sizes[i], 1, "test"), EBB_OK);
        assert_int_equal((uintptr_t)p % 64, 0);
        unsigned char *bytes = p, any = 0;
        for (size_t k = 0; k < sizes[i]; k++)
            any |= bytes[k];
        assert_int_equal(any, 0);
        memset(p, 0xa5, sizes[i]);
        ebb_mem_stats now = ebb_mem_read();
        assert_int_equal(now.bytes, before.bytes + sizes[i]);
        assert_true(now.peak_bytes >= now.bytes);
        assert_int_equal(now.calls, before.calls + i + 1);
        ebb_free(p);
    }
    assert_int_equal(ebb_mem_read().bytes, before.bytes);
    ebb_free(NULL);
}

static void test_memory_errors(void **state)
{
    (void)state;
    void *p = &p;
    assert_int_equal(ebb_alloc(&context, &p, SIZE_MAX / 2, 3, "the moon"), EBB_E_MEMORY);
    assert_null(p);
    assert_non_null(strstr(ebb_message(&context), "the moon"));
    p = &p;
    assert_int_equal(ebb_alloc(&context, &p, SIZE_MAX / 4, 1, "the sun"), EBB_E_MEMORY);
    assert_null(p);
    assert_non_null(strstr(ebb_message(&context), "the sun"));
}

static void test_grow(void **state)
{
    (void)state;
    void *array = NULL;
    int32_t capacity = 0;
    for (int32_t i = 0; i < 1000; i++) {
        assert_int_equal(ebb_grow(&context, &array, &capacity, i + 1, sizeof(int32_t)), EBB_OK);
        assert_true(capacity > i);
        assert_int_equal(((int32_t *)array)[i], 0);
        ((int32_t *)array)[i] = i;
    }
    for (int32_t i = 0; i < 1000; i++)
        assert_int_equal(((int32_t *)array)[i], i);
    ebb_free(array);
}

/* ---- files --------------------------------------------------------------------------------- */

static void put(const char *path, const char *text)
{
    ebb_writer *w;
    assert_int_equal(ebb_writer_open(&context, path, &w), EBB_OK);
    assert_int_equal(ebb_writer_write(w, text, strlen(text)), EBB_OK);
    assert_int_equal(ebb_writer_commit(&w), EBB_OK);
    assert_null(w);
}

static void expect_content(const char *path, const char *text)
{
    void *data;
    size_t size;
    assert_int_equal(ebb_file_read(&context, path, 1 << 20, &data, &size), EBB_OK);
    assert_int_equal(size, strlen(text));
    assert_string_equal(data, text);   /* the zero byte behind the content is there */
    ebb_free(data);
}

static void test_file_round_trip(void **state)
{
    (void)state;
    put(in_folder("a"), "first");
    expect_content(in_folder("a"), "first");
    put(in_folder("a"), "second");
    expect_content(in_folder("a"), "second");
    put(in_folder("a"), "");
    expect_content(in_folder("a"), "");
    assert_int_equal(ebb_file_append(&context, in_folder("a"), "one\n"), EBB_OK);
    assert_int_equal(ebb_file_append(&context, in_folder("a"), "two\n"), EBB_OK);
    expect_content(in_folder("a"), "one\ntwo\n");
    assert_int_equal(files_in_folder(), 1);
}

static void test_abort(void **state)
{
    (void)state;
    ebb_writer *w;
    put(in_folder("a"), "old");
    assert_int_equal(ebb_writer_open(&context, in_folder("a"), &w), EBB_OK);
    assert_int_equal(ebb_writer_write(w, "new", 3), EBB_OK);
    assert_int_equal(files_in_folder(), 2);
    ebb_writer_abort(&w);
    assert_null(w);
    ebb_writer_abort(&w);
    expect_content(in_folder("a"), "old");
    assert_int_equal(files_in_folder(), 1);
}

/* Two writers of one path in one process do not share a temporary; the later commit wins whole. */
static void test_two_writers(void **state)
{
    (void)state;
    ebb_writer *v, *w;
    assert_int_equal(ebb_writer_open(&context, in_folder("a"), &v), EBB_OK);
    assert_int_equal(ebb_writer_open(&context, in_folder("a"), &w), EBB_OK);
    assert_int_equal(ebb_writer_write(v, "vvvv", 4), EBB_OK);
    assert_int_equal(ebb_writer_write(w, "w", 1), EBB_OK);
    assert_int_equal(ebb_writer_commit(&w), EBB_OK);
    expect_content(in_folder("a"), "w");
    assert_int_equal(ebb_writer_commit(&v), EBB_OK);
    expect_content(in_folder("a"), "vvvv");
    assert_int_equal(files_in_folder(), 1);
}

static void expect_read_error(const char *path, size_t limit, ebb_status status, const char *says)
{
    void *data = &data;
    size_t size;
    assert_int_equal(ebb_file_read(&context, path, limit, &data, &size), status);
    assert_null(data);
    assert_non_null(strstr(ebb_message(&context), path));
    assert_non_null(strstr(ebb_message(&context), says));
}

static void test_read_errors(void **state)
{
    (void)state;
    expect_read_error(in_folder("none"), 100, EBB_E_IO, "No such file");
    expect_read_error(folder, 100, EBB_E_IO, "directory");
    assert_int_equal(mkfifo(in_folder("fifo"), 0600), 0);
    expect_read_error(in_folder("fifo"), 100, EBB_E_IO, "pipe");
    put(in_folder("ten"), "0123456789");
    expect_read_error(in_folder("ten"), 9, EBB_E_FORMAT, "10 bytes");
}

static void test_write_errors(void **state)
{
    (void)state;
    ebb_writer *w = (ebb_writer *)&w;
    assert_int_equal(ebb_writer_open(&context, in_folder("no/such/file"), &w), EBB_E_IO);
    assert_null(w);
    assert_non_null(strstr(ebb_message(&context), "no/such/file"));
    assert_int_equal(ebb_writer_open(&context, folder, &w), EBB_E_IO);
    assert_non_null(strstr(ebb_message(&context), "directory"));
    assert_int_equal(ebb_writer_open(&context, "/dev/null", &w), EBB_E_IO);
    assert_non_null(strstr(ebb_message(&context), "device"));
    assert_int_equal(ebb_file_append(&context, folder, "x"), EBB_E_IO);
}

static void test_directories(void **state)
{
    (void)state;
    assert_int_equal(ebb_directory_make(&context, in_folder("x/y//z/")), EBB_OK);
    assert_true(ebb_file_exists(in_folder("x/y/z")));
    assert_int_equal(ebb_directory_make(&context, in_folder("x/y/z")), EBB_OK);
    put(in_folder("x/f"), "");
    assert_int_equal(ebb_directory_make(&context, in_folder("x/f")), EBB_E_IO);
    assert_int_equal(ebb_directory_make(&context, in_folder("x/f/g")), EBB_E_IO);
    assert_int_equal(ebb_directory_make(&context, ""), EBB_E_ARGUMENT);
    assert_int_equal(ebb_directory_make(&context, "/"), EBB_OK);
}

/* A system that interrupts every second call and moves at most 3 bytes at a time. */
static ebb_os real;
static int hiccups;

static int64_t slow_read(int fd, void *buffer, size_t size)
{
    if (hiccups++ % 2 == 0) {
        errno = EINTR;
        return -1;
    }
    return real.read(fd, buffer, size < 3 ? size : 3);
}

static int64_t slow_write(int fd, const void *buffer, size_t size)
{
    if (hiccups++ % 2 == 0) {
        errno = EINTR;
        return -1;
    }
    return real.write(fd, buffer, size < 3 ? size : 3);
}

static void test_short_transfers(void **state)
{
    (void)state;
    real = ebb_os_table;
    ebb_os_table.read = slow_read;
    ebb_os_table.write = slow_write;
    put(in_folder("slow"), "a sentence in many pieces");
    expect_content(in_folder("slow"), "a sentence in many pieces");
    ebb_os_table = real;
    assert_true(hiccups > 30);
}

static int64_t full_write(int fd, const void *buffer, size_t size)
{
    (void)fd, (void)buffer, (void)size;
    errno = ENOSPC;
    return -1;
}

static void test_disk_full(void **state)
{
    (void)state;
    ebb_writer *w;
    put(in_folder("a"), "old");
    real = ebb_os_table;
    ebb_os_table.write = full_write;
    assert_int_equal(ebb_writer_open(&context, in_folder("a"), &w), EBB_OK);
    assert_int_equal(ebb_writer_write(w, "new", 3), EBB_E_IO);
    assert_non_null(strstr(ebb_message(&context), "disk is full"));
    assert_non_null(strstr(ebb_message(&context), "not changed"));
    assert_int_equal(ebb_writer_commit(&w), EBB_E_IO);
    ebb_os_table = real;
    expect_content(in_folder("a"), "old");
    assert_int_equal(files_in_folder(), 1);
}

/* What the promise of atomicity rests on: the content is on the disk before the name is. */
static char order[64];

static int note(char call)
{
    size_t n = strlen(order);
    order[n] = call;
    order[n + 1] = 0;
    return 0;
}

static int noted_open(const char *name, int flags, int mode)
{
    note('o');
    return real.open(name, flags, mode);
}

static int64_t noted_write(int fd, const void *buffer, size_t size)
{
    note('w');
    return real.write(fd, buffer, size);
}

static int noted_fsync(int fd)
{
    note('f');
    return real.fsync(fd);
}

static int noted_close(int fd)
{
    note('c');
    return real.close(fd);
}

static int noted_rename(const char *from, const char *to)
{
    note('r');
    return real.rename(from, to);
}

static void test_commit_order(void **state)
{
    (void)state;
    real = ebb_os_table;
    order[0] = 0;
    ebb_os_table.open = noted_open;
    ebb_os_table.write = noted_write;
    ebb_os_table.fsync = noted_fsync;
    ebb_os_table.close = noted_close;
    ebb_os_table.rename = noted_rename;
    put(in_folder("a"), "content");
    ebb_os_table = real;
    assert_string_equal(order, "owfcrofc");   /* the last three: the directory */
}

/* ---- threads ------------------------------------------------------------------------------- */

typedef struct visit {
    int count[1000];
    int inner[1000];
    int worker[1000];
    float tiny[1000];
} visit;

static void inner_item(void *arg, int64_t item, int worker)
{
    (void)item;
    *(int *)arg += 1 + worker;
}

static volatile float smallest_normal = 0x1p-126f;

static void outer_item(void *arg, int64_t item, int worker)
{
    visit *v = arg;
    v->count[item]++;
    v->worker[item] = worker;
    ebb_par_for(4, 10, inner_item, &v->inner[item]);
    v->tiny[item] = smallest_normal * 0.5f;
}

static void test_par(void **state)
{
    (void)state;
    for (int threads = 1; threads <= 4; threads++) {
        static visit v;
        v = (visit){ { 0 }, { 0 }, { 0 }, { 0 } };
        ebb_par_for(threads, 1000, outer_item, &v);
        for (int i = 0; i < 1000; i++) {
            assert_int_equal(v.count[i], 1);
            assert_int_equal(v.inner[i], 10);   /* serial inside a worker: worker number 0 */
            assert_true(v.tiny[i] == 0.0f);
            assert_true(v.worker[i] < threads);
        }
        /* Outside, denormals are as they were. */
        assert_true(smallest_normal * 0.5f > 0.0f);
    }
    ebb_par_for(2, 0, outer_item, NULL);
    double t = ebb_seconds();
    assert_true(ebb_seconds() >= t);
}

typedef struct together {
    int inner[100];
    int seen[100][8];            /* item, member: calls */
    int after[100][8];           /* what a member saw of the others behind a meeting */
    int led[100];                /* members of the team that took the item */
} together;

static void member_of(void *arg, int member, int members)
{
    together *t = ((void **)arg)[0];
    int64_t item = *(int64_t *)((void **)arg)[1];
    t->seen[item][member]++;
    ebb_par_meet();
    for (int i = 0; i < members; i++)
        t->after[item][member] += t->seen[item][i];
    if (member == 0)
        t->led[item] = members;
}

static void leader(void *arg, int64_t item, int worker)
{
    (void)worker;
    void *both[2] = { arg, &item };
    ebb_par_together(member_of, both);
    ebb_par_together(member_of, both);
    ebb_par_teams(2, 2, 10, inner_item, &((together *)arg)->inner[item]);
}

static void test_teams(void **state)
{
    (void)state;
    for (int teams = 1; teams <= 3; teams++) {
        for (int members = 1; members <= 3; members++) {
            static together t;
            memset(&t, 0, sizeof t);
            ebb_par_teams(teams, members, 100, leader, &t);
            for (int i = 0; i < 100; i++) {
                assert_int_equal(t.led[i], members);
                assert_int_equal(t.inner[i], 10);   /* serial and alone inside a worker */
                for (int m = 0; m < members; m++) {
                    assert_int_equal(t.seen[i][m], 2);
                    assert_int_equal(t.after[i][m], 3 * members);
                }
            }
        }
    }
}

/* ---- random numbers -------------------------------------------------------------------------- */

/* Known answers of philox4x32, 10 rounds: kat_vectors of Random123 1.14. */
static void test_philox(void **state)
{
    (void)state;
    static const uint32_t zero[4] = { 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8 };
    static const uint32_t pi[4] = { 0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1 };
    ebb_rng_at at = { 0, 0, 0, 0 };
    for (uint32_t i = 0; i < 4; i++)
        assert_int_equal(ebb_rng_word(&at, i), zero[i]);
    /* Counter 243f6a88 85a308d3 13198a2e 03707344, key a4093822 299f31d0: our order of the counter is
     * (block, sample, step, stream). The vector of all ones has a block beyond 32-bit word indices. */
    at = (ebb_rng_at){ 0x299f31d0a4093822u, 0x03707344, 0x13198a2e, 0x85a308d3 };
    for (uint32_t i = 0; i < 4; i++)
        assert_int_equal(ebb_rng_word(&at, 0x243f6a88u * 4u + i), pi[i]);
}

static void test_uniform(void **state)
{
    (void)state;
    ebb_rng_at at = { 7, EBB_STREAM_TEST, 3, 5 };
    enum { N = 20000 };
    double sum = 0, squares = 0;
    for (uint32_t i = 0; i < N; i++) {
        double u = ebb_rng_uniform(&at, i);
        assert_true(u >= 0 && u < 1);
        sum += u;
        squares += u * u;
    }
    /* Within 5 standard errors of 1/2 and 1/3: sqrt(1/12/N), sqrt(4/45/N). */
    assert_true(sum / N > 0.5 - 0.0102 && sum / N < 0.5 + 0.0102);
    assert_true(squares / N > 1.0 / 3 - 0.0106 && squares / N < 1.0 / 3 + 0.0106);
    /* Built of both words: 53 bits. */
    double words = (double)(ebb_rng_word(&at, 4) >> 5) * 67108864.0 + (double)(ebb_rng_word(&at, 5) >> 6);
    assert_true(ebb_rng_uniform(&at, 2) == words / 9007199254740992.0);
}

static void test_below(void **state)
{
    (void)state;
    ebb_rng_at at = { 7, EBB_STREAM_TEST, 0, 0 };
    int count[10] = { 0 };
    for (uint32_t i = 0; i < 10000; i++) {
        uint32_t k = ebb_rng_below(&at, i, 10);
        assert_true(k < 10);
        count[k]++;
        assert_int_equal(ebb_rng_below(&at, i, 1), 0);
    }
    for (int k = 0; k < 10; k++)
        assert_in_range(count[k], 850, 1150);   /* 5 standard deviations of 30 */
}

/* All 24 orders of four come about equally often; any order holds each number once. */
static void test_permute(void **state)
{
    (void)state;
    int count[256] = { 0 };
    uint32_t order[1000];
    for (uint32_t sample = 0; sample < 24000; sample++) {
        ebb_rng_at at = { 1, EBB_STREAM_SHUFFLE, 0, sample };
        ebb_rng_permute(&at, order, 4);
        count[order[0] * 64 + order[1] * 16 + order[2] * 4 + order[3]]++;
    }
    int kinds = 0;
    for (int i = 0; i < 256; i++) {
        kinds += count[i] > 0;
        if (count[i])
            assert_in_range(count[i], 845, 1155);
    }
    assert_int_equal(kinds, 24);
    char seen[1000] = { 0 };
    ebb_rng_at at = { 1, EBB_STREAM_SHUFFLE, 0, 0 };
    ebb_rng_permute(&at, order, 1000);
    for (int i = 0; i < 1000; i++) {
        assert_true(order[i] < 1000);
        assert_false(seen[order[i]]++);
    }
    ebb_rng_permute(&at, order, 0);
}

int main(void)
{
#define FILES(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_messages), cmocka_unit_test(test_memory), cmocka_unit_test(test_memory_errors),
        cmocka_unit_test(test_grow), FILES(test_file_round_trip), FILES(test_abort), FILES(test_two_writers),
        FILES(test_read_errors), FILES(test_write_errors), FILES(test_directories),
        FILES(test_short_transfers), FILES(test_disk_full), FILES(test_commit_order),
        cmocka_unit_test(test_par), cmocka_unit_test(test_teams), cmocka_unit_test(test_philox),
        cmocka_unit_test(test_uniform), cmocka_unit_test(test_below), cmocka_unit_test(test_permute),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

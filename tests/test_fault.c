/* test_fault.c: every allocation and every system call fails once, and the process "dies" at each
 * (builds with EBB_FAULT). After each: a clean error, nothing leaked, files old or new and whole.
 */
#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fault.h"
#include "format/format.h"
#include "support/temporary.h"

static ebb_context context;
static temporary_folder folder;
static char path[96];
static const uint8_t pixels[4 * 8 * 8] = { 1, 2, 3 };

static int make_folder(void **state)
{
    (void)state;
    if (!temporary_make(folder, "fault"))
        return -1;
    snprintf(path, sizeof path, "%s/file", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    ebb_fault_set(EBB_FAULT_NONE, 0, 0);
    return temporary_remove(folder) ? 0 : -1;
}

static int entries(const char *directory)
{
    int n = 0;
    DIR *d = opendir(directory);
    assert_non_null(d);
    while (readdir(d))
        n++;
    closedir(d);
    return n - 2;
}

/* ---- the work that is made to fail --------------------------------------------------------- */

static ebb_status write_st(void)
{
    json_t *metadata = json_pack("{s:s}", "note", "new");
    const ebb_st_tensor tensors[] = { { "a", EBB_ST_U8, 1, { 200 }, pixels, 200 },
                                      { "b", EBB_ST_U8, 1, { 56 }, pixels + 200, 56 } };
    ebb_status status = ebb_st_write(&context, path, tensors, 2, metadata);
    json_decref(metadata);
    return status;
}

static ebb_status read_st(void)
{
    ebb_safetensors st;
    EBB_TRY(ebb_st_read(&context, path, &st));
    assert_int_equal(st.count, 2);
    ebb_st_free(&st);
    return EBB_OK;
}

static ebb_status write_npy(void)
{
    return ebb_npy_write_u8(&context, path, pixels, 1, (const int64_t[]){ 256 });
}

static ebb_status read_npy(void)
{
    ebb_npy npy;
    EBB_TRY(ebb_npy_read(&context, path, &npy));
    assert_memory_equal(npy.data, pixels, sizeof pixels);
    ebb_npy_free(&npy);
    return EBB_OK;
}

static ebb_status write_grid(void)
{
    static const char *const labels[] = { "one", "two" };
    return ebb_grid_write(&context, path, pixels, 4, 8, 8, 1, 2, labels);
}

static ebb_status read_png(void)
{
    ebb_image image;
    EBB_TRY(ebb_png_read(&context, path, &image));
    ebb_image_free(&image);
    return EBB_OK;
}

static void put_idx(void)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite("\0\0\x08\x01\0\0\0\4abcd", 1, 12, f), 12);
    fclose(f);
}

static ebb_status read_idx(void)
{
    ebb_idx idx;
    EBB_TRY(ebb_idx_read(&context, path, &idx));
    assert_memory_equal(idx.data, "abcd", 4);
    ebb_idx_free(&idx);
    return EBB_OK;
}

static void put_json(void)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    fputs("{\"a\": 1}", f);
    fclose(f);
}

static ebb_status read_json(void)
{
    json_t *json;
    char *text = NULL;
    EBB_TRY(ebb_json_read(&context, path, &json));
    ebb_status status = ebb_json_text(&context, json, 0, &text);
    if (status == EBB_OK)
        assert_string_equal(text, "{\"a\":1}");
    ebb_text_free(text);
    json_decref(json);
    return status;
}

/* ---- reading ----------------------------------------------------------------------------- */

static void sweep_reader(ebb_status (*read)(void), ebb_fault kind, int error, ebb_status expected)
{
    size_t held = ebb_mem_read().bytes;
    int open = entries("/proc/self/fd"), failures = 0;
    for (uint64_t nth = 1;; nth++) {
        context.message[0] = 0;
        ebb_fault_set(kind, nth, error);
        ebb_status status = read();
        bool reached = ebb_fault_calls() >= nth;
        ebb_fault_set(EBB_FAULT_NONE, 0, 0);
        assert_int_equal(ebb_mem_read().bytes, held);
        assert_int_equal(entries("/proc/self/fd"), open);
        if (!reached) {
            assert_int_equal(status, EBB_OK);
            break;
        }
        /* To fail to close what was only read does no harm. */
        if (status != EBB_OK) {
            assert_int_equal(status, expected);
            assert_true(strlen(context.message) > 0);
            failures++;
        }
    }
    assert_true(failures >= (kind == EBB_FAULT_ALLOC ? 1 : 3));
}

static void check_reader(ebb_status (*read)(void))
{
    sweep_reader(read, EBB_FAULT_ALLOC, 0, EBB_E_MEMORY);
    sweep_reader(read, EBB_FAULT_OS, EIO, EBB_E_IO);
    sweep_reader(read, EBB_FAULT_CRASH, EIO, EBB_E_IO);
    /* Interruption is no failure: the call is made again. */
    for (uint64_t nth = 2; nth <= 4; nth++) {
        ebb_fault_set(EBB_FAULT_OS, nth, EINTR);
        assert_int_equal(read(), EBB_OK);
    }
    ebb_fault_set(EBB_FAULT_NONE, 0, 0);
}

static void test_readers(void **state)
{
    (void)state;
    assert_int_equal(write_st(), EBB_OK);
    check_reader(read_st);
    assert_int_equal(write_npy(), EBB_OK);
    check_reader(read_npy);
    assert_int_equal(write_grid(), EBB_OK);
    check_reader(read_png);
    put_idx();
    check_reader(read_idx);
    put_json();
    check_reader(read_json);
}

/* ---- writing ----------------------------------------------------------------------------- */

static void put_old(void)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    fputs("old", f);
    fclose(f);
}

static void expect_content(const void *bytes, size_t size, bool may_be_old)
{
    void *data;
    size_t n;
    assert_int_equal(ebb_file_read(&context, path, 1 << 20, &data, &n), EBB_OK);
    bool old = n == 3 && memcmp(data, "old", 3) == 0;
    bool new = n == size && memcmp(data, bytes, size) == 0;
    assert_true(new || (may_be_old && old));
    ebb_free(data);
}

/* Counts failures before and after the rename: both have to be seen. */
static void sweep_writer(ebb_status (*write)(void), ebb_fault kind, int error, ebb_status expected)
{
    void *good;
    size_t size;
    assert_int_equal(write(), EBB_OK);
    assert_int_equal(ebb_file_read(&context, path, 1 << 20, &good, &size), EBB_OK);
    size_t held = ebb_mem_read().bytes;
    int open = entries("/proc/self/fd"), failures = 0;
    for (uint64_t nth = 1;; nth++) {
        put_old();
        context.message[0] = 0;
        ebb_fault_set(kind, nth, error);
        ebb_status status = write();
        bool reached = ebb_fault_calls() >= nth;
        ebb_fault_set(EBB_FAULT_NONE, 0, 0);
        assert_int_equal(ebb_mem_read().bytes, held);
        assert_int_equal(entries("/proc/self/fd"), open);
        expect_content(good, size, status != EBB_OK);
        /* Only a process that died may leave its temporary. */
        if (kind != EBB_FAULT_CRASH)
            assert_int_equal(entries(folder), 1);
        if (status != EBB_OK) {
            assert_int_equal(status, expected);
            if (kind != EBB_FAULT_ALLOC)
                assert_non_null(strstr(context.message, path));
            if (error == ENOSPC)
                assert_non_null(strstr(context.message, "disk is full"));
            failures++;
        }
        if (!reached) {
            assert_int_equal(status, EBB_OK);
            break;
        }
    }
    /* open, write, fsync, close, rename, fsync of the directory at least. */
    assert_true(failures >= (kind == EBB_FAULT_ALLOC ? 2 : 6));
    ebb_free(good);
}

static void check_writer(ebb_status (*write)(void))
{
    sweep_writer(write, EBB_FAULT_ALLOC, 0, EBB_E_MEMORY);
    sweep_writer(write, EBB_FAULT_OS, ENOSPC, EBB_E_IO);
    sweep_writer(write, EBB_FAULT_OS, EIO, EBB_E_IO);
    sweep_writer(write, EBB_FAULT_CRASH, EIO, EBB_E_IO);
    /* What died left temporaries; writing goes on all the same. */
    assert_int_equal(write(), EBB_OK);
}

static void test_write_st(void **state)
{
    (void)state;
    check_writer(write_st);
}

static void test_write_npy(void **state)
{
    (void)state;
    check_writer(write_npy);
}

static void test_write_grid(void **state)
{
    (void)state;
    check_writer(write_grid);
}

/* ---- the rest -------------------------------------------------------------------------------- */

static ebb_status append_line(void)
{
    return ebb_file_append(&context, path, "line\n");
}

static ebb_status make_directories(void)
{
    char deep[96];
    snprintf(deep, sizeof deep, "%s/x/y/z", folder);
    ebb_status status = ebb_directory_make(&context, deep);
    for (int i = 0; i < 3; i++) {
        rmdir(deep);
        *strrchr(deep, '/') = 0;
    }
    return status;
}

static ebb_status create_context(void)
{
    ebb_context *ctx;
    ebb_status status = ebb_context_create(NULL, &ctx);
    assert_int_equal(ctx == NULL, status != EBB_OK);
    ebb_context_free(ctx);
    if (status != EBB_OK)
        strcpy(context.message, ebb_message(NULL));
    return status;
}

static void test_rest(void **state)
{
    (void)state;
    sweep_reader(create_context, EBB_FAULT_ALLOC, 0, EBB_E_MEMORY);
    sweep_reader(append_line, EBB_FAULT_OS, ENOSPC, EBB_E_IO);
    sweep_reader(make_directories, EBB_FAULT_ALLOC, 0, EBB_E_MEMORY);
    sweep_reader(make_directories, EBB_FAULT_OS, EROFS, EBB_E_IO);
}

int main(void)
{
#define FILES(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)
    const struct CMUnitTest tests[] = { FILES(test_readers), FILES(test_write_st), FILES(test_write_npy),
                                        FILES(test_write_grid), FILES(test_rest) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

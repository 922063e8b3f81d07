/* test_format.c: IDX, npy, npz and JSON: there and back, hand-made damage, and a sweep of damage. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include <cmocka.h>

#include "support/sweep.h"

/* ---- IDX --------------------------------------------------------------------------------------------- */

enum { IDX_COUNT = 3 * 4 * 5 };
static unsigned char idx_bytes[16 + IDX_COUNT] = { 0, 0, 8, 3, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0, 5 };

static void fill_idx(void)
{
    for (int i = 0; i < IDX_COUNT; i++)
        idx_bytes[16 + i] = (unsigned char)(i * i);
}

static void put_gz(const void *data, size_t size)
{
    gzFile f = gzopen(path, "wb9");
    assert_non_null(f);
    assert_int_equal(gzwrite(f, data, (unsigned)size), size);
    assert_int_equal(gzclose(f), Z_OK);
}

static ebb_status read_idx(void)
{
    ebb_idx idx;
    ebb_status status = ebb_idx_read(&context, path, &idx);
    if (status == EBB_OK)
        ebb_idx_free(&idx);
    assert_null(idx.data);
    return status;
}

/* As read_idx; a success has to be the right content. */
static ebb_status read_idx_exactly(void)
{
    ebb_idx idx;
    ebb_status status = ebb_idx_read(&context, path, &idx);
    if (status == EBB_OK) {
        assert_int_equal(idx.rank, 3);
        assert_int_equal(idx.dim[0], 3);
        assert_int_equal(idx.dim[1], 4);
        assert_int_equal(idx.dim[2], 5);
        assert_memory_equal(idx.data, idx_bytes + 16, IDX_COUNT);
        ebb_idx_free(&idx);
    }
    return status;
}

static void test_idx(void **state)
{
    (void)state;
    fill_idx();
    put(idx_bytes, sizeof idx_bytes);
    assert_int_equal(read_idx_exactly(), EBB_OK);
    sweep(read_idx, never_cut);
    put_gz(idx_bytes, sizeof idx_bytes);
    assert_int_equal(read_idx_exactly(), EBB_OK);
    sweep(read_idx_exactly, never_cut);
}

static void expect_idx_error(const unsigned char *bytes, size_t size, const char *says)
{
    put(bytes, size);
    assert_int_equal(read_idx(), EBB_E_FORMAT);
    expect_message(says);
    put_gz(bytes, size);
    assert_int_equal(read_idx(), EBB_E_FORMAT);
    expect_message(says);
}

static void test_idx_damage(void **state)
{
    (void)state;
    size_t before = ebb_mem_read().peak_bytes;
    expect_idx_error((unsigned char *)"", 0, "offset 0");
    expect_idx_error((unsigned char *)"\0\0\x08\x02\0\0\xff\xff\0\0\xff\xff", 12, "promises 4294836225");
    unsigned char largest[20] = { 0, 0, 8, 4 };
    memset(largest + 4, 0xff, 16);
    expect_idx_error(largest, sizeof largest, "too many");
    expect_idx_error((unsigned char *)"\0\0\x08\x01\0\0\0\0", 8, "dimension 0 is 0");
    expect_idx_error((unsigned char *)"\0\0\x08\x00\0\0\0\1", 8, "not an IDX");
    expect_idx_error((unsigned char *)"\0\0\x08\x05\0\0\0\1", 8, "not an IDX");
    expect_idx_error((unsigned char *)"\0\0\x0d\x01\0\0\0\1zzzz", 12, "0x0d");
    expect_idx_error((unsigned char *)"\0\0\x08\x01\0\0\0\2abc", 11, "follow");
    expect_idx_error((unsigned char *)"\x89PNG....", 8, "89 50 4e 47");
    assert_true(ebb_mem_read().peak_bytes < before + (1 << 20));
    /* Cut by one element; a second stream behind the first. */
    put_gz("\0\0\x08\x01\0\0\0\5abcd", 12);
    assert_int_equal(read_idx(), EBB_E_FORMAT);
    expect_message("needs 1 more");
    put_gz("\0\0\x08\x01\0\0\0\4abcd", 12);
    FILE *f = fopen(path, "ab");
    assert_int_equal(fwrite("tail", 1, 4, f), 4);
    fclose(f);
    assert_int_equal(read_idx(), EBB_E_FORMAT);
    expect_message("follow");
}

/* The bound on what a file can hold must not refuse the best that deflate can do. */
static void test_idx_packed_best(void **state)
{
    (void)state;
    enum { SIZE = 8 + (3 << 20) };
    unsigned char *zeros = calloc(1, SIZE);
    memcpy(zeros, "\0\0\x08\x01\0\x30\0\0", 8);
    put_gz(zeros, SIZE);
    assert_int_equal(read_idx(), EBB_OK);
    free(zeros);
}

static void test_idx_digits(void **state)
{
    (void)state;
    ebb_idx idx;
    const char *file = EBB_SOURCE_DIR "/data/mnist/mnist-test-images-idx3-ubyte.gz";
    assert_int_equal(ebb_idx_read(&context, file, &idx), EBB_OK);
    assert_int_equal(idx.rank, 3);
    assert_int_equal(idx.dim[0], 1000);
    assert_int_equal(idx.dim[1], 28);
    assert_int_equal(idx.dim[2], 28);
    ebb_idx_free(&idx);
}

/* ---- npy --------------------------------------------------------------------------------------------- */

static ebb_status read_npy(void)
{
    ebb_npy npy;
    ebb_status status = ebb_npy_read(&context, path, &npy);
    if (status == EBB_OK)
        ebb_npy_free(&npy);
    assert_null(npy.memory);
    return status;
}

static void test_npy_round_trip(void **state)
{
    (void)state;
    static const struct { char kind; int item; } types[] = {
        { 'u', 1 }, { 'i', 1 }, { 'b', 1 }, { 'u', 2 }, { 'i', 4 }, { 'f', 2 }, { 'f', 4 }, { 'f', 8 },
        { 'u', 8 },
    };
    static const int64_t dim[8] = { 2, 1, 3, 1, 1, 1, 1, 2 };
    unsigned char data[12 * 8];
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (unsigned char)(i * 7);
    for (size_t k = 0; k < sizeof types / sizeof *types; k++)
        for (int rank = 0; rank <= 8; rank++) {
            size_t count = rank == 8 ? 12 : rank >= 3 ? 6 : rank >= 1 ? 2 : 1;
            ebb_npy npy;
            char kind = types[k].kind;
            assert_int_equal(ebb_npy_write(&context, path, kind, types[k].item, data, rank, dim), EBB_OK);
            assert_int_equal(ebb_npy_read(&context, path, &npy), EBB_OK);
            assert_int_equal(npy.kind, kind);
            assert_int_equal(npy.item, types[k].item);
            assert_int_equal(npy.rank, rank);
            assert_memory_equal(npy.dim, dim, (size_t)rank * sizeof *dim);
            assert_memory_equal(npy.data, data, count * (size_t)types[k].item);
            assert_int_equal((uintptr_t)npy.data % 64, 0);
            ebb_npy_free(&npy);
        }
    const int64_t shape[] = { 3, 4, 8 };
    assert_int_equal(ebb_npy_write_u8(&context, path, data, 3, shape), EBB_OK);
    sweep(read_npy, never_cut);
    assert_int_equal(ebb_npy_write(&context, path, 'f', 3, data, 1, dim), EBB_E_ARGUMENT);
    assert_int_equal(ebb_npy_write(&context, path, 'f', 4, data, 9, dim), EBB_E_ARGUMENT);
}

/* Version 1.0 (or 2.0) with this header. */
static void put_npy(int version, const char *header, const char *data)
{
    unsigned char file[1024] = "\x93NUMPY";
    size_t n = strlen(header), at = version == 1 ? 10 : 12;
    file[6] = (unsigned char)version;
    file[8] = (unsigned char)n;
    memcpy(file + at, header, n);
    memcpy(file + at + n, data, strlen(data));
    put(file, at + n + strlen(data));
}

/* The very bytes that numpy.save writes for np.arange(3, dtype='<u2') under NumPy 1.24. */
static void test_npy_of_numpy(void **state)
{
    (void)state;
    const uint16_t values[3] = { 0, 1, 2 };
    const int64_t dim[1] = { 3 };
    size_t size;
    assert_int_equal(ebb_npy_write(&context, path, 'u', 2, values, 1, dim), EBB_OK);
    unsigned char *bytes = get(&size), expected[134] = "\x93NUMPY\1\0v\0";
    static const char dictionary[] = "{'descr': '<u2', 'fortran_order': False, 'shape': (3,), }";
    memset(expected + 10, ' ', 118);
    memcpy(expected + 10, dictionary, sizeof dictionary - 1);
    memcpy(expected + 127, "\n\0\0\1\0\2\0", 7);
    assert_int_equal(size, sizeof expected);
    assert_memory_equal(bytes, expected, size);
    ebb_free(bytes);
}

static void test_npy_damage(void **state)
{
    (void)state;
    static const struct { int version; const char *header, *data, *says; } cases[] = {
        { 1, "{'descr': '|u1', 'fortran_order': False, 'shape': (3,), }\n", "abc", NULL },
        { 2, "{'shape':(3), \"fortran_order\":False,'descr':'|u1'}", "abc", NULL },
        { 3, "{'descr': '<u2', 'fortran_order': False, 'shape': (), }", "ab", NULL },
        { 4, "{'descr': '|u1', 'fortran_order': False, 'shape': (3,), }", "abc", "version" },
        { 1, "{'descr': '|u1', 'fortran_order': True, 'shape': (3,), }", "abc", "Fortran" },
        { 1, "{'descr': '|u1', 'fortran_order': Fals, 'shape': (3,), }", "abc", "neither" },
        { 1, "{'descr': '>f4', 'fortran_order': False, 'shape': (1,), }", "abcd", "'>f4'" },
        { 1, "{'descr': '<c8', 'fortran_order': False, 'shape': (1,), }", "abcd", "'<c8'" },
        { 1, "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }", "abcd", "missing" },
        { 1, "{'descr': '|u1', 'fortran_order': False, 'shape': (4,), }", "abc", "ask for 4" },
        { 1, "{'descr': '|u1', 'fortran_order': False, 'shape': (2,), }", "abc", "ask for 2" },
        { 1, "{'descr': '|u1', 'fortran_order': False, 'shape': (-3,), }", "abc", "number" },
        { 1, "{'shape': (9223372036854775808,), 'fortran_order': False}", "abc", "too large" },
        { 1, "{'descr':'<u8','fortran_order':False,'shape':(9223372036854775807,3)}", "", "larger than" },
        { 1, "{'descr': '|u1', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,3)}", "abc", "more than 8" },
        { 1, "{'descr': '|u1', 'fortran_order': False, 'shape': (3", "abc", "not closed" },
        { 1, "{'descr': '|u1', 'fortran_order': False, }", "abc", "lacks" },
        { 1, "{'descr': '|u1', 'descr': '|u1', 'shape': (3,), }", "abc", "twice" },
        { 1, "{'descr': '|u1', 'fortran_order': False, 'shape': (3,), 'x': 1}", "abc", "'x'" },
        { 1, "{'descr': '|u1', 'fortran_order': False, 'shape': (3,), } x", "abc", "after" },
        { 1, "{'descr: ", "abc", "quote" },
        { 1, "", "abc", "'{'" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        put_npy(cases[i].version, cases[i].header, cases[i].data);
        ebb_status status = read_npy();
        if ((status == EBB_OK) != !cases[i].says)
            fail_msg("%s: %s", cases[i].header, ebb_message(&context));
        if (cases[i].says)
            expect_message(cases[i].says);
    }
    /* Data at an odd offset: they move, so that the pointer fits the type. */
    ebb_npy npy;
    put_npy(1, "{'descr': '<u8', 'fortran_order': False, 'shape': (1,)}", "01234567");
    assert_int_equal(ebb_npy_read(&context, path, &npy), EBB_OK);
    assert_int_equal((uintptr_t)npy.data % 8, 0);
    assert_memory_equal(npy.data, "01234567", 8);
    ebb_npy_free(&npy);
}

/* ---- npz --------------------------------------------------------------------------------------------- */

/* x (2,3) float32, 0 to 5 eighths, and label (2) int64, 3 and -1: a bit of 1 or 2 for each that is right. */
static ebb_status take(void *user, ebb_context *ctx, const char *file, const char *name, const ebb_npy *npy)
{
    static const float x[6] = { 0, 0.125f, 0.25f, 0.375f, 0.5f, 0.625f };
    static const int64_t label[2] = { 3, -1 };
    int *seen = user;
    (void)ctx;
    (void)file;
    if (strcmp(name, "x") == 0 && npy->kind == 'f' && npy->item == 4 && npy->rank == 2 && npy->dim[0] == 2 && npy->dim[1] == 3)
        *seen |= memcmp(npy->data, x, sizeof x) == 0;
    if (strcmp(name, "label") == 0 && npy->kind == 'i' && npy->item == 8 && npy->rank == 1 && npy->dim[0] == 2)
        *seen |= (memcmp(npy->data, label, sizeof label) == 0) << 1;
    return EBB_OK;
}

static ebb_status read_npz(void)
{
    int seen = 0;
    return ebb_npz_read(&context, path, take, &seen);
}

static ebb_status stop(void *user, ebb_context *ctx, const char *file, const char *name, const ebb_npy *npy)
{
    (void)user;
    (void)npy;
    return ebb_fail(ctx, EBB_E_ARGUMENT, "%s: enough of %s", file, name);
}

/* What numpy.savez and savez_compressed wrote of the two. */
static void test_npz(void **state)
{
    (void)state;
    static const char *const files[] = { EBB_SOURCE_DIR "/data/golden/arrays.npz", EBB_SOURCE_DIR "/data/golden/arrays_packed.npz" };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        size_t size;
        void *bytes;
        int seen = 0;
        assert_int_equal(ebb_file_read(&context, files[i], 4096, &bytes, &size), EBB_OK);
        put(bytes, size);
        ebb_free(bytes);
        assert_int_equal(ebb_npz_read(&context, path, take, &seen), EBB_OK);
        assert_int_equal(seen, 3);
        assert_int_equal(ebb_npz_read(&context, path, stop, NULL), EBB_E_ARGUMENT);
        expect_message("enough of x");
        sweep(read_npz, never_cut);
    }
}

/* A damaged member is told by its checksum. */
static void test_npz_checksum(void **state)
{
    (void)state;
    size_t size;
    void *bytes;
    assert_int_equal(ebb_file_read(&context, EBB_SOURCE_DIR "/data/golden/arrays.npz", 4096, &bytes, &size), EBB_OK);
    for (unsigned char *at = bytes; at + 4 <= (unsigned char *)bytes + size; at++)
        if (memcmp(at, "\0\0\x20\x3f", 4) == 0)      /* 0.625 */
            at[3] = 0x3e;
    put(bytes, size);
    ebb_free(bytes);
    assert_int_equal(read_npz(), EBB_E_FORMAT);
    expect_message("checksum");
}

/* ---- JSON -------------------------------------------------------------------------------------------- */

static ebb_status read_json(void)
{
    json_t *json;
    ebb_status status = ebb_json_read(&context, path, &json);
    json_decref(json);
    return status;
}

static void test_json(void **state)
{
    (void)state;
    static const char text[] =
        "{\"z\":0.10000000000000001,\"a\":[1,true,null,\"\xc3\xa4\"],\"m\":{\"k\":-3}}";
    json_t *json;
    char *out;
    put(text, strlen(text));
    assert_int_equal(ebb_json_read(&context, path, &json), EBB_OK);
    assert_int_equal(ebb_json_text(&context, json, 0, &out), EBB_OK);
    assert_string_equal(out, text);
    ebb_text_free(out);
    assert_int_equal(ebb_json_text(&context, json_object_get(json, "m"), 2, &out), EBB_OK);
    assert_string_equal(out, "{\n  \"k\": -3\n}");
    ebb_text_free(out);
    assert_int_equal(ebb_json_text(&context, NULL, 0, &out), EBB_E_INTERNAL);
    assert_null(out);
    json_decref(json);
    sweep(read_json, never_cut);
    assert_int_equal(ebb_json_parse(&context, "{\"a\": 1,\n \"a\": 2}", "here", &json), EBB_E_FORMAT);
    assert_null(json);
    assert_non_null(strstr(ebb_message(&context), "here: line 2, column 4"));
    assert_non_null(strstr(ebb_message(&context), "duplicate"));
    char deep[20001];
    memset(deep, '[', 20000);
    deep[20000] = 0;
    assert_int_equal(ebb_json_parse(&context, deep, "deep", &json), EBB_E_FORMAT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FILES(test_idx), FILES(test_idx_damage), FILES(test_idx_packed_best), FILES(test_idx_digits),
        FILES(test_npy_round_trip), FILES(test_npy_of_numpy), FILES(test_npy_damage), FILES(test_npz), FILES(test_npz_checksum), FILES(test_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

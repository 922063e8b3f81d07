/* test_format.c: each format there and back, by hand-made damage, and by a sweep: cut at every length,
 * every byte changed; each time an error with a message that names the file, or a value.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include <cmocka.h>
#include <png.h>

#include "format/format.h"

static ebb_context context;
static char folder[32], path[64];

static int make_folder(void **state)
{
    (void)state;
    strcpy(folder, "test_format.XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof path, "%s/file", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    remove(path);
    return rmdir(folder);    /* fails when a temporary was left behind */
}

static void put(const void *data, size_t size)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, size, f), size);
    assert_int_equal(fclose(f), 0);
}

static unsigned char *get(size_t *size)
{
    void *data;
    assert_int_equal(ebb_file_read(&context, path, 1 << 26, &data, size), EBB_OK);
    return data;
}

static void expect_message(const char *says)
{
    if (!strstr(ebb_message(&context), says) || !strstr(ebb_message(&context), path))
        fail_msg("message \"%s\" lacks \"%s\" or the path", ebb_message(&context), says);
}

/* ---- the sweep --------------------------------------------------------------------------- */

/* Reads `path`, frees the result; `good` is called on success. */
typedef ebb_status (*read_fn)(void);
/* Whether reading may succeed although byte `at` was changed (or the file was cut there). */
typedef bool (*may_fn)(const unsigned char *bytes, size_t size, size_t at, bool cut);

static void try_damaged(read_fn read, bool may, const char *how, size_t at)
{
    context.message[0] = 0;
    ebb_status status = read();
    if (status == EBB_OK) {
        if (!may)
            fail_msg("%s at byte %zu went unnoticed", how, at);
        return;
    }
    assert_int_equal(status, EBB_E_FORMAT);
    expect_message("");
}

/* The file at `path` is valid; it is valid again in the end. */
static void sweep(read_fn read, may_fn may)
{
    size_t size;
    unsigned char *bytes = get(&size);
    size_t stride = size / 700 + 1;    /* the first 300 places all, then about 700 */
    assert_int_equal(read(), EBB_OK);
    for (size_t n = 0; n < size; n += n < 300 ? 1 : stride) {
        put(bytes, n);
        try_damaged(read, may(bytes, size, n, true), "a cut", n);
    }
    static const unsigned char changes[] = { 0x01, 0x20, 0x80, 0xff };
    for (size_t i = 0; i < size; i += i < 300 ? 1 : stride)
        for (size_t k = 0; k < sizeof changes; k++) {
            bytes[i] ^= changes[k];
            put(bytes, size);
            bytes[i] ^= changes[k];
            try_damaged(read, may(bytes, size, i, false), "a change", i);
        }
    put(bytes, size);
    assert_int_equal(read(), EBB_OK);
    ebb_free(bytes);
}

static bool never_cut(const unsigned char *bytes, size_t size, size_t at, bool cut)
{
    (void)bytes, (void)size, (void)at;
    return !cut;
}

/* ---- safetensors --------------------------------------------------------------------------- */

static const float weight[6] = { 1, -2, 3.5f, 0, 1e-30f, 7 };
static const int64_t step[1] = { 123456789012345 };

static void write_example(const json_t *metadata)
{
    const ebb_st_tensor tensors[] = {
        { "layer.weight", EBB_ST_F32, 2, { 2, 3 }, weight, sizeof weight },
        { "empty", EBB_ST_U8, 1, { 0 }, NULL, 0 },
        { "step", EBB_ST_I64, 0, { 0 }, step, sizeof step },
    };
    assert_int_equal(ebb_st_write(&context, path, tensors, 3, metadata), EBB_OK);
}

static ebb_status read_st(void)
{
    ebb_safetensors st;
    ebb_status status = ebb_st_read(&context, path, &st);
    if (status == EBB_OK)
        ebb_st_free(&st);
    assert_null(st.memory);
    return status;
}

static void test_st_round_trip(void **state)
{
    (void)state;
    json_t *metadata = json_pack("{s:s, s:s}", "ebb.recipe", "{\"a\": [1, \"ebb.crc32\"]}", "note", "h\xc3\xa4");
    write_example(metadata);
    ebb_safetensors st;
    assert_int_equal(ebb_st_read(&context, path, &st), EBB_OK);
    assert_int_equal(st.count, 3);
    const ebb_st_tensor *t = ebb_st_find(&st, "layer.weight");
    assert_non_null(t);
    assert_int_equal(t->type, EBB_ST_F32);
    assert_int_equal(t->rank, 2);
    assert_int_equal(t->dim[0], 2);
    assert_int_equal(t->dim[1], 3);
    assert_memory_equal(t->data, weight, sizeof weight);
    assert_int_equal(((const char *)t->data - (const char *)st.memory) % 64, 0);
    t = ebb_st_find(&st, "step");
    assert_int_equal(t->rank, 0);
    assert_memory_equal(t->data, step, sizeof step);
    assert_int_equal(ebb_st_find(&st, "empty")->bytes, 0);
    assert_null(ebb_st_find(&st, "absent"));
    assert_string_equal(ebb_st_metadata(&st, "ebb.recipe"), "{\"a\": [1, \"ebb.crc32\"]}");
    assert_string_equal(ebb_st_metadata(&st, "note"), "h\xc3\xa4");
    assert_null(ebb_st_metadata(&st, "absent"));

    /* What was read writes the same bytes again. */
    size_t size, again_size;
    unsigned char *first = get(&size);
    assert_int_equal(ebb_st_write(&context, path, st.tensor, st.count, st.metadata), EBB_OK);
    unsigned char *again = get(&again_size);
    ebb_free(again);
    write_example(metadata);
    again = get(&again_size);
    assert_int_equal(again_size, size);
    assert_memory_equal(again, first, size);
    ebb_free(first);
    ebb_free(again);
    ebb_st_free(&st);
    json_decref(metadata);
}

/* Only the name of the checksum may lose a bit: then nothing is checked, and nothing else is wrong. */
static bool st_may(const unsigned char *bytes, size_t size, size_t at, bool cut)
{
    const unsigned char *key = memmem(bytes, size, "ebb.crc32", 9);
    return !cut && bytes + at >= key && bytes + at < key + 9;
}

static void test_st_sweep(void **state)
{
    (void)state;
    json_t *metadata = json_pack("{s:s}", "note", "x");
    write_example(metadata);
    sweep(read_st, st_may);
    write_example(NULL);
    sweep(read_st, st_may);
    json_decref(metadata);
}

/* A file of this header and `data` bytes of data. */
static void put_st(const char *header, size_t data)
{
    unsigned char file[4096] = { 0 };
    size_t n = strlen(header);
    file[0] = (unsigned char)n;
    file[1] = (unsigned char)(n >> 8);
    memcpy(file + 8, header, n);
    put(file, 8 + n + data);
}

static void test_st_damage(void **state)
{
    (void)state;
#define ENTRY(type, shape, begin, end) \
    "{\"dtype\":\"" type "\",\"shape\":[" shape "],\"data_offsets\":[" begin "," end "]}"
    static const struct { const char *header; size_t data; const char *says; } cases[] = {
        { "{\"a\":" ENTRY("F32", "2", "0", "8") "}", 8, NULL },
        { "{\"a\":" ENTRY("F32", "2", "0", "8") "}   ", 8, NULL },
        { "{\"b\":" ENTRY("U8", "3", "8", "11") ",\"a\":" ENTRY("F32", "2", "0", "8") "}", 11, NULL },
        { "{\"__metadata__\":{\"k\":\"v\"}}", 0, NULL },
        { "{}", 0, NULL },
        { "{\"a\":" ENTRY("F32", "2", "0", "8") "}", 9, "belong to no tensor" },
        { "{\"a\":" ENTRY("F32", "2", "0", "8") "}", 7, "cut short" },
        { "{\"a\":" ENTRY("F32", "2", "0", "8") "}\n", 8, "does not end with" },
        { " {\"a\":" ENTRY("F32", "2", "0", "8") "}", 8, "does not begin" },
        { "{\"a\":" ENTRY("F32", "2", "0", "8") ",\"a\":" ENTRY("F32", "2", "0", "8") "}", 8, "duplicate" },
        { "{\"a\":" ENTRY("F32", "2", "0", "8") ",\"b\":" ENTRY("F32", "2", "4", "12") "}", 12, "overlap" },
        { "{\"a\":" ENTRY("F32", "2", "0", "8") ",\"b\":" ENTRY("F32", "2", "0", "8") "}", 8, "overlap" },
        { "{\"a\":" ENTRY("F32", "2", "0", "8") ",\"b\":" ENTRY("F32", "2", "12", "20") "}", 20, "gap" },
        { "{\"a\":" ENTRY("F32", "2", "4", "12") "}", 12, "gap" },
        { "{\"a\":" ENTRY("F33", "2", "0", "8") "}", 8, "\"F33\" is unknown" },
        { "{\"a\":" ENTRY("F32", "3", "0", "8") "}", 8, "ask for 12 bytes" },
        { "{\"a\":" ENTRY("F32", "-2", "0", "8") "}", 8, ">= 0" },
        { "{\"a\":" ENTRY("F32", "2.0", "0", "8") "}", 8, ">= 0" },
        { "{\"a\":" ENTRY("F32", "1,1,1,1,1,1,1,1,2", "0", "8") "}", 8, "more than 8" },
        { "{\"a\":" ENTRY("F32", "4294967296,4294967296", "0", "0") "}", 0, "larger than any memory" },
        { "{\"a\":" ENTRY("U8", "9223372036854775807,2,2", "0", "8") "}", 8, "larger than any memory" },
        { "{\"a\":" ENTRY("F32", "2", "8", "0") "}", 8, "not within" },
        { "{\"a\":" ENTRY("F32", "2", "-8", "0") "}", 8, "not within" },
        { "{\"a\":" ENTRY("F32", "2", "0", "9223372036854775807") "}", 8, "not within" },
        { "{\"a\":" ENTRY("F32", "2", "0", "99999999999999999999") "}", 8, "not valid JSON" },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[2]}}", 8, "exactly" },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0]}}", 8, "not a pair" },
        { "{\"a\":{\"dtype\":7,\"shape\":[2],\"data_offsets\":[0,8]}}", 8, "dtype" },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":2,\"data_offsets\":[0,8]}}", 8, "shape" },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"offsets\":[0,8]}}", 8, "data_offsets" },
        { "{\"a\":7}", 8, "exactly" },
        { "{\"__metadata__\":[]}", 0, "no object" },
        { "{\"__metadata__\":{\"k\":1}}", 0, "'k' is no string" },
        { "{\"__metadata__\":{\"ebb.crc32\":\"00000000\"}}", 0, "checksum" },
        { "{\"__metadata__\":{\"ebb.crc32\":\"\"}}", 0, "checksum" },
        { "{\"__metadata__\":{\"ebb.crc32\" : \"00000000\"}}", 0, "checksum" },
        { "{\"a\xff\":" ENTRY("F32", "2", "0", "8") "}", 8, "not valid JSON" },
        { "{\"a\":{}}}", 0, "not valid JSON" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        put_st(cases[i].header, cases[i].data);
        ebb_status status = read_st();
        if (cases[i].says) {
            if (status != EBB_E_FORMAT)
                fail_msg("not refused: %s", cases[i].header);
            expect_message(cases[i].says);
        } else if (status != EBB_OK) {
            fail_msg("refused: %s: %s", cases[i].header, ebb_message(&context));
        }
    }
    unsigned char huge[16] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, '{', '}' };
    put(huge, sizeof huge);
    assert_int_equal(read_st(), EBB_E_FORMAT);
    expect_message("impossible");
}

static void expect_no_write(const ebb_st_tensor *tensors, int32_t n, const json_t *metadata, ebb_status status)
{
    assert_int_equal(ebb_st_write(&context, path, tensors, n, metadata), status);
    expect_message("");
    assert_false(ebb_file_exists(path));
}

static void test_st_write_errors(void **state)
{
    (void)state;
    ebb_st_tensor two[] = { { "a", EBB_ST_F32, 1, { 6 }, weight, 24 }, { "a", EBB_ST_F32, 1, { 6 }, weight, 24 } };
    expect_no_write(two, 2, NULL, EBB_E_ARGUMENT);
    two[1].name = "__metadata__";
    expect_no_write(two, 2, NULL, EBB_E_ARGUMENT);
    two[1].name = "b";
    two[1].bytes = 20;
    expect_no_write(two, 2, NULL, EBB_E_ARGUMENT);
    json_t *metadata = json_pack("{s:i}", "k", 1);
    expect_no_write(two, 1, metadata, EBB_E_FORMAT);
    json_decref(metadata);
}

/* ---- IDX --------------------------------------------------------------------------------------- */

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
    expect_idx_error((unsigned char *)"\0\0\x08\x04\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 20,
                     "too many");
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

/* ---- npy ----------------------------------------------------------------------------------------- */

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
        { 'u', 1 }, { 'i', 1 }, { 'b', 1 }, { 'u', 2 }, { 'i', 4 }, { 'f', 2 }, { 'f', 4 }, { 'f', 8 }, { 'u', 8 } };
    static const int64_t dim[8] = { 2, 1, 3, 1, 1, 1, 1, 2 };
    unsigned char data[12 * 8];
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (unsigned char)(i * 7);
    for (size_t k = 0; k < sizeof types / sizeof *types; k++)
        for (int rank = 0; rank <= 8; rank++) {
            size_t count = rank == 8 ? 12 : rank >= 3 ? 6 : rank >= 1 ? 2 : 1;
            ebb_npy npy;
            assert_int_equal(ebb_npy_write(&context, path, types[k].kind, types[k].item, data, rank, dim), EBB_OK);
            assert_int_equal(ebb_npy_read(&context, path, &npy), EBB_OK);
            assert_int_equal(npy.kind, types[k].kind);
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
        { 1, "{'descr': '|u1', 'fortran_order': False, 'shape': (9223372036854775808,), }", "abc", "too large" },
        { 1, "{'descr': '<u8', 'fortran_order': False, 'shape': (9223372036854775807,3), }", "", "larger than" },
        { 1, "{'descr': '|u1', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,3), }", "abc", "more than 8" },
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

/* ---- pictures -------------------------------------------------------------------------------------- */

static ebb_status read_png(void)
{
    ebb_image image;
    ebb_status status = ebb_png_read(&context, path, &image);
    if (status == EBB_OK)
        ebb_image_free(&image);
    assert_null(image.data);
    return status;
}

static void test_png_round_trip(void **state)
{
    (void)state;
    uint8_t data[7 * 5 * 3];
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(i * 37);
    for (int channels = 1; channels <= 3; channels += 2) {
        ebb_image image = { data, 7, 5, channels }, back;
        assert_int_equal(ebb_png_write(&context, path, &image), EBB_OK);
        assert_int_equal(ebb_png_read(&context, path, &back), EBB_OK);
        assert_int_equal(back.height, 7);
        assert_int_equal(back.width, 5);
        assert_int_equal(back.channels, channels);
        assert_memory_equal(back.data, data, (size_t)(35 * channels));
        ebb_image_free(&back);
        sweep(read_png, never_cut);
    }
    ebb_image wrong = { data, 7, 5, 2 };
    assert_int_equal(ebb_png_write(&context, path, &wrong), EBB_E_ARGUMENT);
}

/* A 2 x 2 picture of the given kind by libpng itself. */
static void put_png(int type, int depth, int interlace, const uint8_t *rows, size_t row)
{
    FILE *f = fopen(path, "wb");
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    png_infop info = png_create_info_struct(png);
    const png_color palette[3] = { { 10, 20, 30 }, { 40, 50, 60 }, { 70, 80, 90 } };
    png_init_io(png, f);
    png_set_IHDR(png, info, 2, 2, depth, type, interlace, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    if (type == PNG_COLOR_TYPE_PALETTE)
        png_set_PLTE(png, info, palette, 3);
    png_write_info(png, info);
    int passes = png_set_interlace_handling(png);
    while (passes-- > 0)
        for (int y = 0; y < 2; y++)
            png_write_row(png, rows + (size_t)y * row);
    png_write_end(png, NULL);
    png_destroy_write_struct(&png, &info);
    fclose(f);
}

static void expect_png(int channels, const uint8_t *pixels)
{
    ebb_image image;
    assert_int_equal(ebb_png_read(&context, path, &image), EBB_OK);
    assert_int_equal(image.height, 2);
    assert_int_equal(image.width, 2);
    assert_int_equal(image.channels, channels);
    assert_memory_equal(image.data, pixels, (size_t)(4 * channels));
    ebb_image_free(&image);
    sweep(read_png, never_cut);
}

static void test_png_kinds(void **state)
{
    (void)state;
    put_png(PNG_COLOR_TYPE_PALETTE, 2, PNG_INTERLACE_NONE, (const uint8_t *)"\x10\x80", 1);
    expect_png(3, (const uint8_t[]){ 10, 20, 30, 40, 50, 60, 70, 80, 90, 10, 20, 30 });
    put_png(PNG_COLOR_TYPE_GRAY, 1, PNG_INTERLACE_NONE, (const uint8_t *)"\x40\x80", 1);
    expect_png(1, (const uint8_t[]){ 0, 255, 255, 0 });
    put_png(PNG_COLOR_TYPE_GRAY, 16, PNG_INTERLACE_NONE, (const uint8_t *)"\xff\xff\x80\x80\x01\x01\x00\x00", 4);
    expect_png(1, (const uint8_t[]){ 255, 128, 1, 0 });
    put_png(PNG_COLOR_TYPE_GRAY, 8, PNG_INTERLACE_ADAM7, (const uint8_t *)"\1\2\3\4", 2);
    expect_png(1, (const uint8_t[]){ 1, 2, 3, 4 });
    /* Alpha: over white. */
    put_png(PNG_COLOR_TYPE_GRAY_ALPHA, 8, PNG_INTERLACE_NONE, (const uint8_t *)"\x64\xff\x64\0\0\x80\xff\x80", 4);
    expect_png(1, (const uint8_t[]){ 100, 255, 127, 255 });
    put_png(PNG_COLOR_TYPE_RGB_ALPHA, 8, PNG_INTERLACE_NONE, (const uint8_t *)"\1\2\3\xff\1\2\3\0\4\5\6\xff\7\10\11\xff", 8);
    expect_png(3, (const uint8_t[]){ 1, 2, 3, 255, 255, 255, 4, 5, 6, 7, 8, 9 });
}

/* A header that claims 30,000 x 30,000 pixels: refused before memory is taken for them. */
static void test_png_claim(void **state)
{
    (void)state;
    put_png(PNG_COLOR_TYPE_GRAY, 8, PNG_INTERLACE_NONE, (const uint8_t *)"\1\2\3\4", 2);
    size_t size, before = ebb_mem_read().peak_bytes;
    unsigned char *bytes = get(&size);
    bytes[18] = bytes[22] = 0x75;
    uLong crc = crc32(0, bytes + 12, 17);
    for (int i = 0; i < 4; i++)
        bytes[29 + i] = (unsigned char)(crc >> (24 - 8 * i));
    put(bytes, size);
    ebb_free(bytes);
    assert_int_equal(read_png(), EBB_E_FORMAT);
    expect_message("cannot hold");
    assert_true(ebb_mem_read().peak_bytes < before + (1 << 20));
}

static void test_pixels(void **state)
{
    (void)state;
    const float x[] = { -1, 1, 0, -2, 3, 0.0f / 0.0f, 1.0f / 0.0f, -1.0f / 0.0f, 1.0f / 127.5f - 1, 0.4f / 127.5f - 1 };
    const uint8_t expected[] = { 0, 255, 128, 0, 255, 0, 255, 0, 1, 0 };
    uint8_t bytes[10];
    ebb_pixels_to_bytes(x, 10, bytes);
    assert_memory_equal(bytes, expected, 10);
    /* Every byte survives the way to a float and back. */
    for (int i = 0; i < 256; i++) {
        float v = (float)i / 127.5f - 1.0f;
        ebb_pixels_to_bytes(&v, 1, bytes);
        assert_int_equal(bytes[0], i);
    }
}

static uint8_t at(const ebb_image *image, int y, int x, int c)
{
    return image->data[(y * image->width + x) * image->channels + c];
}

static void test_grid(void **state)
{
    (void)state;
    enum { N = 5, H = 28, W = 20 };
    static uint8_t pictures[N * H * W * 3];
    for (size_t i = 0; i < sizeof pictures; i++)
        pictures[i] = (uint8_t)(i * 13 + i / 251);
    ebb_image image;
    for (int channels = 1; channels <= 3; channels += 2) {
        assert_int_equal(ebb_grid_write(&context, path, pictures, N, H, W, channels, 3, NULL), EBB_OK);
        assert_int_equal(ebb_png_read(&context, path, &image), EBB_OK);
        assert_int_equal(image.width, 2 + 3 * (2 * W + 2));
        assert_int_equal(image.height, 2 + 2 * (2 * H + 2));
        for (int i = 0; i < N; i++)
            for (int y = 0; y < 2 * H; y++)
                for (int x = 0; x < 2 * W; x++)
                    for (int c = 0; c < channels; c++)
                        assert_int_equal(at(&image, 2 + i / 3 * (2 * H + 2) + y, 2 + i % 3 * (2 * W + 2) + x, c),
                                         pictures[((i * H + y / 2) * W + x / 2) * channels + c]);
        assert_int_equal(at(&image, 0, 0, 0), 255);
        assert_int_equal(at(&image, 2 * H + 2, 50, 0), 255);
        ebb_image_free(&image);
    }
}

/* The label "T" is read back off the picture: double size, its bar of 10 x 2 black pixels on top. */
static void test_grid_labels(void **state)
{
    (void)state;
    static uint8_t pictures[2 * 28 * 28];
    const char *labels[2] = { "T", "" };
    ebb_image image;
    assert_int_equal(ebb_grid_write(&context, path, pictures, 2, 28, 28, 1, 1, labels), EBB_OK);
    assert_int_equal(ebb_png_read(&context, path, &image), EBB_OK);
    int left = 2 + 12;
    assert_int_equal(image.width, left + 2 + 58);
    int black = 0;
    for (int y = 0; y < image.height; y++)
        for (int x = 0; x < left; x++)
            black += at(&image, y, x, 0) == 0;
    assert_int_equal(black, 4 * (5 + 6));
    for (int x = 0; x < 10; x++)
        assert_int_equal(at(&image, 2 + 21, 2 + x, 0), 0);
    assert_int_equal(at(&image, 2 + 21 + 13, 2 + 4, 0), 0);
    assert_int_equal(at(&image, 2 + 21 + 14, 2 + 4, 0), 255);
    ebb_image_free(&image);
    /* A label of other letters and too many of them, beside small pictures. */
    const char *odd[2] = { "\xc3\xa4\x01\xff", "0123456789012345678901234567890123456789012345678901234567890" };
    assert_int_equal(ebb_grid_write(&context, path, pictures, 2, 1, 100, 1, 1, odd), EBB_OK);
    assert_int_equal(read_png(), EBB_OK);
}

static void test_grid_errors(void **state)
{
    (void)state;
    uint8_t pixel[3] = { 0 };
    assert_int_equal(ebb_grid_write(&context, path, pixel, 0, 1, 1, 1, 1, NULL), EBB_E_ARGUMENT);
    assert_int_equal(ebb_grid_write(&context, path, pixel, 1, 1, 1, 2, 1, NULL), EBB_E_ARGUMENT);
    assert_int_equal(ebb_grid_write(&context, path, pixel, 1, 1, 1, 1, 0, NULL), EBB_E_ARGUMENT);
    assert_int_equal(ebb_grid_write(&context, path, pixel, 1, 0, 1, 1, 1, NULL), EBB_E_ARGUMENT);
    assert_int_equal(ebb_grid_write(&context, path, pixel, INT64_MAX, 28, 28, 1, 10, NULL), EBB_E_ARGUMENT);
    assert_int_equal(ebb_grid_write(&context, path, pixel, INT64_MAX, 28, 28, 1, INT32_MAX, NULL), EBB_E_ARGUMENT);
    assert_int_equal(ebb_grid_write(&context, path, pixel, 1, INT32_MAX, INT32_MAX, 3, 1, NULL), EBB_E_ARGUMENT);
    expect_message("fewer");
}

/* ---- JSON --------------------------------------------------------------------------------------------- */

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
    static const char text[] = "{\"z\":0.10000000000000001,\"a\":[1,true,null,\"\xc3\xa4\"],\"m\":{\"k\":-3}}";
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
#define FILES(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)
    const struct CMUnitTest tests[] = {
        FILES(test_st_round_trip), FILES(test_st_sweep), FILES(test_st_damage), FILES(test_st_write_errors),
        FILES(test_idx), FILES(test_idx_damage), FILES(test_idx_packed_best), FILES(test_idx_digits),
        FILES(test_npy_round_trip), FILES(test_npy_of_numpy), FILES(test_npy_damage),
        FILES(test_png_round_trip), FILES(test_png_kinds), FILES(test_png_claim), FILES(test_pixels),
        FILES(test_grid), FILES(test_grid_labels), FILES(test_grid_errors), FILES(test_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

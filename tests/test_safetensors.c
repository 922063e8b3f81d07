/* test_safetensors.c: there and back, hand-made damage, and a sweep that only one kind of change may pass. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/sweep.h"

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
    static const char recipe[] = "{\"a\": [1, \"ebb.crc32\":\"]}";
    /* Text and keys that look like the checksum's. */
    json_t *metadata = json_pack("{s:s, s:s, s:s}", "x\"ebb.crc32", "y", "ebb.recipe", recipe,
                                 "note", "h\xc3\xa4");
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
    assert_string_equal(ebb_st_metadata(&st, "ebb.recipe"), recipe);
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
        { "{\"__metadata__\":{\"ebb.crc32\" : \"00000000\",\"x\\\"ebb.crc32\":\"\"}}", 0, "checksum" },
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

static void expect_no_write(const ebb_st_tensor *tensors, int32_t n, const json_t *metadata,
                            ebb_status status)
{
    assert_int_equal(ebb_st_write(&context, path, tensors, n, metadata), status);
    expect_message("");
    assert_false(ebb_file_exists(path));
}

static void test_st_write_errors(void **state)
{
    (void)state;
    ebb_st_tensor two[] = { { "a", EBB_ST_F32, 1, { 6 }, weight, 24 },
                            { "a", EBB_ST_F32, 1, { 6 }, weight, 24 } };
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        FILES(test_st_round_trip), FILES(test_st_sweep), FILES(test_st_damage),
        FILES(test_st_write_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

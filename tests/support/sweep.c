/* sweep.c: damage done to files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/sweep.h"
#include "support/temporary.h"

ebb_context context;
char path[96];
static temporary_folder folder;

int make_folder(void **state)
{
    (void)state;
    if (!temporary_make(folder, "format"))
        return -1;
    snprintf(path, sizeof path, "%s/file", folder);
    return 0;
}

int remove_folder(void **state)
{
    (void)state;
    remove(path);
    return rmdir(folder);    /* fails when a temporary was left behind */
}

void put(const void *data, size_t size)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, size, f), size);
    assert_int_equal(fclose(f), 0);
}

unsigned char *get(size_t *size)
{
    void *data;
    assert_int_equal(ebb_file_read(&context, path, 1 << 26, &data, size), EBB_OK);
    return data;
}

void expect_message(const char *says)
{
    if (!strstr(ebb_message(&context), says) || !strstr(ebb_message(&context), path))
        fail_msg("message \"%s\" lacks \"%s\" or the path", ebb_message(&context), says);
}

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

void sweep(read_fn read, may_fn may)
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

bool never_cut(const unsigned char *bytes, size_t size, size_t at, bool cut)
{
    (void)bytes, (void)size, (void)at;
    return !cut;
}

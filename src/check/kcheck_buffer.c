/* kcheck_buffer.c: buffers between guard pages, and the comparison of bits.
 *
 * Each buffer lies between two pages without access. Mostly its data touches one of them, so that the first byte
 * too far traps; what lies between data and pages holds a pattern that ebb_kcheck_done checks.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "check/kcheck.h"

enum { PATTERN = 0xA5 };

uint64_t ebb_kcheck_random(kcheck *k)
{
    uint64_t z = (k->seed += 0x9E3779B97F4A7C15u);  /* splitmix64 */
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

size_t ebb_kcheck_below(kcheck *k, size_t n)
{
    return (size_t)(ebb_kcheck_random(k) >> 16) % n;
}

static bool map(kcheck_buffer *b, size_t bytes, size_t page)
{
    unsigned char *all = mmap(NULL, bytes + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (all == MAP_FAILED)
        return false;
    b->base = all + page;
    b->bytes = bytes;
    return mprotect(b->base, bytes, PROT_READ | PROT_WRITE) == 0;
}

static void unmap(kcheck_buffer *b, size_t page)
{
    if (b->base)
        munmap(b->base - page, b->bytes + 2 * page);
    *b = (kcheck_buffer){0};
}

/* Mappings are kept and used again by later cases of as many pages. */
static kcheck_buffer *take(kcheck *k, size_t bytes)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), whole = (bytes + page) / page * page;
    kcheck_buffer *other = NULL;
    for (int i = 0; i < KCHECK_BUFFERS; i++) {
        kcheck_buffer *b = &k->buffer[i];
        if (!b->used && b->bytes == whole)
            return b;
        if (!b->used && (!other || !b->base))
            other = b;
    }
    if (!other)
        longjmp(k->no_memory, 1);   /* a case uses more than KCHECK_BUFFERS */
    unmap(other, page);
    if (!map(other, whole, page))
        longjmp(k->no_memory, 1);
    return other;
}

void ebb_kcheck_release(kcheck *k)
{
    for (int i = 0; i < KCHECK_BUFFERS; i++)
        unmap(&k->buffer[i], (size_t)sysconf(_SC_PAGESIZE));
}

enum { LINE = 64, BEHIND = 512 };   /* more than the 64 lanes of a sum */

/* Bytes before the data, a multiple of the size of an element. */
static size_t start_of(kcheck *k, const kcheck_buffer *b, size_t bytes, size_t element)
{
    if (k->place == KCHECK_INSIDE)
        return ebb_kcheck_below(k, LINE / element + 1) * element;
    return k->place == KCHECK_FIRST ? 0 : b->bytes - bytes;
}

static void *buffer(kcheck *k, size_t bytes, size_t element)
{
    kcheck_buffer *b = take(k, bytes + (k->place == KCHECK_INSIDE ? LINE + BEHIND : 0));
    b->used = true;
    b->start = start_of(k, b, bytes, element);
    b->data = bytes;
    memset(b->base, PATTERN, b->bytes);
    return b->base + b->start;
}

static bool untouched(const unsigned char *at, size_t bytes)
{
    while (bytes && at[bytes - 1] == PATTERN)
        bytes--;
    return bytes == 0;
}

void ebb_kcheck_done(kcheck *k)
{
    bool used = false;
    for (int i = 0; i < KCHECK_BUFFERS; i++) {
        kcheck_buffer *b = &k->buffer[i];
        if (!b->used)
            continue;
        size_t end = b->start + b->data;
        if (!untouched(b->base, b->start))
            ebb_kcheck_fail(k, "write before a buffer of %zu bytes", b->data);
        if (!untouched(b->base + end, b->bytes - end))
            ebb_kcheck_fail(k, "write behind a buffer of %zu bytes", b->data);
        b->used = false;
        used = true;
    }
    if (used && !k->begun)
        ebb_kcheck_fail(k, "a case that did not begin with ebb_kcheck_next: it cannot be left out of a sample");
    k->cases += used;
    k->begun = false;
}

bool ebb_kcheck_next(kcheck *k)
{
    k->seed = k->base + (uint64_t)++k->number;
    k->seed = ebb_kcheck_random(k);   /* far from that of the next case */
    k->begun = k->sample <= 1 || k->number % k->sample == 0;
    return k->begun;
}

void *ebb_kcheck_scratch(kcheck *k, size_t bytes)
{
    size_t whole = (bytes + LINE - 1) / LINE * LINE;
    return memset(buffer(k, whole, LINE), 0xFF, whole);
}

float *ebb_kcheck_in(kcheck *k, size_t n)
{
    float *x = buffer(k, n * sizeof(float), sizeof(float));
    for (size_t i = 0; i < n; i++)
        x[i] = (float)(int32_t)(ebb_kcheck_random(k) >> 32) * 0x1p-29f;
    return x;
}

float *ebb_kcheck_out(kcheck *k, size_t n)
{
    float *x = buffer(k, n * sizeof(float), sizeof(float));
    memset(x, 0xFF, n * sizeof(float));
    return x;
}

float *ebb_kcheck_copy(kcheck *k, const float *x, size_t n)
{
    float *y = buffer(k, n * sizeof(float), sizeof(float));
    memcpy(y, x, n * sizeof(float));
    return y;
}

float *ebb_kcheck_special(kcheck *k, size_t n)
{
    static const uint32_t special[] = {
        0x00000000, 0x00000001, 0x00400000, 0x007FFFFF, 0x00800000, 0x3F800000, 0x7F7FFFFF, 0x7F800000,
        0x7FC00000, 0x7F800001, 0x42B17218, 0x42AEAC50, 0x42CFF1B5, 0x42B20000, 0x42B00000, 0x4B800000,
        0x40490FDB, 0x461C4000, 0x3F200000, 0x33800000, 0x5F000000, 0x20000000, 0x3F3504F3, 0x3F000000,
    };
    float *x = ebb_kcheck_in(k, n);
    for (size_t i = 0; i < n; i++) {
        uint64_t r = ebb_kcheck_random(k);
        uint32_t sign = (uint32_t)(r >> 40) & 0x80000000u, bits = (uint32_t)(r >> 32);
        if ((r & 3) == 0)
            bits = special[(r >> 8) % (sizeof special / sizeof *special)] | sign;
        else if ((r & 3) == 1)
            bits = (bits & 0x87FFFFFF) | 0x38000000;  /* 2^-15 to 2 */
        else if ((r & 3) == 2)
            continue;
        memcpy(&x[i], &bits, sizeof bits);
    }
    return x;
}

/* The upper halves of n floats; a NaN keeps a bit of its fraction. */
static ebb_bf16 *upper_halves(kcheck *k, const float *x, size_t n)
{
    ebb_bf16 *y = buffer(k, n * sizeof(ebb_bf16), sizeof(ebb_bf16));
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, &x[i], sizeof bits);
        y[i] = (ebb_bf16)(x[i] != x[i] ? bits >> 16 | 1 : bits >> 16);
    }
    return y;
}

ebb_bf16 *ebb_kcheck_in_bf16(kcheck *k, size_t n) { return upper_halves(k, ebb_kcheck_in(k, n), n); }

ebb_bf16 *ebb_kcheck_special_bf16(kcheck *k, size_t n) { return upper_halves(k, ebb_kcheck_special(k, n), n); }

ebb_bf16 *ebb_kcheck_out_bf16(kcheck *k, size_t n)
{
    ebb_bf16 *x = buffer(k, n * sizeof(ebb_bf16), sizeof(ebb_bf16));
    memset(x, 0xFF, n * sizeof(ebb_bf16));
    return x;
}

ebb_bf16 *ebb_kcheck_copy_bf16(kcheck *k, const ebb_bf16 *x, size_t n)
{
    ebb_bf16 *y = buffer(k, n * sizeof(ebb_bf16), sizeof(ebb_bf16));
    memcpy(y, x, n * sizeof(ebb_bf16));
    return y;
}

static bool is_nan_bits(uint32_t bits) { return (bits & 0x7FFFFFFF) > 0x7F800000; }

/* The bits to compare. While denormals are flushed, a compiler may select with a comparison, which keeps a
 * denormal, or with a maximum instruction, which gives zero: there the two are the same. */
static uint32_t bits_of(const kcheck *k, float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return k->flush && !(bits & 0x7F800000) ? bits & 0x80000000u : bits;
}

void ebb_kcheck_equal(kcheck *k, const char *kernel, const char *shape_text, const float *want, const float *got,
                      size_t n)
{
    k->compared++;
    for (size_t i = 0; i < n; i++) {
        uint32_t a = bits_of(k, want[i]), b = bits_of(k, got[i]);
        if (a != b && !(is_nan_bits(a) && is_nan_bits(b))) {
            ebb_kcheck_fail(k, "%s %s: element %zu of %zu is %a (%08x), simd/c has %a (%08x)", kernel, shape_text,
                            i, n, (double)got[i], b, (double)want[i], a);
            return;
        }
    }
}

void ebb_kcheck_equal_bf16(kcheck *k, const char *kernel, const char *shape_text, const ebb_bf16 *want,
                           const ebb_bf16 *got, size_t n)
{
    k->compared++;
    for (size_t i = 0; i < n; i++) {
        bool both_nan = (want[i] & 0x7FFF) > 0x7F80 && (got[i] & 0x7FFF) > 0x7F80;
        bool both_zero = k->flush && !(want[i] & 0x7F80) && !(got[i] & 0x7F80) && !((want[i] ^ got[i]) & 0x8000);
        if (want[i] != got[i] && !both_nan && !both_zero) {
            ebb_kcheck_fail(k, "%s %s: element %zu of %zu is %04x, simd/c has %04x", kernel, shape_text, i, n, got[i],
                            want[i]);
            return;
        }
    }
}

void ebb_kcheck_close(kcheck *k, const char *kernel, const char *shape_text, const float *want, const float *got,
                      const float *bound, size_t n)
{
    k->compared++;
    for (size_t i = 0; i < n; i++) {
        double error = fabs((double)want[i] - (double)got[i]);
        bool same = want[i] == got[i] || (isnan(want[i]) && isnan(got[i]));
        if (!same && !(error <= bound[i])) {
            ebb_kcheck_fail(k, "%s %s: element %zu of %zu is %.9g, simd/c has %.9g: further than %.3g", kernel,
                            shape_text, i, n, (double)got[i], (double)want[i], (double)bound[i]);
            return;
        }
        if (!same && error / bound[i] > k->worst)
            k->worst = error / bound[i];
    }
}

/* Told of the first failures only: the rest are mostly the same again. */
void ebb_kcheck_fail(kcheck *k, const char *format, ...)
{
    enum { TOLD = 20 };
    char text[400];
    int used = snprintf(text, sizeof text, "%s, denormals %s: ", ebb_isa_name(k->isa), k->flush ? "flushed" : "kept");
    va_list args;
    if (++k->failures > TOLD || !k->say)
        return;
    va_start(args, format);
    vsnprintf(text + used, sizeof text - (size_t)used, format, args);
    va_end(args);
    k->say(k->user, text);
}

const char *ebb_kcheck_text(const char *format, ...)
{
    static _Thread_local char text[200];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return text;
}

/* mem.c: the one allocator.
 *
 * One idea: every block is preceded by a 64-byte header that holds its size, so that what the process
 * holds is known exactly at any time. Blocks of 4 MiB and more are mapped on their own, aligned to
 * 2 MiB, and ask for huge pages: a training step walks hundreds of megabytes and would miss the TLB.
 * Nobody has written to these yet, their header is in a page of its own: they come to lie in the memory
 * of the processor that works with them, not of the one that asked.
 */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/base.h"
#include "base/fault.h"

#define ALIGN ((size_t)64)
#define HUGE_PAGE ((size_t)2 << 20)
#define LARGE ((size_t)4 << 20)
#define LEAD ((size_t)64 << 10)   /* before a large block, for its header: whole pages on every system */

typedef struct header {
    size_t bytes;    /* of the caller */
    size_t mapped;   /* length of the mapping, or 0: from aligned_alloc */
} header;

static atomic_size_t held, peak;
static atomic_uint_fast64_t calls;

static void count_block(size_t bytes)
{
    size_t now = atomic_fetch_add(&held, bytes) + bytes;
    size_t top = atomic_load(&peak);
    while (now > top && !atomic_compare_exchange_weak(&peak, &top, now))
        ;
    atomic_fetch_add(&calls, 1);
}

/* length: a multiple of HUGE_PAGE. LEAD bytes, then at a multiple of HUGE_PAGE those. Maps more than is needed
 * and returns the unaligned ends. */
static char *map_aligned(size_t length)
{
    size_t all = LEAD + length + HUGE_PAGE;
    char *base = mmap(NULL, all, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base == MAP_FAILED)
        return NULL;
    size_t before = (HUGE_PAGE - (uintptr_t)(base + LEAD) % HUGE_PAGE) % HUGE_PAGE;
    if (before)
        munmap(base, before);
    if (before < HUGE_PAGE)
        munmap(base + before + LEAD + length, HUGE_PAGE - before);
#ifdef MADV_HUGEPAGE
    madvise(base + before + LEAD, length, MADV_HUGEPAGE);   /* a wish: refusal costs only speed */
#endif
    return base + before;
}

/* Zeroed memory of header and block. */
static header *take(size_t bytes)
{
    header *h;
    if (bytes >= LARGE) {
        size_t length = (bytes + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
        char *base = map_aligned(length);
        if (!base)
            return NULL;
        h = (header *)(base + LEAD - ALIGN);
        h->mapped = LEAD + length;
        return h;
    }
    size_t total = (bytes + ALIGN + ALIGN - 1) / ALIGN * ALIGN;
    h = aligned_alloc(ALIGN, total);
    if (h)
        memset(h, 0, total);
    return h;
}

ebb_status ebb_alloc(ebb_context *ctx, void **out, size_t count, size_t size, const char *what)
{
    *out = NULL;
    if (size && count > (SIZE_MAX / 2) / size)
        return ebb_fail(ctx, EBB_E_MEMORY,
                        "out of memory: %s asks for %zu x %zu bytes, more than can be addressed", what, count,
                        size);
    size_t bytes = count * size;
    header *h = NULL;
#ifdef EBB_FAULT
    if (!ebb_fault_alloc())
#endif
        h = take(bytes);
    if (!h)
        return ebb_fail(ctx, EBB_E_MEMORY, "out of memory: %zu bytes for %s (%zu bytes are held already)",
                        bytes, what, atomic_load(&held));
    h->bytes = bytes;
    count_block(bytes);
    *out = (char *)h + ALIGN;
    return EBB_OK;
}

void ebb_free(void *p)
{
    if (!p)
        return;
    header *h = (header *)((char *)p - ALIGN);
    atomic_fetch_sub(&held, h->bytes);
    if (h->mapped)
        munmap((char *)h + ALIGN - LEAD, h->mapped);
    else
        free(h);
}

ebb_status ebb_grow(ebb_context *ctx, void **array, int32_t *capacity, int32_t need, size_t size)
{
    if (need <= *capacity)
        return EBB_OK;
    int32_t wanted = *capacity < INT32_MAX / 2 ? *capacity * 2 : INT32_MAX;
    if (wanted < 16)
        wanted = 16;
    if (wanted < need)
        wanted = need;
    void *grown;
    EBB_TRY(ebb_alloc(ctx, &grown, (size_t)wanted, size, "a growing list"));
    if (*array)
        memcpy(grown, *array, (size_t)*capacity * size);
    ebb_free(*array);
    *array = grown;
    *capacity = wanted;
    return EBB_OK;
}

ebb_status ebb_strdup(ebb_context *ctx, char **out, const char *text)
{
    size_t size = strlen(text) + 1;
    void *copy;
    *out = NULL;
    EBB_TRY(ebb_alloc(ctx, &copy, size, 1, "a text"));
    *out = memcpy(copy, text, size);
    return EBB_OK;
}

void ebb_text_free(char *text)
{
    ebb_free(text);
}

ebb_mem_stats ebb_mem_read(void)
{
    return (ebb_mem_stats){ atomic_load(&held), atomic_load(&peak), atomic_load(&calls) };
}

/* guard.c: debug builds put a red zone behind every buffer of an arena and NaN into buffers that have
 * ended: a kernel that writes past its output, or a step that reads a value too late, shows at once.
 *
 * Zones are written when a buffer's life begins and checked when it ends, because the same bytes
 * belong to other buffers at other times. A damaged zone is kept on the plan for ebb_plan_check.
 */
#include <string.h>

#include "plan/internal.h"

#ifndef NDEBUG

enum { PATTERN = 0xb7, NAN_BYTE = 0xff };

size_t ebb_guard_bytes(void) { return 64; }

static bool guarded(const ebb_plan *p, const ebb_buffer *b, int worker)
{
    if (b->same_as >= 0 || b->last < 0)
        return false;
    return b->home == EBB_HOME_ARENA || (b->home == EBB_HOME_OUTPUT && !p->bound[worker * p->noutputs + b->index]);
}

static unsigned char *zone_of(const ebb_plan *p, const ebb_buffer *b, int worker)
{
    return (unsigned char *)p->arena[worker] + b->offset + b->bytes;
}

void ebb_guard_before(const ebb_plan *p, int32_t t, int worker)
{
    for (int32_t i = 0; i < p->nbuffers; i++) {
        const ebb_buffer *b = &p->buffer[i];
        if (b->first == t && guarded(p, b, worker))
            memset(zone_of(p, b, worker), PATTERN, ebb_guard_bytes());
    }
}

void ebb_guard_after(ebb_plan *p, int32_t t, int worker)
{
    for (int32_t i = 0; i < p->nbuffers; i++) {
        const ebb_buffer *b = &p->buffer[i];
        if (b->last != t || !guarded(p, b, worker))
            continue;
        const unsigned char *zone = zone_of(p, b, worker);
        for (size_t k = 0; k < ebb_guard_bytes(); k++)
            if (zone[k] != PATTERN)
                p->damaged = i + 1;
        if (b->home == EBB_HOME_ARENA && !p->keep_all)
            memset(p->arena[worker] + b->offset, NAN_BYTE, b->bytes);
    }
}

#else

size_t ebb_guard_bytes(void) { return 0; }
void ebb_guard_before(const ebb_plan *p, int32_t t, int worker) { (void)p, (void)t, (void)worker; }
void ebb_guard_after(ebb_plan *p, int32_t t, int worker) { (void)p, (void)t, (void)worker; }

#endif

/* fault.c: counts calls and says which one fails (EBB_FAULT builds only; empty otherwise). */
#include "base/fault.h"

#ifdef EBB_FAULT

#include <errno.h>
#include <stdatomic.h>

static ebb_fault fault_kind = EBB_FAULT_NONE;
static uint64_t fault_nth;
static int fault_error;
static atomic_uint_fast64_t fault_count;

void ebb_fault_set(ebb_fault kind, uint64_t nth, int error)
{
    fault_kind = kind;
    fault_nth = nth;
    fault_error = error;
    atomic_store(&fault_count, 0);
}

uint64_t ebb_fault_calls(void)
{
    return atomic_load(&fault_count);
}

bool ebb_fault_alloc(void)
{
    if (fault_kind != EBB_FAULT_ALLOC)
        return false;
    errno = ENOMEM;
    return atomic_fetch_add(&fault_count, 1) + 1 == fault_nth;
}

bool ebb_fault_os(void)
{
    if (fault_kind != EBB_FAULT_OS && fault_kind != EBB_FAULT_CRASH)
        return false;
    uint64_t call = atomic_fetch_add(&fault_count, 1) + 1;
    bool fails = fault_kind == EBB_FAULT_CRASH ? call >= fault_nth : call == fault_nth;
    if (fails)
        errno = fault_error;
    return fails;
}

#endif

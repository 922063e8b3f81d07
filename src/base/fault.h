/* fault.h: failures on demand, in builds with EBB_FAULT only.
 *
 * One idea: a test runs the same work again and again, failing call 1, 2, 3, ... until it gets through,
 * and each time demands a clean error and unharmed files.
 */
#ifndef EBB_FAULT_H
#define EBB_FAULT_H

#include <stdbool.h>
#include <stdint.h>

#ifdef EBB_FAULT

typedef enum ebb_fault {
    EBB_FAULT_NONE,
    EBB_FAULT_ALLOC,   /* allocation number nth fails */
    EBB_FAULT_OS,      /* system call number nth fails with `error` */
    EBB_FAULT_CRASH    /* from system call number nth on, all fail and change nothing: the process "died" */
} ebb_fault;

/* Calls are counted from 1, beginning now. */
void ebb_fault_set(ebb_fault kind, uint64_t nth, int error);
/* Calls of the kind since ebb_fault_set: fewer than nth means that nothing failed. */
uint64_t ebb_fault_calls(void);

/* For mem.c and os.c: counts a call; true when it has to fail (errno is set). */
bool ebb_fault_alloc(void);
bool ebb_fault_os(void);

#endif
#endif

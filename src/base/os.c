/* os.c: the system calls of the library: those of files in one table, and those of processors.
 *
 * One idea: file.c sees the system only through ebb_os_table, so a test can replace a call, or, in
 * builds with EBB_FAULT, fail the Nth one.
 */
#include <fcntl.h>
#if defined(__linux__)
#include <sched.h>
#endif
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"
#include "base/fault.h"

#ifdef EBB_FAULT
#define FAULT_POINT() do { if (ebb_fault_os()) return -1; } while (0)
#else
#define FAULT_POINT() do { } while (0)
#endif

static int os_open(const char *path, int flags, int mode)
{
    FAULT_POINT();
    return open(path, flags, (mode_t)mode);
}

static int64_t os_read(int fd, void *buffer, size_t size)
{
    FAULT_POINT();
    return read(fd, buffer, size);
}

static int64_t os_write(int fd, const void *buffer, size_t size)
{
    FAULT_POINT();
    return write(fd, buffer, size);
}

static int os_fsync(int fd)
{
    FAULT_POINT();
    return fsync(fd);
}

static int os_close(int fd)
{
    /* The descriptor goes in any case, as it would when the process ends; then the failure is told. */
    int result = close(fd);
    FAULT_POINT();
    return result;
}

static int os_rename(const char *from, const char *to)
{
    FAULT_POINT();
    return rename(from, to);
}

static int os_unlink(const char *path)
{
    FAULT_POINT();
    return unlink(path);
}

static int os_mkdir(const char *path, int mode)
{
    FAULT_POINT();
    return mkdir(path, (mode_t)mode);
}

static int os_stat(const char *path, ebb_os_stat *out)
{
    FAULT_POINT();
    struct stat st;
    if (stat(path, &st) != 0)
        return -1;
    *out = (ebb_os_stat){ S_ISREG(st.st_mode), S_ISDIR(st.st_mode), st.st_size };
    return 0;
}

ebb_os ebb_os_table = { os_open,   os_read,   os_write, os_fsync, os_close,
                        os_rename, os_unlink, os_mkdir, os_stat };

void ebb_os_host(char *name, size_t size)
{
    memset(name, 0, size);
    if (gethostname(name, size - 1) != 0)
        name[0] = 0;
}

/* ---- processors ---------------------------------------------------------------------------- */

#if defined(__linux__)
_Static_assert(sizeof(cpu_set_t) == sizeof(ebb_cpus), "both are one bit a processor, in words from the lowest");

bool ebb_os_cpus(ebb_cpus *out)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) != 0)
        return false;
    memcpy(out, &set, sizeof set);
    return true;
}

bool ebb_os_set_cpus(const ebb_cpus *cpus)
{
    cpu_set_t set;
    memcpy(&set, cpus, sizeof set);
    return sched_setaffinity(0, sizeof set, &set) == 0;
}
#else
bool ebb_os_cpus(ebb_cpus *out)
{
    *out = (ebb_cpus){0};
    return false;
}

bool ebb_os_set_cpus(const ebb_cpus *cpus)
{
    (void)cpus;
    return false;
}
#endif

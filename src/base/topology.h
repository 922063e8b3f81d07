/* topology.h: processors, their cores, caches and memory, as the operating system describes them.
 */
#ifndef EBB_TOPOLOGY_H
#define EBB_TOPOLOGY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { EBB_CPUS_MAX = 1024, EBB_DOMAINS_MAX = 64, EBB_CACHES_MAX = 12 };

/* A set of processors (what the system numbers: with two threads a core, two of them are a core). */
typedef struct ebb_cpus { uint64_t word[EBB_CPUS_MAX / 64]; } ebb_cpus;
bool ebb_cpus_has(const ebb_cpus *set, int cpu);
void ebb_cpus_add(ebb_cpus *set, int cpu);
int ebb_cpus_count(const ebb_cpus *set);
/* "0-3,8": as the system writes it; false for any other text, and numbers too large are left out. */
bool ebb_cpus_parse(const char *text, ebb_cpus *out);
void ebb_cpus_text(const ebb_cpus *set, char *out, size_t size);

/* Processors with memory of their own, to which the way from others is longer. */
typedef struct ebb_domain { int number; ebb_cpus cpus; int cores; } ebb_domain;

typedef struct ebb_topology {
    ebb_cpus allowed;            /* what this process may use; all else counts these alone */
    int cpus, cores, sockets;
    double quota;                /* processors' worth of time that its control group is given; 0: no limit */
    double memory;               /* bytes that there are, or that its control group is given; 0: not known */
    int domains;                 /* at least one */
    ebb_domain domain[EBB_DOMAINS_MAX];
    /* Of worker w: its domain, so that workers spread over domains as cores do; and within that a processor:
     * first one of each core, then the cores' other threads, then from the start. */
    int16_t worker_domain[EBB_CPUS_MAX], worker_cpu[EBB_CPUS_MAX];
} ebb_topology;

/* root: "" or, for tests, a directory with proc and sys in it. What cannot be read is taken for the simplest:
 * one thread a core, one domain, no quota. */
void ebb_topology_read(const char *root, const ebb_cpus *allowed, ebb_topology *out);
/* Threads that can run at once: processors, or fewer by the quota; and the cores of these. */
int ebb_topology_limit(const ebb_topology *t);
int ebb_topology_threads(const ebb_topology *t);

typedef struct ebb_cache { int level; char type; int64_t bytes; int instances; } ebb_cache;   /* d, i or u */
/* Caches of the allowed processors; returns how many kinds. */
int ebb_topology_caches(const char *root, const ebb_topology *t, ebb_cache out[EBB_CACHES_MAX]);

/* ---- os.c -------------------------------------------------------------------------------------- */
/* The processors on which the calling thread may run; false: this system does not tell. */
bool ebb_os_cpus(ebb_cpus *out);
bool ebb_os_set_cpus(const ebb_cpus *cpus);
void ebb_os_host(char *name, size_t size);    /* of this machine in its network */

/* ---- par.c -------------------------------------------------------------------------------------- */
/* This machine, for this process, now. */
void ebb_par_machine(ebb_topology *out);
/* OMP_NUM_THREADS when it is set, else a thread for each core, within the quota; *source: which it was. */
int ebb_par_default_threads(const ebb_topology *machine, const char **source);
/* OMP_PROC_BIND or the like is set: threads already have their places. */
bool ebb_par_bound_by_openmp(void);
/* Where workers of ebb_par_for run from now on, in the whole process, as threads belong to it: anywhere, on
 * processors of one domain, or on one processor. A worker gets its old places back at the end of each loop. */
typedef enum ebb_bind { EBB_BIND_NONE, EBB_BIND_DOMAIN, EBB_BIND_CORE } ebb_bind;
void ebb_par_bind(ebb_bind bind, const ebb_topology *machine);
ebb_bind ebb_par_binding(void);
/* Worker 0 has the place of worker `first`: those before it are for other processes. */
void ebb_par_first_place(int first);

#endif

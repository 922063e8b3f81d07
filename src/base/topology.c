/* topology.c: processors, cores, sockets, memory and its domains, and limits, from the files of Linux.
 *
 * One idea: the files are a tree that a test can copy, so all is read below a root that is given. They are
 * few and plain ("0-3,8-11"); a library for them would be one more thing to install and tell nothing more.
 *
 *   /sys/devices/system/cpu/cpu0/topology/thread_siblings_list, physical_package_id
 *   /sys/devices/system/cpu/cpu0/cache/index0/level, type, size, shared_cpu_list
 *   /sys/devices/system/node/online, node0/cpulist
 *   /proc/self/cgroup, /sys/fs/cgroup/.../cpu.max (version 2), cpu/.../cpu.cfs_quota_us (version 1)
 *   /proc/meminfo, /sys/fs/cgroup/.../memory.max (version 2), memory/.../memory.limit_in_bytes (version 1)
 */
#include <ctype.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"

/* ---- sets --------------------------------------------------------------------------------- */

bool ebb_cpus_has(const ebb_cpus *set, int cpu)
{
    return set->word[cpu / 64] >> (cpu % 64) & 1;
}

void ebb_cpus_add(ebb_cpus *set, int cpu)
{
    set->word[cpu / 64] |= (uint64_t)1 << (cpu % 64);
}

int ebb_cpus_count(const ebb_cpus *set)
{
    int count = 0;
    for (int c = 0; c < EBB_CPUS_MAX; c++)
        count += ebb_cpus_has(set, c);
    return count;
}

static int first_of(const ebb_cpus *set)
{
    int c = 0;
    while (c < EBB_CPUS_MAX && !ebb_cpus_has(set, c))
        c++;
    return c;
}

bool ebb_cpus_parse(const char *text, ebb_cpus *out)
{
    *out = (ebb_cpus){0};
    while (*text != 0 && *text != '\n') {
        char *end;
        if (!isdigit((unsigned char)*text))
            return false;
        long from = strtol(text, &end, 10), to = from;
        if (*end == '-' && isdigit((unsigned char)end[1]))
            to = strtol(end + 1, &end, 10);
        for (long c = from; c <= to && c < EBB_CPUS_MAX; c++)
            ebb_cpus_add(out, (int)c);
        if (*end == ',')
            end++;
        else if (*end != 0 && *end != '\n')
            return false;
        text = end;
    }
    return true;
}

void ebb_cpus_text(const ebb_cpus *set, char *out, size_t size)
{
    size_t at = 0;
    out[0] = 0;
    for (int c = 0; c < EBB_CPUS_MAX; c++) {
        int from = c;
        if (!ebb_cpus_has(set, c))
            continue;
        while (c + 1 < EBB_CPUS_MAX && ebb_cpus_has(set, c + 1))
            c++;
        int n = snprintf(out + at, size - at, c > from ? "%s%d-%d" : "%s%d", at ? "," : "", from, c);
        if (n < 0 || (size_t)n >= size - at)
            return;
        at += (size_t)n;
    }
}

/* ---- files -------------------------------------------------------------------------------- */

/* The start of a small file, as text; false: not there. */
static bool read_text(char *out, size_t size, const char *format, ...) __attribute__((format(printf, 3, 4)));
static bool read_text(char *out, size_t size, const char *format, ...)
{
    char path[4096];
    size_t got = 0;
    va_list args;
    va_start(args, format);
    int n = vsnprintf(path, sizeof path, format, args);
    va_end(args);
    if (n < 0 || (size_t)n >= sizeof path || ebb_file_peek(NULL, path, out, size - 1, &got) != EBB_OK)
        got = 0;
    out[got] = 0;
    return got > 0;
}

static bool read_set(ebb_cpus *out, const char *root, const char *where, int number, const char *name)
{
    char text[4096];
    return read_text(text, sizeof text, "%s/sys/devices/system/%s%d/%s", root, where, number, name) &&
           ebb_cpus_parse(text, out);
}

/* ---- limits of control groups -------------------------------------------------------------- */

/* The smaller of two limits, of which 0 is none. */
static double smaller(double a, double b)
{
    return a == 0 || (b > 0 && b < a) ? b : a;
}

static double quota_of(double quota, double period)
{
    return quota > 0 && period > 0 ? quota / period : 0;
}

/* The group's own limit: "150000 100000" or "max 100000" (version 2), -1 for none (version 1). */
static double group_quota(const char *root, const char *group, bool version2)
{
    char text[64], period[64];
    if (!version2)
        return read_text(text, sizeof text, "%s/sys/fs/cgroup/cpu%s/cpu.cfs_quota_us", root, group) &&
                       read_text(period, sizeof period, "%s/sys/fs/cgroup/cpu%s/cpu.cfs_period_us", root, group)
                   ? quota_of(strtod(text, NULL), strtod(period, NULL))
                   : 0;
    char *end;
    if (!read_text(text, sizeof text, "%s/sys/fs/cgroup%s/cpu.max", root, group))
        return 0;
    double quota = strtod(text, &end);
    return quota_of(quota, strtod(end, NULL));
}

/* Bytes, or "max" (version 2); a number larger than any memory for none (version 1). */
static double group_memory(const char *root, const char *group, bool version2)
{
    char text[64];
    const char *form = version2 ? "%s/sys/fs/cgroup%s/memory.max" : "%s/sys/fs/cgroup/memory%s/memory.limit_in_bytes";
    return read_text(text, sizeof text, form, root, group) && isdigit((unsigned char)text[0]) ? strtod(text, NULL) : 0;
}

typedef double (*group_limit)(const char *root, const char *group, bool version2);

/* The smallest limit of the group and of those that it is in. */
static double path_limit(const char *root, char *group, bool version2, group_limit limit_of)
{
    double limit = 0;
    for (;;) {
        if (strcmp(group, "/") == 0)
            group[0] = 0;
        limit = smaller(limit, limit_of(root, group, version2));
        char *slash = strrchr(group, '/');
        if (slash == NULL)
            return limit;
        *slash = 0;
    }
}

/* Whether `name` is among the controllers "cpu,cpuacct". */
static bool has_controller(const char *list, const char *name)
{
    while (*list != 0) {
        size_t n = strcspn(list, ",");
        if (n == strlen(name) && strncmp(list, name, n) == 0)
            return true;
        list += n + (list[n] == ',');
    }
    return false;
}

/* Lines "number:controllers:group"; version 2 has one, of no controller. */
static double read_limit(const char *root, const char *controller, group_limit limit_of)
{
    char text[8192], *next = NULL;
    double limit = 0;
    if (!read_text(text, sizeof text, "%s/proc/self/cgroup", root))
        return 0;
    for (char *line = strtok_r(text, "\n", &next); line != NULL; line = strtok_r(NULL, "\n", &next)) {
        char *controllers = strchr(line, ':'), *group = controllers ? strchr(controllers + 1, ':') : NULL;
        if (group == NULL)
            continue;
        *controllers++ = 0;
        *group++ = 0;
        if (*controllers == 0 || has_controller(controllers, controller))
            limit = smaller(limit, path_limit(root, group, *controllers == 0, limit_of));
    }
    return limit;
}

/* "MemTotal:  24684004 kB" */
static double read_memory(const char *root)
{
    char text[256];
    const char *total = read_text(text, sizeof text, "%s/proc/meminfo", root) ? strstr(text, "MemTotal:") : NULL;
    double bytes = total ? 1024 * strtod(total + strlen("MemTotal:"), NULL) : 0;
    return smaller(bytes, read_limit(root, "memory", group_memory));
}

/* ---- domains ------------------------------------------------------------------------------ */

static void intersect(ebb_cpus *set, const ebb_cpus *with)
{
    for (int i = 0; i < EBB_CPUS_MAX / 64; i++)
        set->word[i] &= with->word[i];
}

static void read_domains(const char *root, ebb_topology *t)
{
    char text[4096];
    ebb_cpus online, set, left = t->allowed;
    if (!read_text(text, sizeof text, "%s/sys/devices/system/node/online", root) || !ebb_cpus_parse(text, &online))
        online = (ebb_cpus){0};
    for (int n = 0; n < EBB_CPUS_MAX && t->domains < EBB_DOMAINS_MAX; n++) {
        if (!ebb_cpus_has(&online, n) || !read_set(&set, root, "node/node", n, "cpulist"))
            continue;
        intersect(&set, &left);   /* no processor in two domains, whatever the files say */
        if (ebb_cpus_count(&set) == 0)
            continue;
        for (int i = 0; i < EBB_CPUS_MAX / 64; i++)
            left.word[i] &= ~set.word[i];
        t->domain[t->domains++] = (ebb_domain){.number = n, .cpus = set};
    }
    if (t->domains == 0)
        t->domain[t->domains++] = (ebb_domain){.cpus = t->allowed};
    else   /* processors that no file mentions */
        for (int i = 0; i < EBB_CPUS_MAX / 64; i++)
            t->domain[0].cpus.word[i] |= left.word[i];
}

/* ---- cores and places --------------------------------------------------------------------- */

/* turn[c]: how many processors of its core come before c. Counts cores and sockets. */
static void read_cores(const char *root, ebb_topology *t, uint8_t turn[EBB_CPUS_MAX])
{
    ebb_cpus sockets = {0};
    for (int c = 0; c < EBB_CPUS_MAX; c++) {
        ebb_cpus siblings;
        char text[32];
        if (!ebb_cpus_has(&t->allowed, c))
            continue;
        if (!read_set(&siblings, root, "cpu/cpu", c, "topology/thread_siblings_list"))
            siblings = (ebb_cpus){0};
        intersect(&siblings, &t->allowed);
        for (int b = 0; b < c; b++)
            turn[c] += ebb_cpus_has(&siblings, b);
        bool known = read_text(text, sizeof text, "%s/sys/devices/system/cpu/cpu%d/topology/physical_package_id",
                               root, c);
        long socket = known ? strtol(text, NULL, 10) : 0;
        ebb_cpus_add(&sockets, socket >= 0 && socket < EBB_CPUS_MAX ? (int)socket : 0);
        t->cpus++;
        t->cores += turn[c] == 0;
        for (int d = 0; d < t->domains; d++)
            t->domain[d].cores += turn[c] == 0 && ebb_cpus_has(&t->domain[d].cpus, c);
    }
    t->sockets = ebb_cpus_count(&sockets);
}

/* The processors of a domain, those of turn 0 first. */
static int list_cpus(const ebb_domain *d, const uint8_t turn[EBB_CPUS_MAX], int16_t out[EBB_CPUS_MAX])
{
    int count = 0, all = ebb_cpus_count(&d->cpus);
    for (int round = 0; count < all; round++)
        for (int c = 0; c < EBB_CPUS_MAX; c++)
            if (turn[c] == round && ebb_cpus_has(&d->cpus, c))
                out[count++] = (int16_t)c;
    return count;
}

/* The next worker goes where the fewest are for each core, so that any number of them is spread evenly. */
static void place_workers(ebb_topology *t, const uint8_t turn[EBB_CPUS_MAX])
{
    int taken[EBB_DOMAINS_MAX] = {0};
    for (int w = 0; w < EBB_CPUS_MAX; w++) {
        int best = 0;
        for (int d = 1; d < t->domains; d++)
            if ((taken[d] + 1) * t->domain[best].cores < (taken[best] + 1) * t->domain[d].cores)
                best = d;
        t->worker_domain[w] = (int16_t)best;
        taken[best]++;
    }
    for (int d = 0; d < t->domains; d++) {
        int16_t list[EBB_CPUS_MAX];
        int count = list_cpus(&t->domain[d], turn, list), next = 0;
        for (int w = 0; count > 0 && w < EBB_CPUS_MAX; w++)
            if (t->worker_domain[w] == d)
                t->worker_cpu[w] = list[next++ % count];
    }
}

void ebb_topology_read(const char *root, const ebb_cpus *allowed, ebb_topology *t)
{
    uint8_t turn[EBB_CPUS_MAX] = {0};
    *t = (ebb_topology){.allowed = *allowed};
    t->quota = read_limit(root, "cpu", group_quota);
    t->memory = read_memory(root);
    read_domains(root, t);
    read_cores(root, t, turn);
    place_workers(t, turn);
}

static int by_quota(const ebb_topology *t, int n)
{
    /* Half a processor more than n keeps another thread busy for half of the time. */
    if (t->quota > 0 && ceil(t->quota) < n)
        n = (int)ceil(t->quota);
    return n > 1 ? n : 1;
}

int ebb_topology_limit(const ebb_topology *t) { return by_quota(t, t->cpus); }
int ebb_topology_threads(const ebb_topology *t) { return by_quota(t, t->cores); }

/* ---- caches ------------------------------------------------------------------------------- */

/* "32K", "1M" */
static int64_t bytes_of(const char *text)
{
    char *end;
    long long n = strtoll(text, &end, 10);
    return *end == 'K' ? n << 10 : *end == 'M' ? n << 20 : n;
}

static bool read_cache(const char *root, int cpu, int index, ebb_cache *out, ebb_cpus *shared)
{
    char at[64], level[32], type[32], size[32];
    snprintf(at, sizeof at, "sys/devices/system/cpu/cpu%d/cache/index%d", cpu, index);
    if (!read_text(level, sizeof level, "%s/%s/level", root, at) ||
        !read_text(type, sizeof type, "%s/%s/type", root, at) || !read_text(size, sizeof size, "%s/%s/size", root, at))
        return false;
    char name[64];
    snprintf(name, sizeof name, "cache/index%d/shared_cpu_list", index);
    if (!read_set(shared, root, "cpu/cpu", cpu, name))
        return false;
    *out = (ebb_cache){(int)strtol(level, NULL, 10), (char)tolower((unsigned char)type[0]), bytes_of(size), 0};
    return true;
}

static bool same_kind(const ebb_cache *a, const ebb_cache *b)
{
    return a->level == b->level && a->type == b->type && a->bytes == b->bytes;
}

int ebb_topology_caches(const char *root, const ebb_topology *t, ebb_cache out[EBB_CACHES_MAX])
{
    int count = 0;
    for (int c = 0; c < EBB_CPUS_MAX; c++) {
        ebb_cache cache;
        ebb_cpus shared;
        for (int i = 0; ebb_cpus_has(&t->allowed, c) && read_cache(root, c, i, &cache, &shared); i++) {
            intersect(&shared, &t->allowed);
            if (first_of(&shared) != c)
                continue;   /* counted with its first processor */
            int k = 0;
            while (k < count && !same_kind(&out[k], &cache))
                k++;
            if (k == EBB_CACHES_MAX)
                continue;
            if (k == count)
                out[count++] = cache;
            out[k].instances++;
        }
    }
    return count;
}

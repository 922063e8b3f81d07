/* base.h: the ground that every layer stands on: errors, memory, files, threads, random numbers.
 *
 * These are the only callers of malloc, of open/write/rename/fsync and of OpenMP in the library.
 */
#ifndef EBB_BASE_H
#define EBB_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/topology.h"
#include "ebb.h"
#include "simd.h"

/* ---- errors (err.c) ---------------------------------------------------------------------- */
struct ebb_context {
    ebb_status status;             /* of the last failure */
    char message[1024];            /* what, where, which file/offset/key, what to do */
    int threads;                   /* workers of a parallel region, >= 1 */
    const char *threads_source;    /* who said so: "option", "OMP_NUM_THREADS", "default" */
    ebb_isa isa;
    const ebb_kernels *kernels;    /* table of that ISA */
    ebb_backend_choice backend;    /* EBB_BACKEND: auto, own or onednn */
    char warning[512];             /* about the options: threads, binding; "" when there is none */
    struct ebb_dist *dist;         /* other processes that train with this one (train/dist.h), NULL: none */
};

/* `processes` of one job run on the processors of this one, which is number `index` of them: they share
 * (context.c). */
void ebb_context_share(ebb_context *ctx, int index, int processes);

/* Records message and status on the context and returns the status. */
ebb_status ebb_fail(ebb_context *ctx, ebb_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Puts "prefix: " before the recorded message: who called, on what. Returns the status. */
ebb_status ebb_fail_prefix(ebb_context *ctx, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Forwards a failure to the caller. */
#define EBB_TRY(expression)                               \
    do {                                                  \
        ebb_status ebb_try_status_ = (expression);        \
        if (ebb_try_status_ != EBB_OK)                    \
            return ebb_try_status_;                       \
    } while (0)

/* "; did you mean 'x'?" with the name nearest to `word` by edit distance (also to what follows a dot),
 * "" when none is near; in `out`, which is returned (suggest.c). */
const char *ebb_suggest(const char *word, const char *const *names, int count, char *out, size_t size);

/* ---- memory (mem.c) ---------------------------------------------------------------------- */
/* count*size bytes, zeroed, 64-byte aligned; overflow and exhaustion are EBB_E_MEMORY with a message
 * that says what it was for. Large blocks ask for huge pages. *out is NULL on failure. */
ebb_status ebb_alloc(ebb_context *ctx, void **out, size_t count, size_t size, const char *what);
/* Grows (never shrinks) an array of *capacity elements to at least `need`, contents kept. */
ebb_status ebb_grow(ebb_context *ctx, void **array, int32_t *capacity, int32_t need, size_t size);
void ebb_free(void *p);            /* NULL is fine */
ebb_status ebb_strdup(ebb_context *ctx, char **out, const char *text);
/* What this process holds and has held through ebb_alloc, and how many calls it made. */
typedef struct ebb_mem_stats { size_t bytes, peak_bytes; uint64_t calls; } ebb_mem_stats;
ebb_mem_stats ebb_mem_read(void);

/* ---- files (file.c, os.c) ------------------------------------------------------------------ */
/* Every system call goes through this table, so that tests can fail the Nth one (EBB_FAULT). */
typedef struct ebb_os_stat { bool regular, directory; int64_t size; } ebb_os_stat;
typedef struct ebb_os {
    int (*open)(const char *path, int flags, int mode);
    int64_t (*read)(int fd, void *buffer, size_t size);
    int64_t (*write)(int fd, const void *buffer, size_t size);
    int (*fsync)(int fd);
    int (*close)(int fd);
    int (*rename)(const char *from, const char *to);
    int (*unlink)(const char *path);
    int (*mkdir)(const char *path, int mode);
    int (*stat)(const char *path, ebb_os_stat *out);
} ebb_os;
extern ebb_os ebb_os_table;

/* The whole file; at most `limit` bytes (an error beyond). One zero byte follows. */
ebb_status ebb_file_read(ebb_context *ctx, const char *path, size_t limit, void **data, size_t *size);
/* Writes to a temporary file beside `path`; commit: fsync, rename over path, fsync the directory. Abort
 * (also after an error, and idempotent) removes the temporary. Never a half-written path. */
typedef struct ebb_writer ebb_writer;
ebb_status ebb_writer_open(ebb_context *ctx, const char *path, ebb_writer **out);
ebb_status ebb_writer_write(ebb_writer *w, const void *data, size_t size);
ebb_status ebb_writer_commit(ebb_writer **w);   /* frees and sets NULL, also on failure */
void ebb_writer_abort(ebb_writer **w);
/* The whole file by such a writer. */
ebb_status ebb_file_write(ebb_context *ctx, const char *path, const void *data, size_t size);
/* Appends one line with a single write and no newline of its own. */
ebb_status ebb_file_append(ebb_context *ctx, const char *path, const char *text);
ebb_status ebb_directory_make(ebb_context *ctx, const char *path);   /* parents too; exists: fine */
bool ebb_file_exists(const char *path);
bool ebb_is_directory(const char *path);         /* look.c */
const char *ebb_environment(const char *name);   /* NULL: not set (look.c) */
/* Names in a directory, sorted by bytes, folders with "/" at the end; one block: ebb_free(names). */
ebb_status ebb_directory_list(ebb_context *ctx, const char *path, char ***names, int32_t *count);   /* look.c */
/* The first `size` bytes, or as many as there are. */
ebb_status ebb_file_peek(ebb_context *ctx, const char *path, void *buffer, size_t size, size_t *got);

/* ---- threads (par.c) ----------------------------------------------------------------------- */
/* Runs fn(arg, item, worker) for item 0..n-1 on `threads` workers (worker < threads); items are handed
 * out dynamically in ascending order. Denormals are flushed in every worker, also when threads is 1. */
typedef void (*ebb_par_fn)(void *arg, int64_t item, int worker);
void ebb_par_for(int threads, int64_t n, ebb_par_fn fn, void *arg);
/* The same by `teams` workers, each of which leads a team of `members` threads: see ebb_par_together. */
void ebb_par_teams(int teams, int members, int64_t n, ebb_par_fn fn, void *arg);
/* Runs fn(arg, member, members) on all threads of the team that the calling worker leads, itself being
 * member 0, and returns when all are done; without a team, fn(arg, 0, 1). */
typedef void (*ebb_together_fn)(void *arg, int member, int members);
void ebb_par_together(ebb_together_fn fn, void *arg);
/* Within such an fn: waits for all members; what they wrote before can be read behind it. */
void ebb_par_meet(void);
/* Makes OpenMP code of other libraries that is called from this thread single-threaded until end. */
int ebb_par_single_begin(void);
void ebb_par_single_end(int token);
double ebb_seconds(void);          /* monotonic clock */
void ebb_par_yield(void);          /* lets others run: for a worker that waits for another */

/* ---- random numbers (rng.c) ------------------------------------------------------------------ */
/* Streams: one for each use, so that no two draws share a counter. Never renumber. */
typedef enum ebb_stream {
    EBB_STREAM_INIT = 1, EBB_STREAM_SHUFFLE, EBB_STREAM_NOISE, EBB_STREAM_TIME, EBB_STREAM_DROP,
    EBB_STREAM_SAMPLE_START, EBB_STREAM_SAMPLE_STEP, EBB_STREAM_SPEED, EBB_STREAM_TEST,
    EBB_STREAM_AUGMENT, EBB_STREAM_DATA, EBB_STREAM_PROBE, EBB_STREAM_DEQUANTIZE,
    EBB_STREAM_NLL_DEQUANTIZE, EBB_STREAM_NLL_PROBE, EBB_STREAM_NLL_NOISE, EBB_STREAM_NLL_TIME,
    EBB_STREAM_LAW, EBB_STREAM_EVAL, EBB_STREAM_MEASURE, EBB_STREAM_MASK, EBB_STREAM_INK,
    EBB_STREAM_DROPOUT,          /* with the layer in the bits from 8 on */
    EBB_STREAM_SPLIT
} ebb_stream;
/* Word i of the Philox4x32-10 stream at `at`. */
uint32_t ebb_rng_word(const ebb_rng_at *at, uint32_t i);
/* [0, 1) with 53 bits, of words 2i and 2i+1. */
double ebb_rng_uniform(const ebb_rng_at *at, uint32_t i);
/* [0, n): the whole part of n times that uniform. */
uint32_t ebb_rng_below(const ebb_rng_at *at, uint32_t i, uint32_t n);
/* Permutation of 0..n-1 by Fisher-Yates with words of `at`. */
void ebb_rng_permute(const ebb_rng_at *at, uint32_t *order, uint32_t n);

#endif

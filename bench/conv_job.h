/* conv_job.h: a row of bench_conv, and our ways to compute it. */
#ifndef EBB_BENCH_CONV_JOB_H
#define EBB_BENCH_CONV_JOB_H

#include "dnn.h"
#include "layers.h"

enum { WAYS_MAX = 2 };

typedef struct conv_job conv_job;

/* One of our ways to compute a pass. */
typedef struct conv_way {
    const char *name;
    bool bf16;
    bool (*fits)(const ebb_conv_shape *s);          /* NULL: always */
    void *(*pack)(const conv_job *j, const float *w);    /* weights as forward (dx: its adjoint) wants them */
    size_t (*scratch)(const ebb_conv_shape *s);
    void (*run[3])(void *arg, int worker);          /* by dnn_pass */
} conv_way;

/* A row and what it works on. */
struct conv_job {
    const layer *layer;
    dnn_pass pass;
    bool bf16;
    int class;
    double flops, bytes;   /* bytes: of x, w and y, each once */
    const conv_way *way[WAYS_MAX];
    int ways;
    void *packed[WAYS_MAX];
    struct { void *x, *y, *dw, *scratch; } worker[BENCH_THREADS];
    dnn *rival[BENCH_THREADS], *inner;
    bench_copy copy;
    /* out: times of oneDNN over ours and over our best, and of oneDNN with inner threads over our best; 0: none */
    double ratio[WAYS_MAX], best_ratio, inner_ratio;
};

/* What run gets: the way's packed weights stand with it. */
typedef struct conv_call { conv_job *job; int way; } conv_call;

extern const conv_way conv_ways[];
extern const int conv_ways_count;

#endif

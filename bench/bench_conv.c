/* bench_conv.c: every convolution of the networks, forward and both adjoints: own kernels against oneDNN.
 *
 * A row is a layer, a pass and a type. Weights are packed beforehand on both sides, as in a step, where packing is
 * done once for all shards. oneDNN has the layout and algorithm that is fastest here, and once more a single call
 * with threads of its own for the pictures of all workers.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "conv_job.h"

enum { IMPLS = 8, CLASSES = 5, PASSES = 3 };

/* ---- a row ------------------------------------------------------------------------------------ */
static void rival_run(void *arg, int worker)
{
    dnn_run(((conv_job *)arg)->rival[worker]);
}

static void inner_run(void *arg, int worker)
{
    (void)worker;
    dnn_run(((conv_job *)arg)->inner);
}

/* The fastest way of oneDNN with that many threads of its own, or NULL. */
static dnn *fastest(conv_job *j, const ebb_conv_shape *s, int threads, dnn_way *way)
{
    dnn *best = NULL;
    double least = 0.0;
    for (int i = 0; i < DNN_WAYS; i++) {
        dnn *d = j->inner = dnn_conv_open(s, j->pass, j->bf16, (dnn_way)i, threads);
        if (!d)
            continue;
        bench_impl impl = {.run = inner_run, .arg = j, .together = true};
        double t = bench_try(&impl);
        dnn *loser = best && t >= least ? d : best;
        if (loser != d) {
            best = d;
            least = t;
            *way = (dnn_way)i;
        }
        dnn_free(loser);
    }
    j->inner = NULL;
    return best;
}

static void open_rivals(conv_job *j)
{
    dnn_way way = DNN_NHWC;
    ebb_conv_shape all = j->layer->shape;
    j->rival[0] = fastest(j, &j->layer->shape, 1, &way);
    for (int i = 1; i < bench.threads && j->rival[0]; i++)
        j->rival[i] = dnn_conv_open(&j->layer->shape, j->pass, j->bf16, way, 1);
    if (bench.threads > 1 && j->rival[0]) {
        all.n *= bench.threads;
        j->inner = fastest(j, &all, bench.threads, &way);
    }
}

static void open_job(conv_job *j)
{
    const ebb_conv_shape *s = &j->layer->shape;
    size_t nx = (size_t)s->n * s->h * s->w * s->ci, ny = (size_t)s->n * s->oh * s->ow * s->co, scratch = 0;
    size_t nw = (size_t)s->kh * s->kw * s->ci * s->co;
    float *w = bench_floats(nw, 3);
    for (int i = 0; i < j->ways; i++) {
        size_t bytes = j->way[i]->scratch(s);
        scratch = bytes > scratch ? bytes : scratch;
        j->packed[i] = j->pass == DNN_DW ? NULL : j->way[i]->pack(j, w);
    }
    for (int i = 0; i < bench.threads; i++) {
        j->worker[i].x = bench_numbers(nx, j->bf16, 1 + 10 * i);
        j->worker[i].y = bench_numbers(ny, j->bf16, 2 + 10 * i);
        j->worker[i].dw = bench_room(nw * sizeof(float));
        j->worker[i].scratch = bench_room(scratch);
    }
    bench_free(w);
    bench_copy_open(&j->copy, (size_t)j->bytes);
    open_rivals(j);
}

static void close_job(conv_job *j)
{
    for (int i = 0; i < bench.threads; i++) {
        bench_free(j->worker[i].x);
        bench_free(j->worker[i].y);
        bench_free(j->worker[i].dw);
        bench_free(j->worker[i].scratch);
        dnn_free(j->rival[i]);
        j->rival[i] = NULL;
    }
    for (int i = 0; i < j->ways; i++)
        bench_free(j->packed[i]);
    bench_copy_close(&j->copy);
    dnn_free(j->inner);
    j->inner = NULL;
}

/* Where a row's times stand: ours come first. */
typedef struct places { int peak, copy, rival, inner, count; } places;

static void columns(bench_state *state, conv_job *j, const bench_impl *impl, const places *at)
{
    char name[64];
    const double unit_flops = j->bf16 ? bench_peak_flops_bf16() : 0.0;
    const double peak = (unit_flops > 0 ? unit_flops : bench_peak_flops_f32) / impl[at->peak].median;
    const double rival = at->rival ? impl[at->rival].median : 0.0;
    double best = INFINITY;
    for (int i = 0; i < j->ways; i++) {
        best = fmin(best, impl[i].median);
        j->ratio[i] = rival / impl[i].median;
        snprintf(name, sizeof name, "%s/onednn", impl[i].name);
        if (at->rival)
            bench_shim_counter(state, name, j->ratio[i]);
    }
    j->best_ratio = rival / best;
    j->inner_ratio = at->inner ? impl[at->inner].median / best : 0.0;
    if (at->inner)
        bench_shim_counter(state, "best/inner", j->inner_ratio);
    bench_shim_counter(state, "best/peak", j->flops / best / peak);
    if (at->rival)
        bench_shim_counter(state, "onednn/peak", j->flops / rival / peak);
    bench_shim_counter(state, "best/memcpy", j->bytes / best / (2 * (double)j->copy.bytes / impl[at->copy].median));
    bench_shim_counter(state, "peak:gflops", 1e-9 * peak * bench.threads);
}

static void row(bench_state *state, void *arg)
{
    conv_job *j = arg;
    conv_call calls[WAYS_MAX];
    bench_impl impl[IMPLS] = {{0}};
    places at = {0};
    open_job(j);
    for (; at.count < j->ways; at.count++) {
        const int i = at.count;
        calls[i] = (conv_call){j, i};
        impl[i] = (bench_impl){.name = j->way[i]->name, .run = j->way[i]->run[j->pass], .arg = &calls[i]};
    }
    const bool units = j->bf16 && bench_peak_flops_bf16() > 0;
    impl[at.peak = at.count++] = (bench_impl){.name = "peak", .run = units ? bench_peak_bf16 : bench_peak_f32};
    impl[at.copy = at.count++] = (bench_impl){.name = "memcpy", .run = bench_copy_run, .arg = &j->copy};
    if (j->rival[0])
        impl[at.rival = at.count++] = (bench_impl){.name = "onednn", .run = rival_run, .arg = j};
    if (j->inner)
        impl[at.inner = at.count++] = (bench_impl){.name = "inner", .run = inner_run, .arg = j, .together = true};
    bench_measure(state, impl, at.count);
    bench_times(state, impl, at.count);
    columns(state, j, impl, &at);
    if (j->rival[0])
        bench_shim_label(state, dnn_name(j->rival[0]));
    close_job(j);
}

/* ---- the table -------------------------------------------------------------------------------- */
static const char *const class_names[CLASSES] = {"3x3_s1", "few_channels", "1x1", "stride2", "small"};
static const char *const pass_names[] = {"forward", "dx", "dw"};

/* Few channels: 1 or 3 in or out. 3x3_s1: at least 32 channels and 8 rows; small: what is left. */
static int class_of(const ebb_conv_shape *s)
{
    if (s->ci <= 3 || s->co <= 3)
        return 1;
    if (s->kh == 1 && s->kw == 1)
        return 2;
    if (s->stride > 1)
        return 3;
    return s->ci >= 32 && s->co >= 32 && s->oh >= 8 ? 0 : 4;
}

static conv_job *jobs;      /* all rows */
static int job_count;

/* Rows that are summed up: those of a class, small pictures of any class, all. */
enum { SMALL_PICTURES = CLASSES, ALL, GROUPS };
typedef struct group { bool bf16; dnn_pass pass; int what; } group;

static bool member(const group *g, const conv_job *j)
{
    bool what = g->what == ALL || g->what == j->class || (g->what == SMALL_PICTURES && j->layer->shape.oh <= 8);
    return j->bf16 == g->bf16 && j->pass == g->pass && what;
}

/* Geometric mean of a ratio over the rows of a group that have it. */
typedef double (*ratio_fn)(const conv_job *j, const conv_way *way);

static double way_ratio(const conv_job *j, const conv_way *way)
{
    for (int i = 0; i < j->ways; i++)
        if (j->way[i] == way)
            return j->ratio[i];
    return 0.0;
}

static double best_ratio(const conv_job *j, const conv_way *way) { (void)way; return j->best_ratio; }
static double inner_ratio(const conv_job *j, const conv_way *way) { (void)way; return j->inner_ratio; }

static void mean(bench_state *state, const group *g, const char *name, ratio_fn of, const conv_way *way)
{
    double sum = 0.0;
    int n = 0;
    for (int i = 0; i < job_count; i++) {
        const conv_job *j = &jobs[i];
        if (!member(g, j))
            continue;
        double ratio = of(j, way);
        if (ratio > 0) {
            sum += log(ratio);
            n++;
        }
    }
    if (n) {
        bench_shim_counter(state, name, exp(sum / n));
        bench_shim_counter(state, "rows", n);
    }
}

static void summary(bench_state *state, void *arg)
{
    const group *g = arg;
    char name[64];
    while (bench_shim_next(state))
        bench_shim_time(state, 0.0);
    for (size_t i = 0; i < (size_t)conv_ways_count; i++) {
        snprintf(name, sizeof name, "%s/onednn", conv_ways[i].name);
        if (conv_ways[i].bf16 == g->bf16)
            mean(state, g, name, way_ratio, &conv_ways[i]);
    }
    mean(state, g, "best/onednn", best_ratio, NULL);
    mean(state, g, "best/inner", inner_ratio, NULL);
}

static void add_summary(const group *g)
{
    const char *what = g->what == ALL ? "all" : g->what == SMALL_PICTURES ? "8x8_and_below" : class_names[g->what];
    char name[64];
    int i = 0;
    while (i < job_count && !member(g, &jobs[i]))
        i++;
    snprintf(name, sizeof name, "geomean/%s/%s/%s", g->bf16 ? "bf16" : "f32", pass_names[g->pass], what);
    if (i < job_count)
        bench_add_summary(summary, (void *)(uintptr_t)g, name);
}

static void add_summaries(void)
{
    static group groups[2 * PASSES * GROUPS];
    int n = 0;
    for (int bf16 = 0; bf16 < 2; bf16++)
        for (int pass = 0; pass < PASSES; pass++)
            for (int what = 0; what < GROUPS; what++) {
                groups[n] = (group){bf16, (dnn_pass)pass, what};
                add_summary(&groups[n++]);
            }
}

static void add_rows(const layer *l, bool bf16)
{
    const ebb_conv_shape *s = &l->shape;
    for (int pass = 0; pass < PASSES; pass++) {
        conv_job *j = &jobs[job_count];
        *j = (conv_job){.layer = l, .pass = (dnn_pass)pass, .bf16 = bf16, .class = class_of(s)};
        j->bytes = (bf16 ? 2.0 : 4.0) * s->n * ((double)s->h * s->w * s->ci + (double)s->oh * s->ow * s->co) +
                   (bf16 && pass != DNN_DW ? 2.0 : 4.0) * s->kh * s->kw * s->ci * s->co;
        j->flops = 2.0 * s->n * s->oh * s->ow * s->co * s->kh * s->kw * s->ci;
        for (size_t i = 0; i < (size_t)conv_ways_count; i++)
            if (conv_ways[i].bf16 == bf16 && (!conv_ways[i].fits || conv_ways[i].fits(s)))
                j->way[j->ways++] = &conv_ways[i];
        job_count += bench_add(row, j, "%s/%s/%s/%s/n%d/%dx%dx%d>%d/%dx%d_s%d", bf16 ? "bf16" : "f32",
                               pass_names[pass], class_names[j->class], l->nets, s->n, s->h, s->w, s->ci, s->co,
                               s->kh, s->kw, s->stride);
    }
}

int main(int argc, char **argv)
{
    bench_begin(argc, argv, "Convolutions of the networks: own kernels against oneDNN.",
                "  bench_conv --shapes s --filter 'f32/.*/3x3_s1' --json conv.json\n");
    static const int batches[] = {4, 8};
    layer *layers[2];
    int count[2];
    for (int i = 0; i < 2; i++)
        count[i] = layers_read(batches[i], &layers[i]);
    jobs = bench_room(2 * PASSES * (size_t)(count[0] + count[1]) * sizeof *jobs);
    for (int bf16 = 0; bf16 < 2; bf16++)
        for (int i = 0; i < 2; i++)
            for (int k = 0; k < count[i]; k++)
                add_rows(&layers[i][k], bf16);
    add_summaries();
    return bench_end();
}

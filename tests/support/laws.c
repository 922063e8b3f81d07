/* laws.c: see laws.h. */
#include "support/laws.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

const double LAW_SHARE[LAW_LEVELS] = {0.05, 0.3, 0.1, 0.25, 0.2, 0.1};

ebb_context *law_ctx;

void law_ok(ebb_status status)
{
    if (status != EBB_OK)
        fail_msg("%s", ebb_message(law_ctx));
}

void *law_memory(size_t doubles)
{
    void *data;
    law_ok(ebb_alloc(law_ctx, &data, doubles, sizeof(double), "a test"));
    return data;
}

void law_near(const char *what, double got, double want, double allowed)
{
    if (!(fabs(got - want) <= allowed))
        fail_msg("%s: %.12g, expected %.12g +- %.2g", what, got, want, allowed);
}

ebb_process law_process(ebb_process_kind kind, int steps)
{
    ebb_process wanted = {.kind = kind, .steps = steps}, p;
    if (kind == EBB_PROCESS_DDPM)
        law_ok(ebb_schedule_create(law_ctx, EBB_SCHEDULE_LINEAR, steps, 20.0 / (200 * steps), 20.0 / steps, &wanted.chain));
    law_ok(ebb_process_create(law_ctx, &wanted, &p));
    return p;
}

ebb_target law_normal(double mean, double variance)
{
    const double one = 1;
    ebb_target t;
    law_ok(ebb_target_create(law_ctx, 1, 1, &one, &mean, &variance, NULL, &t));
    return t;
}

ebb_target law_mixture(void)
{
    static const double weight[3] = {0.2, 0.5, 0.3}, mean[3][2] = {{-1.5, 0.5}, {1, 1}, {0.2, -1.2}};
    static const double cov[3][2][2] = {{{0.16, 0.05}, {0.05, 0.1}}, {{0.2, -0.06}, {-0.06, 0.18}},
                                        {{0.2, -0.03}, {-0.03, 0.12}}};
    ebb_target t;
    law_ok(ebb_target_create(law_ctx, 3, 2, weight, mean[0], cov[0][0], NULL, &t));
    return t;
}

law_mean law_mean_of(const double *x, int64_t n)
{
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < n; i++)
        sum += x[i] / (double)n;
    for (int64_t i = 0; i < n; i++)
        squares += (x[i] - sum) * (x[i] - sum);
    return (law_mean){sum, sqrt(squares) / (double)n};
}

double law_levels_entropy(void)
{
    double bits = 0;
    for (int k = 0; k < LAW_LEVELS; k++)
        bits -= LAW_SHARE[k] * log2(LAW_SHARE[k]);
    return bits;
}

int laws_begin(void **state)
{
    (void)state;
    return ebb_context_create(NULL, &law_ctx) != EBB_OK;
}

int laws_end(void **state)
{
    (void)state;
    ebb_context_free(law_ctx);
    return ebb_mem_read().bytes != 0;
}

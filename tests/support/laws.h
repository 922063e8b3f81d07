/* laws.h: processes and laws that are known exactly, and means with their errors, for tests.
 */
#ifndef EBB_TEST_LAWS_H
#define EBB_TEST_LAWS_H

#include "diffusion/process.h"
#include "diffusion/target.h"

#define LAW_PI 3.14159265358979323846

/* The context that all of this uses; made and freed by the two that a cmocka group runs between, which also see that nothing
 * leaked. */
extern ebb_context *law_ctx;
int laws_begin(void **state);
int laws_end(void **state);

/* Fail the test with the context's message, or with both numbers. */
void law_ok(ebb_status status);
void law_near(const char *what, double got, double want, double allowed);
void *law_memory(size_t doubles);
/* The usual one of that kind; chains have so many steps, ddpm as 1000 usual ones would be thinned. */
ebb_process law_process(ebb_process_kind kind, int steps);
ebb_target law_normal(double mean, double variance);
/* Of three parts, in the plane. */
ebb_target law_mixture(void);

/* Mean and its standard error. */
typedef struct law_mean { double value, error; } law_mean;
law_mean law_mean_of(const double *x, int64_t n);

/* Grey levels LAW_FIRST .. LAW_FIRST + LAW_LEVELS - 1 of 256, and how often each is. */
enum { LAW_FIRST = 96, LAW_LEVELS = 6 };
extern const double LAW_SHARE[LAW_LEVELS];
double law_levels_entropy(void);             /* in bits */

#endif

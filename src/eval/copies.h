/* copies.h: are pictures copies of the data that a model was trained on: the share that lie nearer to a picture of theirs than 5%
 * of the data lie to another one.
 *
 * Distance is L2 of bytes, over all the data, not a sample of them, so that no copy is missed. Data themselves come to 5% but for
 * chance, which is the floor; pictures of a model that has learned its data by heart come to 1. That few are copies does not
 * show that all are new: see nearest.h for neighbours side by side.
 */
#ifndef EBB_COPIES_H
#define EBB_COPIES_H

#include "eval/resample.h"

#define EBB_COPIES_SHARE 0.05

typedef struct ebb_copies {
    const uint8_t *data;         /* (m, numbers), must outlive it */
    int64_t m, numbers;
    double threshold;
} ebb_copies;
/* The threshold is found of the pictures `probe` (n) of the data, n at least 2. */
ebb_status ebb_copies_create(ebb_context *ctx, const uint8_t *data, int64_t m, int64_t numbers, const uint32_t *probe, int64_t n,
                             ebb_copies *out);
/* Pictures (n, numbers); of_data: they are of the data themselves, and do not count as their own copy. Does not depend on
 * threads. */
ebb_status ebb_copies_measure(ebb_context *ctx, const ebb_copies *c, const uint8_t *pictures, int64_t n, bool of_data, int resamples,
                              ebb_measure *out);

#endif

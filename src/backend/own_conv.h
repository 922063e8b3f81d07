/* own_conv.h: one call of a convolution kernel as a value, so that it can be cut into parts (own_conv_cut.c).
 */
#ifndef EBB_BACKEND_OWN_CONV_H
#define EBB_BACKEND_OWN_CONV_H

#include "backend/own.h"

/* A forward convolution, or an adjoint that is one with other weights (Winograd). */
typedef struct ebb_own_convolution ebb_own_convolution;
struct ebb_own_convolution {
    ebb_conv_shape s;
    const void *x, *w;           /* w: packed */
    void *y;
    const float *bias;           /* NULL: none */
    const void *residual;        /* laid out as y; NULL: none */
    void *scratch;
    size_t x_bytes, y_bytes;     /* of a number */
    size_t panel_bytes;          /* from one panel of w to the next */
    bool winograd;
    void (*kernel)(const ebb_executor *e, const ebb_own_convolution *c);
    size_t (*kernel_scratch)(const ebb_conv_shape *s);
};
/* Sets parts, across and the scratch of an executor for its team; x, w, y, bias, residual, scratch do not count. */
void ebb_own_convolution_cut(ebb_executor *e, const ebb_own_convolution *c);
/* Data and scratch of a packed form's run. */
void ebb_own_convolution_bind(ebb_own_convolution *c, const ebb_task *t, const ebb_step_args *a);
void ebb_own_convolution_run(const ebb_executor *e, const ebb_own_convolution *c, int part);

#endif

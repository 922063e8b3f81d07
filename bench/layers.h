/* layers.h: the convolutions of the networks, as the library builds them. */
#ifndef EBB_BENCH_LAYERS_H
#define EBB_BENCH_LAYERS_H

#include "bench.h"

typedef struct layer {
    ebb_conv_shape shape;
    char nets[4];            /* of which networks: some of "sml" */
} layer;

/* Every distinct convolution of the asked-for networks at n pictures; the count. Free with bench_free. */
int layers_read(int n, layer **out);

#endif

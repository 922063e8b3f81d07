/* optim.c: the specification of one AdamW step with EMA.
 *
 * Loshchilov & Hutter 2019, algorithm 2, with the schedule multiplier inside lr; moving averages are
 * written a + (1 - keep)(b - a), which stays at a when b = a. Weights are read and written once.
 */
#include <math.h>

#include "instances.h"

void ebb_adamw_f32_c(size_t n, float *p, float *m, float *v, float *ema, const float *g, const ebb_adamw *h)
{
    float new1 = 1.0f - h->beta1, new2 = 1.0f - h->beta2, ema_new = 1.0f - h->ema_keep;
    for (size_t i = 0; i < n; i++) {
        float grad = h->grad_scale * g[i];
        m[i] = fmaf(new1, grad - m[i], m[i]);
        v[i] = fmaf(new2, fmaf(grad, grad, -v[i]), v[i]);
        float update = (m[i] * h->bias1) / (sqrtf(v[i] * h->bias2) + h->eps);
        p[i] = fmaf(-h->lr, fmaf(h->weight_decay, p[i], update), p[i]);
        if (ema)
            ema[i] = fmaf(ema_new, p[i] - ema[i], ema[i]);
    }
}

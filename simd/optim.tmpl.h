/* optim.tmpl.h: AdamW with EMA in one sweep, in vector verbs. Specification: c/optim.c. */
#include "instances.h"

typedef struct adamw_state {
    vf p, m, v;
} adamw_state;

VEC void adamw_vector(adamw_state *s, vf g, const ebb_adamw *h)
{
    vf grad = vf_mul(vf_set1(h->grad_scale), g);
    s->m = vf_fma(vf_set1(1.0f - h->beta1), vf_sub(grad, s->m), s->m);
    s->v = vf_fma(vf_set1(1.0f - h->beta2), vf_fms(grad, grad, s->v), s->v);
    vf divisor = vf_add(vf_sqrt(vf_mul(s->v, vf_set1(h->bias2))), vf_set1(h->eps));
    vf update = vf_div(vf_mul(s->m, vf_set1(h->bias1)), divisor);
    s->p = vf_fnma(vf_set1(h->lr), vf_fma(vf_set1(h->weight_decay), s->p, update), s->p);
}

VEC vf adamw_ema(vf ema, vf p, const ebb_adamw *h)
{
    return vf_fma(vf_set1(1.0f - h->ema_keep), vf_sub(p, ema), ema);
}

void EBB_INSTANCE(adamw_f32)(size_t n, float *p, float *m, float *v, float *ema, const float *g,
                             const ebb_adamw *h)
{
    const ebb_adamw k = *h;  /* stores through float pointers cannot change a copy */
    size_t i = 0;
    for (; i + VW <= n; i += VW) {
        adamw_state s = {vf_load(p + i), vf_load(m + i), vf_load(v + i)};
        adamw_vector(&s, vf_load(g + i), &k);
        vf_store(p + i, s.p);
        vf_store(m + i, s.m);
        vf_store(v + i, s.v);
        if (ema)
            vf_store(ema + i, adamw_ema(vf_load(ema + i), s.p, &k));
    }
    if (i < n) {
        size_t left = n - i;
        adamw_state s = {vf_load_n(p + i, left), vf_load_n(m + i, left), vf_load_n(v + i, left)};
        adamw_vector(&s, vf_load_n(g + i, left), &k);
        vf_store_n(p + i, s.p, left);
        vf_store_n(m + i, s.m, left);
        vf_store_n(v + i, s.v, left);
        if (ema)
            vf_store_n(ema + i, adamw_ema(vf_load_n(ema + i, left), s.p, &k), left);
    }
}

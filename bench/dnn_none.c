/* dnn_none.c: no rival where oneDNN is not installed: its columns stay empty. */
#include "dnn.h"

dnn *dnn_conv_open(const ebb_conv_shape *s, dnn_pass pass, bool bf16, dnn_way way, int threads)
{
    (void)s, (void)pass, (void)bf16, (void)way, (void)threads;
    return NULL;
}

dnn *dnn_attention_open(int heads, int tokens, int d, bool adjoint, bool bf16, int threads)
{
    (void)heads, (void)tokens, (void)d, (void)adjoint, (void)bf16, (void)threads;
    return NULL;
}

void dnn_run(dnn *d) { (void)d; }
const char *dnn_name(const dnn *d) { (void)d; return ""; }
void dnn_free(dnn *d) { (void)d; }

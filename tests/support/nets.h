/* nets.h: networks for tests: the known sizes, weights by rule, and plans that run them.
 *
 * Weights (and the signs of a gradient's sketch) follow the rule that data/golden/make_unet_s_step.py
 * states, so that PyTorch has the same without a file.
 */
#ifndef EBB_TEST_NETS_H
#define EBB_TEST_NETS_H

#include "diffusion/diffusion.h"

/* The context that all of this uses; the test sets it. */
extern ebb_context *net_ctx;
/* Of the plans made from now on: Winograd's convolutions where they pay. */
extern bool net_fast_conv;
extern int net_team;          /* threads of a run; 0: one */
extern int net_bf16;          /* pictures of that many channels and more in bfloat16; 0: none */

extern const ebb_network unet_s, unet_m, unet_l;
/* Classes, three colours, attention at both levels, a picture that is not square and odd at level 1. */
extern const ebb_network unet_tiny;

/* Fails the test with the context's message. */
void net_ok(ebb_status status);
void *net_memory(size_t count, size_t size);

uint64_t rule_hash(const char *name, const char *suffix);
uint64_t rule_word(uint64_t hash, int64_t i);

/* A parameter's shape in a file, which is PyTorch's; and where element i in memory lies there. */
ebb_shape net_file_shape(const ebb_node *param);
int64_t net_file_index(const ebb_node *param, int64_t i);

/* A parameter's weights by the rule, in the order of memory. */
void net_draw(const ebb_node *param, float *w);

typedef struct net {
    ebb_graph *g;
    ebb_value *values;    /* what the plan holds: count of them */
    int count;
    ebb_plan *plan;
    float **weight;       /* (nparams), by rule */
} net;

/* The network's graph only: inputs x, t and, with classes, label. Its status may be an error. */
ebb_graph *net_graph(const ebb_network *network, int64_t n, ebb_value *eps);
/* eps of n pictures: inputs x, t, label. */
net net_eps(const ebb_network *network, int64_t n);
/* L_simple and its gradients. */
net net_loss(const ebb_network *network, int64_t n, int64_t batch);
void net_put(net *e, const char *name, const void *data, size_t bytes);
const ebb_node *net_param(const net *e, int i);
void net_free(net *e);

#endif

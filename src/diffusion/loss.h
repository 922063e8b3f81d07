/* loss.h: what the losses share and nobody else needs. */
#ifndef EBB_LOSS_H
#define EBB_LOSS_H

#include "diffusion/diffusion.h"

/* A loss graph on its way. Numbers of a picture are (n,1,...,1). */
typedef struct ebb_loss_parts {
    ebb_graph *g;
    const ebb_network *net;
    const ebb_objective *objective;
    ebb_shape picture;           /* (n, ...) */
    ebb_value x0, noise, signal, sigma;
    ebb_value scale, in;         /* the network sees in = scale x_t; EBB_NONE: 1 */
    ebb_value xt, f;             /* x_t, and what the network gives */
    ebb_value label;             /* (n), or EBB_NONE */
    ebb_value target;            /* of F, for losses that hold it against one */
    ebb_value v;                 /* what it gives for the variance, or EBB_NONE */
    ebb_value eps_x, eps_f;      /* eps_hat = eps_x x_t + eps_f F; EBB_NONE: 0 and 1 */
} ebb_loss_parts;

/* The per-picture input of that name. */
ebb_value ebb_loss_input(const ebb_loss_parts *p, const char *name);
/* eps_x x + eps_f f: eps_hat of x_t and F, or of tangents of the two. */
ebb_value ebb_loss_eps(const ebb_loss_parts *p, ebb_value x, ebb_value f);
/* Sum over each picture: (n,1,...,1). */
ebb_value ebb_loss_sum(const ebb_loss_parts *p, ebb_value x);

/* What F is trained towards: once a graph. */
ebb_value ebb_loss_target(const ebb_loss_parts *p);
/* The bound's term of every number in bits, by F as it is or as a constant. */
ebb_value ebb_loss_bound_of(const ebb_loss_parts *p, ebb_value f);

/* The losses: of every number, (n, ...), or of every picture, (n,1,...,1); their sum is what counts. */
#define LOSS(id, name, function, help) ebb_value function(const ebb_loss_parts *p);
#include "diffusion/losses.def"
#undef LOSS

#endif

/* recompute.h: what the pass that computes values a second time (recompute.c, segments.c) knows of the ir. */
#ifndef EBB_PLAN_RECOMPUTE_H
#define EBB_PLAN_RECOMPUTE_H

#include "plan/internal.h"

/* By value of the ir. A value is a node, or a part of one; reshapes are other names of their input. */
typedef struct ebb_again {
    const ebb_ir *ir;
    int32_t turn;                /* last node of the forward part */
    bool *runs;                  /* not computed by prepare */
    bool *kept;                  /* up to turn: not computed again */
    size_t *bytes;               /* that its buffer holds; 0: no buffer in the arena */
    int32_t *made;               /* node that makes it */
    int32_t *last, *end;         /* last reader in the forward part, and of all */
    ebb_value *copy;             /* its second copy, in the new list */
} ebb_again;

/* Made in the forward part and read behind it. */
bool ebb_again_crosses(const ebb_again *a, ebb_value v);
/* A value of so many bytes is not worth a step. */
size_t ebb_recompute_small(const ebb_again *a);
/* Sets kept for activation checkpointing. */
ebb_status ebb_recompute_segments(ebb_again *a);

#endif

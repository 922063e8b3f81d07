/* fuse.h: what the fusion pass (fuse.c) and its rules for group norms (fuse_norm.c) share. */
#ifndef EBB_PLAN_FUSE_H
#define EBB_PLAN_FUSE_H

#include "plan/ir.h"

/* What the rules know beforehand of the norms of an ir; arrays by old value. */
typedef struct ebb_norm_fusion {
    ebb_value *norm_of;          /* group_norm -> new norm whose statistics its adjoint takes */
    int32_t *uses;               /* how many group_norm and group_norm_vjp read the value as x */
    ebb_value *modulated;        /* group_norm and group_norm_vjp -> the value norm * factor + offset */
    ebb_value *adjoint;          /* cotangent of such a value -> the group_norm_vjp behind it */
} ebb_norm_fusion;

ebb_status ebb_norm_fusion_create(const ebb_ir *ir, ebb_norm_fusion *out);
void ebb_norm_fusion_free(ebb_norm_fusion *f);
/* The new value of v where a rule for norms applies, else EBB_NONE. */
ebb_value ebb_fuse_norm(ebb_rewrite *rw, ebb_norm_fusion *f, ebb_value v);

#endif

/* select.c: by which method each convolution is computed (the table in backend/choose.c).
 *
 * Settled before fusion, since weights are packed for a method.
 */
#include "plan/ir.h"

void ebb_select(ebb_ir *ir)
{
    for (ebb_value v = 0; v < ir->count; v++) {
        ebb_node *n = &ir->node[v];
        ebb_task task;
        if (n->op != EBB_OP_conv && n->op != EBB_OP_conv_dx && n->op != EBB_OP_conv_dw)
            continue;
        ebb_ir_task(ir, n, &task);
        n->attr.method = (uint8_t)ebb_backend_choose(ir->ctx, &task).method;
    }
}

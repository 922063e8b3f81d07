/* laws.c: exact laws as data: data.kind=target. Their scores are known, so that a trained network can be judged. */
#include <string.h>

#include "model/recipe.h"

#define POINTS 65536

ebb_status ebb_recipe_target(ebb_context *ctx, const ebb_recipe *r, ebb_target *out)
{
    ebb_status status = ebb_target_named(ctx, *r->data_path != 0 ? r->data_path : "mixture", out);
    return status == EBB_OK ? EBB_OK : ebb_fail_prefix(ctx, "data.path");
}

static ebb_status draw(ebb_context *ctx, const ebb_recipe *r, const ebb_target *target, ebb_dataset *out)
{
    double *x;
    ebb_dataset_options options = {.path = "target", .height = ebb_recipe_height(r), .width = ebb_recipe_width(r),
                                   .channels = (int)r->data_channels};
    EBB_TRY(ebb_dataset_shape(ctx, &options, r->data_limit > 0 ? r->data_limit : POINTS, 1, target->dim, 1, false, out));
    if (out->numbers != target->dim)
        return ebb_fail(ctx, EBB_E_SHAPE, "data.size: points of this law have %d numbers: leave it out", target->dim);
    EBB_TRY(ebb_alloc(ctx, (void **)&out->labels, (size_t)out->n, sizeof *out->labels, "labels"));
    EBB_TRY(ebb_alloc(ctx, (void **)&x, (size_t)(out->n * out->numbers), sizeof *x, "points"));
    ebb_target_sample(target, (uint64_t)r->train_seed, 0, out->n, x, out->labels);
    for (int64_t i = 0; i < out->n * out->numbers; i++)
        out->values[i] = (float)x[i];
    ebb_free(x);
    return EBB_OK;
}

ebb_status ebb_recipe_points(ebb_context *ctx, const ebb_recipe *r, ebb_dataset *out)
{
    ebb_target target;
    EBB_TRY(ebb_recipe_target(ctx, r, &target));
    ebb_status status = draw(ctx, r, &target, out);
    if (status == EBB_OK && r->net_classes > 0 && r->net_classes < target.classes)
        status = ebb_fail(ctx, EBB_E_ARGUMENT, "net.classes=%lld, but the law has %d", (long long)r->net_classes, target.classes);
    ebb_target_free(&target);
    if (status != EBB_OK)
        ebb_dataset_free(out);
    return status;
}

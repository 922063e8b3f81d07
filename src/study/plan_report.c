/* plan_report.c: what a step of a recipe's plan does, for `ebb plan`: nothing is run.
 */
#include "model/plans.h"
#include "model/report.h"

static ebb_status make_plan(ebb_context *ctx, const ebb_recipe *r, const ebb_network *net,
                            const ebb_params *params, bool eval, ebb_plan **out)
{
    ebb_objective objective;
    ebb_plan_options options = eval ? ebb_recipe_plan(r, 1) : ebb_recipe_training_plan(r, 1);
    options.measure_only = true;
    ebb_recipe_objective(r, &objective);
    return eval ? ebb_eval_plan(ctx, net, r->train_shard, &options, out)
                : ebb_loss_plan(ctx, net, &objective, params, r->train_shard, r->train_batch, &options, out);
}

/* The plan's own text with the recipe's part before it. */
static ebb_status describe(ebb_context *ctx, const ebb_recipe *r, const ebb_params *params, bool eval,
                           const ebb_plan *plan, char **json)
{
    char *text;
    json_t *steps;
    EBB_TRY(ebb_plan_text(plan, &text));
    ebb_status status = ebb_json_parse(ctx, text, "plan", &steps);
    ebb_free(text);
    EBB_TRY(status);
    json_t *report = json_pack("{s:s, s:s, s:I, s:I, s:I, s:s, s:s, s:s}", "recipe", r->about_name, "kind",
                               eval ? "evaluation" : "training", "parameters", (json_int_t)params->numbers,
                               "batch", (json_int_t)r->train_batch, "shard", (json_int_t)r->train_shard,
                               "precision", r->precision_type,
                               "cpu", ebb_isa_name(ctx->isa), "backend", ebb_backend_choice_name(ctx));
    if (report != NULL)
        json_object_update(report, steps);
    json_decref(steps);
    return ebb_report_text(ctx, report, json);
}

static ebb_status report(ebb_context *ctx, ebb_recipe *r, bool eval, char **json)
{
    ebb_network net;
    ebb_params params;
    ebb_plan *plan = NULL;
    EBB_TRY(ebb_recipe_check(ctx, r));
    EBB_TRY(ebb_recipe_complete(ctx, r));
    ebb_recipe_settle(ctx, r);
    EBB_TRY(ebb_recipe_network(ctx, r, &net));
    EBB_TRY(ebb_params_from_network(ctx, &net, &params));
    ebb_status status = make_plan(ctx, r, &net, &params, eval, &plan);
    if (status == EBB_OK)
        status = describe(ctx, r, &params, eval, plan, json);
    ebb_plan_free(plan);
    ebb_params_free(&params);
    return status;
}

ebb_status ebb_plan_report(ebb_context *ctx, const ebb_recipe *recipe, int eval, char **json)
{
    ebb_recipe *copy;
    *json = NULL;
    EBB_TRY(ebb_recipe_copy(ctx, recipe, &copy));
    ebb_status status = report(ctx, copy, eval != 0, json);
    ebb_recipe_free(copy);
    return status;
}

/* memory.c: whether a learner's memory is there, and what to say when it is not.
 *
 * The system gives memory when it is first touched, not when it is asked for: so a learner asks for all, and looks
 * whether there is as much, before it writes anywhere.
 */
#include <stdio.h>
#include <string.h>

#include "train/memory.h"

static double gigabytes(double bytes) { return 1e-9 * bytes; }

ebb_status ebb_memory_fits(ebb_context *ctx)
{
    ebb_topology machine;
    ebb_par_machine(&machine);
    double held = (double)ebb_mem_read().bytes;
    if (machine.memory == 0 || held <= machine.memory)
        return EBB_OK;
    return ebb_fail(ctx, EBB_E_MEMORY, "this machine has %.1f GB", gigabytes(machine.memory));
}

/* What would make it less and is not chosen yet. */
static void advise(const ebb_recipe *r, const ebb_learner *l, char *out, size_t size)
{
    int64_t shard = r->train_shard - 1;
    while (shard > 1 && r->train_batch % shard != 0)
        shard--;
    int at = snprintf(out, size, "%s", "");
    if (strcmp(r->train_memory, "least") != 0)
        at += snprintf(out + at, size - (size_t)at, ", train.memory=%s", strcmp(r->train_memory, "low") ? "low or least" : "least");
    if (shard > 0)
        at += snprintf(out + at, size - (size_t)at, ", train.shard=%lld or less", (long long)shard);
    if (strcmp(r->precision_type, "f32") == 0)
        at += snprintf(out + at, size - (size_t)at, ", precision.type=bf16");
    if (l->shards.workers > 1)
        at += snprintf(out + at, size - (size_t)at, ", fewer threads than %d", l->shards.workers);
    snprintf(out + at, size - (size_t)at, ", a smaller network or smaller pictures");
}

ebb_status ebb_memory_explain(ebb_context *ctx, const ebb_recipe *r, const ebb_dataset *data)
{
    char reason[512], advice[256];
    ebb_learner l;
    snprintf(reason, sizeof reason, "%s", ebb_message(ctx));
    EBB_TRY(ebb_learner_measure(ctx, r, data, &l));
    ebb_learner_bytes b = ebb_learner_memory(&l);
    size_t all = b.blocks + b.gradients + b.packed + b.values + b.scratch;
    advise(r, &l, advice, sizeof advice);
    ebb_learner_free(&l);
    return ebb_fail(ctx, EBB_E_MEMORY,
                    "training needs %.1f GB (weights, moments and average %.1f, gradients %.1f, packed weights %.1f, "
                    "activations %.1f, scratch %.1f), but %s; to need less: %s (ebb plan --memory tells what each gives)",
                    gigabytes((double)all), gigabytes((double)b.blocks), gigabytes((double)b.gradients),
                    gigabytes((double)b.packed), gigabytes((double)b.values), gigabytes((double)b.scratch), reason, advice + 2);
}

/* optim.h: AdamW, clipping, learning rate and weight averaging, over blocks of parameters.
 */
#ifndef EBB_OPTIM_H
#define EBB_OPTIM_H

#include "train/ema.h"
#include "model/recipe.h"

#define EBB_BLOCKS_MAX 5
/* ema2: a second average, or NULL. */
typedef struct ebb_blocks { float *p, *m, *v, *ema, *ema2; } ebb_blocks;

/* The rule of the recipe's average, or of its second one. */
ebb_ema ebb_recipe_ema(const ebb_recipe *recipe, bool second);
bool ebb_recipe_has_ema2(const ebb_recipe *recipe);

/* Learning rate of step n (the first is 1) of the recipe's steps. */
double ebb_optim_lr(const ebb_recipe *recipe, int64_t n);
/* Euclidean norm of x. partial: ebb_optim_chunks(length) doubles. */
double ebb_optim_norm(ebb_context *ctx, const float *x, int64_t length, double *partial);
int64_t ebb_optim_chunks(int64_t length);
/* Step n of AdamW with gradient g of that norm, clipped, and of the average. */
void ebb_optim_step(ebb_context *ctx, const ebb_recipe *recipe, int64_t n, const ebb_blocks *blocks,
                    const float *g, double norm, int64_t length);

#endif

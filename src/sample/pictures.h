/* pictures.h: data for a model: those it was trained on, or those of a file or folder that are given in their place.
 */
#ifndef EBB_SAMPLE_PICTURES_H
#define EBB_SAMPLE_PICTURES_H

#include "model/model.h"

typedef struct ebb_data_choice {
    const char *path;            /* idx, npy, png, or a folder of png; NULL: what the model was trained on */
    const char *labels;          /* of idx and npy; NULL: none */
    bool classes;                /* each picture must have its class, where the model has any */
    int64_t first, n;            /* pictures first .. first+n-1; n 0: `usual`, or all if there are fewer */
    int64_t usual;               /* 0: all there are */
    int shape[3];                /* height, width, channels where they are not the model's; zeros: the model's */
} ebb_data_choice;
/* A recipe with these data, of which nothing is left out, in place of its own; labels NULL: none. */
ebb_status ebb_data_redirect(ebb_context *ctx, const char *path, const char *labels, ebb_recipe *recipe);
/* A recipe for `data`, complete: that recipe, where it names one or a file of one (.json); own with the file or folder in place of its
 * data; NULL: own as it is. labels take the place of a recipe's; NULL: none do. own NULL: ebb's defaults. *out, NULL before, is the
 * caller's to free, also after a failure. */
ebb_status ebb_data_recipe(ebb_context *ctx, const ebb_recipe *own, const char *data, const char *labels, ebb_recipe **out);
/* EBB_E_SHAPE: a recipe's pictures, known before they are read, are of another size than the model's. */
ebb_status ebb_data_fits(ebb_context *ctx, ebb_model *model, const ebb_recipe *data);
/* Opens them, fills in choice->n, and writes the name of the data to `name`. The data may hold pictures beyond those that
 * are asked for. EBB_E_SHAPE: pictures of another size than the model's; EBB_E_ARGUMENT: fewer than asked for. */
ebb_status ebb_data_open(ebb_context *ctx, const ebb_model *model, ebb_data_choice *choice, ebb_dataset *out,
                         char name[2 * EBB_TEXT_MAX]);
/* Those that were chosen, as plain arrays. */
ebb_status ebb_data_copy(ebb_context *ctx, const ebb_data_choice *choice, const ebb_dataset *data, ebb_pictures *out);

#endif

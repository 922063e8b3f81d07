/* dataset.h: pictures (or points) in memory, and the order in which training sees them.
 *
 * Bytes stay bytes until a batch is made: a quarter of the memory. Everything random is a function of
 * (seed, epoch) or (seed, step, sample), so that a resumed run sees what the uncut run would have seen.
 */
#ifndef EBB_DATASET_H
#define EBB_DATASET_H

#include "base/base.h"

typedef struct ebb_dataset_options {
    const char *kind;            /* idx, npy, png, synthetic, ring */
    const char *path;            /* idx, npy: file; png: file, or folder with one folder a class */
    const char *labels;          /* idx, npy: file of labels; "": none */
    int height, width;           /* pad to this with black; 0: as the data */
    int channels;                /* 0: as the data */
    int classes;                 /* labels must be below; 0: labels are not needed */
    int64_t limit;               /* the first pictures only; 0: all (synthetic, ring: 1024) */
    int64_t held_out;            /* of these each so many-th is left out, k-1, 2k-1, ...; 0: none */
    uint64_t seed;               /* synthetic, ring, ink */
    bool ink;                    /* grey pictures become coloured ones (ink.c); others stay as they are */
    bool average;                /* pictures k times as large as height x width become means of k x k pixels */
} ebb_dataset_options;

typedef struct ebb_dataset {
    int64_t n;                   /* 1 .. 2^32-1 */
    int height, width, channels;
    int64_t numbers;             /* height*width*channels */
    uint8_t *bytes;              /* (n,height,width,channels), 0..255, or NULL */
    float *values;               /* the same in [-1, 1]; exactly one of the two is there */
    int32_t *labels;             /* (n) or NULL */
} ebb_dataset;

ebb_status ebb_dataset_open(ebb_context *ctx, const ebb_dataset_options *options, ebb_dataset *out);
void ebb_dataset_free(ebb_dataset *data);
/* Picture i in [-1, 1] to x (numbers); mirror: left-right. */
void ebb_dataset_picture(const ebb_dataset *data, int64_t i, bool mirror, float *x);
/* The classes of a file, IDX or npy of integers, one axis; what is no sensible class is -1. ebb_free. */
ebb_status ebb_dataset_labels(ebb_context *ctx, const char *path, int32_t **labels, int64_t *count);
/* The path as given, else in `beside`, in $EBB_DATA, in the data directories of the build: the first
 * that exists, written to `out` (find.c). */
ebb_status ebb_dataset_find(ebb_context *ctx, const char *path, const char *beside, char *out, size_t size);

/* ---- makers, one a kind: fill n, shape, bytes or values, labels ------------------------- */
ebb_status ebb_dataset_idx(ebb_context *ctx, const ebb_dataset_options *options, ebb_dataset *out);
ebb_status ebb_dataset_npy(ebb_context *ctx, const ebb_dataset_options *options, ebb_dataset *out);
ebb_status ebb_dataset_png(ebb_context *ctx, const ebb_dataset_options *options, ebb_dataset *out);
ebb_status ebb_dataset_synthetic(ebb_context *ctx, const ebb_dataset_options *options, ebb_dataset *out);
ebb_status ebb_dataset_ring(ebb_context *ctx, const ebb_dataset_options *options, ebb_dataset *out);
/* For the makers: sets the shape of the result from that of the data (h,w,c) and the options and
 * allocates n pictures of bytes (black) or values (-1). */
ebb_status ebb_dataset_shape(ebb_context *ctx, const ebb_dataset_options *options, int64_t n, int64_t h,
                             int64_t w,
                             int64_t c, bool bytes, ebb_dataset *out);
/* Puts a picture (h,w,channels) into the middle of picture i; a larger one, which ebb_dataset_shape allowed, as means of its
 * pixels. source: bytes or floats. */
void ebb_dataset_place(ebb_dataset *data, int64_t i, int64_t h, int64_t w, const void *source);
/* Grey pictures in the inks of a seed; others stay as they are (ink.c). */
ebb_status ebb_dataset_paint(ebb_context *ctx, uint64_t seed, ebb_dataset *data);
/* The saturated colour of picture i, its largest number 1. */
void ebb_ink(uint64_t seed, int64_t i, double rgb[3]);
int64_t ebb_dataset_limit(const ebb_dataset_options *options, int64_t n);

/* ---- looking at a folder of PNG files (folder.c) ------------------------------------------ */
typedef struct ebb_folder_class { char *name; int64_t pictures; } ebb_folder_class;
typedef struct ebb_folder {
    ebb_folder_class *class;     /* in the order of their labels */
    int32_t classes;             /* 0: no subfolders, so no labels */
    int64_t pictures;
    char *first;                 /* path of the first picture */
} ebb_folder;
ebb_status ebb_folder_look(ebb_context *ctx, const char *path, ebb_folder *out);
void ebb_folder_free(ebb_folder *folder);

/* ---- order (order.c) -------------------------------------------------------------------- */
typedef struct ebb_order {
    uint64_t seed;
    uint32_t n;
    int64_t epoch;               /* that `index` is of; -1: none yet */
    uint32_t *index;             /* (n) permutation of the epoch */
} ebb_order;
ebb_status ebb_order_create(ebb_context *ctx, uint64_t seed, int64_t n, ebb_order *out);
void ebb_order_free(ebb_order *order);
/* The picture at `position` = step*batch + i of the endless sequence of epochs. Not thread-safe. */
uint32_t ebb_order_at(ebb_order *order, int64_t position);

#endif

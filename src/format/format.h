/* format.h: bytes <-> structs. Any input gives a value or an error that names the file, the offset or
 * the key, and what to do; never a crash.
 */
#ifndef EBB_FORMAT_H
#define EBB_FORMAT_H

#include <jansson.h>

#include "base/base.h"

/* ---- safetensors (safetensors.c): u64 LE header length, JSON header, data ---------------------- */
typedef enum ebb_st_type {
    EBB_ST_F32, EBB_ST_F16, EBB_ST_BF16, EBB_ST_F64, EBB_ST_I64, EBB_ST_I32, EBB_ST_U8, EBB_ST_I8,
    EBB_ST_I16, EBB_ST_U16, EBB_ST_U32, EBB_ST_U64, EBB_ST_BOOL
} ebb_st_type;
typedef struct ebb_st_tensor {
    const char *name;
    ebb_st_type type;
    int rank;
    int64_t dim[8];
    const void *data;            /* into the file's memory; maybe unaligned for its type */
    size_t bytes;
} ebb_st_tensor;
typedef struct ebb_safetensors {
    char *path;
    void *memory; size_t size;
    ebb_st_tensor *tensor; int32_t count;
    json_t *metadata;            /* object of strings, or NULL */
} ebb_safetensors;
/* Strict: header bounds, duplicate names, types, shape x type = bytes, no overlap, no gap, no slack. */
ebb_status ebb_st_read(ebb_context *ctx, const char *path, ebb_safetensors *out);
void ebb_st_free(ebb_safetensors *st);
const ebb_st_tensor *ebb_st_find(const ebb_safetensors *st, const char *name);   /* NULL: absent */
const char *ebb_st_metadata(const ebb_safetensors *st, const char *key);         /* NULL: absent */
const char *ebb_st_type_name(ebb_st_type type);
size_t ebb_st_type_bytes(ebb_st_type type);
/* Atomic. metadata: object of strings or NULL. Data aligned to 64 bytes within the file (header padded
 * with spaces). A crc32 of header (its own digits as zeros) and data goes into the metadata as "ebb.crc32"
 * and, where present, is verified by ebb_st_read: a flipped bit is an error. */
ebb_status ebb_st_write(ebb_context *ctx, const char *path, const ebb_st_tensor *tensor, int32_t count,
                        const json_t *metadata);
/* The same for data that never lie in memory all at once: fill(arg, i) is called before the data of tensor i
 * are read, for each i in turn, once for the checksum and once for the file; it must give the same both times. */
typedef void (*ebb_st_fill)(void *arg, int32_t i);
ebb_status ebb_st_write_filled(ebb_context *ctx, const char *path, const ebb_st_tensor *tensor, int32_t count,
                               const json_t *metadata, ebb_st_fill fill, void *arg);

/* ---- IDX (idx.c): MNIST's format, plain or gzip ------------------------------------------------- */
typedef struct ebb_idx { uint8_t *data; int rank; int64_t dim[4]; } ebb_idx;   /* unsigned bytes only */
ebb_status ebb_idx_read(ebb_context *ctx, const char *path, ebb_idx *out);
void ebb_idx_free(ebb_idx *idx);

/* ---- npy (npy.c), versions 1.0 to 3.0, C order, little endian ------------------------------------- */
typedef struct ebb_npy {
    void *memory;
    void *data;                  /* aligned for its type */
    char kind; int item;         /* 'u', 'i', 'f' or 'b'; bytes of an element */
    int rank; int64_t dim[8];
} ebb_npy;
ebb_status ebb_npy_read(ebb_context *ctx, const char *path, ebb_npy *out);
/* The same of `size` bytes in a block of ebb_alloc, which *out takes over, or which is freed on failure. */
ebb_status ebb_npy_parse(ebb_context *ctx, const char *path, void *memory, size_t size, ebb_npy *out);
/* NumPy's archives of them, npz (npz.c): each member in turn, by the name without ".npy"; other than EBB_OK stops. */
typedef ebb_status (*ebb_npz_member)(void *user, ebb_context *ctx, const char *path, const char *name, const ebb_npy *npy);
ebb_status ebb_npz_read(ebb_context *ctx, const char *path, ebb_npz_member take, void *user);
void ebb_npy_free(ebb_npy *npy);
/* Writing: the public ebb_npy_write. */

/* ---- pictures (image.c, grid.c) -------------------------------------------------------------------- */
typedef struct ebb_image { uint8_t *data; int height, width, channels; } ebb_image;   /* channels 1 or 3 */
ebb_status ebb_png_read(ebb_context *ctx, const char *path, ebb_image *out);
ebb_status ebb_png_write(ebb_context *ctx, const char *path, const ebb_image *image);
void ebb_image_free(ebb_image *image);
/* Lays pictures out in a grid with labels in a built-in font; the public ebb_grid_write. */

/* ---- JSON (json.c) ------------------------------------------------------------------------------------ */
/* Parses a file or a text; errors say path, line and column. */
ebb_status ebb_json_read(ebb_context *ctx, const char *path, json_t **out);
ebb_status ebb_json_parse(ebb_context *ctx, const char *text, const char *where, json_t **out);
/* Compact (indent 0) or indented text, keys in insertion order, doubles with 17 digits; ebb_free. */
ebb_status ebb_json_text(ebb_context *ctx, const json_t *json, int indent, char **out);
/* A file of that, indented by 2; never half of it. */
ebb_status ebb_json_write(ebb_context *ctx, const char *path, const json_t *json);

#endif

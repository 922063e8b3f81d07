/* params.h: all parameters of a network as one block of f32.
 *
 * Each parameter starts at a multiple of 16 floats (64 bytes); the gaps stay zero. So weights, moments,
 * averages and gradients are plain arrays of one length, over which the optimiser sweeps in chunks that
 * know nothing of parameters. Those that are never trained lie behind all others, where it stops.
 */
#ifndef EBB_PARAMS_H
#define EBB_PARAMS_H

#include "diffusion/diffusion.h"
#include "format/format.h"

typedef struct ebb_param_place {
    const char *name;            /* as in files */
    ebb_shape shape;             /* in memory */
    ebb_layout layout;           /* how a file orders it */
    ebb_init init; float scale;
    int64_t offset, count;       /* floats, in the block */
} ebb_param_place;

typedef struct ebb_params {
    ebb_param_place *at; int count;
    int64_t length;              /* of a block, floats, with gaps */
    int64_t trained;             /* as much of it the optimiser sweeps */
    int64_t numbers;             /* without */
    int64_t chunk; int chunks;   /* floats of a block that are summed, or sent, at a time; how many such there are */
    char *names;                 /* text that at[].name point into */
} ebb_params;

/* From any graph that builds the network. */
ebb_status ebb_params_from_graph(ebb_context *ctx, const ebb_graph *g, ebb_params *out);
ebb_status ebb_params_from_network(ebb_context *ctx, const ebb_network *net, ebb_params *out);
void ebb_params_free(ebb_params *params);
/* The plan reads its parameters from this block. */
void ebb_params_bind(const ebb_params *params, ebb_plan *plan, const float *block);
/* Floats of chunk c, which starts at c * params->chunk. */
int64_t ebb_params_chunk(const ebb_params *params, int c);
/* Draws every parameter as its node says, from (seed, number of the parameter). */
void ebb_params_init(ebb_context *ctx, const ebb_params *params, uint64_t seed, float *block);

/* ---- files: PyTorch's layouts ----------------------------------------------------------- */
/* Block in memory order -> block in file order (each parameter at the same offset), and back. */
void ebb_params_to_file(ebb_context *ctx, const ebb_params *params, float *file, const float *memory);
/* Rows for ebb_st_write that show `file`, a block in file order; names are prefix + name, written to
 * `text`, params->count * EBB_PARAM_NAME_MAX bytes. */
#define EBB_PARAM_NAME_MAX 160
void ebb_params_rows(const ebb_params *params, const char *prefix, const float *file, char *text,
                     ebb_st_tensor *rows);
/* One of them from a tensor of f32: of the right shape, finite. whose: what makes that shape, in messages. */
ebb_status ebb_param_read(ebb_context *ctx, const ebb_param_place *p, const ebb_st_tensor *t, const char *path, const char *whose,
                          float *block);
/* Every parameter from a file, strictly: present, f32, of the right shape, finite. */
ebb_status ebb_params_read(ebb_context *ctx, const ebb_params *params, const ebb_safetensors *st,
                           const char *prefix, float *block);

#endif

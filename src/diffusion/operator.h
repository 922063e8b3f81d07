/* operator.h: linear measurements y = H x + sigma_y noise of pictures, each as four functions and a list of singular values.
 *
 * The one idea: H = U S V' with a V that is cheap to apply (a mask's is the identity, a block mean's a reflection, a blur's
 * the cosine transform), so that methods can work on the axes of V, where each number is seen with a strength s_i of its own
 * or not at all. U needs no code: since H'U = V S, the coordinates that y tells are
 *   U'y/s = V'H'y/s^2,   and the pseudo-inverse is H^+ y = V (U'y/s), 0 where s = 0.
 */
#ifndef EBB_OPERATOR_H
#define EBB_OPERATOR_H

#include "graph/graph.h"

#define EBB_OPERATOR_SIDE_MAX 4096
#define EBB_OPERATOR_MATRIX_MAX 64

typedef enum ebb_operator_kind {
#define OPERATOR(id, name, function, help) EBB_OPERATOR_##id,
#include "diffusion/operators.def"
#undef OPERATOR
    EBB_OPERATORS
} ebb_operator_kind;
const char *ebb_operator_name(ebb_operator_kind kind);     /* NULL: past the end */
const char *ebb_operator_help(ebb_operator_kind kind);
ebb_operator_kind ebb_operator_find(const char *name);     /* EBB_OPERATORS: unknown */

typedef struct ebb_operator ebb_operator;
struct ebb_operator {
    int64_t count, rows;         /* numbers of x; of y, at most as many */
    int shape[3];                /* y as a picture: height, width, channels; of inpainting the whole picture */
    double *singular;            /* (count) s of each axis of V; 0: not seen, or too weakly to divide by */
    void (*apply)(const ebb_operator *op, const double *x, double *y);       /* H x */
    void (*adjoint)(const ebb_operator *op, const double *y, double *x);     /* H'y */
    void (*turn)(const ebb_operator *op, bool back, double *c);              /* in place: V'x, or V c */
    /* In place: numbers beyond [-1,1] back into it without a change of H x, where y lies in it; NULL: cutting them off leaves
     * H x alone, or nothing simple does. */
    void (*fit)(const ebb_operator *op, double *x);
    /* ---- the functions' own */
    int height, width, channels, block_height, block_width;
    int64_t *known;              /* (rows) mask: which numbers */
    double *left, *right;        /* blur: (height,height), (width,width); matrix: (rows,count) in left */
    double *left_axes, *right_axes; /* blur: cosine transforms; matrix: V (count,count) in left_axes */
};

typedef struct ebb_operator_options {
    int height, width, channels;
    const uint8_t *mask;         /* inpaint: (height,width), not 0: known */
    int block_height, block_width; /* super-resolution: pixels of a block; 0: 4 */
    double blur;                 /* deblur: standard deviation in pixels; 0: 1 */
} ebb_operator_options;
/* EBB_E_ARGUMENT: options that do not fit the picture. */
ebb_status ebb_operator_create(ebb_context *ctx, ebb_operator_kind kind, const ebb_operator_options *o, ebb_operator *out);
/* Any h (rows,count) of at most EBB_OPERATOR_MATRIX_MAX numbers; singular values below 1e-7 of the largest count as 0. */
ebb_status ebb_operator_matrix(ebb_context *ctx, int rows, int count, const double *h, ebb_operator *out);
void ebb_operator_free(ebb_operator *op);

/* U'y/s on the axes of V, 0 where s = 0; c (count). */
void ebb_operator_seen(const ebb_operator *op, const double *y, double *c);
/* H^+ y; x (count). */
void ebb_operator_pseudo(const ebb_operator *op, const double *y, double *x);
/* y (rows) out of a picture of the shape above. */
void ebb_operator_read(const ebb_operator *op, const double *picture, double *y);

/* How much of their distances from the mean numbers between lo and hi may keep to lie in [-1,1]: 0 to 1; 1 where the mean itself
 * does not. */
double ebb_operator_room_around(double mean, double lo, double hi);

/* ---- for the makers --------------------------------------------------------------------------------------------------- */
/* Room for singular and `more` doubles, which left points to. */
ebb_status ebb_operator_room(ebb_context *ctx, size_t more, ebb_operator *op);
#define OPERATOR(id, name, function, help) \
    ebb_status function(ebb_context *ctx, const ebb_operator_options *o, ebb_operator *out);
#include "diffusion/operators.def"
#undef OPERATOR

#endif

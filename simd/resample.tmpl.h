/* resample.tmpl.h: nearest up-sampling, its adjoint and transposition in vector verbs. Specification:
 * c/resample.c. */
#include <string.h>

#include "instances.h"
#include "lanes.tmpl.h"

VEC void copy_floats(float *y, const float *x, size_t n)
{
    size_t k = 0;
    for (; k + VW <= n; k += VW)
        vf_store(y + k, vf_load(x + k));
    if (k < n)
        vf_store_n(y + k, vf_load_n(x + k, n - k), n - k);
}

void EBB_INSTANCE(up2_f32)(int h, int w, int c, float *y, const float *x)
{
    size_t size = (size_t)c, row = 2 * (size_t)w * size;  /* of y */
    for (int i = 0; i < h; i++, y += 2 * row) {
        for (size_t j = 0; j < (size_t)w; j++, x += size) {
            copy_floats(y + 2 * j * size, x, size);
            copy_floats(y + (2 * j + 1) * size, x, size);
        }
        copy_floats(y + row, y, row);
    }
}

void EBB_INSTANCE(down2_f32)(int h, int w, int c, float *y, const float *x)
{
    size_t size = (size_t)c, row = 2 * (size_t)w * size;  /* of x */
    for (int i = 0; i < h; i++, x += row) {
        for (int j = 0; j < w; j++, x += 2 * size, y += size) {
            size_t k = 0;
            for (; k + VW <= size; k += VW) {
                vf top = vf_add(vf_load(x + k), vf_load(x + size + k));
                vf low = vf_add(vf_load(x + row + k), vf_load(x + row + size + k));
                vf_store(y + k, vf_add(top, low));
            }
            if (k < size) {
                size_t left = size - k;
                vf top = vf_add(vf_load_n(x + k, left), vf_load_n(x + size + k, left));
                vf low = vf_add(vf_load_n(x + row + k, left), vf_load_n(x + row + size + k, left));
                vf_store_n(y + k, vf_add(top, low), left);
            }
        }
    }
}

VEC void copy_bf16(ebb_bf16 *y, const ebb_bf16 *x, size_t n)
{
    size_t k = 0;
    for (; k + 2 * VW <= n; k += 2 * VW)
        vf_store((float *)(void *)(y + k), vf_load((const float *)(const void *)(x + k)));
    memcpy(y + k, x + k, (n - k) * sizeof *y);
}

void EBB_INSTANCE(up2_bf16)(int h, int w, int c, ebb_bf16 *y, const ebb_bf16 *x)
{
    size_t size = (size_t)c, row = 2 * (size_t)w * size;  /* of y */
    for (int i = 0; i < h; i++, y += 2 * row) {
        for (size_t j = 0; j < (size_t)w; j++, x += size) {
            copy_bf16(y + 2 * j * size, x, size);
            copy_bf16(y + (2 * j + 1) * size, x, size);
        }
        copy_bf16(y + row, y, row);
    }
}

/* Even and odd elements apart: a sum does not care which it adds. */
VEC void down2_pair(ebb_bf16 *y, const ebb_bf16 *x, size_t size, size_t row)
{
    vf even[4], odd[4];
    vf_load_bf16_pair(x, &even[0], &odd[0]);
    vf_load_bf16_pair(x + size, &even[1], &odd[1]);
    vf_load_bf16_pair(x + row, &even[2], &odd[2]);
    vf_load_bf16_pair(x + row + size, &even[3], &odd[3]);
    vf_store_bf16_pair(y, vf_add(vf_add(even[0], even[1]), vf_add(even[2], even[3])),
                       vf_add(vf_add(odd[0], odd[1]), vf_add(odd[2], odd[3])));
}

VEC void down2_rest(ebb_bf16 *y, const ebb_bf16 *x, size_t size, size_t row, size_t n)
{
    vf top = vf_add(vf_load_bf16_n(x, n), vf_load_bf16_n(x + size, n));
    vf low = vf_add(vf_load_bf16_n(x + row, n), vf_load_bf16_n(x + row + size, n));
    vf_store_bf16_n(y, vf_add(top, low), n);
}

void EBB_INSTANCE(down2_bf16)(int h, int w, int c, ebb_bf16 *y, const ebb_bf16 *x)
{
    size_t size = (size_t)c, row = 2 * (size_t)w * size;  /* of x */
    for (int i = 0; i < h; i++, x += row) {
        for (int j = 0; j < w; j++, x += 2 * size, y += size) {
            size_t k = 0;
            for (; k + 2 * VW <= size; k += 2 * VW)
                down2_pair(y + k, x + k, size, row);
            for (; k < size; k += VW)
                down2_rest(y + k, x + k, size, row, lanes_left(k, size));
        }
    }
}

/* A square of VW x VW through registers; at the edges only rows x cols of it exist. */
VEC void transpose_square(size_t rows, size_t cols, float *y, size_t ldy, const float *x, size_t ldx)
{
    vf r[VW];
    for (size_t i = 0; i < VW; i++)
        r[i] = i >= rows ? vf_zero() : cols == VW ? vf_load(x + i * ldx) : vf_load_n(x + i * ldx, cols);
    vf_transpose(r);
    for (size_t j = 0; j < VW; j++) {
        if (j < cols && rows == VW)
            vf_store(y + j * ldy, r[j]);
        else if (j < cols)
            vf_store_n(y + j * ldy, r[j], rows);
    }
}

void EBB_INSTANCE(transpose_f32)(size_t rows, size_t cols, float *y, size_t ldy, const float *x, size_t ldx)
{
    for (size_t i = 0; i < rows; i += VW) {
        size_t height = lanes_left(i, rows);
        size_t j = 0;
        if (height == VW)
            for (; j + VW <= cols; j += VW)
                transpose_square(VW, VW, y + j * ldy + i, ldy, x + i * ldx + j, ldx);
        for (; j < cols; j += VW)
            transpose_square(height, lanes_left(j, cols), y + j * ldy + i, ldy, x + i * ldx + j, ldx);
    }
}

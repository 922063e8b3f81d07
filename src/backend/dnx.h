/* dnx.h: one face for oneDNN 2.x and 3.x, for onednn.c and the benchmarks.
 *
 * Code is written to the 3.x signatures. There a descriptor is a handle and an operation goes straight to
 * its primitive descriptor; in 2.x a descriptor is a struct and an operation descriptor stands between.
 * dnx_md holds either by value, dnx_ref gives what the calls take.
 */
#ifndef EBB_DNX_H
#define EBB_DNX_H

#include <oneapi/dnnl/dnnl.h>

/* Hands a refusal on to the caller. */
#define DNX_TRY(expression)                       \
    do {                                          \
        dnnl_status_t try_status_ = (expression); \
        if (try_status_ != dnnl_success)          \
            return try_status_;                   \
    } while (0)

typedef dnnl_memory_desc_t dnx_md;

#if DNNL_VERSION_MAJOR >= 3

typedef const_dnnl_memory_desc_t dnx_cmd;

static inline dnx_cmd dnx_ref(const dnx_md *md)
{
    return *md;
}
static inline void dnx_md_free(dnx_md *md)
{
    if (*md)
        dnnl_memory_desc_destroy(*md);
    *md = NULL;
}
#define dnx_md_tag dnnl_memory_desc_create_with_tag
#define dnx_md_strides dnnl_memory_desc_create_with_strides
#define dnx_conv dnnl_convolution_forward_primitive_desc_create
#define dnx_conv_dx dnnl_convolution_backward_data_primitive_desc_create
#define dnx_conv_dw dnnl_convolution_backward_weights_primitive_desc_create
#define dnx_matmul dnnl_matmul_primitive_desc_create

#else

typedef const dnnl_memory_desc_t *dnx_cmd;

static inline dnx_cmd dnx_ref(const dnx_md *md)
{
    return md;
}
static inline void dnx_md_free(dnx_md *md)
{
    (void)md;
}
#define dnx_md_tag dnnl_memory_desc_init_by_tag
#define dnx_md_strides dnnl_memory_desc_init_by_strides

static inline dnnl_status_t dnx_conv(dnnl_primitive_desc_t *pd, dnnl_engine_t engine, dnnl_prop_kind_t prop,
                                     dnnl_alg_kind_t alg, dnx_cmd x, dnx_cmd w, dnx_cmd bias, dnx_cmd y,
                                     const dnnl_dims_t strides, const dnnl_dims_t dilates,
                                     const dnnl_dims_t left, const dnnl_dims_t right,
                                     const_dnnl_primitive_attr_t attr)
{
    dnnl_convolution_desc_t d;
    dnnl_status_t status = dnnl_dilated_convolution_forward_desc_init(&d, prop, alg, x, w, bias, y, strides,
                                                                      dilates, left, right);
    return status != dnnl_success ? status : dnnl_primitive_desc_create(pd, &d, attr, engine, NULL);
}

static inline dnnl_status_t dnx_conv_dx(dnnl_primitive_desc_t *pd, dnnl_engine_t engine, dnnl_alg_kind_t alg,
                                        dnx_cmd dx, dnx_cmd w, dnx_cmd dy, const dnnl_dims_t strides,
                                        const dnnl_dims_t dilates, const dnnl_dims_t left,
                                        const dnnl_dims_t right, const_dnnl_primitive_desc_t hint,
                                        const_dnnl_primitive_attr_t attr)
{
    dnnl_convolution_desc_t d;
    dnnl_status_t status = dnnl_dilated_convolution_backward_data_desc_init(&d, alg, dx, w, dy, strides,
                                                                            dilates, left, right);
    return status != dnnl_success ? status : dnnl_primitive_desc_create(pd, &d, attr, engine, hint);
}

static inline dnnl_status_t dnx_conv_dw(dnnl_primitive_desc_t *pd, dnnl_engine_t engine, dnnl_alg_kind_t alg,
                                        dnx_cmd x, dnx_cmd dw, dnx_cmd dbias, dnx_cmd dy,
                                        const dnnl_dims_t strides, const dnnl_dims_t dilates,
                                        const dnnl_dims_t left, const dnnl_dims_t right,
                                        const_dnnl_primitive_desc_t hint, const_dnnl_primitive_attr_t attr)
{
    dnnl_convolution_desc_t d;
    dnnl_status_t status = dnnl_dilated_convolution_backward_weights_desc_init(&d, alg, x, dw, dbias, dy,
                                                                               strides, dilates, left, right);
    return status != dnnl_success ? status : dnnl_primitive_desc_create(pd, &d, attr, engine, hint);
}

static inline dnnl_status_t dnx_matmul(dnnl_primitive_desc_t *pd, dnnl_engine_t engine, dnx_cmd a, dnx_cmd b,
                                       dnx_cmd bias, dnx_cmd c, const_dnnl_primitive_attr_t attr)
{
    dnnl_matmul_desc_t d;
    dnnl_status_t status = dnnl_matmul_desc_init(&d, a, b, bias, c);
    return status != dnnl_success ? status : dnnl_primitive_desc_create(pd, &d, attr, engine, NULL);
}

#endif

/* Lives as long as the primitive descriptor. */
static inline const char *dnx_name(const_dnnl_primitive_desc_t pd)
{
    const char *name = NULL;
    dnnl_status_t status = dnnl_primitive_desc_query(pd, dnnl_query_impl_info_str, 0, &name);
    return status == dnnl_success && name ? name : "";
}

static inline size_t dnx_scratch_bytes(const_dnnl_primitive_desc_t pd)
{
    dnx_cmd md = dnnl_primitive_desc_query_md(pd, dnnl_query_scratchpad_md, 0);
    return md ? dnnl_memory_desc_get_size(md) : 0;
}

#endif

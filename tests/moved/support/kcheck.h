/* kcheck.h: the names that generators beside src/check use until they move there. */
#ifndef EBB_KCHECK_MOVED_H
#define EBB_KCHECK_MOVED_H

#include "check/kcheck.h"

#define kcheck_in ebb_kcheck_in
#define kcheck_out ebb_kcheck_out
#define kcheck_special ebb_kcheck_special
#define kcheck_copy ebb_kcheck_copy
#define kcheck_done ebb_kcheck_done
#define kcheck_random ebb_kcheck_random
#define kcheck_below ebb_kcheck_below
#define kcheck_equal ebb_kcheck_equal
#define kcheck_close ebb_kcheck_close
#define kcheck_in_bf16 ebb_kcheck_in_bf16
#define kcheck_out_bf16 ebb_kcheck_out_bf16
#define kcheck_special_bf16 ebb_kcheck_special_bf16
#define kcheck_copy_bf16 ebb_kcheck_copy_bf16
#define kcheck_equal_bf16 ebb_kcheck_equal_bf16
#define kcheck_text ebb_kcheck_text
#define kcheck_WINO ebb_kcheck_WINO
#define kcheck_WINO_DW ebb_kcheck_WINO_DW
#define kcheck_ATTENTION ebb_kcheck_ATTENTION
#define kcheck_ATTENTION_VJP ebb_kcheck_ATTENTION_VJP
#define kcheck_ATTENTION_BF16 ebb_kcheck_ATTENTION_BF16
#define kcheck_ATTENTION_VJP_BF16 ebb_kcheck_ATTENTION_VJP_BF16
#define kcheck_NARROW ebb_kcheck_NARROW
#define kcheck_WIDEN ebb_kcheck_WIDEN
#define kcheck_NORM_BF16 ebb_kcheck_NORM_BF16
#define kcheck_NORM_VJP_BF16 ebb_kcheck_NORM_VJP_BF16
#define kcheck_GEMM_BF16 ebb_kcheck_GEMM_BF16
#define kcheck_CONV_BF16 ebb_kcheck_CONV_BF16
#define kcheck_CONV_DX_BF16 ebb_kcheck_CONV_DX_BF16
#define kcheck_CONV_DW_BF16 ebb_kcheck_CONV_DW_BF16

#endif

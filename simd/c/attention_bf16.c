/* attention_bf16.c: the specification of attention on bfloat16: that of f32, with a rounding at the end. */
#define EBB_ISA_TAG c
#include "attention_bf16.tmpl.h"

/* safetensors.h: what reading and writing of safetensors share. */
#ifndef EBB_FORMAT_SAFETENSORS_H
#define EBB_FORMAT_SAFETENSORS_H

#include "format/format.h"

#define EBB_ST_HEADER_LIMIT ((size_t)100000000)   /* of the reference implementation */
enum { EBB_ST_CRC_DIGITS = 8, EBB_ST_RANK_MAX = 8 };

/* Bytes of shape and type; false when the type is unknown, a dimension negative or the product too large. */
bool ebb_st_shape_bytes(ebb_st_type type, int rank, const int64_t *dim, size_t *bytes);
/* Where the digits of "ebb.crc32":"12345678" are in compact JSON; NULL: nowhere. */
const char *ebb_st_find_crc(const char *header, size_t size);
/* CRC-32 of the header but for the digits at `digits`, which count as zeros. */
uint32_t ebb_st_header_crc(const char *header, size_t size, const char *digits);
/* An object of strings; errors name the path. */
ebb_status ebb_st_check_metadata(ebb_context *ctx, const char *path, const json_t *metadata);

#endif

/* err.c: the message on the context.
 *
 * One idea: a failure is recorded once, where it is noticed, in words for the person who has to act on
 * it; callers forward the status and may put before it what they were about to do.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/base.h"

/* A null context is allowed: the allocator serves callers that have none yet. */
ebb_status ebb_fail(ebb_context *ctx, ebb_status status, const char *format, ...)
{
    if (!ctx)
        return status;
    /* Composed aside, because an argument may be the old message itself. */
    char text[sizeof ctx->message];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    memcpy(ctx->message, text, sizeof text);
    ctx->status = status;
    return status;
}

ebb_status ebb_fail_prefix(ebb_context *ctx, const char *format, ...)
{
    char text[sizeof ctx->message];
    va_list args;
    va_start(args, format);
    int length = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (length < 0 || (size_t)length >= sizeof text)
        length = (int)strlen(text);
    size_t room = sizeof text - (size_t)length;
    snprintf(text + length, room, ": %.*s", (int)(room > 3 ? room - 3 : 0), ctx->message);
    memcpy(ctx->message, text, sizeof text);
    return ctx->status;
}

const char *ebb_message(const ebb_context *ctx)
{
    return ctx ? ctx->message : "out of memory: not even a context could be made";
}

const char *ebb_status_name(ebb_status status)
{
    switch (status) {
    case EBB_OK: return "ok";
    case EBB_E_ARGUMENT: return "argument";
    case EBB_E_USAGE: return "usage";
    case EBB_E_MEMORY: return "memory";
    case EBB_E_IO: return "io";
    case EBB_E_FORMAT: return "format";
    case EBB_E_SHAPE: return "shape";
    case EBB_E_NUMERIC: return "numeric";
    case EBB_E_UNSUPPORTED: return "unsupported";
    case EBB_E_INTERNAL: return "internal";
    }
    return "unknown";
}

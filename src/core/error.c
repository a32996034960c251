/* Errors: formats messages. The first error wins. */
#include "core/error.h"

#include <stdio.h>
#include <string.h>

__attribute__((format(printf, 3, 0))) static void set(struct error *err,
                                                      enum status status,
                                                      const char *format, va_list args)
{
    err->status = status;
    vsnprintf(err->message, sizeof err->message, format, args);
}

bool error_set(struct error *err, enum status status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    if (err->status == STATUS_OK)
        set(err, status, format, args);
    va_end(args);
    return false;
}

bool error_replace(struct error *err, enum status status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    set(err, status, format, args);
    va_end(args);
    return false;
}

bool error_memory(struct error *err)
{
    return error_set(err, STATUS_MEMORY, "out of memory");
}

void error_prefix(struct error *err, const char *prefix)
{
    char message[sizeof err->message];
    snprintf(message, sizeof message, "%s", err->message);
    int n = snprintf(err->message, sizeof err->message, "%s: ", prefix);
    if (n < 0 || (size_t)n >= sizeof err->message)
        return;
    snprintf(err->message + n, sizeof err->message - (size_t)n, "%s", message);
}

void error_append(struct error *err, const char *text)
{
    size_t length = strlen(err->message);
    snprintf(err->message + length, sizeof err->message - length, "%s", text);
}

bool cancelled(const volatile int *cancel, struct error *err)
{
    if (!cancel || !*cancel)
        return false;
    error_set(err, STATUS_CANCELLED, "stopped");
    return true;
}

/* Errors: formats messages. The first error wins. */
#include "core/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_inside(const char *text)
{
    return (*text & 0xC0) == 0x80; /* of a character in UTF-8 */
}

/* The file comes first in a message, and the cause and what to do come last. So the
 * middle of a message that is too long goes, where a long name is. */
static void shorten(const char *text, size_t length, char *out, size_t size)
{
    static const char gap[] = " ... ";
    size_t head = (size - sizeof gap) / 2, tail = length - (size - sizeof gap - head);
    while (head > 0 && is_inside(text + head))
        head--;
    while (is_inside(text + tail))
        tail++;
    snprintf(out, size, "%.*s%s%s", (int)head, text, gap, text + tail);
}

__attribute__((format(printf, 2, 0))) static void put(struct error *err,
                                                      const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    int n = vsnprintf(err->message, sizeof err->message, format, args);
    size_t length = n < 0 ? 0 : (size_t)n;
    char *whole = length < sizeof err->message ? NULL : malloc(length + 1);
    if (whole) {
        vsnprintf(whole, length + 1, format, again);
        shorten(whole, length, err->message, sizeof err->message);
    }
    free(whole);
    va_end(again);
}

bool error_set(struct error *err, enum status status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    if (err->status == STATUS_OK) {
        err->status = status;
        put(err, format, args);
    }
    va_end(args);
    return false;
}

bool error_replace(struct error *err, enum status status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    err->status = status;
    put(err, format, args);
    va_end(args);
    return false;
}

bool error_memory(struct error *err)
{
    return error_set(err, STATUS_MEMORY, "out of memory");
}

void error_prefix(struct error *err, const char *prefix)
{
    const struct error old = *err;
    error_replace(err, old.status, "%s: %s", prefix, old.message);
}

void error_append(struct error *err, const char *text)
{
    const struct error old = *err;
    error_replace(err, old.status, "%s%s", old.message, text);
}

bool cancelled(const volatile int *cancel, struct error *err)
{
    if (!cancel_wanted(cancel))
        return false;
    error_set(err, STATUS_CANCELLED, "stopped");
    return true;
}

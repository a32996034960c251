/* Errors: a status and a message. The message names the file, the tensor or node, and the
 * reason. The first error wins: later errors on the same struct are dropped, so clean-up
 * code may fail without hiding the cause. */
#ifndef NIBBLE_CORE_ERROR_H
#define NIBBLE_CORE_ERROR_H

#include <stdarg.h>
#include <stdbool.h>

enum status {
    STATUS_OK = 0,
    STATUS_INVALID,     /* options that contradict each other or make no sense */
    STATUS_READ,        /* a file that can't be opened or read */
    STATUS_WRITE,       /* a file that can't be written */
    STATUS_MALFORMED,   /* the model's bytes break the format */
    STATUS_UNSUPPORTED, /* a sound model that can't be converted with its meaning kept */
    STATUS_MEMORY,      /* out of memory, or over the cap */
    STATUS_CANCELLED,   /* the caller asked to stop */
};

struct error {
    enum status status;
    char message[4096];
};

/* Sets the error unless one is set already. Always returns false, so that a function
 * which returns bool can end with `return error_set(...)`. */
bool error_set(struct error *err, enum status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Sets the error even if one is set already, because this one says more. Returns
 * false. */
bool error_replace(struct error *err, enum status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Sets the error for a failed allocation. Returns false. */
bool error_memory(struct error *err);

/* Puts "PREFIX: " before the message, to name the file that it is about. */
void error_prefix(struct error *err, const char *prefix);

/* Appends text to the message. */
void error_append(struct error *err, const char *text);

/* Whether *cancel is not 0. `cancel` may be NULL. Any thread may set it meanwhile. */
static inline bool cancel_wanted(const volatile int *cancel)
{
    return cancel && __atomic_load_n(cancel, __ATOMIC_RELAXED) != 0;
}

/* The same, and sets an error. */
bool cancelled(const volatile int *cancel, struct error *err);

#endif

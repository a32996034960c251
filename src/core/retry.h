/* System calls that a signal interrupts are made again: a program that uses the library
 * may have handlers. */
#ifndef NIBBLE_CORE_RETRY_H
#define NIBBLE_CORE_RETRY_H

#include <errno.h>

/* result = call, which returns a negative number and sets errno if it fails. */
#define RETRY(result, call) \
    do                      \
        (result) = (call);  \
    while ((result) < 0 && errno == EINTR)

#endif

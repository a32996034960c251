/* The same message and status, under the names of nibble.h. */
#include "public_error.h"

#include <string.h>

enum nibble_status public_error(const struct error *err, struct nibble_error *error)
{
    if (error) {
        *error = (struct nibble_error){.status = (enum nibble_status)err->status};
        memcpy(error->message, err->message, sizeof error->message);
    }
    return (enum nibble_status)err->status;
}

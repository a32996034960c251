/* Errors: from the library's own struct to the caller's. */
#ifndef NIBBLE_PUBLIC_ERROR_H
#define NIBBLE_PUBLIC_ERROR_H

#include "core/error.h"
#include "nibble.h"

/* Fills in *error unless it is NULL. Returns the status. */
enum nibble_status public_error(const struct error *err, struct nibble_error *error);

#endif

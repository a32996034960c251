/* The names of weights as tables show them. */
#ifndef NIBBLE_REPORT_ROW_NAMES_H
#define NIBBLE_REPORT_ROW_NAMES_H

#include "nibble.h"

/* The printable name of a weight, after the path of the graph it belongs to. The caller
 * frees it; NULL when out of memory. */
char *full_name(const struct nibble_weight *w);

/* A name for each quantized weight of a report, NULL for the others. */
struct row_names {
    char **names;
    size_t count, width; /* of the widest one, in characters */
};

/* Shortens the names to `room` characters, or to as many more as keep different names
 * different. False when out of memory. */
bool row_names_make(const struct nibble_report *report, size_t room,
                    struct row_names *rows);
void row_names_free(struct row_names *rows);

#endif

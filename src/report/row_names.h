/* Names of weights for tables. */
#ifndef NIBBLE_REPORT_ROW_NAMES_H
#define NIBBLE_REPORT_ROW_NAMES_H

#include "nibble.h"

/* Returns the path of the graph that the weight belongs to and the name of the weight, in
 * printable form. The caller frees it. NULL if memory ran out. */
char *full_name(const struct nibble_weight *w);

/* Returns the name of the weight's node, in the same way. */
char *node_of_row(const struct nibble_weight *w);

/* A name for each quantized weight of a report, and NULL for each other weight. */
struct row_names {
    char **names;
    size_t count;
    size_t width; /* of the widest name, in characters */
};

/* Makes names with `name`, full_name or node_of_row. Shortens them to `room` characters,
 * or to more if different names need it to stay different. False if memory ran out. */
bool row_names_make(const struct nibble_report *report,
                    char *(*name)(const struct nibble_weight *w), size_t room,
                    struct row_names *rows);
void row_names_free(struct row_names *rows);

#endif

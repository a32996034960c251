/* The table of a report for a terminal: a line for each quantized weight. */
#ifndef NIBBLE_REPORT_TABLE_H
#define NIBBLE_REPORT_TABLE_H

#include "nibble.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum { CELL_SIZE = 128 };

/* Cells of weights, which the groups of single weights show as well. `out` has CELL_SIZE
 * bytes. */
void cell_operator(char *out, const struct nibble_weight *w);
void cell_shape(char *out, const struct nibble_weight *w);

/* Prints the table. Names are shortened until they fit a line of so many columns. `nodes`
 * adds the names of nodes. False when out of memory. */
bool put_table(FILE *out, const struct nibble_report *report, size_t line, bool nodes);

#endif

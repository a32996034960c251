/* Pieces of text that reports are made of: sizes with units, names made safe for
 * a terminal and for JSON, names shortened to a width. */
#ifndef NIBBLE_REPORT_FORMAT_H
#define NIBBLE_REPORT_FORMAT_H

#include <stddef.h>
#include <stdint.h>

/* Three significant digits and a decimal unit: "17 B", "4.10 kB", "1.50 GB". */
#define FORMAT_SIZE 16
void format_bytes(char out[FORMAT_SIZE], uint64_t bytes);

/* The same for counts, without a unit of their own: "512", "4.10 k", "1.50 M". */
void format_count(char out[FORMAT_SIZE], uint64_t count);

/* The string as valid UTF-8 that can't move a terminal's cursor: control and
 * direction characters and bytes that are no UTF-8 become \n, \t, \xNN or \uNNNN.
 * The caller frees it; NULL when out of memory. */
char *format_printable(const char *text);

/* The string as valid UTF-8, wrong bytes replaced by U+FFFD. The caller frees it;
 * NULL when out of memory. */
char *format_utf8(const char *text);

/* Number of characters in valid UTF-8. */
size_t format_width(const char *text);

/* Shortens valid UTF-8, in place, to `width` characters (8 or more) in the middle
 * of it: leading parts of a dotted name or path first become their initials, with
 * numbers kept ("f.d3.d12.conv2.weight"); then "~" takes the place of the
 * middle. */
void format_shorten(char *name, size_t width);

#endif

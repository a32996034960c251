/* Pieces of text for reports: sizes with units, names that are safe for a terminal or for
 * JSON, and names that are shortened to a width. */
#ifndef NIBBLE_REPORT_FORMAT_H
#define NIBBLE_REPORT_FORMAT_H

#include <stddef.h>
#include <stdint.h>

/* Writes three significant digits and a decimal unit: "17 B", "4.10 kB", "1.50 GB". */
#define FORMAT_SIZE 16
void format_bytes(char out[FORMAT_SIZE], uint64_t bytes);

/* The same for counts, without the unit B: "512", "4.10 k", "1.50 M". */
void format_count(char out[FORMAT_SIZE], uint64_t count);

/* Returns the string as valid UTF-8 that can't move a terminal's cursor. Control and
 * direction characters and bytes that are not UTF-8 become \n, \t, \xNN or \uNNNN. The
 * caller frees the result. NULL if memory ran out. */
char *format_printable(const char *text);

/* The same for as much of the string as has room, without memory of its own. `room` is
 * that of `out` and more than 25. */
void format_printable_part(char *out, size_t room, const char *text);

/* Returns the string as valid UTF-8, with U+FFFD in place of wrong bytes. The caller
 * frees the result. NULL if memory ran out. */
char *format_utf8(const char *text);

/* The number of characters in valid UTF-8. */
size_t format_width(const char *text);

/* Shortens valid UTF-8 in place to `width` characters, 8 or more. Leading parts of a
 * dotted name or a path become their initials first, and keep their numbers
 * ("f.d3.d12.conv2.weight"). If that is not enough, "~" replaces the middle. */
void format_shorten(char *name, size_t width);

#endif

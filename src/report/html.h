/* Writes HTML. Text from models is escaped here and nowhere else. */
#ifndef NIBBLE_REPORT_HTML_H
#define NIBBLE_REPORT_HTML_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct html {
    FILE *out;
    bool failed; /* memory ran out */
};

/* Writes markup of our own. It must contain no text from a model. */
void html_put(struct html *html, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Writes text that may hold anything. Characters with a meaning in HTML become entities.
 * Control and direction characters become visible. */
void html_text(struct html *html, const char *text);

/* The same for names. A name in a script from right to left does not move its
 * neighbours. */
void html_name(struct html *html, const char *text);

/* Table cells that sort by `key`. NaN comes last. */
void html_number(struct html *html, double key, const char *text);
void html_bytes(struct html *html, double bytes);
void html_decibels(struct html *html, double value, const char *without);

/* "19.1 dB", "exact", or `without` if the value is NaN. */
enum { HTML_SHORT = 32 };
void decibels_text(char out[HTML_SHORT], double value, const char *without);

#endif

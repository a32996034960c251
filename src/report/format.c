/* Sizes, counts and names as text. This file knows units. It knows nothing
 * about reports, columns or JSON. */
#include "report/format.h"
#include "core/utf8.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- numbers ---------------------------------------------------------- */

/* Writes three digits of the value in the largest unit that leaves 1 or more. */
static void format_scaled(char out[FORMAT_SIZE], uint64_t value, const char *const *units)
{
    if (value < 1000) {
        snprintf(out, FORMAT_SIZE, "%u%s", (unsigned)value, units[0]);
        return;
    }
    double x = (double)value;
    size_t unit = 0;
    while (x >= 999.5 && units[unit + 1]) {
        x /= 1000;
        unit++;
    }
    int digits = x < 9.995 ? 2 : x < 99.95 ? 1 : 0;
    snprintf(out, FORMAT_SIZE, "%.*f%s", digits, x, units[unit]);
}

void format_bytes(char out[FORMAT_SIZE], uint64_t bytes)
{
    static const char *const units[] = {" B",  " kB", " MB", " GB",
                                        " TB", " PB", " EB", NULL};
    format_scaled(out, bytes, units);
}

void format_count(char out[FORMAT_SIZE], uint64_t count)
{
    static const char *const units[] = {"", " k", " M", " G", " T", " P", " E", NULL};
    format_scaled(out, count, units);
}

/* ---- text -------------------------------------------------------------- */

/* Writes an active character in visible form. Returns its length, at most 6. */
static size_t escape_control(char *out, uint32_t c)
{
    if (c == '\n' || c == '\t')
        return (size_t)sprintf(out, "\\%c", c == '\n' ? 'n' : 't');
    return (size_t)sprintf(out, c < 0x80 ? "\\x%02X" : "\\u%04X", (unsigned)c);
}

enum { PRINTABLE_GROWTH = 6 };

/* Writes a character so that it can be printed, without a zero at the end. Its bytes
 * become at most PRINTABLE_GROWTH times as many. Returns where the next one begins. */
static const unsigned char *put_printable(char **to, const unsigned char *s)
{
    uint32_t c;
    size_t n = utf8_next(s, &c);
    if (n == 0) {
        *to += sprintf(*to, "\\x%02X", *s);
        return s + 1;
    }
    if (utf8_is_active(c)) {
        *to += escape_control(*to, c);
    } else {
        memcpy(*to, s, n);
        *to += n;
    }
    return s + n;
}

char *format_printable(const char *text)
{
    const unsigned char *s = (const unsigned char *)text;
    size_t room = strlen(text);
    if (room > SIZE_MAX / PRINTABLE_GROWTH - 1)
        return NULL;
    char *out = malloc(PRINTABLE_GROWTH * room + 1);
    if (!out)
        return NULL;
    char *to = out;
    while (*s)
        s = put_printable(&to, s);
    *to = '\0';
    return out;
}

void format_printable_part(char *out, size_t room, const char *text)
{
    const unsigned char *s = (const unsigned char *)text;
    char *end = out + room, *to = out;
    while (*s && (size_t)(end - to) > 4 * PRINTABLE_GROWTH)
        s = put_printable(&to, s);
    *to = '\0';
}

char *format_utf8(const char *text)
{
    const unsigned char *s = (const unsigned char *)text;
    size_t room = strlen(text);
    if (room > SIZE_MAX / 3 - 1)
        return NULL;
    char *out = malloc(3 * room + 1);
    if (!out)
        return NULL;
    char *to = out;
    while (*s) {
        uint32_t c;
        size_t n = utf8_next(s, &c);
        memcpy(to, n ? (const char *)s : "\xEF\xBF\xBD", n ? n : 3);
        to += n ? n : 3;
        s += n ? n : 1;
    }
    *to = '\0';
    return out;
}

static bool is_start(char byte)
{
    return ((unsigned char)byte & 0xC0) != 0x80;
}

size_t format_width(const char *text)
{
    size_t width = 0;
    for (; *text; text++)
        width += is_start(*text);
    return width;
}

/* ---- shortening ------------------------------------------------------- */

static bool is_separator(char c)
{
    return c == '.' || c == '/' || c == ':';
}

/* The number of bytes before the next separator. 0 for the last part. */
static size_t part_length(const char *part)
{
    size_t n = strcspn(part, "./:");
    return part[n] ? n : 0;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Keeps the initial and the digits of a part. Returns their length. */
static size_t keep_initial(char *part, size_t length)
{
    size_t n = 1;
    while (n < length && !is_start(part[n]))
        n++;
    for (size_t i = n; i < length; i++)
        if (is_digit(part[i]))
            part[n++] = part[i];
    return n;
}

/* Shortens leading parts to initials until the name fits, or until only the last part is
 * whole. Returns the width of the name. */
static size_t shorten_parts(char *name, size_t have, size_t width)
{
    char *part = name;
    while (have > width) {
        while (is_separator(*part))
            part++;
        size_t length = part_length(part);
        if (length == 0)
            break;
        size_t kept = keep_initial(part, length);
        memmove(part + kept, part + length, strlen(part + length) + 1);
        part += kept;
        have = format_width(name);
    }
    return have;
}

/* Replaces the middle by "~". Keeps more of the end, because it says more. */
static void shorten_middle(char *name, size_t have, size_t width)
{
    size_t head = (width - 1) / 3, tail = width - 1 - head;
    char *left = name, *right = name;
    for (size_t i = 0; i < head; i++)
        do
            left++;
        while (!is_start(*left));
    for (size_t i = 0; i < have - tail; i++)
        do
            right++;
        while (!is_start(*right));
    memmove(left + 1, right, strlen(right) + 1);
    *left = '~';
}

void format_shorten(char *name, size_t width)
{
    size_t have = format_width(name);
    if (have > width)
        have = shorten_parts(name, have, width);
    if (have > width)
        shorten_middle(name, have, width);
}

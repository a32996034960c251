/* The writer of HTML: escaping, and cells of tables. It knows nothing about reports. */
#include "report/html.h"
#include "report/format.h"

#include <stdarg.h>
#include <stdlib.h>

void html_put(struct html *html, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vfprintf(html->out, format, args);
    va_end(args);
}

void html_text(struct html *html, const char *text)
{
    char *printable = format_printable(text);
    html->failed = html->failed || !printable;
    for (const char *c = printable ? printable : ""; *c; c++) {
        switch (*c) {
        case '<':
            fputs("&lt;", html->out);
            break;
        case '>':
            fputs("&gt;", html->out);
            break;
        case '&':
            fputs("&amp;", html->out);
            break;
        case '"':
            fputs("&quot;", html->out);
            break;
        case '\'':
            fputs("&#39;", html->out);
            break;
        default:
            fputc(*c, html->out);
        }
    }
    free(printable);
}

void html_name(struct html *html, const char *text)
{
    html_put(html, "<bdi>");
    html_text(html, text);
    html_put(html, "</bdi>");
}

void html_number(struct html *html, double key, const char *text)
{
    html_put(html, "<td class=n");
    if (!isnan(key)) /* a whole number, which looks the same in every locale */
        html_put(html, " data-key=%.0f", isinf(key) ? copysign(1e40, key) : key * 1e9);
    html_put(html, ">");
    html_text(html, text);
    html_put(html, "</td>");
}

void html_bytes(struct html *html, double bytes)
{
    char text[FORMAT_SIZE] = "";
    if (bytes >= 0 && bytes < 0x1p63)
        format_bytes(text, (uint64_t)bytes);
    html_number(html, bytes, text);
}

void decibels_text(char out[HTML_SHORT], double value, const char *without)
{
    if (isnan(value))
        snprintf(out, HTML_SHORT, "%s", without);
    else if (isinf(value) && value > 0)
        snprintf(out, HTML_SHORT, "exact");
    else
        snprintf(out, HTML_SHORT, "%.1f dB", value);
}

void html_decibels(struct html *html, double value, const char *without)
{
    char text[HTML_SHORT];
    decibels_text(text, value, without);
    html_number(html, value, text);
}

/* The look of the page, and its script. */
#ifndef NIBBLE_REPORT_HTML_STYLE_H
#define NIBBLE_REPORT_HTML_STYLE_H

extern const char html_style[];
extern const char html_script[];

/* A policy that lets the page load nothing, and run no script but this one, even if a
 * name should ever get into the markup. It holds the hashes of both. */
extern const char html_policy[];

#endif

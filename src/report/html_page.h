/* The report as an HTML page, made from one or two JSON reports. */
#ifndef NIBBLE_REPORT_HTML_PAGE_H
#define NIBBLE_REPORT_HTML_PAGE_H

#include "core/error.h"
#include "report/html.h"
#include "report/json_read.h"

/* Makes the page of one or two reports (`other` NULL: one). The caller frees it. Returns
 * NULL after an error. */
char *html_page(const char *report, const char *other, struct error *err);

/* ---- what the parts of the page share ---- */

enum { PAGE_REPORTS = 2 };

struct page {
    struct html html;
    const cJSON *reports[PAGE_REPORTS];
    size_t count;
};

/* "A" or "B" if there are two reports, otherwise "". */
const char *page_letter(const struct page *page, size_t report);

/* Whether the report is one of compare. */
bool page_is_comparison(const cJSON *report);

/* The sections, each with its heading. A section without content writes nothing. */
void page_totals(struct page *page);
void page_weights(struct page *page);
void page_histograms(struct page *page);
void page_kept_float(struct page *page);

#endif

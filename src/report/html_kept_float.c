/* The weights that stay float, by reason. */
#include "report/html_page.h"

#include <stdlib.h>
#include <string.h>

struct entry {
    const cJSON *weight;
    const char *reason;
    size_t place; /* in the model */
};

static int by_reason(const void *left, const void *right)
{
    const struct entry *a = left, *b = right;
    int order = strcmp(a->reason, b->reason);
    return order ? order : (a->place > b->place) - (a->place < b->place);
}

static size_t collect(const cJSON *report, struct entry *entries)
{
    const cJSON *weight;
    size_t count = 0;
    cJSON_ArrayForEach(weight, json_get(report, "weights"))
    {
        if (!cJSON_IsFalse(json_get(weight, "quantized")))
            continue;
        entries[count] = (struct entry){weight, json_get_text(weight, "reason"), count};
        count++;
    }
    qsort(entries, count, sizeof *entries, by_reason);
    return count;
}

/* Entries of one reason. Their names fold away. */
static void put_group(struct html *html, const struct entry *entries, size_t count)
{
    char summary[HTML_SHORT];
    double bytes = 0;
    for (size_t i = 0; i < count; i++)
        bytes += json_get_before(entries[i].weight, "bytes");
    snprintf(summary, sizeof summary, "%zu", count);
    html_put(html, "<tr>");
    html_number(html, (double)count, summary);
    html_bytes(html, bytes);
    html_put(html, "<td><details><summary>");
    html_text(html, entries[0].reason);
    html_put(html, "</summary><ul>");
    for (size_t i = 0; i < count; i++) {
        char shape[256];
        json_get_shape(entries[i].weight, shape, sizeof shape);
        html_put(html, "<li>");
        html_name(html, json_get_text(entries[i].weight, "name"));
        html_put(html, " <span class=soft>%s</span></li>", shape);
    }
    html_put(html, "</ul></details></td></tr>\n");
}

static void put_report(struct page *page, size_t report)
{
    struct html *html = &page->html;
    const cJSON *weights = json_get(page->reports[report], "weights");
    struct entry *entries =
        calloc((size_t)cJSON_GetArraySize(weights) + 1, sizeof *entries);
    html->failed = html->failed || !entries;
    size_t count = entries ? collect(page->reports[report], entries) : 0;
    if (count > 0)
        html_put(html,
                 "<h2>Stays float%s%s</h2>\n<div class=wide><table><thead><tr>"
                 "<th class=n>Weights</th><th class=n>Bytes</th><th>Why</th></tr></thead>"
                 "<tbody>\n",
                 page->count > 1 ? " in " : "", page_letter(page, report));
    for (size_t first = 0, end; first < count; first = end) {
        for (end = first + 1; end < count; end++)
            if (strcmp(entries[end].reason, entries[first].reason) != 0)
                break;
        put_group(html, entries + first, end - first);
    }
    if (count > 0)
        html_put(html, "</tbody></table></div>\n");
    free(entries);
}

void page_kept_float(struct page *page)
{
    for (size_t i = 0; i < page->count; i++)
        put_report(page, i);
}

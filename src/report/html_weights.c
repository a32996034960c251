/* The table of weights, with the columns of one or two reports. */
#include "core/map.h"
#include "report/html_page.h"

#include <stdlib.h>
#include <string.h>

/* A weight in each report. NULL if a report lacks it. */
struct html_row {
    const cJSON *sides[PAGE_REPORTS];
};

struct html_rows {
    struct html_row *items;
    size_t count;
    struct map by_key; /* from text in `keys` to rows */
    char **keys;       /* one for each row */
};

/* ---- rows --------------------------------------------------------------- */

/* Weights of two reports are the same if graph and name are. A copy follows the weight
 * that it is a further form of. */
static char *make_key(const cJSON *weight, size_t copy)
{
    const char *graph = json_get_text(weight, "graph");
    const char *name = json_get_text(weight, "name");
    size_t room = strlen(graph) + strlen(name) + 32;
    char *key = malloc(room);
    if (key)
        snprintf(key, room, "%zu\n%s\n%s", copy, graph, name);
    return key;
}

/* Enters the weight into the row with its key, or into a new one. */
static bool enter(struct html_rows *rows, const cJSON *weight, size_t side, size_t copy)
{
    char *key = make_key(weight, copy);
    struct html_row *row = key ? map_get(&rows->by_key, key) : NULL;
    if (!key || (row && !row->sides[side])) {
        if (row)
            row->sides[side] = weight;
        free(key);
        return row != NULL;
    }
    rows->keys[rows->count] = key;
    row = &rows->items[rows->count++];
    row->sides[side] = weight;
    return map_put(&rows->by_key, key, row);
}

static bool collect(const struct page *page, struct html_rows *rows)
{
    size_t room = 1;
    for (size_t i = 0; i < page->count; i++)
        room += (size_t)cJSON_GetArraySize(json_get(page->reports[i], "weights"));
    rows->items = calloc(room, sizeof *rows->items);
    rows->keys = calloc(room, sizeof *rows->keys);
    bool ok = rows->items && rows->keys;
    for (size_t i = 0; i < page->count; i++) {
        const cJSON *weight;
        size_t copy = 0;
        cJSON_ArrayForEach(weight, json_get(page->reports[i], "weights"))
        {
            copy = json_get_true(weight, "copy") ? copy + 1 : 0;
            ok = ok && enter(rows, weight, i, copy);
        }
    }
    return ok;
}

static void rows_free(struct html_rows *rows)
{
    map_free(&rows->by_key);
    for (size_t i = 0; i < rows->count; i++)
        free(rows->keys[i]);
    free(rows->keys);
    free(rows->items);
}

/* Weights of a comparison are those that changed. */
static bool is_shown(const cJSON *weight)
{
    return weight &&
           (!json_get(weight, "quantized") || json_get_true(weight, "quantized"));
}

/* ---- columns ------------------------------------------------------------ */

/* Which columns there are. */
struct columns {
    bool forms, bytes, outputs;
};

/* Writes "int4 block 32". The axis is left out, since it follows from the operator. */
static void put_codes(struct html *html, const cJSON *weight)
{
    char text[64];
    const char *granularity = json_get_text(weight, "granularity");
    snprintf(text, sizeof text, "%.30s%s%.*s", json_get_text(weight, "type"),
             *granularity ? " " : "", (int)(strcspn(granularity, ",") % sizeof text),
             granularity);
    html_text(html, text);
}

static void put_type(struct html *html, const cJSON *weight,
                     const struct columns *columns)
{
    const cJSON *found = json_get(weight, "found");
    html_put(html, "<td class=side>");
    if (weight && cJSON_IsFalse(json_get(weight, "quantized"))) {
        html_text(html, "stays ");
        html_text(html, json_get_text(weight, "element_type"));
    } else if (cJSON_IsFalse(found)) {
        html_text(html, "not found");
    } else if (weight) {
        put_codes(html, weight);
    }
    html_put(html, "</td>");
    if (!columns->forms)
        return;
    html_put(html, "<td>");
    html_text(html, json_get_text(weight, "form"));
    html_put(html, "</td>");
}

static void put_side(struct html *html, const cJSON *weight,
                     const struct columns *columns)
{
    bool quantized = is_shown(weight);
    put_type(html, weight, columns);
    if (columns->bytes)
        html_bytes(html, json_get_after(weight, "bytes"));
    html_decibels(html, quantized ? json_get_snr(weight, "snr_db") : (double)NAN, "");
    if (columns->outputs)
        html_decibels(html, json_get_real(weight, "output_snr_db"), "");
}

static void put_row(struct html *html, const struct html_row *row, size_t count,
                    const struct columns *columns)
{
    const cJSON *first = row->sides[0] ? row->sides[0] : row->sides[1];
    char shape[256];
    json_get_shape(first, shape, sizeof shape);
    html_put(html, "<tr><td>");
    const char *graph = json_get_text(first, "graph");
    if (*graph) {
        html_name(html, graph);
        html_put(html, " / ");
    }
    html_name(html, json_get_text(first, "name"));
    html_put(html, "</td><td>");
    html_text(html, json_get_text(first, "op_type"));
    html_put(html, "</td>");
    html_number(html, json_get_real(first, "elements"), shape);
    if (columns->bytes)
        html_bytes(html, json_get_before(first, "bytes"));
    for (size_t i = 0; i < count; i++)
        put_side(html, row->sides[i], columns);
    html_put(html, "</tr>\n");
}

static void put_heads(struct page *page, const struct columns *columns)
{
    struct html *html = &page->html;
    int common = 3 + columns->bytes,
        each = 2 + columns->forms + columns->bytes + columns->outputs;
    html_put(html, "<thead>");
    if (page->count > 1)
        html_put(html,
                 "<tr><th colspan=%d></th><th class=side colspan=%d>A</th>"
                 "<th class=side colspan=%d>B</th></tr>",
                 common, each, each);
    html_put(html, "<tr><th>Weight</th><th>Operator</th><th class=n>Shape</th>%s",
             columns->bytes ? "<th class=n>Float</th>" : "");
    for (size_t i = 0; i < page->count; i++)
        html_put(html, "<th class=side>Type</th>%s%s<th class=n>SNR</th>%s",
                 columns->forms ? "<th>Form</th>" : "",
                 columns->bytes ? "<th class=n>Bytes</th>" : "",
                 columns->outputs ? "<th class=n>Layer output</th>" : "");
    html_put(html, "</tr></thead>\n");
}

static struct columns find_columns(const struct page *page)
{
    struct columns columns = {.forms = page->count == 1};
    for (size_t i = 0; i < page->count; i++) {
        const cJSON *weight;
        columns.bytes = columns.bytes || !page_is_comparison(page->reports[i]);
        cJSON_ArrayForEach(weight, json_get(page->reports[i], "weights"))
            columns.outputs = columns.outputs || json_get_true(weight, "calibrated");
    }
    return columns;
}

void page_weights(struct page *page)
{
    struct html *html = &page->html;
    struct html_rows rows = {0};
    const struct columns columns = find_columns(page);
    html->failed = !collect(page, &rows) || html->failed;
    html_put(html, "<h2>Weights</h2>\n"
                   "<p class=soft>SNR is 10 log10(signal / noise) in dB: higher is "
                   "better, and 6 dB are one bit.</p>\n"
                   "<div class=wide><table class=sort>");
    put_heads(page, &columns);
    html_put(html, "<tbody>\n");
    for (size_t i = 0; i < rows.count; i++)
        if (is_shown(rows.items[i].sides[0]) || is_shown(rows.items[i].sides[1]))
            put_row(html, &rows.items[i], page->count, &columns);
    html_put(html, "</tbody></table></div>\n");
    rows_free(&rows);
}

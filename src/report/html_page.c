/* The page: what the reports say about the model as a whole, and the order of sections.
 * It takes reports as JSON, so it can show those of other runs, and what programs have
 * added to them. */
#include "report/html_page.h"
#include "core/text_stream.h"
#include "report/html_style.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

const char *page_letter(const struct page *page, size_t report)
{
    return page->count < 2 ? "" : report == 0 ? "A" : "B";
}

bool page_is_comparison(const cJSON *report)
{
    return cJSON_IsString(json_get(report, "quantized"));
}

/* ---- notes and commands ------------------------------------------------- */

static void put_notes(struct page *page, size_t report)
{
    const char *letter = page_letter(page, report);
    const cJSON *note;
    cJSON_ArrayForEach(note, json_get(page->reports[report], "notes"))
    {
        const char *text = cJSON_GetStringValue(note);
        html_put(&page->html, "<p class=note>%s%s", letter, *letter ? ": " : "");
        html_text(&page->html, text ? text : "");
        html_put(&page->html, "</p>\n");
    }
    if (cJSON_IsFalse(json_get(page->reports[report], "reached")))
        html_put(&page->html,
                 "<p class=note>%s%sthe goal was not reached. This is the "
                 "nearest result.</p>\n",
                 letter, *letter ? ": " : "");
    if (json_get_true(page->reports[report], "is_random"))
        html_put(&page->html,
                 "<p class=note>%s%sthe inputs are random. Real ones may "
                 "give quite other figures.</p>\n",
                 letter, *letter ? ": " : "");
}

static void put_commands(struct page *page)
{
    bool any = false;
    for (size_t i = 0; i < page->count; i++) {
        const char *command = json_get_text(page->reports[i], "command");
        if (!*command)
            continue;
        html_put(&page->html, "%s<pre>", any ? "" : "<h2>Made by</h2>\n");
        html_text(&page->html, command);
        html_put(&page->html, "</pre>\n");
        any = true;
    }
}

/* ---- outputs ------------------------------------------------------------ */

static const cJSON *output_named(const cJSON *report, const char *name)
{
    const cJSON *output;
    cJSON_ArrayForEach(
        output, json_get(report, "outputs")) if (strcmp(json_get_text(output, "name"),
                                                        name) == 0) return output;
    return NULL;
}

static void put_measure(struct html *html, const cJSON *output, const char *key,
                        const char *format, double factor)
{
    char text[HTML_SHORT] = "";
    double value = factor * json_get_real(output, key);
    if (!isnan(value)) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        snprintf(text, sizeof text, format, value);
#pragma GCC diagnostic pop
    }
    html_number(html, value, text);
}

static void put_output_row(struct page *page, const char *name)
{
    struct html *html = &page->html;
    html_put(html, "<tr><td>");
    html_name(html, name);
    html_put(html, "</td>");
    for (size_t i = 0; i < page->count; i++) {
        const cJSON *output = output_named(page->reports[i], name);
        html_decibels(html, json_get_real(output, "snr_db"), "");
        put_measure(html, output, "cosine", "%.6f", 1);
        put_measure(html, output, "max_difference", "%.3g", 1);
        put_measure(html, output, "top1", "%.2f %%", 100);
    }
    html_put(html, "</tr>\n");
}

static void put_outputs(struct page *page)
{
    struct html *html = &page->html;
    const cJSON *first = json_get(page->reports[0], "outputs");
    const cJSON *second = page->count > 1 ? json_get(page->reports[1], "outputs") : NULL;
    const cJSON *output;
    if (cJSON_GetArraySize(first) + cJSON_GetArraySize(second) == 0)
        return;
    html_put(html, "<h2>Outputs</h2>\n<p class=soft>The outputs of the quantized model "
                   "against those of the float model, in runs of both.</p>\n"
                   "<div class=wide><table class=sort><thead><tr><th>Output</th>");
    for (size_t i = 0; i < page->count; i++) {
        const char *letter = page_letter(page, i);
        html_put(html,
                 "<th class=n>%s SNR</th><th class=n>%s Cosine</th>"
                 "<th class=n>%s Largest difference</th><th class=n>%s Top-1</th>",
                 letter, letter, letter, letter);
    }
    html_put(html, "</tr></thead><tbody>\n");
    cJSON_ArrayForEach(output, first) put_output_row(page, json_get_text(output, "name"));
    cJSON_ArrayForEach(output, second) if (!output_named(page->reports[0],
                                                         json_get_text(output, "name")))
        put_output_row(page, json_get_text(output, "name"));
    html_put(html, "</tbody></table></div>\n");
}

/* ---- the page ----------------------------------------------------------- */

static void put_page(struct page *page)
{
    struct html *html = &page->html;
    html_put(html,
             "<!DOCTYPE html>\n<html lang=en><head><meta charset=utf-8>\n"
             "<meta http-equiv=Content-Security-Policy content=\"%s\">\n"
             "<meta name=viewport content=\"width=device-width,initial-scale=1\">\n"
             "<title>",
             html_policy);
    html_text(html, json_get_text(page->reports[0], "model"));
    html_put(html, " - nibble</title>\n<style>%s</style></head><body>\n<h1>", html_style);
    html_name(html, json_get_text(page->reports[0], "model"));
    html_put(html, "%s</h1>\n", page->count > 1 ? ", two reports" : "");
    for (size_t i = 0; i < page->count; i++)
        put_notes(page, i);
    page_totals(page);
    put_outputs(page);
    page_weights(page);
    page_histograms(page);
    page_kept_float(page);
    put_commands(page);
    html_put(html, "<script>%s</script>\n</body></html>", html_script);
}

static cJSON *parse(const char *text, struct error *err)
{
    errno = 0;
    cJSON *report = cJSON_Parse(text);
    if (!report && errno == ENOMEM) {
        error_memory(err);
        return NULL;
    }
    if (cJSON_IsObject(report) && cJSON_IsArray(json_get(report, "weights")))
        return report;
    cJSON_Delete(report);
    error_set(err, STATUS_INVALID,
              "this is no report: give what --json or nibble_report_json has written");
    return NULL;
}

/* Writes the page into a string, which the caller frees. */
static char *print(struct page *page, struct error *err)
{
    struct text_stream stream;
    if (text_stream_open(&stream)) {
        page->html.out = stream.out;
        put_page(page);
    }
    char *text = text_stream_close(&stream);
    if (text && !page->html.failed)
        return text;
    free(text);
    error_memory(err);
    return NULL;
}

char *html_page(const char *report, const char *other, struct error *err)
{
    struct page page = {.count = other ? 2 : 1};
    cJSON *first = parse(report, err),
          *second = first && other ? parse(other, err) : NULL;
    char *text = NULL;
    page.reports[0] = first;
    page.reports[1] = second;
    if (first && (second || !other))
        text = print(&page, err);
    cJSON_Delete(first);
    cJSON_Delete(second);
    return text;
}

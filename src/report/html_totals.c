/* The table of totals: a row for each fact that a report has, a column for each report.
 */
#include "core/text_stream.h"
#include "report/format.h"
#include "report/html_page.h"

#include <stdlib.h>

typedef void total_fn(struct html *html, const cJSON *report);

static void put_model(struct html *html, const cJSON *report)
{
    html_name(html, json_get_text(report, "model"));
}

static void put_output(struct html *html, const cJSON *report)
{
    html_name(html,
              json_get_text(report, page_is_comparison(report) ? "quantized" : "output"));
}

static void put_change(struct html *html, double before, double after)
{
    char a[FORMAT_SIZE] = "", b[FORMAT_SIZE] = "";
    if (!(before >= 0 && before < 0x1p63))
        return;
    format_bytes(a, (uint64_t)before);
    html_text(html, a);
    if (!(after > 0 && after < 0x1p63))
        return;
    format_bytes(b, (uint64_t)after);
    html_put(html, " &rarr; %s", b);
    if (after < before)
        html_put(html, ", <b>%.2f times smaller</b>", before / after);
}

static void put_size(struct html *html, const cJSON *report)
{
    put_change(html, json_get_before(report, "bytes"), json_get_after(report, "bytes"));
}

static void put_constants(struct html *html, const cJSON *report)
{
    put_change(html, json_get_before(report, "weight_bytes"),
               json_get_after(report, "weight_bytes"));
}

static void put_quantized(struct html *html, const cJSON *report)
{
    double done = json_get_real(report, "quantized"),
           left = json_get_real(report, "left"),
           elements = json_get_real(report, "elements");
    if (isnan(done) || isnan(left))
        return;
    html_put(html, "%.0f of %.0f constants", done, done + left);
    if (elements > 0)
        html_put(html, ", %.1f %% of their elements",
                 100 * json_get_real(report, "elements_quantized") / elements);
}

static void put_bits(struct html *html, const cJSON *report)
{
    double bits = json_get_real(report, "bits_per_weight");
    if (bits > 0)
        html_put(html, "%.2f", bits);
}

static void put_opset(struct html *html, const cJSON *report)
{
    double before = json_get_before(report, "opset"),
           after = json_get_after(report, "opset");
    if (isnan(before))
        return;
    html_put(html, "%.0f", before);
    if (after > before)
        html_put(html, " &rarr; %.0f", after);
}

static void put_slow(struct html *html, const cJSON *report)
{
    double slow = json_get_real(report, "slow");
    if (slow > 0)
        html_put(html, "%.0f weights", slow);
}

static void put_estimate(struct html *html, const cJSON *report)
{
    double snr = json_get_real(report, "estimated_snr_db");
    if (isfinite(snr))
        html_put(html, "%.0f dB, from the errors of the weights", fmax(snr, 0));
}

static void put_runs(struct html *html, const cJSON *report)
{
    double runs = json_get_real(report, "calibration_runs"),
           held = json_get_real(report, "held_out_runs");
    if (runs >= 0 && held >= 0)
        html_put(html, "%.0f runs, and %.0f held out to measure the outputs", runs, held);
    if (*json_get_text(report, "data")) {
        html_put(html, "%.0f runs with ", json_get_real(report, "runs"));
        html_name(html, json_get_text(report, "data"));
    }
}

static void put_latency(struct html *html, const cJSON *report)
{
    const cJSON *latency = json_get(report, "latency");
    double before = json_get_real(latency, "float_seconds"),
           after = json_get_real(latency, "quantized_seconds");
    if (before > 0 && after > 0)
        html_put(html, "%.3g ms &rarr; %.3g ms", 1000 * before, 1000 * after);
}

static void put_float16(struct html *html, const cJSON *report)
{
    double stored = json_get_real(report, "stored_float16");
    if (stored > 0)
        html_put(html, "%.0f of those that stay float", stored);
}

static void put_version(struct html *html, const cJSON *report)
{
    html_text(html, json_get_text(report, "nibble"));
}

static const struct {
    const char *head;
    total_fn *put;
} totals[] = {
    {"Model", put_model},
    {"Quantized model", put_output},
    {"Size", put_size},
    {"Constants", put_constants},
    {"Quantized", put_quantized},
    {"Bits per weight", put_bits},
    {"Expected SNR of the outputs", put_estimate},
    {"Data", put_runs},
    {"Time of a run", put_latency},
    {"Decoded on every run", put_slow},
    {"Stored as float16", put_float16},
    {"Opset", put_opset},
    {"nibble", put_version},
};

/* Writes the cell into a buffer first, to see whether it is empty. The caller frees. */
static char *cell(struct page *page, total_fn *put, size_t report)
{
    struct text_stream stream;
    struct html html = {0};
    if (text_stream_open(&stream)) {
        html.out = stream.out;
        put(&html, page->reports[report]);
    }
    char *text = text_stream_close(&stream);
    page->html.failed = page->html.failed || html.failed || !text;
    return text;
}

static void put_total(struct page *page, size_t row)
{
    char *cells[PAGE_REPORTS] = {NULL};
    bool any = false;
    for (size_t i = 0; i < page->count; i++) {
        cells[i] = cell(page, totals[row].put, i);
        any = any || (cells[i] && *cells[i]);
    }
    if (any)
        html_put(&page->html, "<tr><th>%s</th>", totals[row].head);
    for (size_t i = 0; i < page->count; i++) {
        if (any)
            html_put(&page->html, "<td>%s</td>", cells[i] ? cells[i] : "");
        free(cells[i]);
    }
    if (any)
        html_put(&page->html, "</tr>\n");
}

void page_totals(struct page *page)
{
    html_put(&page->html, "<div class=wide><table>\n");
    if (page->count > 1)
        html_put(&page->html, "<thead><tr><th></th><th>A</th><th>B</th></tr></thead>\n");
    for (size_t i = 0; i < sizeof totals / sizeof *totals; i++)
        put_total(page, i);
    html_put(&page->html, "</table></div>\n");
}

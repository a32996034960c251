/* Where the values of weights lie on their grids: a drawing for each weight that has a
 * histogram. */
#include "report/html_page.h"

#include <stdlib.h>

/* Whole numbers, which look the same in every locale. */
enum {
    PLOT_WIDTH = 3600,
    PLOT_HEIGHT = 1100,
    TOP = 40,
    BASE = 920,
    LABEL = 1050,
    GAP = 3
};

/* A histogram, checked. Its bars begin at code `first` and are `step` codes wide. */
struct bars {
    const cJSON *weight;
    size_t place;
    const cJSON *counts;
    int count;
    double first, step, lowest, highest, tallest, sum, beyond;
};

/* Whether the bar that begins at this code holds values that the grid cuts off. */
static bool is_beyond(const struct bars *bars, double at)
{
    return at + bars->step <= bars->lowest - 0.5 || at >= bars->highest + 0.5;
}

static bool read_bars(const cJSON *weight, struct bars *bars)
{
    const cJSON *histogram = json_get(weight, "histogram"), *item;
    *bars = (struct bars){.weight = weight,
                          .counts = json_get(histogram, "counts"),
                          .first = json_get_real(histogram, "first"),
                          .step = json_get_real(histogram, "step"),
                          .lowest = json_get_real(histogram, "lowest"),
                          .highest = json_get_real(histogram, "highest")};
    double at = bars->first;
    cJSON_ArrayForEach(item, bars->counts)
    {
        double n = item->valuedouble;
        bars->count++;
        bars->sum += n;
        bars->tallest = fmax(bars->tallest, n);
        if (is_beyond(bars, at))
            bars->beyond += n;
        at += bars->step;
    }
    return bars->sum > 0 && bars->step > 0 && bars->highest - bars->lowest <= 255 &&
           bars->first <= bars->lowest && bars->count < 1024;
}

static double x_of(const struct bars *bars, double code)
{
    return PLOT_WIDTH * (code - bars->first) / (bars->step * bars->count);
}

/* Lines at the codes, as long as there is room between them. */
static void put_grid(struct html *html, const struct bars *bars)
{
    double every = bars->highest - bars->lowest > 32 ? 32 : 1;
    for (double code = bars->lowest; code <= bars->highest; code += every)
        html_put(html, "<line class=rule x1=%.0f x2=%.0f y1=%d y2=%d />",
                 x_of(bars, code), x_of(bars, code), TOP, BASE);
    html_put(html, "<line class=axis x1=0 x2=%d y1=%d y2=%d />", PLOT_WIDTH, BASE, BASE);
    const double labels[] = {bars->lowest, bars->lowest < 0 ? 0 : bars->lowest,
                             bars->highest};
    for (size_t i = 0; i < sizeof labels / sizeof *labels; i++)
        html_put(html, "<text x=%.0f y=%d>%.0f</text>", x_of(bars, labels[i]), LABEL,
                 labels[i]);
}

static void put_bars(struct html *html, const struct bars *bars)
{
    const cJSON *item;
    double width = x_of(bars, bars->first + bars->step), at = bars->first;
    cJSON_ArrayForEach(item, bars->counts)
    {
        double height = (BASE - TOP) * item->valuedouble / bars->tallest;
        if (height > 0)
            html_put(html, "<rect class=%s x=%.0f y=%.0f width=%.0f height=%.0f />",
                     is_beyond(bars, at) ? "clip" : "bar", x_of(bars, at) + GAP,
                     BASE - fmax(height, 5), fmax(width - 2 * GAP, 5), fmax(height, 5));
        at += bars->step;
    }
}

static void put_figure(struct html *html, const struct bars *bars)
{
    const cJSON *weight = bars->weight;
    char snr[HTML_SHORT];
    decibels_text(snr, json_get_snr(weight, "snr_db"), "");
    html_put(html, "<figure><svg viewBox=\"0 0 %d %d\" role=img aria-label=\"",
             PLOT_WIDTH, PLOT_HEIGHT);
    html_text(html, json_get_text(weight, "name"));
    html_put(html, ": %.3g %% of the values lie beyond the grid\">",
             100 * bars->beyond / bars->sum);
    put_grid(html, bars);
    put_bars(html, bars);
    html_put(html, "</svg><figcaption>");
    html_name(html, json_get_text(weight, "name"));
    html_put(html, "<br><span>");
    html_text(html, json_get_text(weight, "type"));
    html_put(html, " ");
    html_text(html, json_get_text(weight, "granularity"));
    html_put(html, ", %s", snr);
    if (bars->beyond > 0)
        html_put(html, ", %.2g %% beyond the grid", 100 * bars->beyond / bars->sum);
    html_put(html, "</span></figcaption></figure>\n");
}

/* The least SNR first; then in the order of the model. */
static int by_snr(const void *left, const void *right)
{
    const struct bars *a = left, *b = right;
    double x = json_get_snr(a->weight, "snr_db"), y = json_get_snr(b->weight, "snr_db");
    return x != y ? (x > y ? 1 : -1) : (a->place > b->place) - (a->place < b->place);
}

static void put_report(struct page *page, size_t report)
{
    struct html *html = &page->html;
    const cJSON *weights = json_get(page->reports[report], "weights"), *weight;
    size_t count = 0;
    struct bars *bars = calloc((size_t)cJSON_GetArraySize(weights) + 1, sizeof *bars);
    html->failed = html->failed || !bars;
    cJSON_ArrayForEach(weight, weights)
    {
        if (!bars || !read_bars(weight, &bars[count]))
            continue;
        bars[count].place = count;
        count++;
    }
    if (count > 0) {
        qsort(bars, count, sizeof *bars, by_snr);
        html_put(html,
                 "<h2>The worst weights on their grids%s%s</h2>\n"
                 "<p class=soft>Each value, divided by its scale, against the codes "
                 "that it can have. Values beyond the grid get its first or last "
                 "code.</p>\n<div class=grids>\n",
                 page->count > 1 ? ": " : "", page_letter(page, report));
    }
    for (size_t i = 0; i < count; i++)
        put_figure(html, &bars[i]);
    if (count > 0)
        html_put(html, "</div>\n");
    free(bars);
}

void page_histograms(struct page *page)
{
    for (size_t i = 0; i < page->count; i++)
        put_report(page, i);
}

/* Counting in bars. Sums of whole numbers are the same in any order. */
#include "fill/grid_counts.h"
#include "core/sizes.h"

enum { BARS_MAX = 128, LOADED = 256 };

struct grid_bars grid_bars(enum quant_type type)
{
    const struct quant_type_info *info = quant_type_info(type);
    double step = info->bits == 4 ? 0.25 : 4;
    double margin = info->bits == 4 ? 1 : 4;
    double first = info->lo - 0.5 - margin, last = info->hi + 0.5 + margin;
    return (struct grid_bars){first, step, (size_t)((last - first) / step)};
}

static size_t bar_of(const struct grid_bars *bars, double place)
{
    double bar = (place - bars->first) / bars->step;
    if (!(bar > 0))
        return 0;
    return bar < (double)bars->count ? (size_t)bar : bars->count - 1;
}

static int zero_of(const struct plan_item *item, uint8_t zero)
{
    return quant_type_info(item->scheme.type)->lo < 0 ? (int8_t)zero : zero;
}

void grid_count(const struct plan_item *item, struct quant_source source, size_t begin,
                size_t end, size_t first_group, const float *scales, const uint8_t *zeros,
                grid_counter *counts)
{
    const struct grid_bars bars = grid_bars(item->scheme.type);
    const size_t size = real_size(source.type);
    uint64_t own[BARS_MAX] = {0};
    float values[LOADED];
    for (size_t at = begin, n; at < end; at += n) {
        n = size_min(end - at, LOADED);
        real_load(source.type, (const uint8_t *)source.data + at * size, n, values);
        for (size_t i = 0; i < n; i++) {
            size_t group = quant_group_of(&item->shape, at + i) - first_group;
            double scale = (double)scales[group], zero = zero_of(item, zeros[group]);
            double place = scale > 0 ? (double)values[i] / scale + zero : zero;
            own[bar_of(&bars, place)]++;
        }
    }
    for (size_t i = 0; i < bars.count; i++)
        if (own[i] > 0)
            atomic_fetch_add_explicit(&counts[i], own[i], memory_order_relaxed);
}

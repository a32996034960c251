/* Counts where the values of a weight lie on its grid, for histograms in reports. */
#ifndef NIBBLE_FILL_GRID_COUNTS_H
#define NIBBLE_FILL_GRID_COUNTS_H

#include "fill/fill.h"

/* The bars of a type: `count` of them, `step` codes wide, the first one at `first`. They
 * reach a little beyond the codes on both sides. The borders between two codes are
 * borders of bars. */
struct grid_bars {
    double first, step;
    size_t count;
};
struct grid_bars grid_bars(enum quant_type type);

/* Counts elements [begin, end). scales and zeros begin with those of first_group. Other
 * threads may count other elements of the same weight. */
void grid_count(const struct plan_item *item, struct quant_source source, size_t begin,
                size_t end, size_t first_group, const float *scales, const uint8_t *zeros,
                grid_counter *counts);

#endif

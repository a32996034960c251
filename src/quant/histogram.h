/* Histograms of long groups: the weights of a group are read once and counted, and any
 * scale and zero point can be tried on the counts, at a cost that the group's length has
 * no part in. For the search (search_histogram.c); short groups are quicker tried as they
 * are. */
#ifndef NIBBLE_QUANT_HISTOGRAM_H
#define NIBBLE_QUANT_HISTOGRAM_H

#include "quant/fit.h"

enum {
    BINS_4BIT = 532,      /* no powers of two: the same bins of neighbours */
    BINS_8BIT = 4116,     /* would meet in the same batch places of a cache */
    MAX_HISTOGRAMS = 512, /* counted side by side, at most: rows of 2 KiB are read well */
};

/* How weights of a group are counted: the bin of x is x * inverse + offset, rounded
 * down. A step of round to nearest has `density` bins. */
struct binning {
    size_t bins;
    float density;
};

struct binning binning_of(const struct quant_type_info *type);

/* Counts the elements of `count` groups of a matrix, of which each has a scale and a zero
 * point, of a type that begins with lo, that suit its range. counts: `bins` for each. */
void histogram_count(const struct fit *fit, const struct matrix *matrix, size_t group,
                     size_t count, const struct binning *binning, int lo,
                     const float *scales, const uint8_t *zeros, uint32_t *counts);

/* What is summed up of the bins below each: counts, and values in bins from zero. */
struct histogram {
    size_t bins;
    double offset; /* where zero is */
    double energy; /* the sum of squares, of middles of bins */
    struct histogram_sum {
        double count, value;
    } below[BINS_8BIT + 2];
};

void histogram_make(struct histogram *h, const struct binning *binning, float zero,
                    const uint32_t *counts);

/* Sums of x * l and of l * l, with x in bins, for codes of a scale, in bins, and a zero
 * point with `steps` codes beside it. */
struct histogram_gain {
    double xl, ll;
} histogram_gain(const struct histogram *h, double scale, int zero, int steps);

/* The squared error if all weights were middles of bins, in bins. Where the scale is an
 * even number it is that of the nearest codes, elsewhere a batch codes may be another. */
double histogram_error(const struct histogram *h, double scale, int zero, int steps);

#endif

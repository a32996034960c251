/* Histograms of long groups. The weights of a group are read and counted once. After
 * that, trying a scale and a zero point costs the same for any length of the group. The
 * search uses them (search_histogram.c). Short groups are faster to try directly. */
#ifndef NIBBLE_QUANT_HISTOGRAM_H
#define NIBBLE_QUANT_HISTOGRAM_H

#include "quant/fit.h"

/* The numbers of bins are not powers of two. Otherwise equal bins of neighbouring
 * histograms would compete for the same few lines of a cache. */
enum {
    BINS_4BIT = 532,
    BINS_8BIT = 4116,
    MAX_HISTOGRAMS = 512, /* filled at once: rows of 2 KiB are fast to read */
};

/* How the weights of a group are counted. The bin of x is x * inverse + offset, rounded
 * down. */
struct binning {
    size_t bins;
    float density; /* bins in one step of round to nearest */
};

struct binning binning_of(const struct quant_type_info *type);

/* Counts the elements of `count` groups of a matrix. scales and zeros are those of round
 * to nearest, of a type whose lowest code is `lo`. Writes binning->bins counts for each
 * group. */
void histogram_count(const struct fit *fit, const struct matrix *matrix, size_t group,
                     size_t count, const struct binning *binning, int lo,
                     const float *scales, const uint8_t *zeros, uint32_t *counts);

/* Running sums over the bins of one group. Values are measured in bins, from zero. */
struct histogram {
    size_t bins;
    double offset; /* the position of zero, in bins */
    double energy; /* the sum of x^2, with each x at the middle of its bin */
    struct histogram_sum {
        double count; /* elements in the bins below */
        double value; /* the sum of those elements */
    } below[BINS_8BIT + 2];
};

void histogram_make(struct histogram *h, const struct binning *binning, float zero,
                    const uint32_t *counts);

/* The sums of x * l and of l * l for one scale (in bins) and one zero point, which has
 * `zero` codes below it and `steps - zero` above. */
struct histogram_gain {
    double xl, ll;
};
struct histogram_gain histogram_gain(const struct histogram *h, double scale, int zero,
                                     int steps);

/* The squared error, in bins, if every weight were at the middle of its bin. It is that
 * of the nearest codes if the scale is an even number. For other scales a few codes may
 * differ from the nearest ones. */
double histogram_error(const struct histogram *h, double scale, int zero, int steps);

#endif

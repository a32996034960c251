/* Histograms of long groups: counting, and the sums that follow from counts. Chooses
 * nothing. Counts are whole numbers, and what follows is taken in a fixed order. */
#include "quant/histogram.h"

#include <string.h>

#include "quant/kernels/kernels.h"

enum {
    STRETCH = 256, /* elements binned at a time */
    AHEAD = 16,    /* rows that are asked for before they are read */
    LINE = 64,     /* bytes of a cache line */
};

struct binning binning_of(const struct quant_type_info *type)
{
    /* The grid and a step, and 1/32 for what rounding a scale to its type may do. Even,
     * so that bins end half way between codes of round to nearest; for the plain one of
     * mirrored grids of 4 bits, too. */
    return type->bits == 4 ? (struct binning){BINS_4BIT, 28}
                           : (struct binning){BINS_8BIT, 14};
}

/* Where zero lies. Half a step and more is left below the grid's lower end. */
static int32_t binning_offset(const struct binning *binning, float zero)
{
    return (int32_t)((zero + 1) * 1.03125f * binning->density) + 1;
}

/* ---- counting ------------------------------------------------------- */

/* Never outside of the bins, whatever x is: the file may change under the mapping. */
static inline int32_t bin_of(float x, float inverse, float offset, float last)
{
    float b = x * inverse + offset;

    b = b > 0 ? b : 0;
    return (int32_t)(b < last ? b : last);
}

static void count_run(const float_u *x, size_t n, size_t bins, float inverse,
                      float offset, uint32_t *counts)
{
    int32_t at[STRETCH];

    for (size_t i = 0; i < n; i++)
        at[i] = bin_of(x[i], inverse, offset, (float)(bins - 1));
    for (size_t i = 0; i < n; i++)
        counts[at[i]]++;
}

static void count_columns(const float_u *x, size_t n, size_t bins, const float *inverse,
                          const float *offset, const int32_t *first, uint32_t *counts)
{
    int32_t at[STRETCH];

    for (size_t i = 0; i < n; i++)
        at[i] = first[i] + bin_of(x[i], inverse[i], offset[i], (float)(bins - 1));
    for (size_t i = 0; i < n; i++)
        counts[at[i]]++;
}

static const float_u *floats_at(const struct fit *fit, size_t element, size_t n,
                                float *buffer)
{
    const void *data = fit_data(fit, element);

    if (fit->source.type == REAL_FLOAT32)
        return data;
    fit->kernels->widen[fit->source.type](data, n, buffer);
    return buffer;
}

/* Each row of a few columns lies in another page: nothing foresees it but this. */
static void prefetch_row(const struct fit *fit, size_t element, size_t n)
{
    const char *at = fit_data(fit, element);

    for (size_t i = 0; i < n * real_size(fit->source.type); i += LINE)
        __builtin_prefetch(at + i);
}

void histogram_count(const struct fit *fit, const struct band *band, size_t group,
                     size_t count, const struct binning *binning, int lo,
                     const float *scales, const uint8_t *zeros, uint32_t *counts)
{
    const size_t bins = binning->bins;
    size_t begin = group * band->run;
    size_t end = size_min(begin + count * band->run, band->columns);
    float inverse[COUNTS / BINS_4BIT], offset[COUNTS / BINS_4BIT];
    int32_t first[COUNTS / BINS_4BIT];

    for (size_t g = 0; g < count; g++) {
        inverse[g] = scales[g] >= 0x1p-112f ? binning->density / scales[g] : 0;
        offset[g] = (float)binning_offset(binning, (float)(uint8_t)(zeros[g] - lo));
        first[g] = (int32_t)(g * bins);
    }
    memset(counts, 0, count * bins * sizeof *counts);
    for (size_t r = 0; r < band->rows; r++) {
        const size_t row = band->element + r * band->columns;

        if (end - begin <= STRETCH && r + AHEAD < band->rows)
            prefetch_row(fit, row + AHEAD * band->columns + begin, end - begin);
        for (size_t c = begin, n; c < end; c += n) {
            size_t g = c / band->run - group;
            float buffer[STRETCH];
            const float_u *x;

            n = band->run == 1 ? end - c : band->run - c % band->run;
            n = size_min(size_min(n, end - c), STRETCH);
            x = floats_at(fit, row + c, n, buffer);
            if (band->run == 1)
                count_columns(x, n, bins, inverse + g, offset + g, first + g, counts);
            else
                count_run(x, n, bins, inverse[g], offset[g], counts + g * bins);
        }
    }
}

/* ---- sums ----------------------------------------------------------- */

void histogram_make(struct histogram *h, const struct binning *binning, float zero,
                    const uint32_t *counts)
{
    const int64_t offset = binning_offset(binning, zero);
    int64_t count = 0, value = 0; /* of middles, in halves of a bin */
    double energy = 0;

    h->bins = binning->bins;
    h->offset = (double)offset;
    for (size_t i = 0; i <= h->bins; i++) {
        int64_t here = i < h->bins ? counts[i] : 0;
        int64_t middle = (int64_t)(2 * i + 1) - 2 * offset;

        h->below[i] = (struct histogram_sum){(double)count, (double)value / 2};
        count += here;
        value += here * middle;
        energy += (double)(here * middle * middle);
    }
    h->below[h->bins + 1] = h->below[h->bins];
    h->energy = energy / 4;
}

/* Where in the bins a value lies, in bins from zero. */
static inline double bin_at(const struct histogram *h, double t)
{
    const double bins = (double)h->bins;
    double at = t + h->offset;

    at = at > 0 ? at : 0;
    return at < bins ? at : bins;
}

/* Sums over weights below `t`; those of one bin are taken to be spread evenly. */
static inline struct histogram_sum sum_below(const struct histogram *h, double t)
{
    double at = bin_at(h, t);
    size_t i = (size_t)at;
    double part = at - (double)i;
    double count = part * (h->below[i + 1].count - h->below[i].count);

    return (struct histogram_sum){h->below[i].count + count,
                                  h->below[i].value +
                                      count * ((double)i + part / 2 - h->offset)};
}

/* Sums over whole bins: those whose middles are below `t`, but for where it is one. */
static inline struct histogram_sum sum_bins(const struct histogram *h, double t)
{
    return h->below[(size_t)(bin_at(h, t) + 0.5)];
}

/* Sums of x * l and of l * l. A code k is 1 for each threshold passed, and its square
 * 1 + 3 + ... (2 k - 1). */
static inline __attribute__((always_inline)) struct histogram_gain gain_of(
    const struct histogram *h, double scale, int zero, int steps,
    struct histogram_sum (*below)(const struct histogram *h, double t))
{
    const struct histogram_sum all = h->below[h->bins];
    struct histogram_gain gain = {0, 0};

    for (int k = 1; k <= steps - zero; k++) {
        struct histogram_sum sum = below(h, (k - 0.5) * scale);

        gain.xl += all.value - sum.value;
        gain.ll += (2 * k - 1) * (all.count - sum.count);
    }
    for (int k = 1; k <= zero; k++) {
        struct histogram_sum sum = below(h, (0.5 - k) * scale);

        gain.xl -= sum.value;
        gain.ll += (2 * k - 1) * sum.count;
    }
    return gain;
}

struct histogram_gain histogram_gain(const struct histogram *h, double scale, int zero,
                                     int steps)
{
    return gain_of(h, scale, zero, steps, sum_below);
}

double histogram_error(const struct histogram *h, double scale, int zero, int steps)
{
    struct histogram_gain gain = gain_of(h, scale, zero, steps, sum_bins);

    return h->energy - 2 * scale * gain.xl + scale * scale * gain.ll;
}

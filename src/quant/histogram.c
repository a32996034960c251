/* Histograms of long groups: counts elements, and computes sums from the counts. Counts
 * are integers and the sums have a fixed order, so the bits are the same on any CPU. */
#include "quant/histogram.h"
#include "quant/gather.h"
#include "quant/kernels/kernels.h"

#include <string.h>

enum {
    BIN_BATCH = 256,   /* elements of a run binned at once */
    BIN_ROWS = 32,     /* rows of columns binned at once: 32 KiB of bins */
    COUNT_STRIP = 64,  /* columns counted at once */
    PREFETCH_ROWS = 2, /* rows that are fetched ahead */
    CACHE_LINE = 64,   /* bytes of a cache line */
};

struct binning binning_of(const struct quant_type_info *type)
{
    /* The bins cover the grid and one step more, plus 1/32 because rounding may change a
     * scale. Densities are even, so that bins end half way between two codes of round to
     * nearest. With 28 that is also true for the plain grid beside a mirrored one. */
    return type->bits == 4 ? (struct binning){BINS_4BIT, 28}
                           : (struct binning){BINS_8BIT, 14};
}

/* The position of zero. More than half a step is left below the lower end of the grid. */
static int32_t binning_offset(const struct binning *binning, float zero)
{
    return (int32_t)((zero + 1) * 1.03125f * binning->density) + 1;
}

/* ---- counting ------------------------------------------------------- */

/* How to count a batch of groups. */
struct counter {
    const struct fit *fit;
    size_t bins;  /* of each group */
    size_t count; /* groups */
    float last;   /* the last bin */
    float inverse[MAX_HISTOGRAMS], offset[MAX_HISTOGRAMS];
    uint32_t *counts;
};

/* Counts n elements of group g. The kernel never returns a bin outside the histogram,
 * even if another process changes the mapped file. */
static void count_run(const struct counter *c, size_t element, size_t n, size_t g)
{
    uint32_t *counts = c->counts + g * c->bins;
    float inverse[BIN_BATCH], offset[BIN_BATCH];
    for (size_t i = 0; i < size_min(BIN_BATCH, n); i++) {
        inverse[i] = c->inverse[g];
        offset[i] = c->offset[g];
    }
    for (size_t done = 0, part; done < n && !is_stopped(c->fit->scheme->stop);
         done += part) {
        float buffer[BIN_BATCH];
        uint16_t at[BIN_BATCH];
        part = size_min(BIN_BATCH, n - done);
        c->fit->kernels->search_bins(gather_floats(c->fit, element + done, part, buffer),
                                     part, inverse, offset, c->last, at);
        for (size_t i = 0; i < part; i++)
            counts[at[i]]++;
    }
}

/* Rows may lie in different pages, and no hardware prefetcher crosses pages. */
static void prefetch_row(const struct counter *c, size_t element)
{
    const char *at = fit_data(c->fit, element);
    for (size_t i = 0; i < c->count * real_size(c->fit->source.type); i += CACHE_LINE)
        __builtin_prefetch(at + i);
}

/* Finds the bins of one row, which has one element of each group. */
static void bin_row(const struct counter *c, size_t element, uint16_t *at)
{
    float buffer[MAX_HISTOGRAMS];
    c->fit->kernels->search_bins(gather_floats(c->fit, element, c->count, buffer),
                                 c->count, c->inverse, c->offset, c->last, at);
}

/* For groups that are columns. Bins some rows, then counts them strip by strip, so that
 * the counts of a strip stay in the first-level cache. */
static void count_columns(const struct counter *c, const struct matrix *matrix,
                          size_t group)
{
    uint16_t at[BIN_ROWS][MAX_HISTOGRAMS];
    for (size_t r = 0, rows; r < matrix->rows && !is_stopped(c->fit->scheme->stop);
         r += rows) {
        rows = size_min(BIN_ROWS, matrix->rows - r);
        for (size_t i = 0; i < rows; i++) {
            size_t element = matrix->element + (r + i) * matrix->columns + group;
            if (r + i + PREFETCH_ROWS < matrix->rows)
                prefetch_row(c, element + PREFETCH_ROWS * matrix->columns);
            bin_row(c, element, at[i]);
        }
        for (size_t g = 0; g < c->count; g += COUNT_STRIP)
            for (size_t i = 0; i < rows; i++) {
                uint32_t *counts = c->counts + g * c->bins;
                for (size_t k = g; k < size_min(g + COUNT_STRIP, c->count); k++) {
                    counts[at[i][k]]++;
                    counts += c->bins;
                }
            }
    }
}

static void count_runs(const struct counter *c, const struct matrix *matrix, size_t group)
{
    size_t begin = group * matrix->run;
    size_t end = size_min(begin + c->count * matrix->run, matrix->columns);
    for (size_t r = 0; r < matrix->rows; r++)
        for (size_t at = begin; at < end; at += matrix->run)
            count_run(c, matrix->element + r * matrix->columns + at,
                      size_min(matrix->run, end - at), at / matrix->run - group);
}

void histogram_count(const struct fit *fit, const struct matrix *matrix, size_t group,
                     size_t count, const struct binning *binning, int lo,
                     const float *scales, const uint8_t *zeros, uint32_t *counts)
{
    struct counter c = {.fit = fit,
                        .bins = binning->bins,
                        .count = count,
                        .last = (float)(binning->bins - 1),
                        .counts = counts};
    for (size_t g = 0; g < count; g++) {
        c.inverse[g] = scales[g] >= 0x1p-112f ? binning->density / scales[g] : 0;
        c.offset[g] = (float)binning_offset(binning, (float)(uint8_t)(zeros[g] - lo));
    }
    memset(counts, 0, count * binning->bins * sizeof *counts);
    (matrix->run == 1 ? count_columns : count_runs)(&c, matrix, group);
}

/* ---- sums ----------------------------------------------------------- */

void histogram_make(struct histogram *h, const struct binning *binning, float zero,
                    const uint32_t *counts)
{
    const int64_t offset = binning_offset(binning, zero);
    int64_t count = 0, value = 0; /* value: the sum of middles, in half bins */
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

/* The position among the bins of a value t, which is measured from zero. */
static inline double bin_at(const struct histogram *h, double t)
{
    const double bins = (double)h->bins;
    double at = t + h->offset;
    at = at > 0 ? at : 0;
    return at < bins ? at : bins;
}

/* Sums over the weights below t. Assumes that the weights of a bin are spread evenly. */
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

/* Sums over whole bins: those with their middle below t. */
static inline struct histogram_sum sum_bins(const struct histogram *h, double t)
{
    return h->below[(size_t)(bin_at(h, t) + 0.5)];
}

/* Sums x * l and l * l. Each threshold that a weight passes adds 1 to its code, and the
 * square of code k is 1 + 3 + ... + (2 k - 1). */
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

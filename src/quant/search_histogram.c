/* The search for long groups. All trials use a histogram, so the weights are read once.
 * They are read again only if the histogram can't show that the result is better than
 * round to nearest. */
#include "quant/histogram.h"
#include "quant/kernels/kernels.h"
#include "quant/search.h"

#include <math.h>
#include <stdlib.h>

/* Makes the trials of all stages for one group, in lane 0 of the tile. */
static void search_one(const struct scale_search *s, const struct histogram *h,
                       float *scale, uint8_t *zero, struct search_tile *t)
{
    search_begin(s, t, 1, scale, zero);
    for (size_t stage = 0; stage < search_stages; stage++) {
        search_stage_trials(s, t, stage);
        for (size_t k = 0; k < t->trials; k++) {
            struct histogram_gain gain =
                histogram_gain(h, (double)t->scale[k][0] * (double)s->step,
                               (int)t->zero[k][0], (int)s->steps);
            search_keep_better(t, k, 0, (float)gain.xl, (float)gain.ll);
        }
    }
}

/* Copies the result of another tile's lane 0 into lane g. */
static void lane_copy(struct search_tile *t, size_t g, const struct search_tile *one)
{
    t->inverse[g] = one->inverse[0];
    t->best_zero[g] = one->best_zero[0];
    t->best_xl[g] = one->best_xl[0];
    t->best_ll[g] = one->best_ll[0];
}

/* Lower and upper bound of the root of the squared error. The elements are a point in as
 * many dimensions, and the middles of their bins are another, no further than half a bin
 * away in each dimension. If codes are not the nearest ones, the histogram's error is too
 * large, by at most twice the distance between a threshold and the end of a bin. */
struct error_bounds {
    double least, most;
};

static struct error_bounds bounds_of(const struct scale_search *s,
                                     const struct histogram *h, double scale, int zero)
{
    const double root = sqrt((double)s->length);
    double error = sqrt(histogram_error(h, scale, zero, (int)s->steps));
    double off = fabs(scale - 2 * floor(scale / 2 + 0.5)) * (double)s->steps;
    return (struct error_bounds){(error - (off + 0.51) * root) * (1 - 0x1p-20),
                                 (error + 0.51 * root) * (1 + 0x1p-20)};
}

/* Whether the last candidate is better than the others, wherever the weights lie inside
 * their bins. */
static bool is_certain(const struct scale_search *s, const struct histogram *h,
                       const struct candidates *candidates)
{
    const struct candidate *of_tile = candidates->of_tile[0];
    const double unit = (double)of_tile[0].scale[0] / (double)s->step;
    double most = INFINITY;
    for (size_t i = candidates->count; i-- > 0;) {
        struct error_bounds bounds =
            bounds_of(s, h, (double)of_tile[i].scale[0] / unit, (int)of_tile[i].zero[0]);
        if (i == candidates->count - 1)
            most = bounds.most;
        else if (!(most < bounds.least))
            return false;
    }
    return true;
}

SEARCH_FITS(struct histogram);

/* Searches one group. If the result is certain to be better, writes it and returns
 * true. */
static bool search_group(struct scale_search *s, const struct binning *binning,
                         const uint32_t *counts, float *scale, uint8_t *zero,
                         struct search_tile *t)
{
    struct histogram *h = search_rest(s);
    struct candidates candidates;
    histogram_make(h, binning, (float)(uint8_t)(*zero - s->type->lo), counts);
    search_one(s, h, scale, zero, t);
    candidates_make(s, &candidates, t, 1, scale, zero);
    if (s->type->bits != 4 || !is_certain(s, h, &candidates))
        return false;
    candidates_select(s, &candidates, 0, candidates.count - 1, scale, zero);
    return true;
}

/* Searches up to MAX_TILES * TILE_GROUPS groups. */
static void search_batch(struct scale_search *s, const struct binning *binning,
                         const uint32_t *counts, size_t group, size_t count,
                         float *scales, uint8_t *zeros)
{
    struct candidates candidates;
    bool certain[MAX_TILES * TILE_GROUPS], all = true;
    for (size_t k = 0; k < count; k++) {
        struct search_tile one;
        certain[k] = search_group(s, binning, counts + k * binning->bins, &scales[k],
                                  &zeros[k], &one);
        lane_copy(&s->tile[k / TILE_GROUPS], k % TILE_GROUPS, &one);
        all = all && certain[k];
    }
    if (all)
        return;
    candidates_make(s, &candidates, s->tile, count, scales, zeros);
    candidates_select_best(s, &candidates, group, count, certain, scales, zeros);
}

/* Counts as many groups side by side as memory allows. Fewer groups are slower. */
void search_histograms(struct scale_search *s, size_t from, size_t count, float *scales,
                       uint8_t *zeros)
{
    const struct binning binning = binning_of(s->type);
    uint32_t batch[BINS_8BIT];
    size_t room = size_min(count * binning.bins, MAX_HISTOGRAMS * BINS_4BIT);
    uint32_t *many = malloc(room * sizeof *many), *counts = many ? many : batch;
    size_t step = (many ? room : BINS_8BIT) / binning.bins;
    s->step = binning.density;
    s->tiles = MAX_TILES;
    s->piece = MAX_FLOATS / TILE_GROUPS / MAX_TILES;
    for (size_t k = 0, n; k < count && !is_stopped(s->fit->scheme->stop); k += n) {
        n = size_min(step, count - k);
        histogram_count(s->fit, s->matrix, from + k, n, &binning, s->type->lo, scales + k,
                        zeros + k, counts);
        for (size_t i = 0; i < n && !is_stopped(s->fit->scheme->stop);
             i += MAX_TILES * TILE_GROUPS)
            search_batch(s, &binning, counts + i * binning.bins, from + k + i,
                         size_min(MAX_TILES * TILE_GROUPS, n - i), scales + k + i,
                         zeros + k + i);
    }
    free(many);
}

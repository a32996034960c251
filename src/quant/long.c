/* The search for long groups: on histograms of them, so that the weights are read once
 * for all that is tried, and once more only where it is not clear from the histogram that
 * what was found is better than round to nearest. */
#include <math.h>
#include <stdlib.h>

#include "quant/histogram.h"
#include "quant/kernels/kernels.h"
#include "quant/search.h"

/* Goes through the stages for one group, in the first lane of a tile. */
static void search_counts(const struct search *s, const struct histogram *h, float *scale,
                          uint8_t *zero, struct search_tile *t)
{
    search_begin(s, t, 1, scale, zero);
    for (size_t stage = 0; stage < search_stages; stage++) {
        search_plan(s, t, stage);
        for (size_t k = 0; k < t->tries; k++) {
            struct histogram_gain gain =
                histogram_gain(h, (double)t->scale[k][0] * (double)s->step,
                               (int)t->zero[k][0], (int)s->steps);

            search_pick(t, k, 0, (float)gain.xl, (float)gain.ll);
        }
    }
}

/* Keeps what was found in the first lane of a tile in another. */
static void search_keep(struct search_tile *t, size_t g, const struct search_tile *one)
{
    t->inverse[g] = one->inverse[0];
    t->best_zero[g] = one->best_zero[0];
    t->best_xl[g] = one->best_xl[0];
    t->best_ll[g] = one->best_ll[0];
}

/* What the root of the squared error is at least, or at most. Elements are up to half a
 * bin off their middles, which are points in as many dimensions; where codes are not the
 * nearest ones the error is too large, by twice what thresholds are off at the most. */
struct bounds {
    double least, most;
};

static struct bounds bounds_of(const struct search *s, const struct histogram *h,
                               double scale, int zero)
{
    const double root = sqrt((double)s->length);
    double error = sqrt(histogram_error(h, scale, zero, (int)s->steps));
    double off = fabs(scale - 2 * floor(scale / 2 + 0.5)) * (double)s->steps;

    return (struct bounds){(error - (off + 0.51) * root) * (1 - 0x1p-20),
                           (error + 0.51 * root) * (1 + 0x1p-20)};
}

/* Whether what was found is better than the other entries by more than bins can hide. */
static bool is_clear(const struct search *s, const struct histogram *h,
                     const struct contest *contest)
{
    const struct choice *choices = contest->choices[0];
    const double unit = (double)choices[0].scale[0] / (double)s->step;
    double most = INFINITY;

    for (size_t i = contest->entries; i-- > 0;) {
        struct bounds bounds =
            bounds_of(s, h, (double)choices[i].scale[0] / unit, (int)choices[i].zero[0]);

        if (i == contest->entries - 1)
            most = bounds.most;
        else if (!(most < bounds.least))
            return false;
    }
    return true;
}

/* Searches one group; takes what is found, and returns true, where that is clear. */
static bool search_group(const struct search *s, const struct binning *binning,
                         const uint32_t *counts, float *scale, uint8_t *zero,
                         struct search_tile *t)
{
    struct histogram h;
    struct contest contest;

    histogram_make(&h, binning, (float)(uint8_t)(*zero - s->type->lo), counts);
    search_counts(s, &h, scale, zero, t);
    contest_begin(s, &contest, t, 1, scale, zero);
    if (s->type->bits != 4 || !is_clear(s, &h, &contest))
        return false;
    contest_take(s, &contest, 0, contest.entries - 1, scale, zero);
    return true;
}

/* Searches up to TILES * TILE groups. */
static void search_batch(struct search *s, const struct binning *binning,
                         const uint32_t *counts, size_t group, size_t count,
                         float *scales, uint8_t *zeros)
{
    struct contest contest;
    bool clear[TILES * TILE], all = true;

    for (size_t k = 0; k < count; k++) {
        struct search_tile one;

        clear[k] = search_group(s, binning, counts + k * binning->bins, &scales[k],
                                &zeros[k], &one);
        search_keep(&s->tile[k / TILE], k % TILE, &one);
        all = all && clear[k];
    }
    if (all)
        return;
    contest_begin(s, &contest, s->tile, count, scales, zeros);
    contest_decide(s, &contest, group, count, clear, scales, zeros);
}

/* Counts as many groups side by side as there is memory for: the fewer, the slower. */
void search_long(struct search *s, size_t from, size_t count, float *scales,
                 uint8_t *zeros)
{
    const struct binning binning = binning_of(s->type);
    uint32_t few[BINS_8BIT];
    size_t room = size_min(count * binning.bins, HISTOGRAMS * BINS_4BIT);
    uint32_t *many = malloc(room * sizeof *many), *counts = many ? many : few;
    size_t step = (many ? room : BINS_8BIT) / binning.bins;

    s->step = binning.density;
    s->tiles = TILES;
    s->piece = FLOATS / TILE / TILES;
    for (size_t k = 0, n; k < count; k += n) {
        n = size_min(step, count - k);
        histogram_count(s->fit, s->band, from + k, n, &binning, s->type->lo, scales + k,
                        zeros + k, counts);
        for (size_t i = 0; i < n; i += TILES * TILE)
            search_batch(s, &binning, counts + i * binning.bins, from + k + i,
                         size_min(TILES * TILE, n - i), scales + k + i, zeros + k + i);
    }
    free(many);
}

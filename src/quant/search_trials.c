/* What the search trials, in which order: scales at first, then what is near the best so
 * far. Most of what there is to find is in the first dozen; docs/numbers.md says how
 * much. Sees no elements: sums of theirs are the kernels' (kernels/search_tile.h). */
#include <stdint.h>

#include "quant/kernels/kernels.h"
#include "quant/search.h"

/* Elements of groups whose zero point may be far off at first. */
enum { FAR_ZERO = 384 };

static const struct scale_series all_series_4bit[] = {
    {24, 1.22f, 0.95f, 10, false},  {48, 1.12f, 0.92f, 5, false},
    {96, 1.08f, 0.91f, 5, false},   {192, 1.04f, 0.90f, 6, false},
    {384, 1.00f, 0.89f, 6, false},  {768, 1.00f, 0.86f, 6, false},
    {1536, 1.00f, 0.85f, 7, false}, {SIZE_MAX, 1.00f, 0.85f, 12, false},
};
static const struct scale_series all_series_8bit[] = {
    {24, 1.27f, 0.996f, 64, true},    {48, 1.16f, 0.997f, 56, true},
    {96, 1.10f, 0.9965f, 32, true},   {192, 1.065f, 0.996f, 20, true},
    {384, 1.05f, 0.9955f, 16, true},  {1536, 1.03f, 0.993f, 16, true},
    {4096, 1.02f, 0.988f, 20, false}, {SIZE_MAX, 1.01f, 0.965f, 14, false},
};

struct scale_series search_series(const struct quant_type_info *type, size_t length)
{
    const struct scale_series *series =
        type->bits == 4 ? all_series_4bit : all_series_8bit;
    while (series->length < length)
        series++;
    return *series;
}

/* The larger side of a group is at most one scale, as that is rounded, longer than that
 * of the grid. The unit of whole numbers follows from that, without a look at them. */
void search_begin(const struct scale_search *s, struct search_tile *t, size_t lanes,
                  const float *scales, const uint8_t *zeros)
{
    for (size_t g = 0; g < TILE_GROUPS; g++) {
        float scale = g < lanes ? scales[g] : 1;
        float zero = g < lanes ? (float)(uint8_t)(zeros[g] - s->type->lo) : s->middle;
        float side = zero > s->steps - zero ? zero : s->steps - zero;
        float step = s->step; /* in whole numbers, or in bins */
        if (step == 0)
            step = s->limit / (1.03125f * (side + 1));
        /* Scales so small that this would overflow leave nothing to search. */
        t->inverse[g] = scale >= 0x1p-112f ? step / scale : 0;
        t->step[g] = step;
        t->best_gain[g] = 0;
        t->best_scale[g] = 1;
        t->first_zero[g] = zero;
        t->best_zero[g] = zero;
        t->best_xl[g] = 0;
        t->best_ll[g] = 0;
    }
}

static inline float zero_within(const struct scale_search *s, float zero)
{
    zero = zero > 0 ? zero : 0;
    return zero < s->steps ? zero : s->steps;
}

/* Adds a try: `factor` times the best scale, and the best zero point + `shift`. */
static void add_near(const struct scale_search *s, struct search_tile *t, float factor,
                     float shift)
{
    size_t k = t->trials++;
    for (size_t g = 0; g < TILE_GROUPS; g++) {
        t->scale[k][g] = t->best_scale[g] * factor;
        t->zero[k][g] = zero_within(s, t->best_zero[g] + shift);
    }
}

/* Adds the scales of the series, with zero points that are `shift` off the first. */
static void add_series(const struct scale_search *s, struct search_tile *t, float shift)
{
    float factor = s->series.top;
    for (; t->trials < s->series.trials; factor *= s->series.ratio)
        for (size_t k = t->trials++, g = 0; g < TILE_GROUPS; g++) {
            t->scale[k][g] = factor;
            t->zero[k][g] = zero_within(s, t->first_zero[g] + shift);
        }
}

static void trials_spread(const struct scale_search *s, struct search_tile *t)
{
    add_series(s, t, 0);
}

/* Makes trials on one of the mirrored grids those on the other. */
static void trials_mirror(const struct scale_search *s, struct search_tile *t)
{
    for (size_t k = 0; k < t->trials; k++)
        for (size_t g = 0; g < TILE_GROUPS; g++)
            t->zero[k][g] = 2 * s->middle - 1 - t->zero[k][g];
}

/* The same with a zero point beside it, or the other grid of a mirrored one. Codes of 8
 * bits have so many scales that are about as good that the best may be anywhere. */
static void trials_beside(const struct scale_search *s, struct search_tile *t,
                          float shift)
{
    const struct quant_scheme *scheme = s->fit->scheme;
    if (!s->series.others || (scheme->symmetric && !(scheme->mirrored && shift > 0)))
        return;
    add_series(s, t, scheme->symmetric ? 0 : shift);
    if (scheme->symmetric)
        trials_mirror(s, t);
}

static void trials_zero_above(const struct scale_search *s, struct search_tile *t)
{
    trials_beside(s, t, 1);
}

static void trials_zero_below(const struct scale_search *s, struct search_tile *t)
{
    trials_beside(s, t, -1);
}

/* Half way to the neighbours of the best. */
static void trials_between(const struct scale_search *s, struct search_tile *t)
{
    float half = (1 - s->series.ratio) / 2;
    add_near(s, t, 1 - half, 0);
    add_near(s, t, 1 + half, 0);
}

/* Half of that again, where neighbours are far. */
static void trials_closer(const struct scale_search *s, struct search_tile *t)
{
    float quarter = (1 - s->series.ratio) / 4;
    if (s->length <= FAR_ZERO)
        return;
    add_near(s, t, 1 - quarter, 0);
    add_near(s, t, 1 + quarter, 0);
}

/* The shorter the range, the nearer to zero both of its ends, where the extremes are
 * outliers: a second series, of half as many scales. */
static void trials_centre(const struct scale_search *s, struct search_tile *t)
{
    const float ratio = s->series.ratio;
    float factor = s->series.top * ratio;
    if (s->fit->scheme->symmetric || s->length <= FAR_ZERO)
        return;
    for (; t->trials < s->series.trials / 2; factor *= ratio * ratio)
        for (size_t k = t->trials++, g = 0; g < TILE_GROUPS; g++) {
            float off = (t->first_zero[g] - s->middle) * factor;
            t->scale[k][g] = factor;
            t->zero[k][g] = s->middle + ((off + ROUNDER) - ROUNDER);
        }
}

/* The zero points beside the best, or the other grid of a mirrored one. */
static void trials_zeros(const struct scale_search *s, struct search_tile *t)
{
    const struct quant_scheme *scheme = s->fit->scheme;
    float third = (1 - s->series.ratio) / 3;
    if (!scheme->symmetric) {
        for (float shift = -1; shift <= 1; shift += 2)
            for (float turn = -1; turn <= 1; turn++)
                add_near(s, t, 1 + turn * third, shift);
    } else if (scheme->mirrored) {
        add_near(s, t, 1, 0);
        trials_mirror(s, t);
    }
}

/* One further, where outliers may have kept it off. */
static void trials_zeros_again(const struct scale_search *s, struct search_tile *t)
{
    if (!s->fit->scheme->symmetric && s->length > FAR_ZERO)
        trials_zeros(s, t);
}

/* The best scale for the codes of the best try. */
static void trials_refit(const struct scale_search *s, struct search_tile *t)
{
    add_near(s, t, 1, 0);
    for (size_t g = 0; g < TILE_GROUPS; g++)
        if (t->best_ll[g] > 0)
            t->scale[0][g] = t->best_xl[g] / (t->best_ll[g] * t->step[g]);
}

/* What is tried, stage by stage, each near the best so far. */
static void (*const stages[])(const struct scale_search *, struct search_tile *) = {
    trials_spread, trials_zero_above, trials_zero_below,  trials_centre, trials_between,
    trials_closer, trials_zeros,      trials_zeros_again, trials_refit,
};

const size_t search_stages = sizeof stages / sizeof *stages;

/* Makes scales those that their type can hold. */
static void trials_round(const struct fit *fit, struct search_tile *t)
{
    float unit[TILE_GROUPS]; /* round to nearest's scales */
    for (size_t g = 0; g < TILE_GROUPS; g++)
        unit[g] = t->step[g] / t->inverse[g];
    for (size_t k = 0; k < t->trials; k++) {
        for (size_t g = 0; g < TILE_GROUPS; g++)
            t->scale[k][g] *= unit[g];
        quant_round(fit->kernels, fit->scheme->scale_type, t->scale[k], TILE_GROUPS);
        for (size_t g = 0; g < TILE_GROUPS; g++)
            t->scale[k][g] /= unit[g];
    }
}

void search_stage_trials(const struct scale_search *s, struct search_tile *t,
                         size_t stage)
{
    t->trials = 0;
    stages[stage](s, t);
    if (s->fit->scheme->scale_type != REAL_FLOAT32)
        trials_round(s->fit, t);
}

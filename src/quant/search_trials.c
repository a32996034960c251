/* Decides what the search tries: a series of scales first, then scales and zero points
 * near the best so far. The first dozen trials find most of the gain;
 * docs/developers/numbers.md has figures. Never reads weights; the kernels compute the
 * sums (kernels/search_tile.h). */
#include "quant/kernels/kernels.h"
#include "quant/search.h"

#include <stdint.h>

/* In groups longer than this, the best zero point may be far from the first one. */
enum { FAR_ZERO = 384 };

static const struct scale_series all_series_4bit[] = {
    /* max_length, first, ratio, count, more_zeros */
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
    while (series->max_length < length)
        series++;
    return *series;
}

/* Chooses the unit of the integers from the grid alone. The larger side of a group
 * exceeds that side of the grid by at most one step, and rounding may change the scale by
 * 1/32. */
void search_begin(const struct scale_search *s, struct search_tile *t, size_t lanes,
                  const float *scales, const uint8_t *zeros)
{
    for (size_t g = 0; g < TILE_GROUPS; g++) {
        float scale = g < lanes ? scales[g] : 1;
        float zero = g < lanes ? (float)(uint8_t)(zeros[g] - s->type->lo) : s->middle;
        float side = zero > s->steps - zero ? zero : s->steps - zero;
        float step = s->step; /* in integers, or in bins */
        if (step == 0)
            step = s->limit / (1.03125f * (side + 1));
        /* If the scale is so small that this would overflow, there is nothing to
         * search. */
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

/* Adds a trial with `factor` times the best scale and the best zero point + shift. */
static void add_near(const struct scale_search *s, struct search_tile *t, float factor,
                     float shift)
{
    size_t k = t->trials++;
    for (size_t g = 0; g < TILE_GROUPS; g++) {
        t->scale[k][g] = t->best_scale[g] * factor;
        t->zero[k][g] = zero_within(s, t->best_zero[g] + shift);
    }
}

/* Adds trials of the series, with the first zero point + shift. */
static void add_series(const struct scale_search *s, struct search_tile *t, float shift)
{
    float factor = s->series.first;
    for (; t->trials < s->series.count; factor *= s->series.ratio)
        for (size_t k = t->trials++, g = 0; g < TILE_GROUPS; g++) {
            t->scale[k][g] = factor;
            t->zero[k][g] = zero_within(s, t->first_zero[g] + shift);
        }
}

static void trials_series(const struct scale_search *s, struct search_tile *t)
{
    add_series(s, t, 0);
}

/* Moves the trials from one of the two mirrored grids to the other. */
static void trials_mirror(const struct scale_search *s, struct search_tile *t)
{
    for (size_t k = 0; k < t->trials; k++)
        for (size_t g = 0; g < TILE_GROUPS; g++)
            t->zero[k][g] = 2 * s->middle - 1 - t->zero[k][g];
}

/* Adds the series with the neighbouring zero point or, for a mirrored grid, on the other
 * grid. With codes of 8 bits many scales are about equally good, so the best one may be
 * anywhere. */
static void trials_beside(const struct scale_search *s, struct search_tile *t,
                          float shift)
{
    const struct quant_scheme *scheme = s->fit->scheme;
    if (!s->series.more_zeros || (scheme->symmetric && !(scheme->mirrored && shift > 0)))
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

/* Half way from the best scale to its neighbours in the series. */
static void trials_between(const struct scale_search *s, struct search_tile *t)
{
    float half = (1 - s->series.ratio) / 2;
    add_near(s, t, 1 - half, 0);
    add_near(s, t, 1 + half, 0);
}

/* A quarter of the way, for long groups: their scales lie further apart. */
static void trials_closer(const struct scale_search *s, struct search_tile *t)
{
    float quarter = (1 - s->series.ratio) / 4;
    if (s->length <= FAR_ZERO)
        return;
    add_near(s, t, 1 - quarter, 0);
    add_near(s, t, 1 + quarter, 0);
}

/* For long asymmetric groups: a second series with half as many scales. Their extremes
 * are often outliers. If both ends of the range are cut off, the zero point moves towards
 * the middle. */
static void trials_centre(const struct scale_search *s, struct search_tile *t)
{
    const float ratio = s->series.ratio;
    float factor = s->series.first * ratio;
    if (s->fit->scheme->symmetric || s->length <= FAR_ZERO)
        return;
    for (; t->trials < s->series.count / 2; factor *= ratio * ratio)
        for (size_t k = t->trials++, g = 0; g < TILE_GROUPS; g++) {
            float off = (t->first_zero[g] - s->middle) * factor;
            t->scale[k][g] = factor;
            t->zero[k][g] = s->middle + ((off + ROUNDER) - ROUNDER);
        }
}

/* The zero points beside the best one or, for a mirrored grid, the other grid. */
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

/* The same once more for long groups: outliers may have kept the best zero point away. */
static void trials_zeros_again(const struct scale_search *s, struct search_tile *t)
{
    if (!s->fit->scheme->symmetric && s->length > FAR_ZERO)
        trials_zeros(s, t);
}

/* The best scale for the codes of the best trial. */
static void trials_refit(const struct scale_search *s, struct search_tile *t)
{
    add_near(s, t, 1, 0);
    for (size_t g = 0; g < TILE_GROUPS; g++)
        if (t->best_ll[g] > 0)
            t->scale[0][g] = t->best_xl[g] / (t->best_ll[g] * t->step[g]);
}

/* The stages. Each starts from the best trial so far. */
static void (*const stages[])(const struct scale_search *, struct search_tile *) = {
    trials_series, trials_zero_above, trials_zero_below,  trials_centre, trials_between,
    trials_closer, trials_zeros,      trials_zeros_again, trials_refit,
};

const size_t search_stages = sizeof stages / sizeof *stages;

/* Rounds the scales to their type. */
static void trials_round(const struct fit *fit, struct search_tile *t)
{
    float unit[TILE_GROUPS]; /* the scales of round to nearest */
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

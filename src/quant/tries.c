/* What the search tries, in which order: scales at first, then what is near the best so
 * far. Most of what there is to find is in the first dozen; docs/numbers.md says how
 * much. Sees no elements: sums of theirs are the kernels' (kernels/search.h). */
#include <stdint.h>

#include "quant/kernels/kernels.h"
#include "quant/search.h"

/* Elements of groups whose zero point may be far off at first. */
enum { FAR = 384 };

static const struct spread spreads_4bit[] = {
    {24, 1.22f, 0.95f, 10, false},  {48, 1.12f, 0.92f, 5, false},
    {96, 1.08f, 0.91f, 5, false},   {192, 1.04f, 0.90f, 6, false},
    {384, 1.00f, 0.89f, 6, false},  {768, 1.00f, 0.86f, 6, false},
    {1536, 1.00f, 0.85f, 7, false}, {SIZE_MAX, 1.00f, 0.85f, 12, false},
};
static const struct spread spreads_8bit[] = {
    {24, 1.27f, 0.996f, 64, true},    {48, 1.16f, 0.997f, 56, true},
    {96, 1.10f, 0.9965f, 32, true},   {192, 1.065f, 0.996f, 20, true},
    {384, 1.05f, 0.9955f, 16, true},  {1536, 1.03f, 0.993f, 16, true},
    {4096, 1.02f, 0.988f, 20, false}, {SIZE_MAX, 1.01f, 0.965f, 14, false},
};

struct spread search_spread(const struct quant_type_info *type, size_t length)
{
    const struct spread *spread = type->bits == 4 ? spreads_4bit : spreads_8bit;

    while (spread->length < length)
        spread++;
    return *spread;
}

/* The larger side of a group is at most one scale, as that is rounded, longer than that
 * of the grid. The unit of whole numbers follows from that, without a look at them. */
void search_begin(const struct search *s, struct search_tile *t, size_t lanes,
                  const float *scales, const uint8_t *zeros)
{
    for (size_t g = 0; g < TILE; g++) {
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

static inline float zero_within(const struct search *s, float zero)
{
    zero = zero > 0 ? zero : 0;
    return zero < s->steps ? zero : s->steps;
}

/* Adds a try: `factor` times the best scale, and the best zero point + `shift`. */
static void try_near(const struct search *s, struct search_tile *t, float factor,
                     float shift)
{
    size_t k = t->tries++;

    for (size_t g = 0; g < TILE; g++) {
        t->scale[k][g] = t->best_scale[g] * factor;
        t->zero[k][g] = zero_within(s, t->best_zero[g] + shift);
    }
}

/* Adds the scales of the spread, with zero points that are `shift` off the first. */
static void try_spread(const struct search *s, struct search_tile *t, float shift)
{
    float factor = s->spread.top;

    for (; t->tries < s->spread.tries; factor *= s->spread.ratio)
        for (size_t k = t->tries++, g = 0; g < TILE; g++) {
            t->scale[k][g] = factor;
            t->zero[k][g] = zero_within(s, t->first_zero[g] + shift);
        }
}

static void tries_spread(const struct search *s, struct search_tile *t)
{
    try_spread(s, t, 0);
}

/* Makes tries on one of the mirrored grids those on the other. */
static void tries_turn(const struct search *s, struct search_tile *t)
{
    for (size_t k = 0; k < t->tries; k++)
        for (size_t g = 0; g < TILE; g++)
            t->zero[k][g] = 2 * s->middle - 1 - t->zero[k][g];
}

/* The same with a zero point beside it, or the other grid of a mirrored one. Codes of 8
 * bits have so many scales that are about as good that the best may be anywhere. */
static void tries_other(const struct search *s, struct search_tile *t, float shift)
{
    const struct quant_scheme *scheme = s->fit->scheme;

    if (!s->spread.others || (scheme->symmetric && !(scheme->mirrored && shift > 0)))
        return;
    try_spread(s, t, scheme->symmetric ? 0 : shift);
    if (scheme->symmetric)
        tries_turn(s, t);
}

static void tries_above(const struct search *s, struct search_tile *t)
{
    tries_other(s, t, 1);
}

static void tries_below(const struct search *s, struct search_tile *t)
{
    tries_other(s, t, -1);
}

/* Half way to the neighbours of the best. */
static void tries_between(const struct search *s, struct search_tile *t)
{
    float half = (1 - s->spread.ratio) / 2;

    try_near(s, t, 1 - half, 0);
    try_near(s, t, 1 + half, 0);
}

/* Half of that again, where neighbours are far. */
static void tries_closer(const struct search *s, struct search_tile *t)
{
    float quarter = (1 - s->spread.ratio) / 4;

    if (s->length <= FAR)
        return;
    try_near(s, t, 1 - quarter, 0);
    try_near(s, t, 1 + quarter, 0);
}

/* The shorter the range, the nearer to zero both of its ends, where the extremes are
 * outliers: a second spread, of half as many scales. */
static void tries_centre(const struct search *s, struct search_tile *t)
{
    const float ratio = s->spread.ratio;
    float factor = s->spread.top * ratio;

    if (s->fit->scheme->symmetric || s->length <= FAR)
        return;
    for (; t->tries < s->spread.tries / 2; factor *= ratio * ratio)
        for (size_t k = t->tries++, g = 0; g < TILE; g++) {
            float off = (t->first_zero[g] - s->middle) * factor;

            t->scale[k][g] = factor;
            t->zero[k][g] = s->middle + ((off + ROUNDER) - ROUNDER);
        }
}

/* The zero points beside the best, or the other grid of a mirrored one. */
static void tries_zeros(const struct search *s, struct search_tile *t)
{
    const struct quant_scheme *scheme = s->fit->scheme;
    float third = (1 - s->spread.ratio) / 3;

    if (!scheme->symmetric) {
        for (float shift = -1; shift <= 1; shift += 2)
            for (float turn = -1; turn <= 1; turn++)
                try_near(s, t, 1 + turn * third, shift);
    } else if (scheme->mirrored) {
        try_near(s, t, 1, 0);
        tries_turn(s, t);
    }
}

/* One further, where outliers may have kept it off. */
static void tries_zeros_again(const struct search *s, struct search_tile *t)
{
    if (!s->fit->scheme->symmetric && s->length > FAR)
        tries_zeros(s, t);
}

/* The best scale for the codes of the best try. */
static void tries_refit(const struct search *s, struct search_tile *t)
{
    try_near(s, t, 1, 0);
    for (size_t g = 0; g < TILE; g++)
        if (t->best_ll[g] > 0)
            t->scale[0][g] = t->best_xl[g] / (t->best_ll[g] * t->step[g]);
}

/* What is tried, stage by stage, each near the best so far. */
static void (*const stages[])(const struct search *, struct search_tile *) = {
    tries_spread, tries_above, tries_below,       tries_centre, tries_between,
    tries_closer, tries_zeros, tries_zeros_again, tries_refit,
};

const size_t search_stages = sizeof stages / sizeof *stages;

/* Makes scales those that their type can hold. */
static void tries_round(const struct fit *fit, struct search_tile *t)
{
    float unit[TILE]; /* round to nearest's scales */

    for (size_t g = 0; g < TILE; g++)
        unit[g] = t->step[g] / t->inverse[g];
    for (size_t k = 0; k < t->tries; k++) {
        for (size_t g = 0; g < TILE; g++)
            t->scale[k][g] *= unit[g];
        quant_round(fit->kernels, fit->scheme->scale_type, t->scale[k], TILE);
        for (size_t g = 0; g < TILE; g++)
            t->scale[k][g] /= unit[g];
    }
}

void search_plan(const struct search *s, struct search_tile *t, size_t stage)
{
    t->tries = 0;
    stages[stage](s, t);
    if (s->fit->scheme->scale_type != REAL_FLOAT32)
        tries_round(s->fit, t);
}

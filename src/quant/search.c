/* The search for scales and zero points of least squared error: what is tried, in
 * which order, and that nothing is taken that is worse than round to nearest. The
 * sums are the kernels' (kernels/search.h); docs/numbers.md has the figures. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "quant/fit.h"
#include "quant/gather.h"
#include "quant/kernels/kernels.h"

enum {
    FLOATS = 8192, /* elements gathered at a time: 32 KiB */
    WHOLE = 32768, /* elements kept as whole numbers: 64 KiB */
    GRIDS = 3,     /* compared in the end */
    LONG = 384,    /* elements of groups whose zero point may be far off at first */
};

/* Scales that are tried at first, from `top` on, each `ratio` times the one before:
 * multiples of that of round to nearest. The more elements, the smaller the best one,
 * since the extreme is the further from the rest. */
struct spread {
    size_t length; /* of groups, at most */
    float top, ratio;
    size_t tries;
};

static const struct spread spreads_4bit[] = {
    {24, 1.18f, 0.946f, 8},  {48, 1.15f, 0.946f, 8},       {96, 1.10f, 0.937f, 8},
    {192, 1.05f, 0.927f, 8}, {384, 1.02f, 0.913f, 8},      {768, 1.00f, 0.895f, 8},
    {1536, 1.00f, 0.88f, 9}, {SIZE_MAX, 1.00f, 0.85f, 12},
};
static const struct spread spreads_8bit[] = {
    {48, 1.03f, 0.9955f, 24},
    {192, 1.015f, 0.9945f, 16},
    {1536, 1.005f, 0.985f, 16},
    {SIZE_MAX, 1.01f, 0.93f, 12},
};

struct search {
    const struct fit *fit;
    const struct band *band;
    const struct quant_type_info *type;
    float steps;  /* hi - lo */
    float middle; /* of a symmetric grid, counted from lo */
    float limit;  /* of whole numbers */
    struct spread spread;
    size_t length; /* of groups, in elements */
    size_t tiles;  /* worked on at a time */
    size_t piece;  /* elements of each group gathered at a time; even */
    size_t room;   /* elements of each group that are kept; even, a piece at least */
    struct search_tile tile[TILES];
    float floats[FLOATS];
    int16_t whole[WHOLE];
};

/* ---- what is tried -------------------------------------------------- */

/* Scales and zero points of `lanes` groups from round to nearest. A zero point that
 * is at neither end leaves the larger side at most max(zero, steps - zero) + 1 scales,
 * even where those are rounded. */
static void tile_begin(const struct search *s, struct search_tile *t, size_t lanes,
                       const float *scales, const uint8_t *zeros)
{
    for (size_t g = 0; g < TILE; g++) {
        float scale = g < lanes ? scales[g] : 1;
        float zero = g < lanes ? (float)(uint8_t)(zeros[g] - s->type->lo) : s->middle;
        float side = zero > s->steps - zero ? zero : s->steps - zero;
        float step = s->limit / (1.03125f * (side + 1)); /* in whole numbers */

        /* Scales so small that this would overflow leave nothing to search. */
        t->inverse[g] = scale >= 0x1p-112f ? step / scale : 0;
        t->base[g] = 32768 / step;
        t->best_gain[g] = 0;
        t->best_scale[g] = 1;
        t->first_zero[g] = zero;
        t->best_zero[g] = zero;
        t->best_xl[g] = 0;
        t->best_ll[g] = 0;
    }
}

/* Adds a try: `factor` times the best scale, and the best zero point + `shift`. */
static void try_near(const struct search *s, struct search_tile *t, float factor,
                     float shift)
{
    size_t k = t->tries++;

    for (size_t g = 0; g < TILE; g++) {
        float zero = t->best_zero[g] + shift;

        zero = zero > 0 ? zero : 0;
        zero = zero < s->steps ? zero : s->steps;
        t->scale[k][g] = t->best_scale[g] * factor;
        t->zero[k][g] = zero;
    }
}

static void tries_spread(const struct search *s, struct search_tile *t)
{
    float factor = s->spread.top;

    for (size_t k = 0; k < s->spread.tries; k++, factor *= s->spread.ratio)
        try_near(s, t, factor, 0);
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

    if (s->length <= LONG)
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

    if (s->fit->scheme->symmetric || s->length <= LONG)
        return;
    for (; t->tries < s->spread.tries / 2; factor *= ratio * ratio)
        for (size_t k = t->tries++, g = 0; g < TILE; g++) {
            float off = (t->first_zero[g] - s->middle) * factor;

            t->scale[k][g] = factor;
            t->zero[k][g] = s->middle + ((off + ROUNDER) - ROUNDER);
        }
}

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
        for (size_t g = 0; g < TILE; g++) /* middle and middle - 1 change places */
            t->zero[0][g] = 2 * s->middle - 1 - t->zero[0][g];
    }
}

static void tries_zeros_again(const struct search *s, struct search_tile *t)
{
    if (!s->fit->scheme->symmetric && s->length > LONG)
        tries_zeros(s, t);
}

/* The best scale for the codes of the best try. */
static void tries_refit(const struct search *s, struct search_tile *t)
{
    try_near(s, t, 1, 0);
    for (size_t g = 0; g < TILE; g++)
        if (t->best_ll[g] > 0)
            t->scale[0][g] = t->base[g] * (t->best_xl[g] / (t->best_ll[g] * 32768));
}

/* What is tried, stage by stage, each near the best so far. */
static void (*const stages[])(const struct search *, struct search_tile *) = {
    tries_spread, tries_centre,      tries_between, tries_closer,
    tries_zeros,  tries_zeros_again, tries_refit,
};

enum { STAGES = sizeof stages / sizeof *stages };

static void tile_plan(const struct search *s, struct search_tile *t, size_t stage)
{
    t->tries = 0;
    stages[stage](s, t);
    memset(t->xl, 0, t->tries * sizeof *t->xl);
    memset(t->ll, 0, t->tries * sizeof *t->ll);
}

/* ---- passes over the elements --------------------------------------- */

static float *tile_floats(struct search *s, size_t t)
{
    return s->floats + t * s->piece * TILE;
}

static size_t piece_length(const struct search *s, size_t at)
{
    return size_min(s->piece, s->length - at);
}

static size_t pairs_of(size_t length)
{
    return (length + 1) / 2;
}

static void piece_gather(struct search *s, size_t group, size_t count, size_t at)
{
    gather(s->fit, s->band, group, count, at, at + piece_length(s, at), s->floats,
           s->piece * TILE);
}

/* Gathers elements from `at` on, as many as there is room for, and narrows them.
 * Returns how many. */
static size_t room_fill(struct search *s, size_t group, size_t count, size_t at)
{
    size_t n = size_min(s->room, s->length - at);

    for (size_t i = 0; i < n; i += s->piece) {
        piece_gather(s, group, count, at + i);
        for (size_t t = 0; t * TILE < count; t++)
            s->fit->kernels->search_narrow(
                tile_floats(s, t), pairs_of(piece_length(s, at + i)), s->tile[t].inverse,
                s->limit, s->whole + (t * s->room + i) * TILE);
    }
    return n;
}

/* One stage for `count` groups. Those there is room for are read once for all. */
static void search_stage(struct search *s, size_t group, size_t count, size_t stage)
{
    for (size_t t = 0; t * TILE < count; t++)
        tile_plan(s, &s->tile[t], stage);
    if (s->tile[0].tries == 0)
        return;
    for (size_t at = 0, n; at < s->length; at += n) {
        n = s->length;
        if (stage == 0 || s->length > s->room)
            n = room_fill(s, group, count, at);
        for (size_t t = 0; t * TILE < count; t++)
            s->fit->kernels->search_try(s->whole + t * s->room * TILE, pairs_of(n),
                                        s->steps, at + n == s->length, &s->tile[t]);
    }
}

/* ---- what is taken -------------------------------------------------- */

/* A scale for each group of a tile, rounded to its type, and a zero point. */
struct choice {
    float scale[TILE], zero[TILE];
};

static void choice_measure(const struct search *s, const struct choice *choice,
                           struct search_grid *grid)
{
    for (size_t g = 0; g < TILE; g++) {
        grid->inverse[g] = 1 / choice->scale[g];
        grid->lo[g] = -choice->zero[g];
        grid->hi[g] = s->steps - choice->zero[g];
        grid->error[g] = 0;
    }
}

/* What the search has found; round to nearest's where that can't be stored. */
static void choose_best(const struct search *s, const struct search_tile *t,
                        const struct choice *rtn, struct choice *choice)
{
    for (size_t g = 0; g < TILE; g++) {
        float scale = t->best_xl[g] / (t->best_ll[g] * t->inverse[g]);
        bool good;

        scale = real_round(s->fit->scheme->scale_type, scale);
        good = scale >= FLT_MIN && scale <= FLT_MAX; /* nor NaN */
        choice->scale[g] = good ? scale : rtn->scale[g];
        choice->zero[g] = good ? t->best_zero[g] : rtn->zero[g];
    }
}

/* The plain symmetric grid, whose steps are wider than those of the mirrored one. */
static void choose_plain(const struct search *s, const struct choice *rtn,
                         struct choice *choice)
{
    for (size_t g = 0; g < TILE; g++) {
        float extreme = rtn->scale[g] * s->middle; /* exact, unless infinite */
        float scale = real_round(s->fit->scheme->scale_type, extreme / (s->middle - 1));
        bool good = scale <= FLT_MAX;

        choice->scale[g] = good ? scale : rtn->scale[g];
        choice->zero[g] = good ? s->middle : rtn->zero[g];
    }
}

/* Takes from choices the first that is better than all before it. Errors are those
 * of a product with 1 / scale, in float32: only what is better by more than these
 * and encode's differ is better for sure. */
static void tile_take(const struct search *s, const struct choice *choices,
                      const struct search_grid *grids, size_t count, size_t lanes,
                      float *scales, uint8_t *zeros)
{
    const double product = 0x1p-22 * (double)s->steps; /* of one element, at most */
    const double slack = (double)s->length * product * product * 1e4;

    for (size_t g = 0; g < lanes; g++) {
        double best = INFINITY;

        for (size_t k = 0; k < count; k++) {
            double square = (double)choices[k].scale[g] * (double)choices[k].scale[g];
            double error = (double)grids[k].error[g] * square;

            if (k > 0 && !(error + slack * square < best * (1 - 0x1p-11)))
                continue;
            best = error;
            scales[g] = choices[k].scale[g];
            zeros[g] = (uint8_t)((int)choices[k].zero[g] + s->type->lo);
        }
    }
}

/* Replaces scales and zeros of `count` groups where the search has found better. */
static void search_take(struct search *s, size_t group, size_t count, float *scales,
                        uint8_t *zeros)
{
    bool mirrored = s->fit->scheme->symmetric && s->fit->scheme->mirrored;
    size_t tiles = (count + TILE - 1) / TILE, grids_used = mirrored ? 3 : 2;
    struct choice choices[TILES][GRIDS];
    struct search_grid grids[TILES][GRIDS];

    for (size_t t = 0; t < tiles; t++) {
        struct choice *c = choices[t];

        for (size_t g = 0; g < TILE; g++) {
            size_t k = t * TILE + g;

            c[0].scale[g] = k < count ? scales[k] : 1;
            c[0].zero[g] =
                k < count ? (float)(uint8_t)(zeros[k] - s->type->lo) : s->middle;
        }
        choose_best(s, &s->tile[t], &c[0], &c[1]);
        if (mirrored)
            choose_plain(s, &c[0], &c[2]);
        for (size_t k = 0; k < grids_used; k++)
            choice_measure(s, &c[k], &grids[t][k]);
    }
    for (size_t at = 0; at < s->length; at += s->piece) {
        if (s->length > s->piece)
            piece_gather(s, group, count, at);
        for (size_t t = 0; t < tiles; t++)
            s->fit->kernels->search_errors(
                tile_floats(s, t), pairs_of(piece_length(s, at)), grids_used, grids[t]);
    }
    for (size_t t = 0; t < tiles; t++)
        tile_take(s, choices[t], grids[t], grids_used, size_min(TILE, count - t * TILE),
                  scales + t * TILE, zeros + t * TILE);
}

/* ---- the method ----------------------------------------------------- */

/* How much is worked on at a time: of runs what is gathered at once, of columns at
 * least two tiles, which are a cache line. */
static void search_cut(struct search *s)
{
    size_t even = s->length + s->length % 2;
    size_t least = s->band->run == 1 ? 2 : 1;
    size_t most = s->band->run == 1 ? WHOLE / 2 : FLOATS;
    size_t tiles = most / TILE / even;

    s->tiles = size_min(tiles > least ? tiles : least, TILES);
    s->piece = size_min(even, FLOATS / TILE / s->tiles / 2 * 2);
    s->room = size_min(even, WHOLE / TILE / s->tiles / s->piece * s->piece);
}

static struct spread search_spread(const struct quant_type_info *type, size_t length)
{
    const struct spread *spread = type->bits == 4 ? spreads_4bit : spreads_8bit;

    while (spread->length < length)
        spread++;
    return *spread;
}

enum quant_fit fit_search(const struct fit *fit, const struct band *band, size_t from,
                          size_t count, float *scales, uint8_t *zeros)
{
    struct search s;
    enum quant_fit result = fit_rtn(fit, band, from, count, scales, zeros);

    if (result != QUANT_FIT_OK)
        return result;
    s.fit = fit;
    s.band = band;
    s.type = quant_type_info(fit->scheme->type);
    s.steps = (float)(s.type->hi - s.type->lo);
    s.middle = (float)(1 << (s.type->bits - 1));
    s.limit = s.type->bits == 4 ? LIMIT_4BIT : LIMIT_8BIT;
    s.length = gather_length(band);
    s.spread = search_spread(s.type, s.length);
    search_cut(&s);
    for (size_t k = 0, n; k < count; k += n) {
        n = size_min(s.tiles * TILE, count - k);
        for (size_t t = 0; t * TILE < n; t++)
            tile_begin(&s, &s.tile[t], size_min(TILE, n - t * TILE),
                       scales + k + t * TILE, zeros + k + t * TILE);
        for (size_t stage = 0; stage < STAGES; stage++)
            search_stage(&s, from + k, n, stage);
        search_take(&s, from + k, n, scales + k, zeros + k);
    }
    return QUANT_FIT_OK;
}

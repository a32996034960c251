/* The search for scales and zero points of least squared error: passes over the elements
 * for what tries.c wants tried, and that nothing is taken that is worse than round to
 * nearest. The sums are the kernels' (kernels/search.h). */
#include <math.h>

#include "quant/kernels/kernels.h"
#include "quant/search.h"

enum { GRIDS = 3 }; /* compared in the end */

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
        search_plan(s, &s->tile[t], stage);
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
    enum real_type type = s->fit->scheme->scale_type;

    for (size_t g = 0; g < TILE; g++) {
        float scale = real_round(type, t->best_xl[g] / t->best_ll[g] / t->inverse[g]);
        bool good = fit_usable(type, scale, t->best_zero[g], s->steps);

        choice->scale[g] = good ? scale : rtn->scale[g];
        choice->zero[g] = good ? t->best_zero[g] : rtn->zero[g];
    }
}

/* The plain symmetric grid, whose steps are wider than those of the mirrored one. */
static void choose_plain(const struct search *s, const struct choice *rtn,
                         struct choice *choice)
{
    enum real_type type = s->fit->scheme->scale_type;

    for (size_t g = 0; g < TILE; g++) {
        float extreme = rtn->scale[g] * s->middle; /* exact, unless infinite */
        float scale = real_round(type, extreme / (s->middle - 1));
        bool good = fit_usable(type, scale, s->middle, s->steps);

        choice->scale[g] = good ? scale : rtn->scale[g];
        choice->zero[g] = good ? s->middle : rtn->zero[g];
    }
}

/* Bounds of a sum of squared errors whose terms, before they are squared, are off by
 * at most `off` in all (the root of the sum of their squares is), and then some 2^-14 by
 * summing up: (sqrt(e) + off)^2 and (sqrt(e) - off)^2, without the roots. */
static double at_most(double error, double square_off)
{
    double near = error * (1 + 0x1p-12) + square_off * 0x1p12;
    double far = 2 * (error + square_off);

    return near < far ? near : far;
}

static double at_least(double error, double square_off)
{
    double near = error * (1 - 0x1p-12) - square_off * 0x1p12;
    double far = error / 2 - square_off;

    return near > far ? near : far;
}

/* Takes the best of the choices, of which the first is round to nearest's. Errors are
 * those of a product with 1 / scale, in float32; encode's differ. A choice has to be
 * better whatever they are. */
static void tile_take(const struct search *s, const struct choice *choices,
                      const struct search_grid *grids, size_t count, size_t lanes,
                      float *scales, uint8_t *zeros)
{
    const double off = 0x1p-22 * (double)s->steps; /* of one element, in steps */
    const double square_off = (double)s->length * off * off;

    for (size_t g = 0; g < lanes; g++) {
        double best = INFINITY;

        for (size_t k = 0; k < count; k++) {
            double square = (double)choices[k].scale[g] * (double)choices[k].scale[g];
            double error = (double)grids[k].error[g];

            if (k > 0 && !(at_most(error, square_off) * square < best))
                continue;
            best = at_least(error, square_off) * square;
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
        if (mirrored)
            choose_plain(s, &c[0], &c[1]);
        choose_best(s, &s->tile[t], &c[0], &c[grids_used - 1]);
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
            search_begin(&s, &s.tile[t], size_min(TILE, n - t * TILE),
                         scales + k + t * TILE, zeros + k + t * TILE);
        for (size_t stage = 0; stage < search_stages; stage++)
            search_stage(&s, from + k, n, stage);
        search_take(&s, from + k, n, scales + k, zeros + k);
    }
    return QUANT_FIT_OK;
}

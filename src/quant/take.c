/* What the search takes in the end: the best of round to nearest, of what was found,
 * and for mirrored grids of the plain one, by their true errors. Nothing is taken that
 * is not better than round to nearest beyond all doubt of rounding. */
#include <math.h>

#include "quant/kernels/kernels.h"
#include "quant/search.h"

/* ---- who takes part ------------------------------------------------- */

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

void contest_begin(const struct search *s, struct contest *contest,
                   const struct search_tile *tiles, size_t count, const float *scales,
                   const uint8_t *zeros)
{
    bool mirrored = s->fit->scheme->symmetric && s->fit->scheme->mirrored;

    contest->entries = mirrored ? 3 : 2;
    for (size_t t = 0; t * TILE < count; t++) {
        struct choice *c = contest->choices[t];

        for (size_t g = 0; g < TILE; g++) {
            size_t k = t * TILE + g;

            c[0].scale[g] = k < count ? scales[k] : 1;
            c[0].zero[g] =
                k < count ? (float)(uint8_t)(zeros[k] - s->type->lo) : s->middle;
        }
        if (mirrored)
            choose_plain(s, &c[0], &c[1]);
        choose_best(s, &tiles[t], &c[0], &c[contest->entries - 1]);
    }
}

void contest_take(const struct search *s, const struct contest *contest, size_t k,
                  size_t entry, float *scales, uint8_t *zeros)
{
    const struct choice *choice = &contest->choices[k / TILE][entry];

    scales[k] = choice->scale[k % TILE];
    zeros[k] = (uint8_t)((int)choice->zero[k % TILE] + s->type->lo);
}

/* ---- true errors ---------------------------------------------------- */

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

/* The best entry, of which the first is round to nearest's. Errors are those of a product
 * with 1 / scale, in float32; encode's differ. An entry has to be better whatever they
 * are. */
static size_t best_entry(const struct search *s, const struct contest *contest, size_t k,
                         const struct search_grid *grids)
{
    const double off = 0x1p-22 * (double)s->steps; /* of one element, in steps */
    const double square_off = (double)s->length * off * off;
    double best = INFINITY;
    size_t entry = 0;

    for (size_t i = 0; i < contest->entries; i++) {
        double scale = (double)contest->choices[k / TILE][i].scale[k % TILE];
        double error = (double)grids[i].error[k % TILE];

        if (i > 0 && !(at_most(error, square_off) * scale * scale < best))
            continue;
        best = at_least(error, square_off) * scale * scale;
        entry = i;
    }
    return entry;
}

void contest_decide(struct search *s, struct contest *contest, size_t group, size_t count,
                    const bool *decided, float *scales, uint8_t *zeros)
{
    struct search_grid grids[TILES][GRIDS];
    size_t tiles = (count + TILE - 1) / TILE;

    for (size_t t = 0; t < tiles; t++)
        for (size_t i = 0; i < contest->entries; i++)
            choice_measure(s, &contest->choices[t][i], &grids[t][i]);
    for (size_t at = 0; at < s->length; at += s->piece) {
        if (s->length > s->piece || decided != NULL)
            piece_gather(s, group, count, at);
        for (size_t t = 0; t < tiles; t++)
            s->fit->kernels->search_errors(tile_floats(s, t),
                                           pairs_of(piece_length(s, at)),
                                           contest->entries, grids[t]);
    }
    for (size_t k = 0; k < count; k++)
        if (decided == NULL || !decided[k])
            contest_take(s, contest, k, best_entry(s, contest, k, grids[k / TILE]),
                         scales, zeros);
}

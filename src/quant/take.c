/* What the search takes in the end: the best of round to nearest, of what was found,
 * and for mirrored grids of the plain one, by their true errors. Nothing is taken that
 * is not better than round to nearest beyond all doubt of rounding. */
#include <string.h>

#include "quant/kernels/kernels.h"
#include "quant/search.h"

/* ---- who takes part ------------------------------------------------- */

/* Rounds a tile's scales to their type; where one can't be used it is the first entry's,
 * with its zero point. */
static void choice_round(const struct search *s, const struct choice *rtn,
                         struct choice *choice)
{
    const enum real_type type = s->fit->scheme->scale_type;

    quant_round(s->fit->kernels, type, choice->scale, TILE);
    for (size_t g = 0; g < TILE; g++) {
        bool good = fit_usable(type, choice->scale[g], choice->zero[g], s->steps);

        choice->scale[g] = good ? choice->scale[g] : rtn->scale[g];
        choice->zero[g] = good ? choice->zero[g] : rtn->zero[g];
    }
}

/* The plain symmetric grid, whose steps are wider than those of the mirrored one. */
static void choose_plain(const struct search *s, const struct choice *rtn,
                         struct choice *choice)
{
    for (size_t g = 0; g < TILE; g++) {
        float extreme = rtn->scale[g] * s->middle; /* exact, unless infinite */

        choice->scale[g] = extreme / (s->middle - 1);
        choice->zero[g] = s->middle;
    }
    choice_round(s, rtn, choice);
}

/* What the search has found. */
static void choose_best(const struct search *s, const struct search_tile *t,
                        const struct choice *rtn, struct choice *choice)
{
    for (size_t g = 0; g < TILE; g++) {
        choice->scale[g] = t->best_xl[g] / t->best_ll[g] / t->inverse[g];
        choice->zero[g] = t->best_zero[g];
    }
    choice_round(s, rtn, choice);
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

static void choice_take(const struct search *s, const struct choice *choice, size_t g,
                        float *scale, uint8_t *zero)
{
    *scale = choice->scale[g];
    *zero = (uint8_t)((int)choice->zero[g] + s->type->lo);
}

void contest_take(const struct search *s, const struct contest *contest, size_t k,
                  size_t entry, float *scales, uint8_t *zeros)
{
    choice_take(s, &contest->choices[k / TILE][entry], k % TILE, scales + k, zeros + k);
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

/* Four groups at a time, in vectors of any CPU: what compilers make of loops over them
 * takes several times as long. */
typedef float four __attribute__((vector_size(16)));
typedef int32_t four_bits __attribute__((vector_size(16)));

static inline four four_load(const float *x)
{
    four v;

    memcpy(&v, x, sizeof v);
    return v;
}

static inline void four_store(float *x, four v)
{
    memcpy(x, &v, sizeof v);
}

static inline four four_pick(four_bits first, four a, four b)
{
    return (four)(((four_bits)a & first) | ((four_bits)b & ~first));
}

/* Bounds of a sum e of squared errors whose terms, before they are squared, are off by
 * at most `off` in all (the root of the sum of their squares is), and then some 2^-14 by
 * summing up: (sqrt(e) + off)^2 and (sqrt(e) - off)^2, without the roots. In floats,
 * whose own errors are far less. */
static inline four at_most(four error, float square_off)
{
    four near = error * (1 + 0x1p-11f) + square_off * 2400;
    four far = 2 * (error + square_off);

    return four_pick(near < far, near, far);
}

static inline four at_least(four error, float square_off)
{
    four near = error * (1 - 0x1p-11f) - square_off * 2400;
    four far = error / 2 - square_off;

    return four_pick(near > far, near, far);
}

/* The best choices for the groups of a tile. Errors are those of a product with 1 /
 * scale; encode's differ. A choice has to be better than the ones before it whatever they
 * are. */
static struct choice best_choice(const struct search *s, const struct contest *contest,
                                 size_t t, const struct search_grid *grids)
{
    const float off = 0x1p-22f * s->steps; /* of one element, in steps */
    const float square_off = (float)s->length * off * off;
    const struct choice *choices = contest->choices[t];
    struct choice best;

    for (size_t g = 0; g < TILE; g += 4) {
        const four first = four_load(&choices[0].scale[g]);
        four scale = first, zero = four_load(&choices[0].zero[g]);
        four least = at_least(four_load(&grids[0].error[g]), square_off);

        for (size_t i = 1; i < contest->entries; i++) {
            four other = four_load(&choices[i].scale[g]);
            four error = four_load(&grids[i].error[g]);
            four unit = (other / first) * (other / first);
            four_bits better = at_most(error, square_off) * unit < least;

            least = four_pick(better, at_least(error, square_off) * unit, least);
            scale = four_pick(better, other, scale);
            zero = four_pick(better, four_load(&choices[i].zero[g]), zero);
        }
        four_store(&best.scale[g], scale);
        four_store(&best.zero[g], zero);
    }
    return best;
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
    for (size_t t = 0; t < tiles; t++) {
        struct choice best = best_choice(s, contest, t, grids[t]);

        for (size_t k = t * TILE; k < size_min((t + 1) * TILE, count); k++)
            if (decided == NULL || !decided[k])
                choice_take(s, &best, k % TILE, scales + k, zeros + k);
    }
}

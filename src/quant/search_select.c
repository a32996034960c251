/* Selects the result for each group: the best of round to nearest, the result of the
 * search and, for mirrored grids, the plain grid. Compares true errors. Anything other
 * than round to nearest must be better beyond all doubt of rounding. */
#include "quant/kernels/kernels.h"
#include "quant/search.h"

#include <string.h>

/* ---- the candidates -------------------------------------------------- */

/* Rounds the scales to their type. Replaces those that can't be used, with their zero
 * points, by round to nearest. */
static void candidate_round(const struct scale_search *s, const struct candidate *rtn,
                            struct candidate *candidate)
{
    const enum real_type type = s->fit->scheme->scale_type;
    quant_round(s->fit->kernels, type, candidate->scale, TILE_GROUPS);
    for (size_t g = 0; g < TILE_GROUPS; g++) {
        bool good = fit_usable(type, candidate->scale[g], candidate->zero[g], s->steps);
        candidate->scale[g] = good ? candidate->scale[g] : rtn->scale[g];
        candidate->zero[g] = good ? candidate->zero[g] : rtn->zero[g];
    }
}

/* The plain symmetric grid, which has wider steps than the mirrored one. */
static void candidate_plain(const struct scale_search *s, const struct candidate *rtn,
                            struct candidate *candidate)
{
    for (size_t g = 0; g < TILE_GROUPS; g++) {
        float extreme = rtn->scale[g] * s->middle; /* exact, unless infinite */
        candidate->scale[g] = extreme / (s->middle - 1);
        candidate->zero[g] = s->middle;
    }
    candidate_round(s, rtn, candidate);
}

/* The result of the search. */
static void candidate_found(const struct scale_search *s, const struct search_tile *t,
                            const struct candidate *rtn, struct candidate *candidate)
{
    for (size_t g = 0; g < TILE_GROUPS; g++) {
        candidate->scale[g] = t->best_xl[g] / t->best_ll[g] / t->inverse[g];
        candidate->zero[g] = t->best_zero[g];
    }
    candidate_round(s, rtn, candidate);
}

void candidates_make(const struct scale_search *s, struct candidates *candidates,
                     const struct search_tile *tiles, size_t count, const float *scales,
                     const uint8_t *zeros)
{
    bool mirrored = s->fit->scheme->symmetric && s->fit->scheme->mirrored;
    candidates->count = mirrored ? 3 : 2;
    for (size_t t = 0; t * TILE_GROUPS < count; t++) {
        struct candidate *c = candidates->of_tile[t];
        for (size_t g = 0; g < TILE_GROUPS; g++) {
            size_t k = t * TILE_GROUPS + g;
            c[0].scale[g] = k < count ? scales[k] : 1;
            c[0].zero[g] =
                k < count ? (float)(uint8_t)(zeros[k] - s->type->lo) : s->middle;
        }
        if (mirrored)
            candidate_plain(s, &c[0], &c[1]);
        candidate_found(s, &tiles[t], &c[0], &c[candidates->count - 1]);
    }
}

static void candidate_write(const struct scale_search *s,
                            const struct candidate *candidate, size_t g, float *scale,
                            uint8_t *zero)
{
    *scale = candidate->scale[g];
    *zero = (uint8_t)((int)candidate->zero[g] + s->type->lo);
}

void candidates_select(const struct scale_search *s, const struct candidates *candidates,
                       size_t k, size_t entry, float *scales, uint8_t *zeros)
{
    candidate_write(s, &candidates->of_tile[k / TILE_GROUPS][entry], k % TILE_GROUPS,
                    scales + k, zeros + k);
}

/* ---- true errors ---------------------------------------------------- */

static void candidate_grid(const struct scale_search *s,
                           const struct candidate *candidate, struct search_grid *grid)
{
    for (size_t g = 0; g < TILE_GROUPS; g++) {
        grid->inverse[g] = 1 / candidate->scale[g];
        grid->lo[g] = -candidate->zero[g];
        grid->hi[g] = s->steps - candidate->zero[g];
        grid->error[g] = 0;
    }
}

/* The compiler's vectors of four groups work on any CPU. Loops over single groups take
 * several times as long. */
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

/* Upper and lower bound of a true error, from a computed sum e of squares. Each term is
 * slightly off before it is squared; the root of the sum of those squares is at most
 * `off`. Adding up makes the sum wrong by another 2^-14. So the bounds are (sqrt(e) +
 * off)^2 and (sqrt(e) - off)^2. These functions avoid the roots; their own rounding is
 * far smaller. */
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

/* Selects the best candidate for each group of a tile. The kernels multiply by 1 /
 * scale where quant_encode divides, so their errors are not exact. A candidate must be
 * better than those before it even if its error is at the upper bound and theirs at
 * the lower. */
static struct candidate best_of_tile(const struct scale_search *s,
                                     const struct candidates *candidates, size_t t,
                                     const struct search_grid *grids)
{
    const float off = 0x1p-22f * s->steps; /* of one element, in steps of the grid */
    const float square_off = (float)s->length * off * off;
    const struct candidate *of_tile = candidates->of_tile[t];
    struct candidate best;
    for (size_t g = 0; g < TILE_GROUPS; g += 4) {
        const four first = four_load(&of_tile[0].scale[g]);
        four scale = first, zero = four_load(&of_tile[0].zero[g]);
        four least = at_least(four_load(&grids[0].error[g]), square_off);
        for (size_t i = 1; i < candidates->count; i++) {
            four other = four_load(&of_tile[i].scale[g]);
            four error = four_load(&grids[i].error[g]);
            four unit = (other / first) * (other / first);
            four_bits better = at_most(error, square_off) * unit < least;
            least = four_pick(better, at_least(error, square_off) * unit, least);
            scale = four_pick(better, other, scale);
            zero = four_pick(better, four_load(&of_tile[i].zero[g]), zero);
        }
        four_store(&best.scale[g], scale);
        four_store(&best.zero[g], zero);
    }
    return best;
}

void candidates_select_best(struct scale_search *s, struct candidates *candidates,
                            size_t group, size_t count, const bool *decided,
                            float *scales, uint8_t *zeros)
{
    struct search_grid grids[MAX_TILES][MAX_CANDIDATES];
    size_t tiles = size_ceil_div(count, TILE_GROUPS);
    for (size_t t = 0; t < tiles; t++)
        for (size_t i = 0; i < candidates->count; i++)
            candidate_grid(s, &candidates->of_tile[t][i], &grids[t][i]);
    for (size_t at = 0; at < s->length && !is_stopped(s->fit->scheme->stop);
         at += s->piece) {
        if (s->length > s->piece || decided)
            piece_gather(s, group, count, at);
        for (size_t t = 0; t < tiles; t++)
            s->fit->kernels->search_errors(tile_floats(s, t),
                                           pairs_of(piece_length(s, at)),
                                           candidates->count, grids[t]);
    }
    for (size_t t = 0; t < tiles; t++) {
        struct candidate best = best_of_tile(s, candidates, t, grids[t]);
        for (size_t k = t * TILE_GROUPS; k < size_min((t + 1) * TILE_GROUPS, count); k++)
            if (!decided || !decided[k])
                candidate_write(s, &best, k % TILE_GROUPS, scales + k, zeros + k);
    }
}

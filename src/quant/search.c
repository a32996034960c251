/* The search for the scales and zero points with the least squared error. Reads the
 * elements and passes them to the kernels (kernels/search_tile.h), which compute the
 * sums. search_trials.c decides what is tried, search_select.c what is kept. */
#include "quant/search.h"
#include "quant/kernels/kernels.h"

/* ---- passes over the elements --------------------------------------- */

/* Gathers the elements of `count` groups and rounds them to integers. */
static void search_fill(struct scale_search *s, size_t group, size_t count)
{
    for (size_t at = 0; at < s->length; at += s->piece) {
        piece_gather(s, group, count, at);
        for (size_t t = 0; t * TILE_GROUPS < count; t++)
            s->fit->kernels->search_integers(
                tile_floats(s, t), pairs_of(piece_length(s, at)), s->tile[t].inverse,
                s->limit, s->integers + (t * s->room + at) * TILE_GROUPS);
    }
}

static void search_tile(struct scale_search *s, size_t t)
{
    for (size_t stage = 0; stage < search_stages; stage++) {
        search_stage_trials(s, &s->tile[t], stage);
        if (s->tile[t].trials != 0)
            s->fit->kernels->search_trials(s->integers + t * s->room * TILE_GROUPS,
                                           pairs_of(s->length), s->steps, &s->tile[t]);
    }
}

/* ---- the method ----------------------------------------------------- */

/* Decides how many tiles are worked on at once. For runs, their floats must fit into
 * s->floats. For columns only their integers must fit, because reading few columns at
 * once is slow. */
static void search_cut(struct scale_search *s)
{
    size_t even = s->length + s->length % 2;
    size_t most = s->matrix->run == 1 ? MAX_INTEGERS : MAX_FLOATS;
    size_t tiles = most / TILE_GROUPS / even;
    s->tiles = size_min(tiles > 1 ? tiles : 1, MAX_TILES);
    s->piece = size_min(even, MAX_FLOATS / TILE_GROUPS / s->tiles / 2 * 2);
    s->room = even;
}

static void search_short(struct scale_search *s, size_t from, size_t count, float *scales,
                         uint8_t *zeros)
{
    struct candidates candidates;
    search_cut(s);
    for (size_t k = 0, n; k < count && !is_stopped(s->fit->scheme->stop); k += n) {
        n = size_min(s->tiles * TILE_GROUPS, count - k);
        for (size_t t = 0; t * TILE_GROUPS < n; t++)
            search_begin(s, &s->tile[t], size_min(TILE_GROUPS, n - t * TILE_GROUPS),
                         scales + k + t * TILE_GROUPS, zeros + k + t * TILE_GROUPS);
        search_fill(s, from + k, n);
        for (size_t t = 0; t * TILE_GROUPS < n; t++)
            search_tile(s, t);
        candidates_make(s, &candidates, s->tile, n, scales + k, zeros + k);
        candidates_select_best(s, &candidates, from + k, n, NULL, scales + k, zeros + k);
    }
}

static size_t longest_short_group(const struct scale_search *s)
{
    return s->type->bits == 4 && s->matrix->run == 1 ? LONG_COLUMN : LONG_GROUP;
}

enum quant_fit fit_search(const struct fit *fit, const struct matrix *matrix, size_t from,
                          size_t count, float *scales, uint8_t *zeros)
{
    struct scale_search *s = fit->scratch;
    enum quant_fit result = fit_rtn(fit, matrix, from, count, scales, zeros);
    if (result != QUANT_FIT_OK)
        return result;
    s->fit = fit;
    s->matrix = matrix;
    s->type = quant_type_info(fit->scheme->type);
    s->steps = (float)(s->type->hi - s->type->lo);
    s->middle = (float)(1 << (s->type->bits - 1));
    s->limit = s->type->bits == 4 ? LIMIT_4BIT : LIMIT_8BIT;
    s->step = 0;
    s->length = gather_length(matrix);
    s->series = search_series(s->type, s->length);
    if (fit->importance)
        search_weighted(s, from, count, scales, zeros);
    else if (s->length > UINT32_MAX)
        return QUANT_FIT_OK; /* more than a histogram can count: keep round to nearest */
    else if (s->length > longest_short_group(s))
        search_histograms(s, from, count, scales, zeros);
    else
        search_short(s, from, count, scales, zeros);
    return QUANT_FIT_OK;
}

/* The search for scales and zero points of least squared error: passes over the elements
 * for what tries.c wants tried. The sums are the kernels' (kernels/search.h); what is
 * taken in the end is take.c's choice. */
#include "quant/search.h"
#include "quant/kernels/kernels.h"

/* ---- passes over the elements --------------------------------------- */

/* Gathers the elements of `count` groups and narrows them. */
static void search_fill(struct search *s, size_t group, size_t count)
{
    for (size_t at = 0; at < s->length; at += s->piece) {
        piece_gather(s, group, count, at);
        for (size_t t = 0; t * TILE < count; t++)
            s->fit->kernels->search_narrow(
                tile_floats(s, t), pairs_of(piece_length(s, at)), s->tile[t].inverse,
                s->limit, s->whole + (t * s->room + at) * TILE);
    }
}

static void search_tile(struct search *s, size_t t)
{
    for (size_t stage = 0; stage < search_stages; stage++) {
        search_plan(s, &s->tile[t], stage);
        if (s->tile[t].tries != 0)
            s->fit->kernels->search_try(s->whole + t * s->room * TILE,
                                        pairs_of(s->length), s->steps, &s->tile[t]);
    }
}

/* ---- the method ----------------------------------------------------- */

/* How many tiles are worked on at a time: of runs as many floats as there is room for;
 * of columns also more, since the fewer columns, the slower they are read. */
static void search_cut(struct search *s)
{
    size_t even = s->length + s->length % 2;
    size_t most = s->band->run == 1 ? WHOLE : FLOATS;
    size_t tiles = most / TILE / even;

    s->tiles = size_min(tiles > 1 ? tiles : 1, TILES);
    s->piece = size_min(even, FLOATS / TILE / s->tiles / 2 * 2);
    s->room = even;
}

static void search_short(struct search *s, size_t from, size_t count, float *scales,
                         uint8_t *zeros)
{
    struct contest contest;

    search_cut(s);
    for (size_t k = 0, n; k < count; k += n) {
        n = size_min(s->tiles * TILE, count - k);
        for (size_t t = 0; t * TILE < n; t++)
            search_begin(s, &s->tile[t], size_min(TILE, n - t * TILE),
                         scales + k + t * TILE, zeros + k + t * TILE);
        search_fill(s, from + k, n);
        for (size_t t = 0; t * TILE < n; t++)
            search_tile(s, t);
        contest_begin(s, &contest, s->tile, n, scales + k, zeros + k);
        contest_decide(s, &contest, from + k, n, NULL, scales + k, zeros + k);
    }
}

static size_t search_limit(const struct search *s)
{
    return s->type->bits == 4 && s->band->run == 1 ? LONG_COLUMN : LONG;
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
    s.step = 0;
    s.length = gather_length(band);
    s.spread = search_spread(s.type, s.length);
    if (fit->importance != NULL)
        search_weighted(&s, from, count, scales, zeros);
    else if (s.length > UINT32_MAX)
        return QUANT_FIT_OK; /* more than a histogram can count */
    else if (s.length > search_limit(&s))
        search_long(&s, from, count, scales, zeros);
    else
        search_short(&s, from, count, scales, zeros);
    return QUANT_FIT_OK;
}

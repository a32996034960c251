/* What the files of the search share: what it knows of a band, and what is tried,
 * stage by stage (tries.c), by the passes over the elements (search.c). */
#ifndef NIBBLE_QUANT_SEARCH_H
#define NIBBLE_QUANT_SEARCH_H

#include "quant/fit.h"
#include "quant/gather.h"

enum {
    FLOATS = 16384, /* elements gathered at a time: 64 KiB */
    WHOLE = 32768,  /* elements kept as whole numbers: 64 KiB */
    /* Groups of more elements are searched by their histograms. These are too coarse for
     * codes of 8 bits, but for long ones; columns are quicker read once. */
    LONG = 4096,
    LONG_COLUMN = 1024,
    GRIDS = 3, /* compared in the end */
};

/* Scales that are tried at first, from `top` on, each `ratio` times the one before:
 * multiples of that of round to nearest. The more elements, the smaller the best one,
 * since the extreme is the further from the rest. */
struct spread {
    size_t length; /* of groups, at most */
    float top, ratio;
    size_t tries;
    bool others; /* with the zero points beside the first, too */
};

struct search {
    const struct fit *fit;
    const struct band *band;
    const struct quant_type_info *type;
    float steps;  /* hi - lo */
    float middle; /* of a symmetric grid, counted from lo */
    float limit;  /* of whole numbers */
    float step;   /* of round to nearest, in bins of a histogram; 0: whole numbers */
    struct spread spread;
    size_t length; /* of groups, in elements */
    size_t tiles;  /* worked on at a time */
    size_t piece;  /* elements of each group gathered at a time; even */
    size_t room;   /* elements of each group that are kept; even, a piece at least */
    struct search_tile tile[TILES];
    float floats[FLOATS];
    int16_t whole[WHOLE];
};

/* ---- what is tried: tries.c ----------------------------------------- */

/* The scales that suit groups of that length. */
struct spread search_spread(const struct quant_type_info *type, size_t length);

/* Begins with the scales and zero points that round to nearest has found for `lanes`
 * groups. */
void search_begin(const struct search *s, struct search_tile *t, size_t lanes,
                  const float *scales, const uint8_t *zeros);

/* Sets up the tries of a stage, of search_stages; there may be none. */
void search_plan(const struct search *s, struct search_tile *t, size_t stage);
extern const size_t search_stages;

/* ---- elements ------------------------------------------------------- */

static inline float *tile_floats(struct search *s, size_t t)
{
    return s->floats + t * s->piece * TILE;
}

static inline size_t piece_length(const struct search *s, size_t at)
{
    return size_min(s->piece, s->length - at);
}

static inline size_t pairs_of(size_t length)
{
    return (length + 1) / 2;
}

static inline void piece_gather(struct search *s, size_t group, size_t count, size_t at)
{
    gather(s->fit, s->band, group, count, at, at + piece_length(s, at), s->floats,
           s->piece * TILE);
}

/* ---- what is taken: take.c ------------------------------------------ */

/* A scale for each group of a tile, rounded to its type, and a zero point. */
struct choice {
    float scale[TILE], zero[TILE];
};

/* Between round to nearest, the plain one of mirrored grids, and what was found. */
struct contest {
    size_t entries;
    struct choice choices[TILES][GRIDS];
};

void contest_begin(const struct search *s, struct contest *contest,
                   const struct search_tile *tiles, size_t count, const float *scales,
                   const uint8_t *zeros);

/* Takes an entry for the k-th group. */
void contest_take(const struct search *s, const struct contest *contest, size_t k,
                  size_t entry, float *scales, uint8_t *zeros);

/* Takes the best entry for groups that are not decided yet, by their true errors. With
 * NULL none is, and the elements of short groups have been gathered already. */
void contest_decide(struct search *s, struct contest *contest, size_t group, size_t count,
                    const bool *decided, float *scales, uint8_t *zeros);

/* ---- long groups: long.c -------------------------------------------- */

void search_long(struct search *s, size_t from, size_t count, float *scales,
                 uint8_t *zeros);

/* ---- groups with importance: weighted.c ----------------------------- */

void search_weighted(struct search *s, size_t from, size_t count, float *scales,
                     uint8_t *zeros);

#endif

/* What the files of the search share: what it knows of a matrix, and what is tried,
 * stage by stage (trials.c), by the passes over the elements (search.c). */
#ifndef NIBBLE_QUANT_SEARCH_H
#define NIBBLE_QUANT_SEARCH_H

#include "quant/fit.h"
#include "quant/gather.h"

enum {
    MAX_FLOATS = 16384,   /* elements gathered at a time: 64 KiB */
    MAX_INTEGERS = 32768, /* elements kept as whole numbers: 64 KiB */
    /* Groups of more elements are searched by their histograms. These are too coarse for
     * codes of 8 bits, but for long ones; columns are quicker read once. */
    LONG_GROUP = 4096,
    LONG_COLUMN = 1024,
    MAX_CANDIDATES = 3, /* compared in the end */
};

/* Scales that are tried at first, from `top` on, each `ratio` times the one before:
 * multiples of that of round to nearest. The more elements, the smaller the best one,
 * since the extreme is the further from the rest. */
struct scale_series {
    size_t length; /* of groups, at most */
    float top, ratio;
    size_t trials;
    bool others; /* with the zero points beside the first, too */
};

struct scale_search {
    const struct fit *fit;
    const struct matrix *matrix;
    const struct quant_type_info *type;
    float steps;  /* hi - lo */
    float middle; /* of a symmetric grid, counted from lo */
    float limit;  /* of whole numbers */
    float step;   /* of round to nearest, in bins of a histogram; 0: whole numbers */
    struct scale_series series;
    size_t length; /* of groups, in elements */
    size_t tiles;  /* worked on at a time */
    size_t piece;  /* elements of each group gathered at a time; even */
    size_t room;   /* elements of each group that are kept; even, a piece at least */
    struct search_tile tile[MAX_TILES];
    float floats[MAX_FLOATS];
    int16_t whole[MAX_INTEGERS];
};

/* ---- what is tried: trials.c ----------------------------------------- */

/* The scales that suit groups of that length. */
struct scale_series search_series(const struct quant_type_info *type, size_t length);

/* Begins with the scales and zero points that round to nearest has found for `lanes`
 * groups. */
void search_begin(const struct scale_search *s, struct search_tile *t, size_t lanes,
                  const float *scales, const uint8_t *zeros);

/* Sets up the trials of a stage, of search_stages; there may be none. */
void search_stage_trials(const struct scale_search *s, struct search_tile *t,
                         size_t stage);
extern const size_t search_stages;

/* ---- elements ------------------------------------------------------- */

static inline float *tile_floats(struct scale_search *s, size_t t)
{
    return s->floats + t * s->piece * TILE_GROUPS;
}

static inline size_t piece_length(const struct scale_search *s, size_t at)
{
    return size_min(s->piece, s->length - at);
}

static inline size_t pairs_of(size_t length)
{
    return (length + 1) / 2;
}

static inline void piece_gather(struct scale_search *s, size_t group, size_t count,
                                size_t at)
{
    gather(s->fit, s->matrix, group, count, at, at + piece_length(s, at), s->floats,
           s->piece * TILE_GROUPS);
}

/* ---- what is taken: search_select.c ------------------------------------------ */

/* A scale for each group of a tile, rounded to its type, and a zero point. */
struct candidate {
    float scale[TILE_GROUPS], zero[TILE_GROUPS];
};

/* Between round to nearest, the plain one of mirrored grids, and what was found. */
struct candidates {
    size_t count;
    struct candidate of_tile[MAX_TILES][MAX_CANDIDATES];
};

void candidates_make(const struct scale_search *s, struct candidates *candidates,
                     const struct search_tile *tiles, size_t count, const float *scales,
                     const uint8_t *zeros);

/* Takes an entry for the k-th group. */
void candidates_select(const struct scale_search *s, const struct candidates *candidates,
                       size_t k, size_t entry, float *scales, uint8_t *zeros);

/* Takes the best entry for groups that are not decided yet, by their true errors. With
 * NULL none is, and the elements of short groups have been gathered already. */
void candidates_select_best(struct scale_search *s, struct candidates *candidates,
                            size_t group, size_t count, const bool *decided,
                            float *scales, uint8_t *zeros);

/* ---- long groups: search_histogram.c -------------------------------------------- */

void search_histograms(struct scale_search *s, size_t from, size_t count, float *scales,
                       uint8_t *zeros);

/* ---- groups with importance: search_weighted.c ----------------------------- */

void search_weighted(struct scale_search *s, size_t from, size_t count, float *scales,
                     uint8_t *zeros);

#endif

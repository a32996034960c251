/* What the files of the search share. search.c reads the elements, search_trials.c
 * decides what to try, search_select.c decides what to keep. */
#ifndef NIBBLE_QUANT_SEARCH_H
#define NIBBLE_QUANT_SEARCH_H

#include "quant/fit.h"
#include "quant/gather.h"

enum {
    MAX_FLOATS = 16384,   /* elements gathered at once: 64 KiB */
    MAX_INTEGERS = 32768, /* elements kept as integers: 64 KiB */
    MAX_CANDIDATES = 3,   /* compared at the end, for each group */
};

/* Groups with more elements than this are searched by their histograms. Histograms are
 * too coarse for codes of 8 bits unless the group is long. Columns are slow to read, so a
 * lower limit holds for them with codes of 4 bits. */
enum { LONG_GROUP = 4096, LONG_COLUMN = 1024 };

/* The scales of the first trials: a geometric series of multiples of the scale of round
 * to nearest. The more elements a group has, the further its extremes lie from the rest,
 * and the smaller is the best scale. */
struct scale_series {
    size_t max_length;  /* the longest groups that this series suits */
    float first, ratio; /* each scale is `ratio` times the one before */
    size_t count;       /* scales in the series */
    bool more_zeros;    /* try all scales with the neighbouring zero points, too */
};

struct scale_search {
    const struct fit *fit;
    const struct matrix *matrix;
    const struct quant_type_info *type;
    float steps;  /* hi - lo */
    float middle; /* the zero point of a symmetric grid, counted from lo */
    float limit;  /* the largest integer that an element is rounded to */
    float step;   /* the scale of round to nearest in bins; 0 if there is no histogram */
    struct scale_series series;
    size_t length; /* elements of a group */
    size_t tiles;  /* tiles worked on at once */
    size_t piece;  /* elements of each group gathered at once; even */
    size_t room;   /* elements of each group kept as integers; even, at least a piece */
    struct search_tile tile[MAX_TILES];
    float floats[MAX_FLOATS];
    int16_t integers[MAX_INTEGERS];
};

/* Behind it, fit->scratch has room for what another way to search needs. */
#define SEARCH_FITS(type)                                                       \
    _Static_assert(sizeof(struct scale_search) + sizeof(type) <= FIT_SCRATCH && \
                       sizeof(struct scale_search) % _Alignof(type) == 0,       \
                   "scratch")

static inline void *search_rest(struct scale_search *s)
{
    return s + 1;
}

/* ---- trials: search_trials.c ---------------------------------------- */

/* The first scales for groups of that length. */
struct scale_series search_series(const struct quant_type_info *type, size_t length);

/* Prepares a tile of `lanes` groups. scales and zeros are those of round to nearest. */
void search_begin(const struct scale_search *s, struct search_tile *t, size_t lanes,
                  const float *scales, const uint8_t *zeros);

/* Writes the trials of a stage to the tile. There may be none. */
void search_stage_trials(const struct scale_search *s, struct search_tile *t,
                         size_t stage);
extern const size_t search_stages; /* the number of stages */

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

/* Gathers a piece of `count` groups, from their element `at` on, into s->floats. */
static inline void piece_gather(struct scale_search *s, size_t group, size_t count,
                                size_t at)
{
    gather(s->fit, s->matrix, group, count, at, at + piece_length(s, at), s->floats,
           s->piece * TILE_GROUPS);
}

/* ---- the choice: search_select.c ------------------------------------ */

/* One scale, rounded to its type, and one zero point for each group of a tile. */
struct candidate {
    float scale[TILE_GROUPS], zero[TILE_GROUPS];
};

/* The candidates of each tile: round to nearest is the first, the result of the search
 * the last. For mirrored grids the plain grid is in between. */
struct candidates {
    size_t count;
    struct candidate of_tile[MAX_TILES][MAX_CANDIDATES];
};

void candidates_make(const struct scale_search *s, struct candidates *candidates,
                     const struct search_tile *tiles, size_t count, const float *scales,
                     const uint8_t *zeros);

/* Writes candidate `index` of the k-th group to scales[k] and zeros[k]. */
void candidates_select(const struct scale_search *s, const struct candidates *candidates,
                       size_t k, size_t index, float *scales, uint8_t *zeros);

/* Measures the true errors, and selects the best candidate for each group for which
 * decided[k] is false. `decided` may be NULL: then no group is decided yet, and short
 * groups must have been gathered already. */
void candidates_select_best(struct scale_search *s, struct candidates *candidates,
                            size_t group, size_t count, const bool *decided,
                            float *scales, uint8_t *zeros);

/* ---- other ways to search ------------------------------------------- */

/* Long groups, by histograms: search_histogram.c. */
void search_histograms(struct scale_search *s, size_t from, size_t count, float *scales,
                       uint8_t *zeros);

/* Groups whose elements have an importance: search_weighted.c. */
void search_weighted(struct scale_search *s, size_t from, size_t count, float *scales,
                     uint8_t *zeros);

#endif

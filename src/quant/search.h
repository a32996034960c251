/* What the files of the search share: what it knows of a band, and what is tried,
 * stage by stage (tries.c), by the passes over the elements (search.c). */
#ifndef NIBBLE_QUANT_SEARCH_H
#define NIBBLE_QUANT_SEARCH_H

#include "quant/fit.h"
#include "quant/gather.h"

enum {
    FLOATS = 8192, /* elements gathered at a time: 32 KiB */
    WHOLE = 32768, /* elements kept as whole numbers: 64 KiB */
};

/* Scales that are tried at first, from `top` on, each `ratio` times the one before:
 * multiples of that of round to nearest. The more elements, the smaller the best one,
 * since the extreme is the further from the rest. */
struct spread {
    size_t length; /* of groups, at most */
    float top, ratio;
    size_t tries;
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

/* The scales that suit groups of that length. */
struct spread search_spread(const struct quant_type_info *type, size_t length);

/* Begins with the scales and zero points that round to nearest has found for `lanes`
 * groups. */
void search_begin(const struct search *s, struct search_tile *t, size_t lanes,
                  const float *scales, const uint8_t *zeros);

/* Sets up the tries of a stage, of search_stages; there may be none. */
void search_plan(const struct search *s, struct search_tile *t, size_t stage);
extern const size_t search_stages;

#endif

/* Fitting channels that lie in columns of a large weight: a strip of columns at a time is
 * copied out of the file, whose pages need not stay while the search goes over it. */
#ifndef NIBBLE_FILL_STRIP_H
#define NIBBLE_FILL_STRIP_H

#include "fill/chunks.h"

/* A worker's, from one strip to the next; begins zeroed. */
struct strip {
    uint8_t *data;
    size_t room;
};

void strip_free(struct strip *strip);

/* Whether a weight whose groups are columns is too large to stay in memory. */
bool strip_wanted(const struct plan_item *item);

/* Channels of one strip: as many as are read well and take not too much memory. */
size_t strip_channels(const struct plan_item *item);

/* Finds scales and zero points of the chunk's channels, and sets its fit. */
bool strip_fit(const struct kernels *kernels, struct chunk *chunk, struct strip *strip,
               struct error *err);

#endif

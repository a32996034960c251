/* Reading weights for quant, piece by piece. Most are read from the mapping of their
 * file. Columns of large weights, whose elements lie far apart, are copied into a buffer.
 */
#ifndef NIBBLE_FILL_READ_H
#define NIBBLE_FILL_READ_H

#include "core/pages.h"
#include "plan/plan.h"

/* What one worker reads. Zeroed to begin with. */
struct reader {
    struct pages pages;
    uint8_t *buffer;
    size_t room;
};

void reader_free(struct reader *reader);

/* Sets *source to the weight. The worker reads elements [begin, end) of it next. False,
 * with an error, if its file was truncated. */
bool read_elements(struct reader *reader, const struct plan_item *item, size_t begin,
                   size_t end, struct quant_source *source, struct error *err);

/* Reads `count` channels, from `first` on, of a weight with one scale for each channel.
 * The source may be a copy that has these channels only. So `shape` is the source's, and
 * `offset` the first channel's index there. */
struct channels_read {
    struct quant_source source;
    struct quant_shape shape;
    size_t offset;
};
bool read_channels(struct reader *reader, const struct plan_item *item, size_t first,
                   size_t count, struct channels_read *channels, struct error *err);

/* How many channels to read at a time. */
size_t read_channels_step(const struct plan_item *item);

/* Brings in `count` elements that are read soon, up to element `last`. */
void read_ahead(const struct plan_item *item, size_t begin, size_t count, size_t last);

#endif

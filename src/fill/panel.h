/* Panels: weights that are stored transposed. Some rows are fitted, encoded and
 * turned in memory, and then written as columns of the stored matrix. */
#ifndef NIBBLE_FILL_PANEL_H
#define NIBBLE_FILL_PANEL_H

#include "fill/chunks.h"
#include "fill/fill.h"
#include "fill/read.h"

/* What a worker keeps between panels. */
struct panel_buffers {
    /* Of a band of rows: codes as they are made, then packed; scales and zeros. */
    uint8_t *codes, *packed;
    float *scales;
    uint8_t *zeros, *turned;
    /* Of the panel, as they are stored. */
    uint8_t *stored_codes, *stored_scales, *stored_zeros;
    size_t room[8]; /* of each, in bytes */
};

bool panel_work(const struct fill_options *options, struct chunk *chunk,
                struct reader *reader, struct panel_buffers *buffers, struct error *err);
void panel_buffers_free(struct panel_buffers *buffers);

#endif

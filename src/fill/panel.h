/* Panels: weights whose codes are stored transposed. Some rows are fitted, encoded and
 * transposed in memory. Then they are written as columns of the stored matrix. */
#ifndef NIBBLE_FILL_PANEL_H
#define NIBBLE_FILL_PANEL_H

#include "fill/chunks.h"
#include "fill/fill.h"
#include "fill/read.h"

/* What a worker keeps between panels. */
struct panel_buffers {
    /* For a band of rows. `transposed` holds some columns of it. */
    uint8_t *codes, *packed;
    float *scales;
    uint8_t *zeros, *transposed;
    /* For the panel, as it is stored. */
    uint8_t *stored_codes, *stored_scales, *stored_zeros;
    size_t room[8]; /* the bytes of each of these */
};

bool panel_work(const struct fill_options *options, struct chunk *chunk,
                struct reader *reader, struct panel_buffers *buffers, struct error *err);
void panel_buffers_free(struct panel_buffers *buffers);

#endif

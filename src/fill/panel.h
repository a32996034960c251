/* Panels: weights that are stored transposed. Some rows are fitted, encoded and
 * written as columns of the stored matrix, into the mapped output. */
#ifndef NIBBLE_FILL_PANEL_H
#define NIBBLE_FILL_PANEL_H

#include "fill/chunks.h"

/* What a worker keeps between panels. */
struct panel_buffers {
    uint8_t *codes, *turned;
    float *scales;
    uint8_t *zeros, *stored;
    size_t code_room, group_room;
};

/* Maps the places of the weights; chunks_clear unmaps them. */
bool panels_map(struct panel_item *panels, struct error *err);

bool panel_work(const struct kernels *kernels, struct chunk *chunk,
                struct panel_buffers *buffers, struct error *err);
void panel_buffers_free(struct panel_buffers *buffers);

#endif

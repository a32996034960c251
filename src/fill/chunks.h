/* Chunks: how the weights of a plan are cut into pieces of work. The cut depends
 * on shapes only, so that sums taken chunk by chunk are always the same. */
#ifndef NIBBLE_FILL_CHUNKS_H
#define NIBBLE_FILL_CHUNKS_H

#include "plan/plan.h"

/* Groups that fit in one chunk are fitted and encoded together. A weight whose
 * groups reach over all of it (channels along columns, one scale for all) is
 * fitted first, in chunks of its groups, and encoded then. */
enum chunk_work {
    CHUNK_FIT,
    CHUNK_ENCODE,
    CHUNK_BOTH,
};

struct chunk {
    enum chunk_work work;
    struct wide_item *wide;      /* FIT, ENCODE: what both need */
    struct plan_item *item;
    size_t first_row, row_count; /* FIT, BOTH: as quant_fit counts them */
    size_t begin, end;           /* ENCODE, BOTH: elements; begin is even */

    /* Results. */
    struct quant_error error;
    enum quant_fit fit;
};

/* Parameters of a weight that is fitted before it is encoded. */
struct wide_item {
    float *scales;
    uint8_t *zeros;
};

struct chunks {
    struct chunk *fits; /* all of them before any of works */
    size_t fit_count, fit_capacity;
    struct chunk *works; /* ENCODE and BOTH, by weight, in the order of elements */
    size_t work_count, work_capacity;
    struct wide_item **wides;
    size_t wide_count;
};

bool chunks_make(struct plan *plan, struct chunks *chunks, struct error *err);
void chunks_free(struct chunks *chunks);

#endif

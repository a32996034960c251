/* Chunks: how the weights of a plan are cut into pieces of work. The cut depends
 * on shapes only, so that sums taken chunk by chunk are always the same. */
#ifndef NIBBLE_FILL_CHUNKS_H
#define NIBBLE_FILL_CHUNKS_H

#include "core/output.h"
#include "plan/plan.h"

#include <stdatomic.h>

/* Groups that lie within one chunk are fitted and encoded together. A weight whose
 * groups reach over all of it (channels along columns, one scale for all) is fitted
 * first and encoded then. */
enum chunk_work {
    CHUNK_RANGE, /* the part of fitting that can be done piece by piece, for rtn */
    CHUNK_FIT,
    CHUNK_ENCODE,
    CHUNK_BOTH,
    CHUNK_PANEL, /* both, and stored transposed: rows become columns */
    CHUNK_WORKS,
};

struct chunk {
    enum chunk_work work;
    struct two_pass_item
        *whole; /* RANGE, FIT, ENCODE: the parameters of the whole weight */
    struct plan_item *item;
    size_t first_row, row_count; /* FIT, BOTH, PANEL: as quant_fit counts them */
    size_t begin, end;           /* all but FIT: elements; begin is even */

    /* Results. */
    struct quant_error error;
    enum quant_fit fit;
};

/* Bytes of weights that are worked on together because they are read twice. As many of
 * them stay in memory from the first time to the second. */
enum { TWO_PASS_BYTES = 24 << 20 };

/* Parameters of a weight that is fitted before it is encoded. */
struct two_pass_item {
    struct two_pass_item *next;
    struct plan_item *item;
    size_t kept; /* elements from here on stay in memory until they are encoded */
    struct quant_range *ranges; /* NULL: fitted in one go */
    atomic_flag joining;        /* a worker adds to the ranges */
    float *scales;
    uint8_t *zeros;
};

/* The chunks of some weights that are worked on together. */
struct chunks {
    struct chunk *fits; /* all of them before any of works */
    size_t fit_count, fit_room;
    struct chunk *works; /* by weight */
    size_t work_count, work_room;
    struct two_pass_item *two_pass_items;
    uint64_t two_pass_bytes; /* of the weights that are fitted first */
};

/* Adds the chunks of one weight. */
bool chunks_add(struct chunks *chunks, struct plan_item *item, struct error *err);
void chunks_clear(struct chunks *chunks); /* keeps the room */
void chunks_free(struct chunks *chunks);

/* A buffer of that many bytes at least, in place of one that has `room`, whose contents
 * are lost where it must grow. NULL when out of memory. */
void *buffer_grown(void *buffer, size_t *room, size_t size);

size_t item_rows(const struct plan_item *item);      /* as quant_fit counts them */
size_t item_row_width(const struct plan_item *item); /* groups of such a row */

/* The element that a row begins with: rows are channels or, with blocks, (outer,
 * block) pairs, of which the last of each outer may be shorter. */
size_t row_begin(const struct plan_item *item, size_t row);

/* The row that rows from `first` on reach, up to `last`, when they are to have so many
 * elements at least and end with whole units of codes and of groups. */
size_t rows_upto(const struct plan_item *item, size_t first, size_t last, size_t elements,
                 size_t code_unit, size_t group_unit);

/* Elements that a piece of packed codes must be a multiple of. */
size_t packing_unit(const struct plan_item *item);

#endif

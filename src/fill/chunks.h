/* Chunks: how the weights of a plan are cut into pieces of work. The cut depends
 * on shapes only, so that sums taken chunk by chunk are always the same. */
#ifndef NIBBLE_FILL_CHUNKS_H
#define NIBBLE_FILL_CHUNKS_H

#include "core/output.h"
#include "fill/fill.h"

#include <stdatomic.h>

/* Groups that lie within one chunk are fitted and encoded together. A weight whose
 * groups reach over all of it (channels along columns, one scale for all) is fitted
 * first and encoded then. */
enum chunk_work {
    CHUNK_RANGE, /* finds ranges, for round to nearest: that can be done piece by piece */
    CHUNK_FIT,   /* finds scales and zero points */
    CHUNK_ENCODE, /* makes codes */
    CHUNK_BOTH,   /* does both for the groups of the chunk */
    CHUNK_PANEL,  /* the same, for a weight that is stored transposed */
    CHUNK_WORKS,
};

struct chunk {
    enum chunk_work work;
    /* The parameters of the whole weight. NULL for BOTH and PANEL. */
    struct two_pass_item *whole;
    const struct plan_item *item;
    const struct item_tensors *tensors; /* of the item; without payloads: only measured */
    struct fill_result *result;         /* of the item */
    /* Rows as quant_fit counts them. Not for RANGE and ENCODE. */
    size_t first_row, row_count;
    /* Elements. Not for FIT. `begin` is even. */
    size_t begin, end;

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
    const struct plan_item *item;
    struct fill_result *result;
    size_t kept; /* elements from here on stay in memory until they are encoded */
    struct quant_range *ranges; /* NULL if there are no CHUNK_RANGE */
    atomic_flag joining;        /* set while a worker adds to the ranges */
    float *scales;
    uint8_t *zeros;
};

/* The elements that a sample takes, or leaves out, at a time. */
enum { SAMPLE_RUN = 8 << 10 };

/* Where the errors of codes from element `begin` on are summed up. NULL: they are not
 * measured. */
struct quant_error *chunk_error(const struct fill_options *options, struct chunk *chunk,
                                size_t begin);

/* The chunks of some weights that are worked on together. */
struct chunks {
    struct chunk *fits; /* RANGE and FIT: all of them come before any of `works` */
    size_t fit_count, fit_room;
    struct chunk *works; /* the others, weight by weight */
    size_t work_count, work_room;
    struct two_pass_item *two_pass_items;
    uint64_t two_pass_bytes; /* of the weights of these */
};

/* Adds the chunks of one weight. */
bool chunks_add(struct chunks *chunks, const struct plan_item *item,
                const struct item_tensors *tensors, struct fill_result *result,
                struct error *err);
void chunks_clear(struct chunks *chunks); /* keeps the lists' memory for new chunks */
void chunks_free(struct chunks *chunks);

/* A buffer of at least `size` bytes, in place of one of *room bytes. If it must grow, its
 * contents are lost. NULL when out of memory. */
void *buffer_grown(void *buffer, size_t *room, size_t size);

size_t item_rows(const struct plan_item *item);      /* as quant_fit counts them */
size_t item_row_width(const struct plan_item *item); /* groups of such a row */

/* The element that a row begins with. Rows are channels or, with blocks, pairs of an
 * index of `outer` and a block; the last block for each index of `outer` may be shorter.
 */
size_t row_begin(const struct plan_item *item, size_t row);

/* Where to end rows that begin with `first`, so that they have at least so many elements
 * and end with whole units of codes and of groups. Never behind `last`. */
size_t rows_upto(const struct plan_item *item, size_t first, size_t last, size_t elements,
                 size_t code_unit, size_t group_unit);

/* The number of elements in a piece of packed codes must be a multiple of this. */
size_t packing_unit(const struct plan_item *item);

#endif

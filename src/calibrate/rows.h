/* Rows: the vectors that a weight's matrix is multiplied with, out of the arrays of one
 * run. */
#ifndef NIBBLE_CALIBRATE_ROWS_H
#define NIBBLE_CALIBRATE_ROWS_H

#include "calibrate/sites.h"
#include "nibble.h"

/* Of a convolution in one run, at most: so many for each 16 elements of the batch. */
enum { ROWS_PLACES_EACH = 512, ROWS_PLACES = 4 * ROWS_PLACES_EACH };

struct rows {
    const struct site *site;
    const float *values[SITE_VALUES]; /* NULL: absent */
    float *owned[SITE_VALUES];        /* made from arrays of other types */
    int64_t dims[8];
    size_t rank;
    size_t count; /* rows of each group */

    /* Of an axis: elements between neighbours along it, and rows of one matrix; whether
     * all groups see the same. */
    size_t stride, each;
    bool shared;
    /* Of convolutions: the places that are looked at, of all; sizes of either side. */
    size_t places[ROWS_PLACES], space, outputs;
    int64_t in[SITE_AXES], out[SITE_AXES], before[SITE_AXES];
};

/* The arrays are those of site->values, in their order; the second may be NULL. Checks
 * types, shapes and values. An array without elements has no rows. */
bool rows_open(const struct site *site, const struct nibble_array *const *arrays,
               struct rows *rows, struct error *err);
void rows_close(struct rows *rows); /* a zeroed one is fine */

/* Looks at the places that other rows of the same site look at. False where these have
 * another shape. */
bool rows_align(struct rows *rows, const struct rows *other);

/* Rows [first, first + count) of each group: out[groups][count][inputs]. */
void rows_read(const struct rows *rows, size_t first, size_t count, double *out);

#endif

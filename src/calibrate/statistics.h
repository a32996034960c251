/* Statistics: what is known of the inputs of a model's weights, by site. */
#ifndef NIBBLE_CALIBRATE_STATISTICS_H
#define NIBBLE_CALIBRATE_STATISTICS_H

#include "calibrate/rows.h"
#include "core/map.h"
#include "solve/factor.h"

/* Sums over the rows of one site, for each group. */
struct sums {
    const char *key;
    size_t groups, inputs;
    double rows;
    double *second; /* [groups]: triangles of x xT (solve/triangle.h); NULL: no rows */
    double *first;  /* [groups][inputs] of x */
    /* Where there is another row t for each, from before layers were quantized; or NULL.
     */
    double *cross;  /* [groups][inputs][inputs] of t xT */
    double *target; /* [groups][inputs] of t */
};

struct statistics {
    struct arena *arena; /* of the list; the sums are allocated */
    struct sums **list;  /* in the order in which sites were entered */
    size_t count, room;
    struct map by_key;
    uint64_t runs;
};

bool statistics_make(struct statistics *statistics, struct error *err);
void statistics_free(struct statistics *statistics); /* a zeroed one is fine */

/* The sums of a key, entered empty where they are new. NULL: out of memory, or (with an
 * error) known by another shape. */
struct sums *statistics_enter(struct statistics *statistics, const char *key,
                              size_t groups, size_t inputs, struct error *err);
const struct sums *statistics_find(const struct statistics *statistics, const char *key);

/* Allocates what sums of some rows need. */
bool sums_begin(struct sums *sums, struct error *err);

/* Adds all rows of a run. */
bool sums_add(const struct algebra *algebra, struct sums *sums, const struct rows *rows,
              struct error *err);

/* The same with the rows of the float model, place by place. */
bool sums_add_pair(const struct algebra *algebra, struct sums *sums,
                   const struct rows *target, const struct rows *rows, struct error *err);

/* Adds other sums of the same shape. */
bool sums_join(struct sums *sums, const struct sums *other, struct error *err);

/* The moments of one group, which the sums must outlive. */
struct moments sums_moments(const struct sums *sums, size_t group);

#endif

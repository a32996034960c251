/* Matching the weights of two models, and measuring what became of each. */
#ifndef NIBBLE_COMPARE_MATCH_H
#define NIBBLE_COMPARE_MATCH_H

#include "compare/found.h"

/* A weight of the first model and what stands for it in the second. */
struct match {
    const struct found *weight, *counterpart; /* counterpart NULL: none was found */
    int64_t dims[ARRAY_RANK_MAX];
    size_t rank;
    uint64_t elements;
    double signal, noise; /* sums of squares: of the weight, of the difference */
};

struct matches {
    struct match *items;
    size_t count;
};

/* Finds a counterpart for each weight that is used: the constant at the same place in the
 * graph; else one whose tensor or node is named after the weight's; else, among codes
 * that are left, one of nearly the same values. Each pair of tensors is named once. */
bool match_weights(struct found_weights *left, struct found_weights *right,
                   const volatile int *cancel, struct matches *matches,
                   struct error *err);
void matches_free(struct matches *matches);

#endif

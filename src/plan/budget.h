/* Choosing what weights become, from a table of what each choice takes and loses.
 * Knows no model and no file. */
#ifndef NIBBLE_PLAN_BUDGET_H
#define NIBBLE_PLAN_BUDGET_H

#include "core/error.h"

#include <stddef.h>
#include <stdint.h>

enum { BUDGET_CHOICES = 6 };

/* What a weight may become: the bytes that are stored, and noise / signal. */
struct budget_choice {
    uint64_t bytes;
    double error;
    bool possible;
};

struct budget_weight {
    struct budget_choice choices[BUDGET_CHOICES]; /* the last one is possible */
    int chosen;                                   /* set by what follows */
};

/* Bytes of all weights, each in its smallest choice. */
uint64_t budget_least(const struct budget_weight *weights, size_t count);

/* Chooses so that all weights together take no more than `room`, which must not be
 * below budget_least, and the sum of their errors is small:
 * - never larger than where all have the same choice (the last, where that one is not
 *   possible), if that fits;
 * - never more than one weight's largest error above the least there is;
 * - up to 256 weights, within 1/10000 of the least, unless that takes too long to find.
 * False when out of memory. */
bool budget_fit(struct budget_weight *weights, size_t count, uint64_t room,
                struct error *err);

/* Chooses for each weight the smallest that loses no more than `error`; where there is
 * none, the last. */
void budget_reach(struct budget_weight *weights, size_t count, double error);

#endif

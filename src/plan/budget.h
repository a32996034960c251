/* Choosing a type for each weight, from a table of the bytes and errors of each choice.
 * Knows no model and no file. */
#ifndef NIBBLE_PLAN_BUDGET_H
#define NIBBLE_PLAN_BUDGET_H

#include "core/error.h"

#include <stddef.h>
#include <stdint.h>

enum { BUDGET_CHOICES = 7 };

/* One choice for a weight: the bytes it stores, and its error as noise / signal. */
struct budget_choice {
    uint64_t bytes;
    double error;
    bool possible;
};

struct budget_weight {
    struct budget_choice choices[BUDGET_CHOICES]; /* the last one must be possible */
    int chosen;                                   /* the result: an index of choices */
};

/* The bytes of all weights if each has its smallest choice. */
uint64_t budget_least(const struct budget_weight *weights, size_t count);

/* Chooses so that all weights together take no more than `room`, which must not be below
 * budget_least. The sum of their errors is small:
 * - If one choice for all fits (the last one where that choice is not possible), the sum
 * is no larger than with that.
 * - It is at most one weight's largest error above the smallest sum.
 * - Up to 256 weights, it is within 1/10000 of the smallest sum, unless the search takes
 * too long. False when out of memory. */
bool budget_fit(struct budget_weight *weights, size_t count, uint64_t room,
                struct error *err);

/* Chooses for each weight the smallest choice with no more than this error. If there is
 * none, chooses the last. */
void budget_reach(struct budget_weight *weights, size_t count, double error);

#endif

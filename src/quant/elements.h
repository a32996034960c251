/* The elements of one group in their order, each with what an error there weighs: for
 * the methods that look at them one by one, exact.c and search_weighted.c. */
#ifndef NIBBLE_QUANT_ELEMENTS_H
#define NIBBLE_QUANT_ELEMENTS_H

#include "quant/fit.h"

struct element {
    float x, weight;
};

/* Elements [begin, end) of a group of the matrix. */
void elements_gather(const struct fit *fit, const struct matrix *matrix, size_t group,
                     size_t begin, size_t end, struct element *out);

/* The weighted squared error of encode's codes, which are in lo..hi beside the zero
 * point. */
double elements_error(const struct element *e, size_t n, float scale, float lo, float hi);

#endif

/* The elements of one group in order, each with its importance. For the methods that look
 * at elements one by one: exact.c and search_weighted.c. */
#ifndef NIBBLE_QUANT_ELEMENTS_H
#define NIBBLE_QUANT_ELEMENTS_H

#include "quant/fit.h"

struct element {
    float x;
    float weight; /* how often the squared error of x counts */
};

/* Writes elements [begin, end) of a group of the matrix to out. */
void elements_gather(const struct fit *fit, const struct matrix *matrix, size_t group,
                     size_t begin, size_t end, struct element *out);

/* Returns the weighted squared error of the codes that quant_encode makes. lo and hi are
 * the lowest and highest code, counted from the zero point. */
double elements_error(const struct element *e, size_t n, float scale, float lo, float hi);

#endif

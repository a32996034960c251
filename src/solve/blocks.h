/* The blocks of an output that share a scale each, and their grids. */
#ifndef NIBBLE_SOLVE_BLOCKS_H
#define NIBBLE_SOLVE_BLOCKS_H

#include "quant/quant.h"

struct blocks {
    size_t inputs, count;
    uint32_t *of;     /* the block of each input */
    uint32_t *sorted; /* inputs, block by block */
    size_t *begin;    /* [count + 1]: where a block begins in that */
};

/* From the group of scales that each input of some output belongs to. False when out of
 * memory. */
bool blocks_make(const size_t *groups, size_t inputs, struct blocks *blocks);
void blocks_free(struct blocks *blocks);

/* Scales and zero points, [outputs][blocks]. Values, [outputs][inputs], and importances
 * (NULL: all the same) lie as `sorted` says. */
enum quant_fit blocks_fit(const struct blocks *blocks, const struct kernels *kernels,
                          const struct quant_scheme *scheme, const float *values,
                          size_t outputs, const float *importance, float *scales,
                          uint8_t *zeros);

#endif

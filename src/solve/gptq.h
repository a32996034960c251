/* GPTQ on a fixed grid: codes for a tile of outputs, one input after the other, each
 * error made good by the inputs that come after it. */
#ifndef NIBBLE_SOLVE_GPTQ_H
#define NIBBLE_SOLVE_GPTQ_H

#include "solve/factor.h"

/* Arrays have rows of `outputs` elements, and a row for each input, in the factor's
 * order, or for each block. */
struct gptq_tile {
    size_t outputs;
    const uint32_t *block;      /* of each input, counted as usual */
    const double *scales;       /* by block */
    const double *least, *most; /* of codes beside the zero point; by block */
    double *weights;            /* by input; become what is left: weights - values */
    int16_t *codes;             /* by input; beside the zero point */
    double *pull;               /* by input; zeroed: what earlier errors ask for */
    double *noise;              /* [outputs]: errors under the damped H are added */
};

void gptq_codes(const struct algebra *algebra, const struct factor *factor,
                const struct gptq_tile *tile);

/* The nearest codes, without looking at other inputs. Adds no noise. */
void gptq_nearest(const struct factor *factor, const struct gptq_tile *tile);

#endif

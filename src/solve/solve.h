/* Codes, scales, zero points and a correction of the bias for one weight, from the
 * moments of its inputs. Pure linear algebra: knows no model and no file.
 *
 * For outputs y = W x the error of codes is E |W x - Q x|^2 = tr((W - Q) H (W - Q)T).
 * GPTQ on the grid that suits H's diagonal competes, output by output, with what nibble
 * does without data; the better one is kept. docs/calibration.md has the formulas. */
#ifndef NIBBLE_SOLVE_SOLVE_H
#define NIBBLE_SOLVE_SOLVE_H

#include "quant/quant.h"
#include "solve/factor.h"

/* A weight as matrices of outputs by inputs, one for each group: element (g, n, k) lies
 * at g * group_stride + n * output_stride + offsets[k] of the source. */
struct solve_weight {
    struct quant_scheme scheme;
    struct quant_source source;
    struct quant_shape shape;
    size_t groups, outputs, inputs;
    size_t group_stride, output_stride;
    const size_t *offsets;
};

struct solution {
    uint8_t *codes; /* by element of the source, one a byte */
    float *scales;  /* by group of the shape, */
    uint8_t *zeros; /* and these, too */
    float *bias;    /* [groups][outputs] to be added; NULL: not asked for */
    size_t groups, outputs;
    double noise, signal; /* E |W x - Q x - bias|^2, and E |W x|^2, over all outputs; the
                             noise is under the shrunk H: codes fit the few rows that
                             they were found on better than others */
    double plain;         /* the noise of codes found without data */
    size_t better;        /* outputs that data made better */
    enum quant_fit fit;   /* other than OK: the rest is void */
};

struct solver {
    const struct algebra *algebra;
    const struct kernels *kernels;
    int threads; /* for one weight */
};

/* Whether each scale belongs to one output alone, which is what can be solved. False when
 * out of memory. */
bool solve_suits(const struct solve_weight *weight, bool *suits);

/* An empty solution. False when out of memory. */
bool solution_make(const struct solve_weight *weight, bool bias,
                   struct solution *solution);
void solution_free(struct solution *solution); /* a zeroed one is fine */

/* Solves one group of the weight. The factor is centered where a bias is wanted. */
bool solve_group(const struct solver *solver, const struct solve_weight *weight,
                 size_t group, const struct factor *factor, struct solution *solution,
                 struct error *err);

/* What the weights w[inputs][outputs], by input of the factor's order, would have to be
 * so that the inputs which the layer has now give what it gave before: for factors with
 * `change` and `lower`. The scratch is as large as w. */
void solve_target(const struct algebra *algebra, const struct factor *factor,
                  size_t outputs, double *w, double *scratch);

#endif

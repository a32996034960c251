/* A tile: some outputs of a weight, solved together. */
#ifndef NIBBLE_SOLVE_TILE_H
#define NIBBLE_SOLVE_TILE_H

#include "solve/blocks.h"
#include "solve/solve.h"

enum { TILE_OUTPUTS = 128 };

/* What all tiles of one group of a weight share. */
struct tile_group {
    const struct solver *solver;
    const struct solve_weight *weight;
    const struct factor *factor;
    struct solution *solution;
    size_t group;
    struct blocks blocks;
    float *importance; /* [inputs], block by block */
};

/* The grids and codes of a tile, and what they cost each output. */
struct attempt {
    float *scales; /* [outputs][blocks] */
    uint8_t *zeros;
    double *scale, *least, *most; /* [blocks][outputs] */
    int16_t *codes;               /* [inputs][outputs] */
    double noise[TILE_OUTPUTS];   /* under the damped H, which is what is compared */
    double exact[TILE_OUTPUTS];   /* under the shrunk H */
    double lack[TILE_OUTPUTS];    /* what the output lacks in the mean */
};

struct tile {
    const struct tile_group *group;
    size_t first, outputs; /* those it is about */
    double *wanted; /* [inputs][outputs] in the factor's order: what codes stand for */
    double *left, *work; /* as large */
    float *rows;         /* [outputs][inputs], block by block: the same as `wanted` */
    struct attempt best, next;  /* of each output, so far; and what may be better */
    double plain[TILE_OUTPUTS]; /* the exact noise without data */
    bool better[TILE_OUTPUTS];  /* the best one is another */
};

/* Sums over the outputs of a tile; they go into struct solution. */
struct tile_sums {
    double noise, signal, plain;
    size_t better;
    enum quant_fit fit;
};

bool tile_make(struct tile *tile, const struct tile_group *group);
void tile_free(struct tile *tile); /* a zeroed one is fine */

/* The weight's values, into `wanted`; and `wanted` into `rows`. */
void tile_read(struct tile *tile);
void tile_turn(struct tile *tile);

/* The best codes and grids, into the solution. */
void tile_store(const struct tile *tile);

/* Solves the outputs from `first` on, as many as a tile has or are left. */
struct tile_sums tile_solve(struct tile *tile, size_t first);

#endif

/* The values of a tile, and where they lie in the weight and in its solution. */
#include "solve/tile.h"

#include <string.h>

/* Where the tile's first output has its weight for the k-th input of the order. */
static size_t element_at(const struct tile *t, size_t k)
{
    const struct solve_weight *w = t->group->weight;
    return t->group->group * w->group_stride + t->first * w->output_stride +
           w->offsets[t->group->factor->order[k]];
}

void tile_read(struct tile *t)
{
    const struct solve_weight *w = t->group->weight;
    const enum real_type type = w->source.type;
    const size_t step = w->output_stride * real_size(type);
    double *out = t->wanted;
    for (size_t k = 0; k < w->inputs; k++) {
        const uint8_t *at =
            (const uint8_t *)w->source.data + element_at(t, k) * real_size(type);
        for (size_t m = 0; m < t->outputs; m++, at += step) {
            float value;
            if (type == REAL_FLOAT32)
                memcpy(&value, at, sizeof value);
            else
                real_load(type, at, 1, &value);
            *out++ = (double)value;
        }
    }
}

/* Some inputs at a time. */
void tile_turn(struct tile *t)
{
    enum { SOME = 16 };
    const struct blocks *blocks = &t->group->blocks;
    const uint32_t *place = t->group->factor->place;
    const size_t n = t->outputs, inputs = blocks->inputs;
    for (size_t i = 0, end; i < inputs; i = end) {
        end = inputs - i < SOME ? inputs : i + SOME;
        for (size_t m = 0; m < n; m++)
            for (size_t j = i; j < end; j++)
                t->rows[m * inputs + j] =
                    (float)t->wanted[place[blocks->sorted[j]] * n + m];
    }
}

static void store_codes(const struct tile *t)
{
    const struct solve_weight *w = t->group->weight;
    const size_t n = t->outputs, blocks = t->group->blocks.count;
    for (size_t k = 0; k < w->inputs; k++) {
        const size_t block = t->group->blocks.of[t->group->factor->order[k]];
        const int16_t *from = t->best.codes + k * n;
        uint8_t *codes = t->group->solution->codes + element_at(t, k);
        for (size_t m = 0; m < n; m++)
            codes[m * w->output_stride] =
                (uint8_t)(from[m] + t->best.zeros[m * blocks + block]);
    }
}

static void store_grids(const struct tile *t)
{
    const struct tile_group *g = t->group;
    const struct solve_weight *w = g->weight;
    const size_t blocks = g->blocks.count;
    const size_t group = g->group * w->group_stride;
    for (size_t b = 0; b < blocks; b++) {
        size_t at = group + w->offsets[g->blocks.sorted[g->blocks.begin[b]]];
        for (size_t m = 0; m < t->outputs; m++) {
            size_t scale =
                quant_group_of(&w->shape, at + (t->first + m) * w->output_stride);
            g->solution->scales[scale] = t->best.scales[m * blocks + b];
            g->solution->zeros[scale] = t->best.zeros[m * blocks + b];
        }
    }
}

void tile_store(const struct tile *t)
{
    store_codes(t);
    store_grids(t);
}

/* Solving one weight: its tiles, in parallel. */
#include "solve/solve.h"
#include "core/parallel.h"
#include "solve/tile.h"

#include <stdlib.h>

/* ---- blocks ----------------------------------------------------------- */

static bool set_blocks(const struct solve_weight *w, size_t group, struct blocks *blocks)
{
    size_t *scales = malloc(w->inputs * sizeof *scales);
    if (!scales)
        return false;
    for (size_t k = 0; k < w->inputs; k++)
        scales[k] = quant_group_of(&w->shape, group * w->group_stride + w->offsets[k]);
    bool ok = blocks_make(scales, w->inputs, blocks);
    free(scales);
    return ok;
}

bool solve_suits(const struct solve_weight *w, bool *suits)
{
    struct blocks blocks;
    *suits = false;
    if (w->groups == 0 || w->outputs == 0 || w->inputs == 0)
        return true;
    if (!set_blocks(w, 0, &blocks))
        return false;
    *suits = blocks.count * w->groups * w->outputs == quant_groups(&w->shape);
    blocks_free(&blocks);
    return true;
}

static bool set_importance(struct tile_group *g)
{
    const struct factor *f = g->factor;
    double most = 0;
    g->importance = malloc(f->inputs * sizeof *g->importance);
    for (size_t i = 0; i < f->inputs; i++)
        most = f->importance[i] > most ? f->importance[i] : most;
    for (size_t i = 0; g->importance && i < f->inputs; i++)
        g->importance[i] = (float)(f->importance[g->blocks.sorted[i]] / most);
    return g->importance != NULL;
}

/* ---- tiles ------------------------------------------------------------ */

struct tiles {
    struct tile *workers; /* one for each thread */
    struct tile_sums *sums;
};

static bool solve_tile(void *context, size_t index, int worker)
{
    struct tiles *tiles = context;
    tiles->sums[index] = tile_solve(&tiles->workers[worker], index * TILE_OUTPUTS);
    return true; /* all tiles, so that the same one is the first that does not fit */
}

/* In the order of tiles, so that sums are the same with any number of threads. */
static void add_sums(const struct tile_sums *sums, size_t count, struct solution *s)
{
    for (size_t i = 0; i < count; i++) {
        s->plain += sums[i].plain;
        s->noise += sums[i].noise;
        s->signal += sums[i].signal;
        s->better += sums[i].better;
        if (s->fit == QUANT_FIT_OK)
            s->fit = sums[i].fit;
    }
}

static bool solve_tiles(const struct tile_group *group)
{
    const size_t count = (group->weight->outputs + TILE_OUTPUTS - 1) / TILE_OUTPUTS;
    const int threads = parallel_threads(group->solver->threads, count);
    struct tiles tiles = {.workers = calloc((size_t)threads, sizeof *tiles.workers),
                          .sums = calloc(count, sizeof *tiles.sums)};
    bool ok = tiles.workers && tiles.sums;
    for (int i = 0; ok && i < threads; i++)
        ok = tile_make(&tiles.workers[i], group);
    if (ok) {
        parallel_for(count, threads, solve_tile, &tiles);
        add_sums(tiles.sums, count, group->solution);
    }
    for (int i = 0; tiles.workers && i < threads; i++)
        tile_free(&tiles.workers[i]);
    free(tiles.workers);
    free(tiles.sums);
    return ok;
}

bool solve_group(const struct solver *solver, const struct solve_weight *weight,
                 size_t group, const struct factor *factor, struct solution *solution,
                 struct error *err)
{
    struct tile_group g = {.solver = solver,
                           .weight = weight,
                           .factor = factor,
                           .solution = solution,
                           .group = group};
    bool ok = solution->fit != QUANT_FIT_OK || (set_blocks(weight, group, &g.blocks) &&
                                                set_importance(&g) && solve_tiles(&g));
    blocks_free(&g.blocks);
    free(g.importance);
    return ok || error_memory(err);
}

/* ---- solutions -------------------------------------------------------- */

bool solution_make(const struct solve_weight *w, bool bias, struct solution *s)
{
    const size_t groups = quant_groups(&w->shape);
    *s = (struct solution){.groups = w->groups,
                           .outputs = w->outputs,
                           .codes = malloc(quant_elements(&w->shape)),
                           .scales = malloc(groups * sizeof *s->scales),
                           .zeros = malloc(groups)};
    if (bias)
        s->bias = calloc(w->groups * w->outputs, sizeof *s->bias);
    if (s->codes && s->scales && s->zeros && (s->bias || !bias))
        return true;
    solution_free(s);
    return false;
}

void solution_free(struct solution *s)
{
    free(s->codes);
    free(s->scales);
    free(s->zeros);
    free(s->bias);
    *s = (struct solution){0};
}

/* Solving a tile. All loops over its values go input by input, for all outputs at once,
 * as they lie in memory. */
#include "solve/tile.h"
#include "quant/fit.h"
#include "solve/gptq.h"

#include <stdlib.h>
#include <string.h>

/* ---- memory ----------------------------------------------------------- */

static bool attempt_make(struct attempt *a, size_t inputs, size_t blocks, size_t outputs)
{
    const size_t grids = blocks * outputs;
    *a = (struct attempt){.scales = malloc(grids * sizeof *a->scales),
                          .zeros = malloc(grids),
                          .scale = malloc(grids * sizeof *a->scale),
                          .least = malloc(grids * sizeof *a->least),
                          .most = malloc(grids * sizeof *a->most),
                          .codes = malloc(inputs * outputs * sizeof *a->codes)};
    return a->scales && a->zeros && a->scale && a->least && a->most && a->codes;
}

static void attempt_free(struct attempt *a)
{
    free(a->scales);
    free(a->zeros);
    free(a->scale);
    free(a->least);
    free(a->most);
    free(a->codes);
}

bool tile_make(struct tile *t, const struct tile_group *group)
{
    const struct solve_weight *w = group->weight;
    const size_t outputs = w->outputs < TILE_OUTPUTS ? w->outputs : TILE_OUTPUTS;
    const size_t all = w->inputs * outputs;
    *t = (struct tile){.group = group,
                       .wanted = malloc(all * sizeof *t->wanted),
                       .left = malloc(all * sizeof *t->left),
                       .work = malloc(all * sizeof *t->work),
                       .rows = malloc(all * sizeof *t->rows)};
    bool ok = t->wanted && t->left && t->work && t->rows;
    return ok && attempt_make(&t->best, w->inputs, group->blocks.count, outputs) &&
           attempt_make(&t->next, w->inputs, group->blocks.count, outputs);
}

void tile_free(struct tile *t)
{
    free(t->wanted);
    free(t->left);
    free(t->work);
    free(t->rows);
    attempt_free(&t->best);
    attempt_free(&t->next);
}

static size_t values_size(const struct tile *t)
{
    return t->group->weight->inputs * t->outputs * sizeof *t->wanted;
}

/* ---- noise ------------------------------------------------------------ */

/* Adds the squares of b[inputs][outputs] times L, or of each alone where there is no L;
 * b is lost. */
static void add_noise(const struct tile *t, double *b, double *noise)
{
    const struct factor *f = t->group->factor;
    const size_t n = t->outputs;
    if (f->lower)
        algebra_triangle(t->group->solver->algebra, f->inputs, n, f->lower, b);
    for (size_t k = 0; k < f->inputs; k++) {
        double each = f->lower ? 1 : f->importance[f->order[k]];
        for (size_t m = 0; m < n; m++)
            noise[m] += each * b[k * n + m] * b[k * n + m];
    }
}

/* The noise without the damping's part of it; without what shrinking added, too, where
 * `keep` is what that left of H. */
static void set_exact(const struct tile *t, const double *left, const double *noise,
                      double keep, double *exact)
{
    const struct factor *f = t->group->factor;
    const size_t n = t->outputs;
    memcpy(exact, noise, n * sizeof *exact);
    if (!f->lower)
        return;
    for (size_t k = 0; k < f->inputs; k++) {
        const size_t input = f->order[k];
        const double extra = f->importance[input] - keep * f->raw[input];
        for (size_t m = 0; m < n; m++)
            exact[m] -= extra * left[k * n + m] * left[k * n + m];
    }
    for (size_t m = 0; m < n; m++)
        exact[m] = exact[m] > 0 ? exact[m] / keep : 0;
}

/* Adds the mean of the output for inputs of these means. */
static void add_means(const struct tile *t, const double *weights, const double *means,
                      double *out)
{
    const struct factor *f = t->group->factor;
    const size_t n = t->outputs;
    for (size_t k = 0; k < f->inputs; k++)
        for (size_t m = 0; m < n; m++)
            out[m] += weights[k * n + m] * means[f->order[k]];
}

/* E |W x|^2. */
static double find_signal(struct tile *t)
{
    const struct factor *f = t->group->factor;
    double noise[TILE_OUTPUTS] = {0}, exact[TILE_OUTPUTS], mean[TILE_OUTPUTS] = {0};
    double sum = 0;
    memcpy(t->work, t->wanted, values_size(t));
    add_noise(t, t->work, noise);
    set_exact(t, t->wanted, noise, 1 - f->shrink, exact);
    if (f->centered)
        add_means(t, t->wanted, f->mean, mean);
    for (size_t m = 0; m < t->outputs; m++)
        sum += exact[m] + mean[m] * mean[m];
    return sum;
}

/* ---- grids and codes -------------------------------------------------- */

static const struct quant_type_info *type_of(const struct tile *t)
{
    return quant_type_info(t->group->weight->scheme.type);
}

static int zero_code(const struct tile *t, uint8_t stored)
{
    return type_of(t)->lo < 0 ? (int8_t)stored : stored;
}

/* The grid in the layout of gptq.h, too. */
static void spread(const struct tile *t, struct attempt *a)
{
    const struct quant_type_info *type = type_of(t);
    const size_t blocks = t->group->blocks.count, n = t->outputs;
    for (size_t m = 0; m < n; m++)
        for (size_t b = 0; b < blocks; b++) {
            int zero = zero_code(t, a->zeros[m * blocks + b]);
            a->scale[b * n + m] = (double)a->scales[m * blocks + b];
            a->least[b * n + m] = type->lo - zero;
            a->most[b * n + m] = type->hi - zero;
        }
}

/* Codes on the next grid: the nearest, or those of GPTQ. */
static void encode(struct tile *t, bool with_data)
{
    const struct factor *f = t->group->factor;
    struct attempt *a = &t->next;
    const struct gptq_tile tile = {.outputs = t->outputs,
                                   .block = t->group->blocks.of,
                                   .scales = a->scale,
                                   .least = a->least,
                                   .most = a->most,
                                   .weights = t->left,
                                   .codes = a->codes,
                                   .pull = t->work,
                                   .noise = a->noise};
    memset(a->noise, 0, sizeof a->noise);
    memcpy(t->left, t->wanted, values_size(t));
    if (with_data && f->lower) {
        memset(t->work, 0, values_size(t));
        gptq_codes(t->group->solver->algebra, f, &tile);
    } else {
        gptq_nearest(f, &tile);
        memcpy(t->work, t->left, values_size(t));
        add_noise(t, t->work, a->noise);
    }
}

/* base: (W t) in the mean. The output lacks (W t - Q x). */
static void weigh(struct tile *t, const double *base)
{
    struct attempt *a = &t->next;
    const double *mean = t->group->factor->mean;
    double left[TILE_OUTPUTS] = {0}, wanted[TILE_OUTPUTS] = {0};
    set_exact(t, t->left, a->noise, 1, a->exact);
    add_means(t, t->left, mean, left);
    add_means(t, t->wanted, mean, wanted);
    for (size_t m = 0; m < t->outputs; m++)
        a->lack[m] = base[m] - (wanted[m] - left[m]);
}

/* ---- the best of several ---------------------------------------------- */

/* What is next is best for each output that it costs less. */
static void keep_better(struct tile *t)
{
    const struct attempt *next = &t->next;
    struct attempt *best = &t->best;
    const size_t n = t->outputs, blocks = t->group->blocks.count;
    bool better[TILE_OUTPUTS], any = false;
    for (size_t m = 0; m < n; m++) {
        better[m] = next->noise[m] < best->noise[m];
        any |= better[m];
        t->better[m] |= better[m];
        if (!better[m])
            continue;
        best->noise[m] = next->noise[m];
        best->exact[m] = next->exact[m];
        best->lack[m] = next->lack[m];
        memcpy(best->scales + m * blocks, next->scales + m * blocks,
               blocks * sizeof *best->scales);
        memcpy(best->zeros + m * blocks, next->zeros + m * blocks, blocks);
    }
    for (size_t k = 0; any && k < t->group->weight->inputs; k++)
        for (size_t m = 0; m < n; m++)
            best->codes[k * n + m] = (better[m] ? next : best)->codes[k * n + m];
}

/* The codes without data come first, and are the best so far. */
static void try_first(struct tile *t, const double *base)
{
    spread(t, &t->next);
    encode(t, false);
    weigh(t, base);
    const struct attempt first = t->next;
    t->next = t->best;
    t->best = first;
    memcpy(t->plain, first.exact, sizeof t->plain);
    memset(t->better, 0, sizeof t->better);
}

static void try_next(struct tile *t, const double *base)
{
    spread(t, &t->next);
    encode(t, true);
    weigh(t, base);
    keep_better(t);
}

/* A grid for each output: for the weights alone, or for the inputs; with any zero point,
 * or as the scheme says. */
static enum quant_fit fit(struct tile *t, bool with_data, bool zeros)
{
    const struct tile_group *g = t->group;
    struct quant_scheme scheme = g->weight->scheme;
    scheme.symmetric &= !zeros;
    return blocks_fit(&g->blocks, g->solver->kernels, &scheme, t->rows, t->outputs,
                      with_data ? g->importance : NULL, t->next.scales, t->next.zeros);
}

/* Sets a scale of the next grid, which has the zero points of the best one. Far from the
 * best scale the codes would be others, so that one stays. */
static void set_scale(struct tile *t, size_t grid, double wanted)
{
    const struct quant_type_info *type = type_of(t);
    const enum real_type real = t->group->weight->scheme.scale_type;
    const float best = t->best.scales[grid], scale = real_round(real, (float)wanted);
    const int below = zero_code(t, t->best.zeros[grid]) - type->lo;
    const bool good = scale > best / 2 && scale < best * 2 &&
                      fit_usable(real, scale, (float)below, (float)(type->hi - type->lo));
    t->next.scales[grid] = good ? scale : best;
    t->next.zeros[grid] = t->best.zeros[grid];
}

static void scale_best(struct tile *t, double factor)
{
    for (size_t i = 0; i < t->outputs * t->group->blocks.count; i++)
        set_scale(t, i, (double)t->best.scales[i] * factor);
}

/* Where an output has one scale: for its codes c, the best one is c^T H w / c^T H c. */
static void refit_best(struct tile *t)
{
    const struct algebra *algebra = t->group->solver->algebra;
    const size_t n = t->outputs, inputs = t->group->weight->inputs;
    double up[TILE_OUTPUTS] = {0}, down[TILE_OUTPUTS] = {0};
    for (size_t i = 0; i < inputs * n; i++)
        t->work[i] = t->best.codes[i];
    memcpy(t->left, t->wanted, values_size(t));
    algebra_triangle(algebra, inputs, n, t->group->factor->lower, t->work);
    algebra_triangle(algebra, inputs, n, t->group->factor->lower, t->left);
    for (size_t k = 0; k < inputs; k++)
        for (size_t m = 0; m < n; m++) {
            up[m] += t->work[k * n + m] * t->left[k * n + m];
            down[m] += t->work[k * n + m] * t->work[k * n + m];
        }
    for (size_t m = 0; m < n; m++)
        set_scale(t, m, down[m] > 0 ? up[m] / down[m] : 0);
}

/* Scales that suit the nearest codes need not suit those of GPTQ. So it tries others,
 * ever closer to the best ones so far. */
static void try_scales(struct tile *t, const double *base)
{
    const double first_step = 0.16, last_step = 0.03;
    if (t->group->blocks.count == 1) {
        refit_best(t);
        try_next(t, base);
    }
    for (double step = first_step; step > last_step; step /= 2)
        for (int sign = 1; sign >= -1; sign -= 2) {
            scale_best(t, 1 + sign * step);
            try_next(t, base);
        }
}

/* For each output the best codes of all that are tried. */
static enum quant_fit try_all(struct tile *t, const double *base)
{
    const struct quant_scheme *scheme = &t->group->weight->scheme;
    const int grids = scheme->symmetric && scheme->mirrored ? 2 : 1;
    enum quant_fit result = fit(t, false, false);
    if (result == QUANT_FIT_OK)
        try_first(t, base);
    for (int i = 0; result == QUANT_FIT_OK && i < grids; i++) {
        result = fit(t, true, i > 0);
        if (result == QUANT_FIT_OK)
            try_next(t, base);
    }
    if (result == QUANT_FIT_OK && t->group->factor->lower)
        try_scales(t, base);
    return result;
}

/* ---- results ---------------------------------------------------------- */

static void finish(const struct tile *t, struct tile_sums *sums)
{
    struct solution *solution = t->group->solution;
    const size_t first = t->group->group * t->group->weight->outputs + t->first;
    for (size_t m = 0; m < t->outputs; m++) {
        sums->plain += t->plain[m];
        sums->noise += t->best.exact[m];
        sums->better += t->better[m];
        if (solution->bias)
            solution->bias[first + m] = (float)t->best.lack[m];
    }
    tile_store(t);
}

struct tile_sums tile_solve(struct tile *t, size_t first)
{
    const struct factor *f = t->group->factor;
    const size_t rest = t->group->weight->outputs - first;
    struct tile_sums sums = {.fit = QUANT_FIT_OK};
    double base[TILE_OUTPUTS] = {0};
    t->first = first;
    t->outputs = rest < TILE_OUTPUTS ? rest : TILE_OUTPUTS;
    tile_read(t);
    sums.signal = find_signal(t);
    add_means(t, t->wanted, f->target, base);
    if (f->change && f->lower)
        solve_target(t->group->solver->algebra, f, t->outputs, t->wanted, t->work);
    tile_turn(t);
    sums.fit = try_all(t, base);
    if (sums.fit == QUANT_FIT_OK)
        finish(t, &sums);
    return sums;
}

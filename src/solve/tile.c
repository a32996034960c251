/* Solving a tile. All loops over its values go input by input, for all outputs at once,
 * as they lie in memory. */
#include "solve/tile.h"
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
    for (int i = 0; ok && i < WAYS; i++)
        ok = attempt_make(&t->ways[i], w->inputs, group->blocks.count, outputs);
    return ok;
}

void tile_free(struct tile *t)
{
    free(t->wanted);
    free(t->left);
    free(t->work);
    free(t->rows);
    for (int i = 0; i < WAYS; i++)
        attempt_free(&t->ways[i]);
}

static size_t values_size(const struct tile *t)
{
    return t->group->weight->inputs * t->outputs * sizeof *t->wanted;
}

/* ---- weights ---------------------------------------------------------- */

/* Where the tile's first output has its weight for the k-th input of the order. */
static size_t element_at(const struct tile *t, size_t k)
{
    const struct solve_weight *w = t->group->weight;
    return t->group->group * w->group_stride + t->first * w->output_stride +
           w->offsets[t->group->factor->order[k]];
}

static void read_weights(struct tile *t)
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

/* The values of each output in a row, some inputs at a time. */
static void turn(struct tile *t)
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

/* Grids for each output; in the layout of gptq.h, too. */
static enum quant_fit fit(struct tile *t, enum way way)
{
    const struct tile_group *g = t->group;
    struct quant_scheme scheme = g->weight->scheme;
    const struct quant_type_info *type = quant_type_info(scheme.type);
    const size_t blocks = g->blocks.count, n = t->outputs;
    struct attempt *a = &t->ways[way];
    scheme.symmetric &= way != WITH_ZEROS;
    enum quant_fit result =
        blocks_fit(&g->blocks, g->solver->kernels, &scheme, t->rows, n,
                   way == WITHOUT_DATA ? NULL : g->importance, a->scales, a->zeros);
    for (size_t m = 0; m < n && result == QUANT_FIT_OK; m++)
        for (size_t b = 0; b < blocks; b++) {
            uint8_t stored = a->zeros[m * blocks + b];
            int zero = type->lo < 0 ? (int8_t)stored : stored;
            a->scale[b * n + m] = (double)a->scales[m * blocks + b];
            a->least[b * n + m] = type->lo - zero;
            a->most[b * n + m] = type->hi - zero;
        }
    return result;
}

static void encode(struct tile *t, enum way way)
{
    const struct factor *f = t->group->factor;
    struct attempt *a = &t->ways[way];
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
    if (way != WITHOUT_DATA && f->lower) {
        memset(t->work, 0, values_size(t));
        gptq_codes(t->group->solver->algebra, f, &tile);
    } else {
        gptq_nearest(f, &tile);
        memcpy(t->work, t->left, values_size(t));
        add_noise(t, t->work, a->noise);
    }
}

/* base: (W t) in the mean. The output lacks (W t - Q x). */
static void weigh(struct tile *t, enum way way, const double *base)
{
    struct attempt *a = &t->ways[way];
    const double *mean = t->group->factor->mean;
    double left[TILE_OUTPUTS] = {0}, wanted[TILE_OUTPUTS] = {0};
    set_exact(t, t->left, a->noise, 1, a->exact);
    add_means(t, t->left, mean, left);
    add_means(t, t->wanted, mean, wanted);
    for (size_t m = 0; m < t->outputs; m++)
        a->lack[m] = base[m] - (wanted[m] - left[m]);
}

/* ---- the best way ----------------------------------------------------- */

static bool is_way(const struct tile *t, enum way way)
{
    const struct quant_scheme *scheme = &t->group->weight->scheme;
    if (way == WITH_ZEROS)
        return scheme->symmetric && scheme->mirrored;
    return way != REFIT || (t->group->blocks.count == 1 && t->group->factor->lower);
}

/* Of those before `end`, for one output. */
static const struct attempt *best_way(const struct tile *t, size_t output, enum way end)
{
    const struct attempt *best = &t->ways[WITHOUT_DATA];
    for (enum way way = WITH_DATA; way < end; way++)
        if (is_way(t, way) && t->ways[way].noise[output] < best->noise[output])
            best = &t->ways[way];
    return best;
}

/* For codes c with one scale, c^T H w / c^T H c has the least error. */
static void set_best_scales(const struct tile *t, const double *codes,
                            const double *weights, struct attempt *a)
{
    const size_t n = t->outputs, inputs = t->group->weight->inputs;
    const enum real_type type = t->group->weight->scheme.scale_type;
    double up[TILE_OUTPUTS] = {0}, down[TILE_OUTPUTS] = {0};
    for (size_t k = 0; k < inputs; k++, codes += n, weights += n)
        for (size_t m = 0; m < n; m++) {
            up[m] += codes[m] * weights[m];
            down[m] += codes[m] * codes[m];
        }
    for (size_t m = 0; m < n; m++) {
        float scale = down[m] > 0 ? real_round(type, (float)(up[m] / down[m])) : 0;
        /* Far from the old scale the codes would be others. */
        if (scale > a->scales[m] / 2 && scale < a->scales[m] * 2)
            a->scales[m] = scale;
        a->scale[m] = (double)a->scales[m];
    }
}

/* The grids of the best codes so far, with other scales. */
static void refit(struct tile *t)
{
    const struct factor *f = t->group->factor;
    const struct algebra *algebra = t->group->solver->algebra;
    struct attempt *a = &t->ways[REFIT];
    const size_t n = t->outputs;
    for (size_t m = 0; m < n; m++) {
        const struct attempt *best = best_way(t, m, REFIT);
        a->scales[m] = best->scales[m];
        a->zeros[m] = best->zeros[m];
        a->least[m] = best->least[m];
        a->most[m] = best->most[m];
        for (size_t k = 0; k < f->inputs; k++)
            t->work[k * n + m] = best->codes[k * n + m];
    }
    memcpy(t->left, t->wanted, values_size(t));
    algebra_triangle(algebra, f->inputs, n, f->lower, t->work);
    algebra_triangle(algebra, f->inputs, n, f->lower, t->left);
    set_best_scales(t, t->work, t->left, a);
}

/* ---- results ---------------------------------------------------------- */

static void store_codes(const struct tile *t, const struct attempt *const *best)
{
    const struct solve_weight *w = t->group->weight;
    const size_t n = t->outputs, blocks = t->group->blocks.count;
    for (size_t k = 0; k < w->inputs; k++) {
        const size_t block = t->group->blocks.of[t->group->factor->order[k]];
        uint8_t *codes = t->group->solution->codes + element_at(t, k);
        for (size_t m = 0; m < n; m++)
            codes[m * w->output_stride] =
                (uint8_t)(best[m]->codes[k * n + m] + best[m]->zeros[m * blocks + block]);
    }
}

static void store_grids(const struct tile *t, const struct attempt *const *best)
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
            g->solution->scales[scale] = best[m]->scales[m * blocks + b];
            g->solution->zeros[scale] = best[m]->zeros[m * blocks + b];
        }
    }
}

static void choose(struct tile *t, struct tile_sums *sums)
{
    const struct attempt *none = &t->ways[WITHOUT_DATA];
    const struct attempt *best[TILE_OUTPUTS];
    const size_t first = t->group->group * t->group->weight->outputs + t->first;
    for (size_t m = 0; m < t->outputs; m++) {
        best[m] = best_way(t, m, WAYS);
        sums->plain += none->exact[m];
        sums->noise += best[m]->exact[m];
        sums->better += best[m] != none;
        if (t->group->solution->bias)
            t->group->solution->bias[first + m] = (float)best[m]->lack[m];
    }
    store_codes(t, best);
    store_grids(t, best);
}

struct tile_sums tile_solve(struct tile *t, size_t first)
{
    const struct factor *f = t->group->factor;
    const size_t rest = t->group->weight->outputs - first;
    struct tile_sums sums = {.fit = QUANT_FIT_OK};
    double base[TILE_OUTPUTS] = {0};
    t->first = first;
    t->outputs = rest < TILE_OUTPUTS ? rest : TILE_OUTPUTS;
    read_weights(t);
    sums.signal = find_signal(t);
    add_means(t, t->wanted, f->target, base);
    if (f->change && f->lower)
        solve_target(t->group->solver->algebra, f, t->outputs, t->wanted, t->work);
    turn(t);
    for (enum way way = 0; way < WAYS; way++) {
        if (!is_way(t, way))
            continue;
        if (way == REFIT)
            refit(t);
        else
            sums.fit = fit(t, way);
        if (sums.fit != QUANT_FIT_OK)
            return sums;
        encode(t, way);
        weigh(t, way, base);
    }
    choose(t, &sums);
    return sums;
}

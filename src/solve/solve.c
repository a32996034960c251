/* Solving one weight, a tile of outputs at a time. */
#include "solve/solve.h"
#include "solve/blocks.h"
#include "solve/gptq.h"

#include <stdlib.h>
#include <string.h>

enum { TILE_OUTPUTS = 128 };

/* The grids and codes of a tile, found one way. */
struct attempt {
    float *scales; /* [outputs][blocks] */
    uint8_t *zeros;
    double *scale, *least, *most; /* [blocks][outputs] */
    double *left, *codes;         /* [inputs][outputs] */
    double *noise;                /* [outputs] */
};

enum way { WITH_DATA, WITHOUT, WAYS };

struct tile {
    const struct solver *solver;
    const struct solve_weight *weight;
    const struct factor *factor;
    struct solution *solution;
    struct blocks blocks;
    size_t group, first, outputs; /* those it is about */
    double *wanted; /* [inputs][outputs] in the factor's order: what codes stand for */
    double *work, *panel;    /* as large */
    float *row, *importance; /* [inputs], block by block */
    struct attempt ways[WAYS];
};

/* ---- memory ----------------------------------------------------------- */

static bool attempt_make(struct attempt *a, size_t inputs, size_t blocks, size_t outputs)
{
    const size_t grids = blocks * outputs, all = inputs * outputs;
    *a = (struct attempt){.scales = malloc(grids * sizeof *a->scales),
                          .zeros = malloc(grids),
                          .scale = malloc(grids * sizeof *a->scale),
                          .least = malloc(grids * sizeof *a->least),
                          .most = malloc(grids * sizeof *a->most),
                          .left = malloc(all * sizeof *a->left),
                          .codes = malloc(all * sizeof *a->codes),
                          .noise = malloc(outputs * sizeof *a->noise)};
    return a->scales && a->zeros && a->scale && a->least && a->most && a->left &&
           a->codes && a->noise;
}

static void attempt_free(struct attempt *a)
{
    free(a->scales);
    free(a->zeros);
    free(a->scale);
    free(a->least);
    free(a->most);
    free(a->left);
    free(a->codes);
    free(a->noise);
}

static void tile_free(struct tile *t)
{
    blocks_free(&t->blocks);
    free(t->wanted);
    free(t->work);
    free(t->panel);
    free(t->row);
    free(t->importance);
    for (int i = 0; i < WAYS; i++)
        attempt_free(&t->ways[i]);
}

/* ---- where things lie ------------------------------------------------- */

static size_t element_of(const struct solve_weight *w, size_t group, size_t output,
                         size_t input)
{
    return group * w->group_stride + output * w->output_stride + w->offsets[input];
}

static bool set_blocks(const struct solve_weight *w, size_t group, struct blocks *blocks)
{
    size_t *scales = malloc(w->inputs * sizeof *scales);
    if (!scales)
        return false;
    for (size_t k = 0; k < w->inputs; k++)
        scales[k] = quant_group_of(&w->shape, element_of(w, group, 0, k));
    bool ok = blocks_make(scales, w->inputs, blocks);
    free(scales);
    return ok;
}

bool solve_suits(const struct solve_weight *w)
{
    struct blocks blocks;
    if (w->groups == 0 || w->outputs == 0 || w->inputs == 0 || !set_blocks(w, 0, &blocks))
        return false;
    size_t scales = blocks.count * w->groups * w->outputs;
    blocks_free(&blocks);
    return scales == quant_groups(&w->shape);
}

/* ---- steps of a tile -------------------------------------------------- */

static double value_at(const struct quant_source *source, size_t element)
{
    const uint8_t *at = (const uint8_t *)source->data + element * real_size(source->type);
    float value;
    if (source->type == REAL_FLOAT32)
        memcpy(&value, at, sizeof value);
    else
        real_load(source->type, at, 1, &value);
    return (double)value;
}

static void read_weights(const struct tile *t, double *out)
{
    const struct solve_weight *w = t->weight;
    for (size_t k = 0; k < w->inputs; k++) {
        size_t at = element_of(w, t->group, t->first, t->factor->order[k]);
        for (size_t m = 0; m < t->outputs; m++, at += w->output_stride)
            *out++ = value_at(&w->source, at);
    }
}

/* Grids for each output; in the layout of gptq.h, too. */
static enum quant_fit fit(struct tile *t, struct attempt *a, const float *importance,
                          const uint32_t *place)
{
    const struct quant_scheme *scheme = &t->weight->scheme;
    const struct quant_type_info *type = quant_type_info(scheme->type);
    const size_t inputs = t->weight->inputs, blocks = t->blocks.count, n = t->outputs;
    for (size_t m = 0; m < n; m++) {
        float *scales = a->scales + m * blocks;
        uint8_t *zeros = a->zeros + m * blocks;
        for (size_t i = 0; i < inputs; i++)
            t->row[i] = (float)t->wanted[place[t->blocks.sorted[i]] * n + m];
        enum quant_fit result = blocks_fit(&t->blocks, t->solver->kernels, scheme, t->row,
                                           importance, scales, zeros);
        if (result != QUANT_FIT_OK)
            return result;
        for (size_t b = 0; b < blocks; b++) {
            int zero = type->lo < 0 ? (int8_t)zeros[b] : zeros[b];
            a->scale[b * n + m] = (double)scales[b];
            a->least[b * n + m] = type->lo - zero;
            a->most[b * n + m] = type->hi - zero;
        }
    }
    return QUANT_FIT_OK;
}

static void set_importance(struct tile *t)
{
    const struct factor *f = t->factor;
    double most = 0;
    for (size_t i = 0; i < f->inputs; i++)
        most = f->importance[i] > most ? f->importance[i] : most;
    for (size_t i = 0; i < f->inputs; i++)
        t->importance[i] = (float)(f->importance[t->blocks.sorted[i]] / most);
}

/* Where each input stands in the factor's order. */
static uint32_t *places(const struct factor *f)
{
    uint32_t *place = malloc(f->inputs * sizeof *place);
    for (size_t k = 0; place && k < f->inputs; k++)
        place[f->order[k]] = (uint32_t)k;
    return place;
}

/* Adds the squares of b[inputs][outputs] times L, or of each alone where there is no L;
 * b is lost. */
static void add_noise(const struct tile *t, double *b, double *noise)
{
    const struct factor *f = t->factor;
    const size_t n = t->outputs;
    if (f->lower)
        algebra_triangle(t->solver->algebra, f->inputs, n, f->lower, b);
    for (size_t k = 0; k < f->inputs; k++) {
        double each = f->lower ? 1 : f->importance[f->order[k]];
        for (size_t m = 0; m < n; m++)
            noise[m] += each * b[k * n + m] * b[k * n + m];
    }
}

static void encode(struct tile *t, enum way way)
{
    struct attempt *a = &t->ways[way];
    const size_t size = t->weight->inputs * t->outputs * sizeof *a->left;
    const struct gptq_tile tile = {.outputs = t->outputs,
                                   .block = t->blocks.of,
                                   .scales = a->scale,
                                   .least = a->least,
                                   .most = a->most,
                                   .weights = a->left,
                                   .codes = a->codes,
                                   .pull = t->work,
                                   .noise = a->noise};
    memset(a->noise, 0, t->outputs * sizeof *a->noise);
    memcpy(a->left, t->wanted, size);
    if (way == WITH_DATA && t->factor->lower) {
        memset(t->work, 0, size);
        gptq_codes(t->solver->algebra, t->factor, &tile);
        return;
    }
    gptq_nearest(t->factor, &tile);
    memcpy(t->work, a->left, size);
    add_noise(t, t->work, a->noise);
}

/* ---- results ---------------------------------------------------------- */

/* The part of an output's noise that H itself accounts for, without the damping. */
static double true_noise(const struct tile *t, double noise, const double *left, size_t m)
{
    const struct factor *f = t->factor;
    double extra = 0;
    if (!f->lower)
        return noise;
    for (size_t k = 0; k < f->inputs; k++) {
        double d = left[k * t->outputs + m];
        size_t input = f->order[k];
        extra += d * d * (f->importance[input] - (1 - f->shrink) * f->raw[input]);
    }
    double part = (noise - extra) / (1 - f->shrink);
    return part > 0 ? part : 0;
}

static void store(const struct tile *t, const struct attempt *a, size_t m)
{
    const struct solve_weight *w = t->weight;
    struct solution *s = t->solution;
    const size_t n = t->outputs, blocks = t->blocks.count;
    const float *scales = a->scales + m * blocks;
    const uint8_t *zeros = a->zeros + m * blocks;
    for (size_t k = 0; k < w->inputs; k++) {
        size_t input = t->factor->order[k], block = t->blocks.of[input];
        size_t at = element_of(w, t->group, t->first + m, input);
        s->codes[at] = (uint8_t)((int)a->codes[k * n + m] + zeros[block]);
    }
    for (size_t b = 0; b < blocks; b++) {
        size_t input = t->blocks.sorted[t->blocks.begin[b]];
        size_t at =
            quant_group_of(&w->shape, element_of(w, t->group, t->first + m, input));
        s->scales[at] = scales[b];
        s->zeros[at] = zeros[b];
    }
}

/* (W t - Q x), in the mean: what the output lacks. */
static double lack(const struct tile *t, const struct attempt *a, size_t m)
{
    const struct solve_weight *w = t->weight;
    const struct moments *moments = t->factor->moments;
    const double *target = moments->cross ? moments->target_mean : moments->mean;
    double sum = 0;
    for (size_t k = 0; k < w->inputs; k++) {
        size_t input = t->factor->order[k], at = k * t->outputs + m;
        double value = value_at(&w->source, element_of(w, t->group, t->first + m, input));
        sum +=
            value * target[input] - (t->wanted[at] - a->left[at]) * moments->mean[input];
    }
    return sum;
}

static void choose(struct tile *t)
{
    struct solution *s = t->solution;
    for (size_t m = 0; m < t->outputs; m++) {
        const struct attempt *data = &t->ways[WITH_DATA], *none = &t->ways[WITHOUT];
        const struct attempt *best = data->noise[m] < none->noise[m] ? data : none;
        s->plain += true_noise(t, none->noise[m], none->left, m);
        s->noise += true_noise(t, best->noise[m], best->left, m);
        s->better += best == data;
        store(t, best, m);
        if (s->bias)
            s->bias[t->group * t->weight->outputs + t->first + m] =
                (float)lack(t, best, m);
    }
}

/* Adds E |W x|^2. */
static void add_signal(struct tile *t)
{
    const struct factor *f = t->factor;
    const size_t n = t->outputs;
    double noise[TILE_OUTPUTS] = {0};
    memcpy(t->work, t->wanted, f->inputs * n * sizeof *t->work);
    add_noise(t, t->work, noise);
    for (size_t m = 0; m < n; m++) {
        double mean = 0;
        for (size_t k = 0; f->centered && k < f->inputs; k++)
            mean += t->wanted[k * n + m] * f->moments->mean[f->order[k]];
        t->solution->signal += true_noise(t, noise[m], t->wanted, m) + mean * mean;
    }
}

/* ---- the weight ------------------------------------------------------- */

static void solve_tile(struct tile *t, const uint32_t *place)
{
    read_weights(t, t->wanted);
    add_signal(t);
    if (t->factor->moments->cross && t->factor->lower)
        solve_target(t->solver->algebra, t->factor, t->outputs, t->wanted, t->work,
                     t->panel);
    for (enum way way = 0; way < WAYS; way++) {
        enum quant_fit result =
            fit(t, &t->ways[way], way == WITH_DATA ? t->importance : NULL, place);
        if (result != QUANT_FIT_OK) {
            t->solution->fit = result;
            return;
        }
        encode(t, way);
    }
    choose(t);
}

static bool tile_make(struct tile *t)
{
    const struct solve_weight *w = t->weight;
    const size_t outputs = w->outputs < TILE_OUTPUTS ? w->outputs : TILE_OUTPUTS;
    const size_t all = w->inputs * outputs;
    bool ok = set_blocks(w, t->group, &t->blocks);
    t->wanted = malloc(all * sizeof *t->wanted);
    t->work = malloc(all * sizeof *t->work);
    t->panel = t->factor->moments->cross ? malloc(all * sizeof *t->panel) : NULL;
    t->row = malloc(w->inputs * sizeof *t->row);
    t->importance = malloc(w->inputs * sizeof *t->importance);
    for (int i = 0; ok && i < WAYS; i++)
        ok = attempt_make(&t->ways[i], w->inputs, t->blocks.count, outputs);
    return ok && t->wanted && t->work && t->row && t->importance &&
           (t->panel || !t->factor->moments->cross);
}

bool solve_group(const struct solver *solver, const struct solve_weight *weight,
                 size_t group, const struct factor *factor, struct solution *solution,
                 struct error *err)
{
    struct tile t = {.solver = solver,
                     .weight = weight,
                     .factor = factor,
                     .solution = solution,
                     .group = group};
    uint32_t *place = places(factor);
    bool ok = place && tile_make(&t);
    if (ok)
        set_importance(&t);
    for (; ok && t.first < weight->outputs && solution->fit == QUANT_FIT_OK;
         t.first += t.outputs) {
        size_t rest = weight->outputs - t.first;
        t.outputs = rest < TILE_OUTPUTS ? rest : TILE_OUTPUTS;
        solve_tile(&t, place);
    }
    tile_free(&t);
    free(place);
    return ok || error_memory(err);
}

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

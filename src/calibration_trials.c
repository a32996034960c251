/* Trials as nibble.h has them: a session that stays, and what was kept of it. */
#include "core/arena.h"
#include "options.h"
#include "public_error.h"
#include "trying.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A solution that nibble_quantize is to write. */
struct kept {
    struct kept *next;
    struct quant_scheme scheme;
    struct quant_shape shape;
    struct solution solution;
};

/* ---- kept -------------------------------------------------------------- */

void trying_free(struct trying *t)
{
    if (!t)
        return;
    for (struct kept *kept = t->all, *next; kept; kept = next) {
        next = kept->next;
        solution_free(&kept->solution);
        free(kept);
    }
    statistics_free(&t->pairs);
    map_free(&t->kept);
    free(t->shown);
    trials_free(&t->trials);
    session_end(&t->session);
    arena_destroy(t->arena);
    free(t);
}

bool trying_kept(const struct trying *t, const struct plan_item *item,
                 const struct solution **out, struct error *err)
{
    *out = NULL;
    if (!item->quantize)
        return true;
    struct arena *scratch = arena_create(ARENA_NO_CAP);
    const char *key = scratch ? plan_key(scratch, item->value) : NULL;
    const struct kept *kept = key ? map_get(&t->kept, key) : NULL;
    const bool found = key != NULL;
    arena_destroy(scratch);
    bool fits = kept && item->alone && !item->same &&
                kept->scheme.type == item->scheme.type &&
                kept->scheme.symmetric == item->scheme.symmetric &&
                kept->scheme.mirrored == item->scheme.mirrored &&
                kept->scheme.scale_type == item->scheme.scale_type &&
                memcmp(&kept->shape, &item->shape, sizeof kept->shape) == 0;
    *out = fits ? &kept->solution : NULL;
    return found || error_memory(err);
}

const struct trial_cost *calibration_cost(const struct nibble_calibration *c,
                                          const char *key)
{
    const struct trial_cost *cost = map_get(&c->costs, key);
    return cost && cost->known ? cost : NULL;
}

/* The entry of a weight, which may be new. */
static struct trial_cost *cost_of(struct nibble_calibration *c, const struct value *value,
                                  struct error *err)
{
    const char *key = plan_key(c->arena, value);
    struct trial_cost *cost = key ? map_get(&c->costs, key) : NULL;
    if (cost)
        return cost;
    cost = arena_alloc(c->arena, sizeof *cost);
    if (!key || !cost || !map_put(&c->costs, key, cost)) {
        error_memory(err);
        return NULL;
    }
    *cost = (struct trial_cost){0};
    return cost;
}

/* ---- beginning --------------------------------------------------------- */

static void show(struct trying *t)
{
    for (size_t i = 0; i < t->trials.count; i++) {
        const struct trial *trial = &t->trials.list[i];
        const struct plan_item *item = &t->session.plan.items[trial->item];
        const struct trial_bias *bias = trial->bias;
        struct nibble_trial *shown = &t->shown[i];
        *shown = (struct nibble_trial){.name = trial->name,
                                       .dims = item->tensor->dims,
                                       .rank = item->tensor->n_dims,
                                       .elements = item->elements,
                                       .bias_name = bias ? bias->name : "",
                                       .bias_dims = bias ? bias->dims : NULL,
                                       .bias_rank = bias ? bias->rank : 0,
                                       .bias_elements = bias ? bias->count : 0,
                                       .step = trial->step,
                                       .noise = (double)NAN};
        for (size_t k = 0, n = 0; trial->site && k < SITE_VALUES; k++)
            if (trial->site->tensors[k])
                shown->tensors[n++] = trial->site->site.values[k];
    }
}

/* The model for trials; its names are what trials are called by. */
static bool write_trials(const struct nibble_calibration *c, struct trying *t,
                         const char *output, struct error *err)
{
    struct session session = {0};
    struct observer again = {0};
    bool ok = session_begin(&session, c, &t->session.options, err);
    if (ok) { /* the same choices: they need not be made twice */
        session.options.bits_per_weight = session.options.min_snr = 0;
        session.planning.choices = t->session.planning.choices;
        session.planning.unfit = &t->session.findings.unfit;
        session.planning.wide_scales = &t->session.findings.wide_scales;
    }
    ok = ok && session_plan(&session, err) &&
         observer_make(session.model, &session.index, &session.plan, &again, err) &&
         trials_make(session.model, &session.plan, &c->observer, &t->trials, err);
    if (ok && !(t->shown = calloc(t->trials.count + 1, sizeof *t->shown)))
        ok = error_memory(err);
    ok = ok && session_write(&session, output, err);
    observer_free(&again);
    session_end(&session);
    return ok;
}

static bool begin(struct nibble_calibration *c, const struct nibble_options *given,
                  const char *output, struct error *err)
{
    struct nibble_options options;
    if (!output)
        return error_set(err, STATUS_INVALID, "no output is named");
    if (!options_read(given, &options, err))
        return false;
    struct trying *t = calloc(1, sizeof *t);
    if (!t || !(t->arena = arena_create(ARENA_NO_CAP))) {
        free(t);
        return error_memory(err);
    }
    options.calibration = c;
    bool ok = session_begin(&t->session, c, &options, err) &&
              session_plan(&t->session, err) && write_trials(c, t, output, err);
    if (!ok) {
        trying_free(t);
        return false;
    }
    show(t);
    trying_free(c->trying);
    c->trying = t;
    return true;
}

enum nibble_status nibble_calibration_begin_trials(struct nibble_calibration *c,
                                                   const struct nibble_options *options,
                                                   const char *output,
                                                   struct nibble_error *error)
{
    struct error err = {0};
    begin(c, options, output, &err);
    return public_error(&err, error);
}

size_t nibble_calibration_trial_count(const struct nibble_calibration *c)
{
    return c->trying ? c->trying->trials.count : 0;
}

const struct nibble_trial *nibble_calibration_trial(const struct nibble_calibration *c,
                                                    size_t index)
{
    return index < nibble_calibration_trial_count(c) ? &c->trying->shown[index] : NULL;
}

static struct trial *find_trial(struct nibble_calibration *c, size_t index,
                                struct error *err)
{
    if (index < nibble_calibration_trial_count(c))
        return &c->trying->trials.list[index];
    error_set(err, STATUS_INVALID, "there is no trial %zu of %zu", index,
              nibble_calibration_trial_count(c));
    return NULL;
}

/* ---- one weight -------------------------------------------------------- */

/* Codes as without data, as a solution. */
static bool solve_plain(const struct session *s, const struct plan_item *item,
                        struct solution *out, struct error *err)
{
    const size_t groups = quant_groups(&item->shape), elements = (size_t)item->elements;
    const size_t width = item->shape.block ? item->shape.inner : 1;
    const struct quant_source source = {item->source->data,
                                        data_type_real(item->data_type)};
    struct quant_error error = {0};
    *out = (struct solution){.codes = malloc(elements),
                             .scales = malloc(groups * sizeof *out->scales),
                             .zeros = malloc(groups)};
    if (!out->codes || !out->scales || !out->zeros)
        return error_memory(err);
    out->fit = quant_fit(s->filling.kernels, &item->scheme, source, &item->shape, 0,
                         groups / width, out->scales, out->zeros);
    if (out->fit == QUANT_FIT_OK)
        quant_encode(s->filling.kernels, &item->scheme, source, &item->shape, 0, elements,
                     0, out->scales, out->zeros, out->codes, &error);
    out->noise = error.noise;
    out->signal = error.signal;
    return true;
}

/* With what is known of its input: of the step, else of the float model. */
static bool solve(struct nibble_calibration *c, const struct trial *trial,
                  struct plan_item *item, struct solution *out, struct error *err)
{
    struct trying *t = c->trying;
    struct plan one = {.items = item, .count = 1};
    const struct solutions_options options = {.algebra = c->algebra,
                                              .kernels = t->session.filling.kernels,
                                              .threads = t->session.options.threads,
                                              .cancel = t->session.options.cancel};
    const bool paired = trial->site && trial->step + 1 == t->step &&
                        statistics_find(&t->pairs, trial->site->site.key);
    struct solutions solutions;
    if (!solutions_make(&one, paired ? &t->pairs : &c->observer.statistics, &options,
                        &solutions, err))
        return false;
    if (solutions.count == 0) {
        solutions_free(&solutions);
        return solve_plain(&t->session, item, out, err);
    }
    *out = solutions.list[0];
    solutions.count = 0;
    solutions_free(&solutions);
    return true;
}

static void decode(const struct plan_item *item, const struct solution *s, float *values)
{
    const bool negative = quant_type_info(item->scheme.type)->lo < 0;
    for (size_t i = 0; i < item->elements; i++) {
        size_t group = quant_group_of(&item->shape, i);
        int code = negative ? (int8_t)s->codes[i] : s->codes[i];
        int zero = negative ? (int8_t)s->zeros[group] : s->zeros[group];
        values[i] = (float)(code - zero) * s->scales[group];
    }
}

static void add_bias(const struct trial *trial, const struct solution *s, float sign,
                     float *bias)
{
    for (size_t i = 0; s->bias && i < s->groups * s->outputs; i++)
        bias[i / s->outputs * trial->group_stride + trial->first + i % s->outputs] +=
            sign * s->bias[i];
}

static bool keep(struct trying *t, const struct trial *trial,
                 const struct plan_item *item, const struct solution *solution,
                 struct error *err)
{
    const char *key = plan_key(t->arena, item->value);
    struct kept *kept = key ? map_get(&t->kept, key) : NULL;
    if (kept) {
        if (trial->bias)
            add_bias(trial, &kept->solution, -1, trial->bias->values);
        solution_free(&kept->solution);
    } else {
        kept = calloc(1, sizeof *kept);
        if (!kept || !key || !map_put(&t->kept, key, kept)) {
            free(kept);
            return error_memory(err);
        }
        kept->next = t->all;
        t->all = kept;
    }
    kept->scheme = item->scheme;
    kept->shape = item->shape;
    kept->solution = *solution;
    if (trial->bias)
        add_bias(trial, solution, 1, trial->bias->values);
    return true;
}

/* With scales of a wider type where the item's can't hold them, as in the end. */
static bool solve_fitting(struct nibble_calibration *c, const struct trial *trial,
                          struct plan_item *item, struct solution *out, struct error *err)
{
    bool ok = solve(c, trial, item, out, err);
    if (ok && out->fit == QUANT_FIT_SCALE_RANGE && plan_is_narrowed(item)) {
        solution_free(out);
        item->scheme.scale_type = plan_scale_type(item);
        ok = solve(c, trial, item, out, err);
    }
    return ok && (out->fit == QUANT_FIT_OK ||
                  error_set(err, STATUS_UNSUPPORTED,
                            "'%s' can't be quantized: it holds NaN or infinity, or its "
                            "scales do not fit their type",
                            trial->name));
}

/* The noise of the layer stays the one that the output's noise belongs to. */
static bool note_noise(struct nibble_calibration *c, size_t index,
                       const struct plan_item *item, const struct solution *solution,
                       struct error *err)
{
    struct trial_cost *cost = cost_of(c, item->value, err);
    double noise = solution->signal > 0 ? solution->noise / solution->signal : 0;
    if (!cost)
        return false;
    c->trying->shown[index].noise = noise;
    if (!cost->known)
        cost->layer = noise;
    return true;
}

/* The bias of the trial's operator with what the solution adds to it. */
static bool correct_bias(const struct trying *t, const struct trial *trial,
                         const struct solution *solution, float *bias, struct error *err)
{
    const struct solution *before;
    if (!trying_kept(t, &t->session.plan.items[trial->item], &before, err))
        return false;
    memcpy(bias, trial->bias->values, trial->bias->count * sizeof *bias);
    if (before)
        add_bias(trial, before, -1, bias);
    add_bias(trial, solution, 1, bias);
    return true;
}

static bool try_one(struct nibble_calibration *c, size_t index, bool keeping,
                    float *values, float *bias, struct error *err)
{
    struct trying *t = c->trying;
    const struct trial *trial = find_trial(c, index, err);
    struct solution solution = {0};
    if (!trial)
        return false;
    struct plan_item item = t->session.plan.items[trial->item];
    if (!solve_fitting(c, trial, &item, &solution, err) ||
        !note_noise(c, index, &item, &solution, err) ||
        (trial->bias && bias && !correct_bias(t, trial, &solution, bias, err))) {
        solution_free(&solution);
        return false;
    }
    decode(&item, &solution, values);
    if (keeping && keep(t, trial, &item, &solution, err))
        return true;
    solution_free(&solution);
    return err->status == STATUS_OK;
}

enum nibble_status nibble_calibration_try(struct nibble_calibration *c, size_t index,
                                          bool keeping, float *values, float *bias,
                                          struct nibble_error *error)
{
    struct error err = {0};
    try_one(c, index, keeping, values, bias, &err);
    return public_error(&err, error);
}

static void set_cost(struct nibble_calibration *c, size_t index, double noise,
                     struct error *err)
{
    const struct trying *t = c->trying;
    const struct trial *trial = &t->trials.list[index];
    struct trial_cost *cost = cost_of(c, t->session.plan.items[trial->item].value, err);
    double layer = t->shown[index].noise; /* NaN: it was tried in earlier trials */
    if (!cost)
        return;
    cost->layer = isnan(layer) ? cost->layer : layer;
    cost->output = noise;
    cost->known = true;
}

enum nibble_status nibble_calibration_weigh(struct nibble_calibration *c, size_t index,
                                            double noise, struct nibble_error *error)
{
    struct error err = {0};
    const struct trial *trial = find_trial(c, index, &err);
    if (trial && !(noise >= 0 && isfinite(noise)))
        error_set(&err, STATUS_INVALID,
                  "the noise of '%s' is no number that costs can be", trial->name);
    if (err.status == STATUS_OK)
        set_cost(c, index, noise, &err);
    return public_error(&err, error);
}

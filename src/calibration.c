/* Calibration as nibble.h has it: what to observe, the instrumented model, and runs. */
#include "calibration.h"
#include "calibrate/identity.h"
#include "calibrate/stats_file.h"
#include "options.h"
#include "plan/fold.h"
#include "plan/threshold.h"
#include "public_error.h"
#include "trying.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* ---- the model --------------------------------------------------------- */

void session_end(struct session *s)
{
    plan_free(&s->plan);
    graph_index_free(&s->index);
    options_free(&s->planning);
    choices_free(&s->choices);
    plan_findings_close(&s->findings);
    model_free(s->model);
    file_close(s->file);
    *s = (struct session){0};
}

bool session_begin(struct session *s, const struct nibble_calibration *c,
                   const struct nibble_options *options, struct error *err)
{
    *s = (struct session){.options = *options};
    if (!plan_findings_open(&s->findings, err) ||
        !options_planning(&s->options, &s->planning, err) ||
        !options_filling(&s->options, &s->filling, err) ||
        !(s->file = options_open_model(&s->options, c->model, err)))
        return false;
    s->planning.unfit = &s->findings.unfit;
    s->planning.wide_scales = &s->findings.wide_scales;
    s->model = model_load(s->file, err);
    return s->model && (c->identity == 0 || calibration_check(c, s->model, err));
}

static bool session_fold(struct session *s, struct error *err)
{
    bool changed;
    if (!graph_index(s->model, &s->index, err))
        return false;
    plan_set_threshold(&s->planning, &s->index, s->options.min_elements);
    if (!fold_constants(s->model, &s->index, &s->planning, NULL, &changed, err))
        return false;
    if (!changed)
        return true;
    graph_index_free(&s->index);
    return graph_index(s->model, &s->index, err);
}

static bool session_choose(struct session *s, struct error *err)
{
    const struct choose_input input = {.options = &s->options,
                                       .model = s->model,
                                       .index = &s->index,
                                       .planning = &s->planning,
                                       .filling = &s->filling,
                                       .findings = &s->findings};
    if (!choices_wanted(&s->options))
        return true;
    if (!choices_make(&s->choices, &input, err))
        return false;
    s->planning.choices = &s->choices.by_key;
    return true;
}

bool session_plan(struct session *s, struct error *err)
{
    return session_fold(s, err) && session_choose(s, err) &&
           plan_make(s->model, &s->index, &s->planning, &s->plan, err);
}

bool session_write(struct session *s, const char *output, struct error *err)
{
    struct store_options storing = options_storing(&s->options);
    struct store store = {0};
    bool ok = store_open(&store, output, s->model, &storing, err) &&
              store_write(&store, s->model, model_size(s->model), err) &&
              store_commit(&store, err);
    store_close(&store);
    return ok;
}

bool calibration_check(const struct nibble_calibration *c, const struct model *model,
                       struct error *err)
{
    return model_identity(model) == c->identity ||
           error_set(err, STATUS_INVALID,
                     "%s: is not the model that the calibration is of, which was %s",
                     model->file->path, c->model);
}

/* ---- the handle -------------------------------------------------------- */

static bool copy_text(char **out, const char *from, struct error *err)
{
    *out = from ? strdup(from) : NULL;
    return *out || !from || error_memory(err);
}

static bool copy_rules(struct nibble_calibration *c, struct error *err)
{
    const char *const *rules = c->options.rules;
    size_t count = 0;
    while (rules && rules[count])
        count++;
    c->rules = calloc(count + 1, sizeof *c->rules);
    for (size_t i = 0; c->rules && i < count; i++)
        if (!copy_text(&c->rules[i], rules[i], err))
            return false;
    c->options.rules = (const char *const *)c->rules;
    return c->rules || error_memory(err);
}

static bool copy_options(struct nibble_calibration *c,
                         const struct nibble_options *options, struct error *err)
{
    if (!options_read(options, &c->options, err) ||
        !copy_text(&c->include, c->options.include, err) ||
        !copy_text(&c->exclude, c->options.exclude, err) ||
        !copy_text(&c->cpu, c->options.cpu, err) || !copy_rules(c, err))
        return false;
    c->options.include = c->include;
    c->options.exclude = c->exclude;
    c->options.cpu = c->cpu;
    c->options.calibration = NULL;
    c->options.bits_per_weight = c->options.min_snr = 0; /* all weights are of interest */
    return true;
}

static bool create(struct nibble_calibration *c, const char *model,
                   const struct nibble_options *options, struct error *err)
{
    struct session session = {0};
    if (!model)
        return error_set(err, STATUS_INVALID, "no model is named");
    c->arena = arena_create(ARENA_NO_CAP);
    bool ok = (c->arena || error_memory(err)) && copy_text(&c->model, model, err) &&
              copy_options(c, options, err) && (c->algebra = algebra_open(err)) &&
              session_begin(&session, c, &c->options, err);
    if (ok)
        c->identity = model_identity(session.model);
    ok = ok && session_plan(&session, err) &&
         observer_make(session.model, &session.index, &session.plan, &c->observer, err);
    session_end(&session);
    return ok;
}

enum nibble_status nibble_calibration_create(const char *model,
                                             const struct nibble_options *options,
                                             struct nibble_calibration **calibration,
                                             struct nibble_error *error)
{
    struct error err = {0};
    struct nibble_calibration *c = calloc(1, sizeof *c);
    *calibration = NULL;
    if (!c)
        error_memory(&err);
    else if (create(c, model, options, &err))
        *calibration = c;
    else
        nibble_calibration_free(c);
    return public_error(&err, error);
}

void nibble_calibration_free(struct nibble_calibration *c)
{
    if (!c)
        return;
    trying_free(c->trying);
    choice_table_free(c->table);
    map_free(&c->costs);
    arena_destroy(c->arena);
    observer_free(&c->observer);
    algebra_close(c->algebra);
    free(c->model);
    free(c->include);
    free(c->exclude);
    free(c->cpu);
    for (size_t i = 0; c->rules && c->rules[i]; i++)
        free(c->rules[i]);
    free(c->rules);
    free(c);
}

size_t nibble_calibration_count(const struct nibble_calibration *c)
{
    return c->observer.tensor_count;
}

const char *nibble_calibration_tensor(const struct nibble_calibration *c, size_t index)
{
    return index < c->observer.tensor_count ? c->observer.tensors[index].name : NULL;
}

bool nibble_calibration_is_input(const struct nibble_calibration *c, size_t index)
{
    return index < c->observer.tensor_count && c->observer.tensors[index].is_input;
}

uint64_t nibble_calibration_runs(const struct nibble_calibration *c)
{
    return c->observer.statistics.runs;
}

/* ---- the instrumented model -------------------------------------------- */

enum nibble_status nibble_calibration_instrument(const struct nibble_calibration *c,
                                                 const char *output,
                                                 struct nibble_error *error)
{
    struct error err = {0};
    struct session session = {0};
    struct observer again = {0};
    bool ok = output || error_set(&err, STATUS_INVALID, "no output is named");
    if (ok && session_begin(&session, c, &c->options, &err) &&
        session_plan(&session, &err) &&
        observer_make(session.model, &session.index, &session.plan, &again, &err))
        session_write(&session, output, &err);
    observer_free(&again);
    session_end(&session);
    return public_error(&err, error);
}

/* ---- runs and solutions ------------------------------------------------ */

/* What choices cost is out of date. */
static void forget_table(struct nibble_calibration *c)
{
    choice_table_free(c->table);
    c->table = NULL;
}

enum nibble_status nibble_calibration_observe(struct nibble_calibration *c,
                                              const struct nibble_array *arrays,
                                              size_t count, struct nibble_error *error)
{
    struct error err = {0};
    forget_table(c);
    observer_run(&c->observer, c->algebra, arrays, count, c->options.threads, &err);
    return public_error(&err, error);
}

static bool is_named(const char *path, struct error *err)
{
    return path || error_set(err, STATUS_INVALID, "no file of statistics is named");
}

/* Statistics must not replace the model or its data, however the file is spelled. */
static bool is_free(const struct nibble_calibration *c, const char *path,
                    struct error *err)
{
    struct session session = {0};
    struct stat st;
    if (stat(path, &st) != 0)
        return true;
    bool ok = session_begin(&session, c, &c->options, err) &&
              (!model_reads(session.model, &st) ||
               error_set(err, STATUS_INVALID,
                         "%s: the statistics would replace a file of the model: name "
                         "another file",
                         path));
    session_end(&session);
    return ok;
}

enum nibble_status nibble_calibration_save(const struct nibble_calibration *c,
                                           const char *path, struct nibble_error *error)
{
    struct error err = {0};
    if (is_named(path, &err) && is_free(c, path, &err))
        stats_save(path, &c->observer.statistics, c->identity, &err);
    return public_error(&err, error);
}

enum nibble_status nibble_calibration_load(struct nibble_calibration *c, const char *path,
                                           struct nibble_error *error)
{
    struct error err = {0};
    forget_table(c);
    if (is_named(path, &err))
        stats_load(path, &c->observer.statistics, c->identity, c->options.cancel, &err);
    return public_error(&err, error);
}

bool calibration_solve(const struct nibble_calibration *c, struct plan *plan,
                       const struct solutions_options *options, bool kept,
                       struct solutions *solutions, struct error *err)
{
    struct solutions_options own = *options;
    own.algebra = c->algebra;
    *solutions = (struct solutions){0};
    for (size_t i = 0; kept && c->trying && i < plan->count; i++)
        if (!trying_kept(c->trying, &plan->items[i], &plan->items[i].solution, err))
            return false;
    return solutions_make(plan, &c->observer.statistics, &own, solutions, err);
}

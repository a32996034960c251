/* Observing. Sites that see the same rows are one; each is worked on by one thread. */
#include "calibrate/observe.h"
#include "core/arena.h"
#include "core/parallel.h"

#include <stdlib.h>
#include <string.h>

/* ---- what to observe --------------------------------------------------- */

static size_t count_plan_uses(const struct plan *plan)
{
    size_t count = 0;
    for (size_t i = 0; i < plan->count; i++)
        for (const struct use *use = plan->items[i].use; use; use = use->next)
            count += plan->items[i].quantize;
    return count;
}

/* The number of a tensor, counted from 1, entered where it is new; 0: out of memory. */
static size_t enter_tensor(struct observer *o, const char *name, bool is_input)
{
    size_t number = (size_t)(uintptr_t)map_get(&o->by_name, name);
    if (number)
        return number;
    const char *kept = arena_string(o->arena, name);
    number = ++o->tensor_count;
    if (!kept || !map_put(&o->by_name, kept, (void *)(uintptr_t)number))
        return 0;
    o->tensors[number - 1] = (struct observed_tensor){kept, is_input};
    return number;
}

static bool add_site(struct observer *o, struct instrument *in, const struct site *site,
                     struct error *err)
{
    if (statistics_find(&o->statistics, site->key))
        return true;
    struct observed_site *added = &o->sites[o->site_count++];
    *added = (struct observed_site){.site = *site};
    for (size_t i = 0; i < SITE_VALUES; i++) {
        bool is_input;
        const char *name = instrument_value(in, site, i, &is_input);
        if (!name)
            return false;
        if (*name && !(added->tensors[i] = enter_tensor(o, name, is_input)))
            return error_memory(err);
        added->site.values[i] = *name ? o->tensors[added->tensors[i] - 1].name : "";
    }
    added->site.node = NULL;
    added->site.scope = NULL;
    added->sums =
        statistics_enter(&o->statistics, site->key, site->groups, site->inputs, err);
    added->site.key = added->sums ? added->sums->key : NULL;
    return added->sums != NULL;
}

static bool add_item(struct observer *o, struct instrument *in,
                     const struct plan_item *item, struct arena *scratch,
                     struct error *err)
{
    struct site site;
    struct site_matrix matrix;
    for (const struct use *use = item->use; use; use = use->next) {
        bool found = site_make(scratch, item, use, &site, &matrix);
        if (arena_exhausted(scratch))
            return error_memory(err);
        if (found && instrument_reaches(in, &site) && !add_site(o, in, &site, err))
            return false;
    }
    return true;
}

static bool add_items(struct observer *o, struct instrument *in, const struct plan *plan,
                      struct error *err)
{
    bool ok = true;
    for (size_t i = 0; ok && i < plan->count; i++) {
        if (!plan->items[i].quantize)
            continue;
        struct arena *scratch = arena_create(ARENA_NO_CAP);
        ok = scratch ? add_item(o, in, &plan->items[i], scratch, err) : error_memory(err);
        arena_destroy(scratch);
    }
    return ok;
}

bool observer_make(struct model *model, const struct graph_index *index,
                   const struct plan *plan, struct observer *o, struct error *err)
{
    size_t uses = count_plan_uses(plan);
    *o = (struct observer){.arena = arena_create(ARENA_NO_CAP)};
    o->tensors = o->arena
                     ? arena_array(o->arena, uses * SITE_VALUES + 1, sizeof *o->tensors)
                     : NULL;
    o->sites = o->arena ? arena_array(o->arena, uses + 1, sizeof *o->sites) : NULL;
    if (!o->tensors || !o->sites || !statistics_make(&o->statistics, err)) {
        observer_free(o);
        return error_memory(err);
    }
    struct instrument *in = instrument_begin(model, index, err);
    bool ok = in && add_items(o, in, plan, err);
    instrument_end(in);
    if (!ok)
        observer_free(o);
    return ok;
}

void observer_free(struct observer *o)
{
    statistics_free(&o->statistics);
    map_free(&o->by_name);
    arena_destroy(o->arena);
    *o = (struct observer){0};
}

/* ---- one run ----------------------------------------------------------- */

struct observation {
    struct observer *observer;
    const struct algebra *algebra;
    const struct nibble_array **arrays; /* by tensor */
    struct error *errors;               /* by worker */
    bool checking;                      /* whether all is well; nothing is added yet */
};

static bool observe_site(void *context, size_t index, int worker)
{
    const struct observation *run = context;
    struct observed_site *observed = &run->observer->sites[index];
    const struct nibble_array *arrays[SITE_VALUES];
    struct error *err = &run->errors[worker];
    struct rows rows;
    for (size_t i = 0; i < SITE_VALUES; i++)
        arrays[i] = observed->tensors[i] ? run->arrays[observed->tensors[i] - 1] : NULL;
    if (!rows_open(&observed->site, arrays, &rows, err))
        return false;
    bool ok = run->checking || sums_add(run->algebra, observed->sums, &rows, err);
    rows_close(&rows);
    return ok;
}

/* The array of each tensor. The last one of a name counts. */
static bool find_arrays(struct observation *run, const struct nibble_array *arrays,
                        size_t count, struct error *err)
{
    const struct observer *o = run->observer;
    for (size_t i = 0; i < count; i++) {
        size_t number = 0;
        if (arrays[i].name)
            number = (size_t)(uintptr_t)map_get(&o->by_name, arrays[i].name);
        if (number)
            run->arrays[number - 1] = &arrays[i];
    }
    for (size_t i = 0; i < o->tensor_count; i++)
        if (!run->arrays[i])
            return error_set(err, STATUS_INVALID, "calibration data: '%s' is missing, %s",
                             o->tensors[i].name,
                             o->tensors[i].is_input
                                 ? "an input of the model"
                                 : "an output of the instrumented model");
    return true;
}

static bool all_sites(struct observation *run, int threads, struct error *err)
{
    if (parallel_for(run->observer->site_count, threads, observe_site, run))
        return true;
    for (int i = 0; i < threads; i++)
        if (run->errors[i].status != STATUS_OK)
            error_set(err, run->errors[i].status, "%s", run->errors[i].message);
    return false;
}

bool observer_run(struct observer *o, const struct algebra *algebra,
                  const struct nibble_array *arrays, size_t count, int wanted,
                  struct error *err)
{
    int threads = algebra_threads(algebra, parallel_threads(wanted, o->site_count));
    struct observation run = {
        .observer = o,
        .algebra = algebra,
        .arrays = calloc(o->tensor_count + 1, sizeof *run.arrays),
        .errors = calloc((size_t)threads, sizeof *run.errors),
        .checking = true,
    };
    bool ok = (run.arrays && run.errors) || error_memory(err);
    ok = ok && find_arrays(&run, arrays, count, err) && all_sites(&run, threads, err);
    run.checking = false;
    ok = ok && all_sites(&run, threads, err);
    o->statistics.runs += ok;
    free(run.arrays);
    free(run.errors);
    return ok;
}

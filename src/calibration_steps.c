/* Steps: what a layer gets once the layers before it are quantized. */
#include "public_error.h"
#include "trying.h"

#include <string.h>

static const struct nibble_array *find_array(const struct nibble_array *arrays,
                                             size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (arrays[i].name && strcmp(arrays[i].name, name) == 0)
            return &arrays[i];
    return NULL;
}

static bool open_rows(const struct observed_site *site, const struct nibble_array *arrays,
                      size_t count, struct rows *rows, struct error *err)
{
    const struct nibble_array *found[SITE_VALUES] = {NULL};
    for (size_t i = 0; i < SITE_VALUES; i++) {
        const char *name = site->site.values[i];
        if (site->tensors[i] && !(found[i] = find_array(arrays, count, name)))
            return error_set(err, STATUS_INVALID, "calibration data: '%s' is missing",
                             name);
    }
    return rows_open(&site->site, found, rows, err);
}

static bool observe_site(struct nibble_calibration *c, const struct observed_site *site,
                         struct rows *before, struct rows *now, struct error *err)
{
    if (!rows_align(now, before))
        return error_set(err, STATUS_INVALID,
                         "calibration data: '%s' has another shape in the float model",
                         site->site.values[0]);
    struct sums *sums = statistics_enter(&c->trying->pairs, site->site.key,
                                         site->site.groups, site->site.inputs, err);
    return sums && sums_add_pair(c->algebra, sums, before, now, err);
}

static bool observe_step(struct nibble_calibration *c, size_t step,
                         const struct nibble_array *float_arrays, size_t float_count,
                         const struct nibble_array *arrays, size_t count,
                         struct error *err)
{
    struct trying *t = c->trying;
    const struct observed_site *last = NULL;
    if (!t || step >= t->trials.steps)
        return error_set(err, STATUS_INVALID, "there is no step %zu", step);
    if (t->step != step + 1) {
        statistics_free(&t->pairs);
        t->step = step + 1;
        if (!statistics_make(&t->pairs, err))
            return false;
    }
    for (size_t i = 0; i < t->trials.count; i++) {
        const struct trial *trial = &t->trials.list[i];
        struct rows before = {0}, now = {0};
        if (trial->step != step || !trial->site || trial->site == last)
            continue;
        last = trial->site;
        bool ok = open_rows(last, float_arrays, float_count, &before, err) &&
                  open_rows(last, arrays, count, &now, err) &&
                  observe_site(c, last, &before, &now, err);
        rows_close(&before);
        rows_close(&now);
        if (!ok)
            return false;
    }
    return true;
}

enum nibble_status nibble_calibration_observe_step(
    struct nibble_calibration *c, size_t step, const struct nibble_array *float_arrays,
    size_t float_count, const struct nibble_array *arrays, size_t count,
    struct nibble_error *error)
{
    struct error err = {0};
    observe_step(c, step, float_arrays, float_count, arrays, count, &err);
    return public_error(&err, error);
}

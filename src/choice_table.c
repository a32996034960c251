/* Measuring choices. One after the other is planned for all weights and measured by fill.
 * Only a table of bytes and errors is kept. */
#include "choice_table.h"
#include "calibration.h"
#include "core/arena.h"
#include "core/text_stream.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* How the codes of a weight with one item lie. Two choices that lay them the same way are
 * one. */
struct choice_layout {
    bool known;
    enum form form;
    struct quant_scheme scheme;
    struct quant_shape shape;
};

struct measuring {
    struct choice_table *table;
    const struct choose_input *input;
    struct progress_share *share;
    struct error *err;
};

/* ---- rows -------------------------------------------------------------- */

static void add_row(struct choice_table *table, enum quant_type type,
                    enum granularity granularity, uint64_t block_size)
{
    table->rows[table->row_count++] = (struct plan_choice){
        .type = type, .granularity = granularity, .block_size = block_size};
}

/* The first row is the one that weights are tried with (docs/calibration.md). Calibrated
 * weights have one more. */
static void set_rows(struct choice_table *table)
{
    const struct nibble_options *options = &table->options;
    const bool zeros = options->symmetry == NIBBLE_SYMMETRY_ASYMMETRIC;
    const enum quant_type narrow = zeros ? QUANT_UINT4 : QUANT_INT4,
                          wide = zeros ? QUANT_UINT8 : QUANT_INT8;
    add_row(table, narrow, GRANULARITY_DEFAULT, 0);
    add_row(table, narrow, GRANULARITY_BLOCKS, 128);
    add_row(table, narrow, GRANULARITY_BLOCKS, 64);
    add_row(table, narrow, GRANULARITY_BLOCKS, 32);
    add_row(table, wide, GRANULARITY_DEFAULT, 0);
    if (options->calibration)
        add_row(table, narrow, GRANULARITY_CHANNEL, 0);
}

/* ---- entries ----------------------------------------------------------- */

static bool entries_make(struct measuring *m, size_t room)
{
    struct choice_table *t = m->table;
    t->entries = calloc(room + 1, sizeof *t->entries);
    t->weights = calloc(room + 1, sizeof *t->weights);
    if (t->options.calibration)
        t->layouts = calloc((room + 1) * BUDGET_CHOICES, sizeof *t->layouts);
    return (t->entries && t->weights && (t->layouts || !t->options.calibration)) ||
           error_memory(m->err);
}

static void entries_free(struct choice_table *table)
{
    free(table->entries);
    free(table->weights);
    free(table->layouts);
    map_free(&table->index);
    table->entries = NULL;
    table->weights = NULL;
    table->layouts = NULL;
    table->count = 0;
}

/* Finds the entry of an item's weight, or adds it. */
static bool find_entry(struct measuring *m, const struct plan_item *item, size_t *index)
{
    struct choice_table *t = m->table;
    *index = 0;
    const char *key = plan_key(t->arena, item->value);
    uintptr_t found = key ? (uintptr_t)map_get(&t->index, key) : 0;
    if (found == 0) {
        found = ++t->count;
        if (!key || !map_put(&t->index, key, (void *)found))
            return error_memory(m->err);
        t->entries[found - 1] = (struct choice_entry){.key = key, .leader = found - 1};
        for (size_t row = 0; row < t->row_count; row++)
            t->weights[found - 1].choices[row].possible = true;
        t->weights[found - 1].choices[FLOAT_CHOICE].possible = true;
    }
    *index = found - 1;
    return true;
}

size_t choice_table_leader(const struct choice_table *table, size_t index)
{
    while (table->entries[index].leader != index)
        index = table->entries[index].leader;
    return index;
}

/* Two weights that are stored once with some choice share all choices. */
static void share_leader(struct choice_table *table, size_t a, size_t b)
{
    a = choice_table_leader(table, a);
    b = choice_table_leader(table, b);
    table->entries[a > b ? a : b].leader = a > b ? b : a;
}

/* ---- choices that need no measuring ------------------------------------- */

static bool same_layout(const struct choice_layout *a, const struct choice_layout *b)
{
    return a->known && b->known && a->form == b->form &&
           a->scheme.type == b->scheme.type &&
           a->scheme.scale_type == b->scheme.scale_type &&
           memcmp(&a->shape, &b->shape, sizeof a->shape) == 0;
}

/* A row that leads to the same as an earlier one. */
static bool find_double(const struct choice_layout *layouts, size_t row, size_t *earlier)
{
    for (*earlier = 0; *earlier < row; ++*earlier)
        if (same_layout(&layouts[*earlier], &layouts[row]))
            return true;
    return false;
}

/* Rules win over choices, which then neither count nor share such a weight. */
static bool is_decided(const struct plan_item *item)
{
    return item->rule && item->rule->decides;
}

static void leave_out_decided(struct plan *plan)
{
    for (size_t i = 0; i < plan->count; i++) {
        struct plan_item *item = &plan->items[i];
        item->quantize &= !is_decided(item);
        if (item->same && is_decided(item->same))
            item->same = NULL;
    }
}

/* Takes items out of the plan that rules decide, that were measured with an earlier
 * choice, or that a choice would make slow. Solving is too dear for them. */
static bool leave_out(struct measuring *m, size_t row, struct plan *plan)
{
    struct choice_table *t = m->table;
    leave_out_decided(plan);
    for (size_t i = 0; t->layouts && i < plan->count; i++) {
        struct plan_item *item = &plan->items[i];
        size_t index, earlier;
        if (!item->quantize)
            continue;
        if (!find_entry(m, item, &index))
            return false;
        struct choice_layout *layouts = t->layouts + index * BUDGET_CHOICES;
        t->entries[index].fused |= row == 0 && item->fused;
        layouts[row] = (struct choice_layout){item->alone && !item->same, item->form,
                                              item->scheme, item->shape};
        if (find_double(layouts, row, &earlier) ||
            (t->rows[row].granularity == GRANULARITY_CHANNEL && t->entries[index].fused &&
             !item->fused))
            item->quantize = false;
    }
    return true;
}

static void copy_doubles(struct choice_table *t)
{
    for (size_t i = 0; t->layouts && i < t->count; i++)
        for (size_t row = 1, earlier; row < t->row_count; row++)
            if (find_double(t->layouts + i * BUDGET_CHOICES, row, &earlier))
                t->weights[i].choices[row] = t->weights[i].choices[earlier];
}

/* ---- measuring --------------------------------------------------------- */

static double loss(const struct plan_item *item, const struct quant_error *error)
{
    const struct solution *solution = item->solution;
    if (solution)
        return solution->signal > 0 ? solution->noise / solution->signal : 0;
    if (error->noise <= 0)
        return 0;
    return error->signal > 0 ? error->noise / error->signal : 1;
}

/* Adds what a choice costs for an item. A weight with several items has the largest error
 * of them. */
static bool add_measurement(struct measuring *m, size_t row, const struct plan_item *item,
                            const struct fill_result *result)
{
    size_t index, same;
    if (!find_entry(m, item, &index) ||
        !find_entry(m, item->same ? item->same : item, &same))
        return false;
    share_leader(m->table, index, same);
    struct choice_entry *entry = &m->table->entries[index];
    struct budget_choice *choices = m->table->weights[index].choices,
                         *choice = &choices[row];
    if (row == 0 && !item->copy) {
        entry->elements += item->elements;
        choices[FLOAT_CHOICE].bytes += item->bytes;
    }
    choice->bytes += item->same || item->again ? 0 : plan_bytes(item);
    choice->error = fmax(choice->error, loss(item, &result->error));
    choice->possible &= item->quantize && result->fit == QUANT_FIT_OK;
    bool widen = result->fit == QUANT_FIT_SCALE_RANGE && plan_is_narrowed(item);
    bool out = result->fit == QUANT_FIT_NOT_FINITE;
    m->table->again |= widen;
    entry->out |= out;
    return !(widen || out) || plan_note(m->input->findings, item, result->fit, m->err);
}

/* Solves for codes that suit the activations, if these are known. */
static bool solve(const struct choose_input *input, struct plan *plan,
                  struct solutions *solutions, struct error *err)
{
    const struct solutions_options options = {.kernels = input->filling->kernels,
                                              .threads = input->filling->threads,
                                              .cancel = input->filling->cancel};
    return !input->options->calibration ||
           calibration_solve(input->options->calibration, plan, &options, false,
                             solutions, err);
}

static bool measure_row(struct measuring *m, size_t row)
{
    const struct choose_input *input = m->input;
    const struct plan_choice *choice = &m->table->rows[row];
    struct plan_options options = *input->planning;
    struct fill_options filling = *input->filling;
    struct plan plan;
    struct fill_result *results;
    struct solutions solutions = {0};
    filling.measure = true;
    filling.sample = false;
    filling.count = false;
    options.scheme.type = choice->type;
    options.granularity = choice->granularity;
    options.block_size = choice->block_size;
    options.wide_tables = false; /* their error decides, as that of other weights does */
    bool ok = plan_make(input->model, input->index, &options, &plan, m->err) &&
              (row > 0 || entries_make(m, plan.count)) && leave_out(m, row, &plan) &&
              solve(input, &plan, &solutions, m->err) &&
              fill_plan(&plan, NULL, &filling, &results, m->err);
    for (size_t i = 0; ok && i < plan.count; i++)
        if (plan.items[i].source && !is_decided(&plan.items[i]))
            ok = add_measurement(m, row, &plan.items[i], &results[i]);
    plan_free(&plan);
    solutions_free(&solutions);
    m->share->loop++;
    return ok;
}

static bool measure(struct measuring *m)
{
    m->share->loop = 0;
    for (size_t row = 0; row < m->table->row_count; row++)
        if (!measure_row(m, row))
            return false;
    copy_doubles(m->table);
    return true;
}

/* Reports the progress of one loop over the weights as a part of all loops. */
static void report_share(void *data, uint64_t done, uint64_t total)
{
    const struct progress_share *share = data;
    share->report(share->data, share->loop * total + done, share->loops * total);
}

static void share_progress(struct progress_share *share, struct fill_options *filling,
                           size_t loops)
{
    *share = (struct progress_share){.report = filling->progress,
                                     .data = filling->progress_data,
                                     .loops = (unsigned)loops + 1};
    if (!filling->progress)
        return;
    filling->progress = report_share;
    filling->progress_data = share;
}

/* ---- tables ------------------------------------------------------------ */

/* The options that tables depend on: all but the budget, and those that only say how the
 * work is done. What is left in by mistake makes a table too many, not a wrong one. */
static struct nibble_options options_that_matter(const struct nibble_options *given)
{
    struct nibble_options options = *given;
    options.bits_per_weight = options.min_snr = 0;
    options.include = options.exclude = options.cpu = NULL;
    options.rules = NULL;
    options.external_data = options.force = options.unmeasured = false;
    options.threads = 0;
    options.progress = NULL;
    options.progress_data = NULL;
    options.cancel = NULL;
    options.guard = NULL;
    return options;
}

static void put_string(FILE *out, const char *string)
{
    fprintf(out, "%s%s\n", string ? "=" : "", string ? string : "");
}

static char *join_strings(const struct nibble_options *options)
{
    struct text_stream stream;
    if (!text_stream_open(&stream))
        return NULL;
    FILE *out = stream.out;
    put_string(out, options->include);
    put_string(out, options->exclude);
    put_string(out, options->cpu);
    for (size_t i = 0; options->rules && options->rules[i]; i++)
        put_string(out, options->rules[i]);
    return text_stream_close(&stream);
}

void choice_table_free(struct choice_table *table)
{
    if (!table)
        return;
    entries_free(table);
    arena_destroy(table->arena);
    free(table->strings);
    free(table);
}

static struct choice_table *begin(const struct nibble_options *options, struct error *err)
{
    struct choice_table *table = calloc(1, sizeof *table);
    if (table) {
        table->options = options_that_matter(options);
        table->strings = join_strings(options);
        table->arena = arena_create(ARENA_NO_CAP);
    }
    if (table && table->strings && table->arena) {
        set_rows(table);
        return table;
    }
    choice_table_free(table);
    error_memory(err);
    return NULL;
}

static bool same_options(const struct choice_table *a, const struct choice_table *b)
{
    return memcmp(&a->options, &b->options, sizeof a->options) == 0 &&
           strcmp(a->strings, b->strings) == 0;
}

struct choice_table *choice_table_make(const struct choose_input *input,
                                       struct progress_share *share, struct error *err)
{
    struct nibble_calibration *calibration = input->options->calibration;
    struct choice_table *table = begin(input->options, err), *known;
    if (!table)
        return NULL;
    share_progress(share, input->filling, table->row_count);
    share->loop = (unsigned)table->row_count;
    known = calibration ? calibration->table : NULL;
    if (known && same_options(known, table)) {
        choice_table_free(table);
        return known;
    }
    struct measuring m = {table, input, share, err};
    bool ok = measure(&m);
    if (ok && table->again) {
        entries_free(table);
        ok = measure(&m);
    }
    if (!ok) {
        choice_table_free(table);
        return NULL;
    }
    if (calibration) {
        choice_table_free(calibration->table);
        calibration->table = table;
    }
    return table;
}

/* Choosing. One choice after the other is planned for all weights and measured by fill.
 * Only a table of bytes and errors is kept. */
#include "choose.h"
#include "calibration.h"
#include "core/arena.h"
#include "core/map.h"

#include <math.h>
#include <stdlib.h>

/* A weight of the table. It stands for all items with its key. */
struct entry {
    const char *key;
    uint64_t elements;
    bool out;      /* its values can't be quantized at all */
    size_t leader; /* the entry with equal values whose choice it shares, or itself */
    size_t slot;   /* the index of its weight, once the table is compact; for leaders that
                      are not out */
};

struct table {
    struct choices *choices;
    const struct choose_input *input;
    struct entry *entries;
    struct budget_weight
        *weights;      /* have the entries' indices until the table is compact */
    size_t count;      /* the number of entries */
    size_t chosen;     /* the number of weights in the compact table */
    uint64_t elements; /* the elements of those */
    struct map index;  /* by key: the index of the entry, plus 1 */
    bool again;        /* some weights need wider scales: all must be measured again */
    struct error *err;
};

enum { FLOAT = BUDGET_CHOICES - 1 };

bool choices_wanted(const struct nibble_options *options)
{
    return options->bits_per_weight > 0 || options->min_snr > 0;
}

static void set_rows(struct choices *choices, const struct nibble_options *options)
{
    const bool zeros = options->symmetry == NIBBLE_SYMMETRY_ASYMMETRIC;
    const enum quant_type narrow = zeros ? QUANT_UINT4 : QUANT_INT4,
                          wide = zeros ? QUANT_UINT8 : QUANT_INT8;
    const struct plan_choice rows[BUDGET_CHOICES] = {
        {.type = narrow, .granularity = GRANULARITY_DEFAULT},
        {.type = narrow, .granularity = GRANULARITY_BLOCKS, .block_size = 128},
        {.type = narrow, .granularity = GRANULARITY_BLOCKS, .block_size = 64},
        {.type = narrow, .granularity = GRANULARITY_BLOCKS, .block_size = 32},
        {.type = wide, .granularity = GRANULARITY_DEFAULT},
        [FLOAT] = {.reason = options->min_snr > 0
                                 ? "no smaller type reaches --min-snr"
                                 : "--bits-per-weight leaves room for it as float",
                   .missed = options->min_snr > 0},
    };
    for (size_t i = 0; i < BUDGET_CHOICES; i++)
        choices->rows[i] = rows[i];
}

/* ---- measuring --------------------------------------------------------- */

/* Reports the progress of one loop over the weights as a part of all loops. */
static void report_share(void *data, uint64_t done, uint64_t total)
{
    const struct progress_share *share = data;
    share->report(share->data, share->loop * total + done, share->loops * total);
}

static void share_progress(struct choices *choices, struct fill_options *filling)
{
    choices->share = (struct progress_share){
        .report = filling->progress, .data = filling->progress_data, .loops = FLOAT + 1};
    if (!filling->progress)
        return;
    filling->progress = report_share;
    filling->progress_data = &choices->share;
}

static bool table_make(struct table *table, size_t room)
{
    table->entries = calloc(room + 1, sizeof *table->entries);
    table->weights = calloc(room + 1, sizeof *table->weights);
    return (table->entries && table->weights) || error_memory(table->err);
}

static void table_free(struct table *table)
{
    free(table->entries);
    free(table->weights);
    map_free(&table->index);
}

/* Finds the entry of an item's weight, or adds it. */
static bool table_entry(struct table *table, const struct plan_item *item, size_t *index)
{
    *index = 0;
    const char *key = plan_key(table->choices->arena, item->value);
    uintptr_t found = key ? (uintptr_t)map_get(&table->index, key) : 0;
    if (found == 0) {
        found = ++table->count;
        if (!key || !map_put(&table->index, key, (void *)found))
            return error_memory(table->err);
        table->entries[found - 1] = (struct entry){.key = key, .leader = found - 1};
        for (int i = 0; i < BUDGET_CHOICES; i++)
            table->weights[found - 1].choices[i].possible = true;
    }
    *index = found - 1;
    return true;
}

static double loss(const struct plan_item *item, const struct quant_error *error)
{
    const struct solution *solution = item->solution;
    if (solution)
        return solution->signal > 0 ? solution->noise / solution->signal : 0;
    if (error->noise <= 0)
        return 0;
    return error->signal > 0 ? error->noise / error->signal : 1;
}

static size_t leader_of(const struct table *table, size_t index)
{
    while (table->entries[index].leader != index)
        index = table->entries[index].leader;
    return index;
}

/* Two weights that are stored once with some choice share all choices. */
static void share_leader(struct table *table, size_t a, size_t b)
{
    a = leader_of(table, a);
    b = leader_of(table, b);
    table->entries[a > b ? a : b].leader = a > b ? b : a;
}

/* Adds what a choice costs for an item. A weight with several items has the largest error
 * of them. */
static bool add_measurement(struct table *table, size_t row, const struct plan_item *item,
                            const struct fill_result *result)
{
    size_t index, same;
    if (!table_entry(table, item, &index) ||
        !table_entry(table, item->same ? item->same : item, &same))
        return false;
    share_leader(table, index, same);
    struct entry *entry = &table->entries[index];
    struct budget_choice *choices = table->weights[index].choices,
                         *choice = &choices[row];
    if (row == 0 && !item->copy) {
        entry->elements += item->elements;
        choices[FLOAT].bytes += item->bytes;
    }
    choice->bytes += item->same || item->again ? 0 : plan_bytes(item);
    choice->error = fmax(choice->error, loss(item, &result->error));
    choice->possible &= item->quantize && result->fit == QUANT_FIT_OK;
    bool widen = result->fit == QUANT_FIT_SCALE_RANGE && plan_is_narrowed(item);
    bool out = result->fit == QUANT_FIT_NOT_FINITE;
    table->again |= widen;
    entry->out |= out;
    return !(widen || out) ||
           plan_note(table->input->findings, item, result->fit, table->err);
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

static bool measure_row(struct table *table, size_t row)
{
    const struct choose_input *input = table->input;
    const struct plan_choice *choice = &table->choices->rows[row];
    struct plan_options options = *input->planning;
    struct fill_options filling = *input->filling;
    struct plan plan;
    struct fill_result *results;
    struct solutions solutions = {0};
    filling.measure = true;
    options.scheme.type = choice->type;
    options.granularity = choice->granularity;
    options.block_size = choice->block_size;
    bool ok = plan_make(input->model, input->index, &options, &plan, table->err) &&
              (row > 0 || table_make(table, plan.count)) &&
              solve(input, &plan, &solutions, table->err) &&
              fill_plan(&plan, NULL, &filling, &results, table->err);
    for (size_t i = 0; ok && i < plan.count; i++)
        if (plan.items[i].source)
            ok = add_measurement(table, row, &plan.items[i], &results[i]);
    plan_free(&plan);
    solutions_free(&solutions);
    table->choices->share.loop++;
    return ok;
}

static bool measure(struct table *table)
{
    table->choices->share.loop = 0;
    for (size_t row = 0; row < FLOAT; row++)
        if (!measure_row(table, row))
            return false;
    return true;
}

/* ---- deciding ---------------------------------------------------------- */

/* Adds a weight to its leader. Bytes and errors add up; for --min-snr, the worst error
 * counts. */
static void merge_into_leader(struct table *table, size_t into, size_t from)
{
    const bool sum = table->input->options->bits_per_weight > 0;
    for (int row = 0; row < BUDGET_CHOICES; row++) {
        struct budget_choice *a = &table->weights[into].choices[row],
                             *b = &table->weights[from].choices[row];
        a->bytes += b->bytes;
        a->error = sum ? a->error + b->error : fmax(a->error, b->error);
        a->possible &= b->possible;
    }
    table->entries[into].elements += table->entries[from].elements;
    table->entries[into].out |= table->entries[from].out;
}

/* Keeps only the weights that something is chosen for. */
static void compact(struct table *table)
{
    for (size_t i = table->count; i-- > 0;)
        if (leader_of(table, i) != i)
            merge_into_leader(table, leader_of(table, i), i);
    for (size_t i = 0; i < table->count; i++) {
        struct entry *entry = &table->entries[i];
        bool some = false;
        for (int row = 0; row < FLOAT; row++)
            some |= table->weights[i].choices[row].possible;
        entry->out |= !some;
        if (entry->leader != i || entry->out)
            continue;
        entry->slot = table->chosen;
        table->elements += entry->elements;
        table->weights[table->chosen++] = table->weights[i];
    }
}

static bool fit_bits(struct table *table)
{
    const double bits = table->input->options->bits_per_weight,
                 elements = (double)table->elements;
    double least = (double)budget_least(table->weights, table->chosen);
    /* A decimal that stands for a whole number of bytes may be rounded a bit below it. */
    double room = floor(bits * elements / 8 * (1 + 1e-12));
    if (least <= room)
        return budget_fit(table->weights, table->chosen, (uint64_t)room, table->err);
    return error_set(table->err, STATUS_INVALID,
                     "%s: --bits-per-weight %g is too little: codes and scales of its "
                     "weights take %.3f bits each at the least; give that, or lower it "
                     "with --scale-type float16 or --exclude",
                     table->input->model->file->path, bits,
                     ceil(8000 * least / elements) / 1000);
}

static bool put_choices(struct table *table)
{
    struct choices *choices = table->choices;
    for (size_t i = 0; i < table->count; i++) {
        const struct entry *entry = &table->entries[leader_of(table, i)];
        if (!entry->out && !map_put(&choices->by_key, table->entries[i].key,
                                    &choices->rows[table->weights[entry->slot].chosen]))
            return error_memory(table->err);
    }
    return true;
}

/* What the smallest choice costs the model's output, where a caller has measured it; the
 * others cost in proportion to their errors. */
static void weigh(struct table *table)
{
    const struct nibble_calibration *calibration = table->input->options->calibration;
    for (size_t i = 0; calibration && i < table->count; i++) {
        struct budget_choice *choices = table->weights[i].choices;
        double cost = calibration_cost(calibration, table->entries[i].key);
        double first = choices[0].error;
        for (int row = 0; cost > 0 && first > 0 && row < FLOAT; row++)
            choices[row].error *= cost / first;
    }
}

static bool decide(struct table *table)
{
    const struct nibble_options *options = table->input->options;
    if (options->bits_per_weight > 0)
        weigh(table);
    compact(table);
    if (options->bits_per_weight > 0 && !fit_bits(table))
        return false;
    /* Rounded to float, since the last bit of pow differs between machines. */
    if (options->min_snr > 0)
        budget_reach(table->weights, table->chosen,
                     (double)(float)pow(10, -options->min_snr / 10));
    return put_choices(table);
}

bool choices_make(struct choices *choices, const struct choose_input *input,
                  struct error *err)
{
    struct table table = {.choices = choices, .input = input, .err = err};
    bool ok = (choices->arena = arena_create(ARENA_NO_CAP)) || error_memory(err);
    set_rows(choices, input->options);
    share_progress(choices, input->filling);
    ok = ok && measure(&table);
    if (ok && table.again) {
        table_free(&table);
        table = (struct table){.choices = choices, .input = input, .err = err};
        ok = measure(&table);
    }
    ok = ok && decide(&table);
    table_free(&table);
    return ok;
}

void choices_free(struct choices *choices)
{
    map_free(&choices->by_key);
    arena_destroy(choices->arena);
    *choices = (struct choices){0};
}

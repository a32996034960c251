/* Comparing the plan with each row of the table of choices, and with the best mixtures of
 * them. What counts is the sum of the weights' relative errors, as in the estimate of the
 * outputs' SNR (report/estimate.c). */
#include "alternatives.h"
#include "choice_table.h"
#include "core/arena.h"
#include "report/report.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* What the weights of the plan cost as they are. The others do not count. */
struct present {
    const struct choice_table *table;
    struct budget_choice *weights; /* by entry; not possible: no weight of the plan */
    struct budget_choice sum;
    double elements;
};

bool alternatives_measure(struct alternatives *alternatives,
                          const struct choose_input *input, struct error *err)
{
    if (alternatives->table)
        return true;
    alternatives->table = choice_table_make(input, &alternatives->share, err);
    return alternatives->table != NULL;
}

void alternatives_free(struct alternatives *alternatives)
{
    choice_table_free(alternatives->table);
}

static double relative_error(const struct quant_error *error)
{
    if (error->noise <= 0)
        return 0;
    return error->signal > 0 ? error->noise / error->signal : 1;
}

static bool add_item(struct present *p, struct arena *arena, const struct plan_item *item,
                     const struct quant_error *error)
{
    const char *key = plan_key(arena, item->value);
    uintptr_t found = key ? (uintptr_t)map_get(&p->table->index, key) : 0;
    if (!key || found == 0 || p->table->entries[found - 1].out)
        return key != NULL;
    struct budget_choice *weight = &p->weights[found - 1];
    weight->possible = true;
    weight->bytes += item->same || item->again ? 0 : plan_bytes(item);
    weight->error = fmax(weight->error, relative_error(error));
    p->elements += item->copy ? 0 : (double)item->elements;
    return true;
}

static bool find_present(struct present *p, const struct plan *plan,
                         const struct fill_result *results)
{
    struct arena *arena = arena_create(ARENA_NO_CAP);
    bool ok = arena != NULL;
    p->weights = calloc(p->table->count + 1, sizeof *p->weights);
    for (size_t i = 0; ok && p->weights && i < plan->count; i++)
        if (plan->items[i].quantize)
            ok = add_item(p, arena, &plan->items[i], &results[i].error);
    arena_destroy(arena);
    for (size_t i = 0; ok && p->weights && i < p->table->count; i++) {
        p->sum.bytes += p->weights[i].bytes;
        p->sum.error += p->weights[i].error;
    }
    return ok && p->weights;
}

/* The present choice where the row is not possible. */
static const struct budget_choice *choice_of(const struct present *p, size_t weight,
                                             int row)
{
    const struct budget_choice *choice = &p->table->weights[weight].choices[row];
    return choice->possible ? choice : &p->weights[weight];
}

/* Less than half a dB is no reason to change anything. */
static bool add_hint(const struct present *p, struct nibble_report *report,
                     const char *options, const struct budget_choice *sum)
{
    const double least_gain = 0.5;
    double gain = 10 * log10(p->sum.error / fmax(sum->error, 1e-30));
    double bits = 8 * ((double)sum->bytes - (double)p->sum.bytes) / p->elements;
    return !(gain >= least_gain) || report_add_hint(report, options, gain, bits);
}

static bool add_row(const struct present *p, struct nibble_report *report, int row)
{
    const struct plan_choice *choice = &p->table->rows[row];
    struct budget_choice sum = {0};
    char options[64];
    for (size_t i = 0; i < p->table->count; i++) {
        if (!p->weights[i].possible)
            continue;
        sum.bytes += choice_of(p, i, row)->bytes;
        sum.error += choice_of(p, i, row)->error;
    }
    if (choice->granularity == GRANULARITY_BLOCKS)
        snprintf(options, sizeof options, "--block-size %llu",
                 (unsigned long long)choice->block_size);
    else
        snprintf(options, sizeof options, "--type %s",
                 quant_type_info(choice->type)->name);
    return add_hint(p, report, options, &sum);
}

/* The best mixture of the rows with so many bits more. */
static bool add_mixture(const struct present *p, struct nibble_report *report,
                        double more, struct error *err)
{
    double bits = ceil((8 * (double)p->sum.bytes / p->elements + more) * 10) / 10;
    uint64_t room = (uint64_t)(bits * p->elements / 8);
    struct budget_weight *weights = calloc(p->table->count + 1, sizeof *weights);
    struct budget_choice sum = {0};
    char options[64];
    size_t count = 0;
    if (!weights)
        return error_memory(err);
    for (size_t i = 0; i < p->table->count; i++)
        if (p->weights[i].possible)
            weights[count++] = p->table->weights[i];
    bool fits = budget_least(weights, count) <= room;
    bool ok = !fits || budget_fit(weights, count, room, err);
    for (size_t i = 0; ok && i < count; i++) {
        sum.bytes += weights[i].choices[weights[i].chosen].bytes;
        sum.error += weights[i].choices[weights[i].chosen].error;
    }
    free(weights);
    snprintf(options, sizeof options, "--bits-per-weight %.1f", bits);
    return ok && (!fits || add_hint(p, report, options, &sum) || error_memory(err));
}

bool alternatives_report(const struct alternatives *alternatives, const struct plan *plan,
                         const struct fill_result *results, struct nibble_report *report,
                         struct error *err)
{
    struct present p = {.table = alternatives->table};
    if (!p.table || !results)
        return true;
    bool ok = find_present(&p, plan, results) || error_memory(err);
    bool any = ok && p.elements > 0 && p.sum.error > 0;
    for (size_t row = 1; any && ok && row < p.table->row_count; row++)
        ok = add_row(&p, report, (int)row) || error_memory(err);
    for (double more = 0.5; any && ok && more <= 1; more += 0.5)
        ok = add_mixture(&p, report, more, err);
    free(p.weights);
    return ok;
}

/* Choosing from a table of what each choice costs. */
#include "choose.h"
#include "calibration.h"
#include "choice_table.h"
#include "core/arena.h"
#include "core/map.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The weights to choose for: first those of the table, then only those that are chosen
 * for. */
struct choosing {
    struct choices *choices;
    const struct choose_input *input;
    const struct choice_table *table;
    struct choice_entry *entries; /* the table's, but for what is decided */
    struct budget_weight *weights;
    size_t chosen;     /* the number of weights in the end */
    uint64_t elements; /* the elements of those */
    struct error *err;
};

bool choices_wanted(const struct nibble_options *options)
{
    return options->bits_per_weight > 0 || options->min_snr > 0;
}

static void set_rows(struct choosing *c)
{
    const bool by_snr = c->input->options->min_snr > 0;
    memcpy(c->choices->rows, c->table->rows, sizeof c->choices->rows);
    c->choices->rows[FLOAT_CHOICE] = (struct plan_choice){
        .reason = by_snr ? "no smaller type reaches --min-snr"
                         : "--bits-per-weight leaves room for it as float",
        .missed = by_snr};
}

/* ---- deciding ---------------------------------------------------------- */

/* Adds a weight to its leader. Bytes and errors add up; for --min-snr, the worst error
 * counts. */
static void merge_into_leader(struct choosing *c, size_t into, size_t from)
{
    const bool sum = c->input->options->bits_per_weight > 0;
    for (int row = 0; row < BUDGET_CHOICES; row++) {
        struct budget_choice *a = &c->weights[into].choices[row],
                             *b = &c->weights[from].choices[row];
        a->bytes += b->bytes;
        a->error = sum ? a->error + b->error : fmax(a->error, b->error);
        a->possible &= b->possible;
    }
    c->entries[into].elements += c->entries[from].elements;
    c->entries[into].out |= c->entries[from].out;
}

/* Keeps only the weights that something is chosen for. */
static void compact(struct choosing *c)
{
    for (size_t i = c->table->count; i-- > 0;)
        if (choice_table_leader(c->table, i) != i)
            merge_into_leader(c, choice_table_leader(c->table, i), i);
    for (size_t i = 0; i < c->table->count; i++) {
        struct choice_entry *entry = &c->entries[i];
        bool some = false;
        for (int row = 0; row < FLOAT_CHOICE; row++)
            some |= c->weights[i].choices[row].possible;
        entry->out |= !some;
        if (entry->leader != i || entry->out)
            continue;
        entry->slot = c->chosen;
        c->elements += entry->elements;
        c->weights[c->chosen++] = c->weights[i];
    }
}

static bool fit_bits(struct choosing *c)
{
    const double bits = c->input->options->bits_per_weight,
                 elements = (double)c->elements;
    double least = (double)budget_least(c->weights, c->chosen);
    /* A decimal that stands for a whole number of bytes may be rounded a bit below it. */
    double room = floor(bits * elements / 8 * (1 + 1e-12));
    if (least <= room)
        return budget_fit(c->weights, c->chosen, (uint64_t)room, c->err);
    return error_set(c->err, STATUS_INVALID,
                     "%s: --bits-per-weight %g is too little: codes and scales of its "
                     "weights take %.3f bits each at the least; give that, or lower it "
                     "with --scale-type float16 or --exclude",
                     c->input->model->file->path, bits,
                     ceil(8000 * least / elements) / 1000);
}

static bool put_choices(struct choosing *c)
{
    struct choices *choices = c->choices;
    for (size_t i = 0; i < c->table->count; i++) {
        const struct choice_entry *entry = &c->entries[choice_table_leader(c->table, i)];
        if (entry->out)
            continue;
        const char *key = arena_string(choices->arena, c->entries[i].key);
        if (!key || !map_put(&choices->by_key, key,
                             &choices->rows[c->weights[entry->slot].chosen]))
            return error_memory(c->err);
    }
    return true;
}

/* What a weight's error costs the model's output, by that error. It need not be tried
 * with one of the choices. Negative: nobody has measured it. */
static double cost_ratio(const struct choosing *c, size_t i)
{
    const struct trial_cost *cost =
        calibration_cost(c->input->options->calibration, c->entries[i].key);
    return cost && cost->layer > 0 ? cost->output / cost->layer : -1;
}

/* The geometric mean of all that were measured, rounded to float, since the last bit of
 * log and exp differs between machines. */
static double typical_ratio(const struct choosing *c)
{
    double sum = 0, count = 0;
    for (size_t i = 0; i < c->table->count; i++) {
        double ratio = cost_ratio(c, i);
        sum += ratio > 0 ? log(ratio) : 0;
        count += ratio > 0;
    }
    return count > 0 ? (double)(float)exp(sum / count) : 1;
}

/* Weights that can't be tried alone cost what is typical. One that costs nothing, as in a
 * branch that no run took, costs next to nothing: it gets the room that others leave. */
static double ratio_or(double ratio, double typical)
{
    const double hardly = 1e-4;
    if (ratio < 0)
        return typical;
    return ratio > 0 ? ratio : hardly * typical;
}

/* Where a caller has measured what weights cost the model's output, choices cost that, in
 * proportion to their errors. */
static void weigh(struct choosing *c)
{
    const struct nibble_calibration *calibration = c->input->options->calibration;
    const double typical = calibration ? typical_ratio(c) : 1;
    for (size_t i = 0; calibration && i < c->table->count; i++) {
        double ratio = ratio_or(cost_ratio(c, i), typical);
        for (int row = 0; row < FLOAT_CHOICE; row++)
            c->weights[i].choices[row].error *= ratio;
    }
}

static bool decide(struct choosing *c)
{
    const struct nibble_options *options = c->input->options;
    if (options->bits_per_weight > 0)
        weigh(c);
    compact(c);
    if (options->bits_per_weight > 0 && !fit_bits(c))
        return false;
    /* Rounded to float, since the last bit of pow differs between machines. */
    if (options->min_snr > 0)
        budget_reach(c->weights, c->chosen,
                     (double)(float)pow(10, -options->min_snr / 10));
    return put_choices(c);
}

/* Copies, since the table may be used again. */
static bool begin(struct choosing *c)
{
    const size_t count = c->table->count + 1;
    c->entries = malloc(count * sizeof *c->entries);
    c->weights = malloc(count * sizeof *c->weights);
    if (!c->entries || !c->weights)
        return error_memory(c->err);
    memcpy(c->entries, c->table->entries, c->table->count * sizeof *c->entries);
    memcpy(c->weights, c->table->weights, c->table->count * sizeof *c->weights);
    set_rows(c);
    return true;
}

bool choices_make(struct choices *choices, const struct choose_input *input,
                  struct error *err)
{
    struct choosing c = {.choices = choices, .input = input, .err = err};
    struct choice_table *table = NULL;
    bool ok = (choices->arena = arena_create(ARENA_NO_CAP)) || error_memory(err);
    ok = ok && (table = choice_table_make(input, &choices->share, err));
    c.table = table;
    ok = ok && begin(&c) && decide(&c);
    free(c.entries);
    free(c.weights);
    if (!input->options->calibration)
        choice_table_free(table);
    return ok;
}

void choices_free(struct choices *choices)
{
    map_free(&choices->by_key);
    arena_destroy(choices->arena);
    *choices = (struct choices){0};
}

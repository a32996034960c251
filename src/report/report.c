/* Makes a report from a plan. All of it is in one arena. text.c and json.c format it;
 * only the names of granularities are made here. */
#include "report/report.h"
#include "fill/grid_counts.h"
#include "onnx/tensor.h"
#include "plan/forms.h"
#include "report/estimate.h"
#include "report/patterns.h"
#include "solve/solve.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct owned_report {
    struct nibble_report report; /* first, because the caller holds its address */
    struct arena *arena;
};

static const char *granularity_text(struct arena *arena, const struct plan_item *item)
{
    switch (item->granularity) {
    case GRANULARITY_TENSOR:
        return "tensor";
    case GRANULARITY_BLOCKS:
        return arena_printf(arena, "block %zu, axis %zu", item->shape.block, item->axis);
    default:
        return arena_printf(arena, "channel, axis %zu", item->axis);
    }
}

/* Says what the form means when the model runs. */
static const char *form_why(struct arena *arena, const struct plan_item *item)
{
    const enum decoding decoding = form_info(item->form)->decoding;
    if (item->same)
        return arena_printf(arena, "stored once, with %s", item->same->value->name);
    const char *why = decoding_text(item->fused ? DECODED_NEVER : decoding);
    if (item->joined)
        why = "decoded on every run, unless the runtime joins it with the quantized "
              "activations";
    if (item->kept_apart)
        why = "decoded once, when the model is loaded: these scales suit no integer "
              "operator, and its activations are quantized";
    if (item->held_back)
        why = "decoded once, when the model is loaded: ONNX Runtime does not load these "
              "activations in int8 at the opset of other forms";
    return arena_printf(
        arena, "%s%s%s", why,
        item->widened ? "; 8 bits: it is added, so nothing evens out its errors" : "",
        item->wide_scales ? "; float32 scales: float16 can't hold them" : "");
}

static double decibels(double signal, double noise)
{
    return noise > 0 ? 10 * log10(signal / noise) : (double)INFINITY;
}

static bool fill_shape(struct arena *arena, const struct plan_item *item,
                       struct nibble_weight *weight)
{
    size_t rank = item->tensor ? item->tensor->n_dims : 1;
    int64_t *dims = arena_array(arena, rank, sizeof *dims);
    if (!dims)
        return false;
    if (!item->tensor)
        dims[0] = (int64_t)item->elements;
    else if (rank > 0)
        memcpy(dims, item->tensor->dims, rank * sizeof *dims);
    weight->dims = dims;
    weight->rank = rank;
    return true;
}

/* `error` is NULL if it was not measured. */
static bool fill_weight(struct arena *arena, const struct plan_item *item,
                        const struct quant_error *error, struct nibble_weight *weight)
{
    const Onnx__NodeProto *consumer = item->use ? item->use->node : NULL;
    *weight = (struct nibble_weight){
        .name = arena_string(arena, item->value->name),
        .op_type = arena_string(arena, consumer ? or_empty(consumer->op_type) : ""),
        .graph = arena_string(arena, item->value->scope->path),
        .element_type = data_type_name(item->data_type),
        .elements = item->elements,
        .quantized = item->quantize,
        .type = data_type_name(item->as_float16 ? DATA_FLOAT16 : item->data_type),
        .granularity = "",
        .form = "",
        .why = "",
        .scale_type = "",
        .slow = plan_is_slow(item),
        .copy = item->copy,
        .again = item->again,
        .reason = arena_string(arena, or_empty(item->reason)),
        .requested = item->requested,
        .warning = item->warning,
        .bytes_before = item->copy ? 0 : item->bytes,
        .bytes_after = plan_float_bytes(item),
        .snr_db = (double)NAN,
        .output_snr_db = (double)NAN,
        .node = arena_string(arena, consumer ? or_empty(consumer->name) : ""),
        .rule = arena_string(arena, item->rule ? item->rule->text : ""),
        .float32_reason = arena_string(arena, or_empty(item->float32_reason)),
    };
    if (item->quantize) {
        weight->type = quant_type_info(item->scheme.type)->name;
        weight->granularity = granularity_text(arena, item);
        weight->form = form_info(item->form)->name;
        weight->why = form_why(arena, item);
        weight->sharing = item->sharing;
        weight->sharing_bytes = item->sharing_bytes;
        weight->scale_type = data_type_name(data_type_of(item->scheme.scale_type));
        weight->bytes_after = item->same ? 0 : plan_bytes(item);
        weight->snr_db = error ? decibels(error->signal, error->noise) : (double)NAN;
        weight->calibrated = item->solution != NULL;
        if (item->solution)
            weight->output_snr_db =
                decibels(item->solution->signal, item->solution->noise);
    }
    return fill_shape(arena, item, weight) && !arena_exhausted(arena);
}

static void add_totals(struct nibble_report *report, const struct nibble_weight *weight,
                       uint64_t *quantized_bytes)
{
    report->weight_bytes_before += weight->bytes_before;
    report->weight_bytes_after += weight->bytes_after;
    report->elements += weight->copy ? 0 : weight->elements;
    if (weight->quantized) {
        report->quantized++;
        report->slow += weight->slow;
        report->elements_quantized += weight->copy ? 0 : weight->elements;
        report->copies += weight->again;
        report->copy_bytes += weight->again ? weight->bytes_after : 0;
        report->sharing += weight->sharing;
        report->sharing_bytes += weight->sharing_bytes;
        *quantized_bytes += weight->again ? 0 : weight->bytes_after;
    } else {
        report->kept_float++;
        report->requested_but_float += weight->requested;
        report->warnings += weight->warning;
    }
}

/* Adds what the weight takes of options.bits_per_weight. Further forms of a weight add
 * bytes, but no elements. */
static void add_chosen(struct nibble_report *report, const struct plan_item *item,
                       const struct nibble_weight *weight, uint64_t *bytes)
{
    if (!item->chosen || weight->again || (weight->copy && !weight->quantized))
        return;
    report->elements_chosen += weight->copy ? 0 : weight->elements;
    *bytes += weight->bytes_after;
}

static bool add_already(struct arena *arena, const struct plan *plan,
                        struct nibble_report *report)
{
    size_t count = plan->already_kinds;
    struct nibble_already *rows = arena_array(arena, count, sizeof *rows);
    const struct nibble_already **list = arena_array(arena, count, sizeof *list);
    for (size_t i = 0; rows && list && i < count; i++) {
        const struct plan_already *kind = &plan->already[i];
        rows[i] =
            (struct nibble_already){.type = arena_printf(arena, "int%d", kind->bits),
                                    .form = arena_string(arena, kind->form),
                                    .weights = kind->weights};
        list[i] = &rows[i];
    }
    report->already = list;
    report->already_count = count;
    return rows && list;
}

struct histogram_entry {
    struct nibble_weight *weight;
    const struct plan_item *item;
    const struct fill_result *result;
};

static int by_snr(const void *left, const void *right)
{
    const struct histogram_entry *a = left, *b = right;
    double x = a->weight->snr_db, y = b->weight->snr_db;
    return x != y ? (x > y ? 1 : -1) : (a->weight > b->weight) - (a->weight < b->weight);
}

static bool make_histogram(struct arena *arena, const struct histogram_entry *entry)
{
    const struct quant_type_info *type = quant_type_info(entry->item->scheme.type);
    const struct grid_bars bars = grid_bars(entry->item->scheme.type);
    struct nibble_histogram *histogram = arena_alloc(arena, sizeof *histogram);
    uint64_t *counts = arena_array(arena, bars.count, sizeof *counts);
    if (!histogram || !counts)
        return false;
    for (size_t i = 0; i < bars.count; i++)
        counts[i] = entry->result->counts[i];
    *histogram = (struct nibble_histogram){.lowest = type->lo,
                                           .highest = type->hi,
                                           .first = bars.first,
                                           .step = bars.step,
                                           .counts = counts,
                                           .count = bars.count};
    entry->weight->histogram = histogram;
    return true;
}

/* Gives the weights with the least SNR their histograms. */
static bool add_histograms(struct arena *arena, const struct plan *plan,
                           const struct fill_result *results, size_t wanted,
                           struct nibble_weight *weights)
{
    size_t count = 0;
    struct histogram_entry *entries = arena_array(arena, plan->count, sizeof *entries);
    for (size_t i = 0; entries && i < plan->count; i++)
        if (plan->items[i].quantize && !plan->items[i].same && results[i].counts)
            entries[count++] =
                (struct histogram_entry){&weights[i], &plan->items[i], &results[i]};
    if (count > 1)
        qsort(entries, count, sizeof *entries, by_snr);
    for (size_t i = 0; i < count && i < wanted; i++)
        if (!make_histogram(arena, &entries[i]))
            return false;
    return entries != NULL;
}

static bool fill_report(struct arena *arena, const struct model *model,
                        const struct plan *plan, const struct fill_result *results,
                        const struct report_facts *facts, struct nibble_report *report)
{
    struct nibble_weight *weights = arena_array(arena, plan->count, sizeof *weights);
    const struct nibble_weight **list = arena_array(arena, plan->count, sizeof *list);
    uint64_t quantized_bytes = 0, chosen_bytes = 0;
    if (!weights || !list)
        return false;
    *report = (struct nibble_report){
        .model = arena_string(arena, facts->model),
        .output = arena_string(arena, facts->output ? facts->output : ""),
        .ir_before = facts->ir_before,
        .ir_after = model->proto->ir_version,
        .opset_before = facts->opset_before,
        .opset_after = facts->opset_after,
        .bytes_before = model->bytes,
        .cpu = arena_string(arena, facts->cpu),
        .weights = list,
        .weight_count = plan->count,
        .estimated_snr_db = (double)NAN,
        .note = "",
        .codes_stored = facts->codes_stored,
        .stored_float16 = plan->as_float16,
        .float16_nodes = facts->compute.float16,
        .float32_nodes = facts->compute.float32,
        .top = facts->top,
        .command = arena_string(arena, facts->command ? facts->command : ""),
    };
    for (size_t i = 0; i < plan->count; i++) {
        list[i] = &weights[i];
        bool whole = facts->measured && !facts->sampled;
        const struct quant_error *error = whole ? &results[i].error : NULL;
        if (!fill_weight(arena, &plan->items[i], error, &weights[i]))
            return false;
        add_totals(report, &weights[i], &quantized_bytes);
        add_chosen(report, &plan->items[i], &weights[i], &chosen_bytes);
    }
    if (facts->measured && !facts->sampled && facts->histograms > 0 &&
        !add_histograms(arena, plan, results, facts->histograms, weights))
        return false;
    if (report->elements_chosen > 0)
        report->bits_chosen = 8 * (double)chosen_bytes / (double)report->elements_chosen;
    if (report->elements_quantized > 0)
        report->bits_per_weight =
            8 * (double)quantized_bytes / (double)report->elements_quantized;
    if (report->quantized > 0 && facts->measured && !facts->calibrated &&
        !estimate_outputs(arena, plan, results, facts->depth, report))
        return false;
    return add_already(arena, plan, report) &&
           patterns_report(arena, facts->planning, plan, report) &&
           !arena_exhausted(arena);
}

struct nibble_report *report_make(const struct model *model, const struct plan *plan,
                                  const struct fill_result *results,
                                  const struct report_facts *facts)
{
    struct arena *arena = arena_create(ARENA_NO_CAP);
    struct owned_report *owned = arena ? arena_alloc(arena, sizeof *owned) : NULL;
    if (!owned || !fill_report(arena, model, plan, results, facts, &owned->report)) {
        arena_destroy(arena);
        return NULL;
    }
    owned->arena = arena;
    return &owned->report;
}

bool report_add_hint(struct nibble_report *report, const char *options, double snr_db,
                     double bits_per_weight)
{
    struct arena *arena = ((struct owned_report *)report)->arena;
    size_t count = report->hint_count;
    const struct nibble_hint **list = arena_array(arena, count + 1, sizeof *list);
    struct nibble_hint *hint = arena_alloc(arena, sizeof *hint);
    const char *copy = arena_string(arena, options);
    if (!list || !hint || !copy)
        return false;
    *hint = (struct nibble_hint){copy, snr_db, bits_per_weight};
    for (size_t i = 0; i < count; i++)
        list[i] = report->hints[i];
    list[count] = hint;
    report->hints = list;
    report->hint_count++;
    return true;
}

void nibble_report_free(struct nibble_report *report)
{
    if (report)
        arena_destroy(((struct owned_report *)report)->arena);
}

/* The estimate. Each operator with quantized weights adds the noise of these weights,
 * relative to their signal, and a deeper model makes more of it:
 *
 *     SNR = 14.5 - 8 log10(depth) - 10 log10(sum of noise / signal)
 *
 * The numbers are fitted on real models with real inputs (docs/accuracy.md, which also
 * says how far off they may be). */
#include "report/estimate.h"

#include <math.h>

static const double at_depth_1 = 14.5, per_decade = 8;

/* Models below this did their work visibly worse. */
static const double least_db = 16;

static size_t count_uses(const struct use *use)
{
    size_t count = 0;
    for (; use; use = use->next)
        count++;
    return count;
}

static double sum_of_noise(const struct plan *plan, const struct fill_result *results)
{
    double sum = 0;
    for (size_t i = 0; i < plan->count; i++) {
        const struct plan_item *item = &plan->items[i];
        const struct quant_error *error = &results[i].error;
        if (item->quantize && error->noise > 0)
            sum += (error->signal > 0 ? error->noise / error->signal : 1) *
                   (double)count_uses(item->use);
    }
    return sum;
}

/* The narrowest type of a quantized weight. */
static const struct quant_type_info *narrowest(const struct plan *plan)
{
    const struct quant_type_info *found = NULL;
    for (size_t i = 0; i < plan->count; i++) {
        const struct plan_item *item = &plan->items[i];
        const struct quant_type_info *type = quant_type_info(item->scheme.type);
        if (item->quantize && (!found || type->bits < found->bits))
            found = type;
    }
    return found;
}

static const char *warning(struct arena *arena, const struct plan *plan, double snr)
{
    const struct quant_type_info *type = narrowest(plan);
    const char *help = type->bits == 4 ? "--type int8 does, or --bits-per-weight 6 "
                                         "--scale-type float16"
                                       : "smaller blocks do (--block-size 32)";
    return arena_printf(
        arena,
        "%s is likely to ruin this model: its outputs are expected to have an SNR near "
        "%.0f dB, an estimate from the errors of the weights. Calibration with some "
        "dozen "
        "real inputs helps most (--data). Without data, %s",
        type->name, fmax(snr, 0), help);
}

bool estimate_outputs(struct arena *arena, const struct plan *plan,
                      const struct fill_result *results, size_t depth,
                      struct nibble_report *report)
{
    double sum = sum_of_noise(plan, results);
    report->estimated_snr_db = sum > 0 ? at_depth_1 - 10 * log10(sum) -
                                             per_decade * log10((double)(depth + !depth))
                                       : (double)INFINITY;
    if (report->estimated_snr_db < least_db)
        report->note = warning(arena, plan, report->estimated_snr_db);
    return report->note != NULL;
}

/* The estimate. Each operator with quantized weights adds the noise of these weights,
 * relative to their signal, and a deeper model makes more of it:
 *
 *     SNR = 14.5 - 8 log10(depth) - 10 log10(sum of noise / signal)
 *
 * The numbers are fitted on real models with real inputs (docs/accuracy.md, which also
 * says how far off they may be). */
#include "report/estimate.h"

#include <math.h>
#include <stdlib.h>

static const double at_depth_1 = 14.5, per_decade = 8;

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

static bool has_narrow(const struct plan *plan)
{
    for (size_t i = 0; i < plan->count; i++)
        if (plan->items[i].quantize &&
            quant_type_info(plan->items[i].scheme.type)->bits == 4)
            return true;
    return false;
}

bool estimate_outputs(struct arena *arena, const struct plan *plan,
                      const struct fill_result *results, size_t depth,
                      struct nibble_report *report)
{
    double sum = sum_of_noise(plan, results);
    report->estimated_snr_db = sum > 0 ? at_depth_1 - 10 * log10(sum) -
                                             per_decade * log10((double)(depth + !depth))
                                       : (double)INFINITY;
    char *warning = nibble_snr_warning(report->estimated_snr_db, false, has_narrow(plan));
    report->note = warning ? arena_string(arena, warning) : NULL;
    free(warning);
    return report->note != NULL;
}

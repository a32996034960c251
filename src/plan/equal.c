/* Equal weights. Exporters write a shared parameter once for each module that has it.
 * Codes that ONNX Runtime fuses stay apart, since it fuses none that two DequantizeLinear
 * share. */
#include "plan/equal.h"
#include "core/pages.h"
#include "plan/forms.h"

#include <string.h>

enum { EQUAL_SAMPLES = 4 };

/* Whether all consumers are in the scope that defines the weight. Operators that replace
 * consumers look for their tensors there. */
static bool is_at_home(const struct plan_item *item)
{
    for (const struct use *use = item->use; use; use = use->next)
        if (use->scope != item->value->scope)
            return false;
    return true;
}

static bool can_share(const struct plan_item *item)
{
    bool own = item->fused && form_info(item->form)->fusion == FUSION_OWN;
    return item->quantize && !own && is_at_home(item);
}

/* ---- what must agree -------------------------------------------------- */

/* Reads a few words from all over the values. */
static void sample(const struct plan_item *item, uint64_t words[EQUAL_SAMPLES])
{
    uint64_t size = item->source->size, width = size < 8 ? size : 8;
    for (uint64_t i = 0; i < EQUAL_SAMPLES; i++) {
        words[i] = 0;
        memcpy(&words[i], item->source->data + (size - width) / (EQUAL_SAMPLES - 1) * i,
               (size_t)width);
    }
}

/* Everything that codes and form depend on, with a sample instead of the values. */
static const char *key_of(struct arena *arena, const struct plan_item *item)
{
    const struct quant_shape *shape = &item->shape;
    uint64_t words[EQUAL_SAMPLES];
    char *dims = arena_string(arena, "");
    for (size_t i = 0; dims && i < item->tensor->n_dims; i++)
        dims = arena_printf(arena, "%s %lld", dims, (long long)item->tensor->dims[i]);
    if (!dims)
        return NULL;
    sample(item, words);
    return arena_printf(
        arena,
        "%p%s %d %d %d %d %d %d %zu %zu %zu %zu %zu %zu %zu %d %d %d %llx %llx %llx %llx",
        (void *)item->value->scope, dims, item->data_type, (int)item->form,
        (int)item->scheme.type, (int)item->scheme.scale_type, (int)item->packing,
        (int)item->granularity, shape->outer, shape->dim, shape->inner, shape->block,
        item->axis, item->channel_axis, item->row, item->transposed, item->padded,
        plan_has_zeros(item), (unsigned long long)words[0], (unsigned long long)words[1],
        (unsigned long long)words[2], (unsigned long long)words[3]);
}

static bool equal_values(const struct payload *a, const struct payload *b)
{
    return a->size == b->size && pages_equal(a->file, a->data, b->file, b->data, a->size);
}

bool plan_find_equal(struct plan *plan, struct error *err)
{
    struct map seen = {0};
    struct pages sampled = {0};
    struct arena *keys = arena_create(ARENA_NO_CAP);
    bool ok = keys != NULL;
    for (size_t i = 0; ok && i < plan->count; i++) {
        struct plan_item *item = &plan->items[i];
        if (!can_share(item))
            continue;
        pages_read(&sampled, item->source->file, item->source->data, item->source->size);
        const char *key = key_of(keys, item);
        struct plan_item *first = key ? map_get(&seen, key) : NULL;
        if (first && equal_values(first->source, item->source))
            item->same = first;
        else
            ok = key && (first || map_put(&seen, key, item));
    }
    pages_end(&sampled);
    map_free(&seen);
    arena_destroy(keys);
    return ok || error_memory(err);
}

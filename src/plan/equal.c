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
        (void *)item->value->scope, dims, item->data_type,
        (int)(item->in_bytes ? FORM_NBITS : item->form), (int)item->scheme.type,
        (int)item->scheme.scale_type, (int)item->packing, (int)item->granularity,
        shape->outer, shape->dim, shape->inner, shape->block, item->axis,
        item->channel_axis, item->row, item->transposed, item->padded,
        plan_has_zeros(item), (unsigned long long)words[0], (unsigned long long)words[1],
        (unsigned long long)words[2], (unsigned long long)words[3]);
}

static bool equal_values(const struct payload *a, const struct payload *b)
{
    return a == b || (a->size == b->size &&
                      pages_equal(a->file, a->data, b->file, b->data, a->size));
}

struct equals {
    struct map seen; /* items by their keys */
    struct pages sampled;
    struct arena *keys;
};

/* Finds the first item with equal values and an equal layout, which may be this one. NULL
 * if out of memory, or if `add` is false and there is none. */
static struct plan_item *find_first(struct equals *s, const struct plan_item *like,
                                    struct plan_item *item, bool add)
{
    pages_read(&s->sampled, like->source->file, like->source->data, like->source->size);
    const char *key = key_of(s->keys, like);
    struct plan_item *first = key ? map_get(&s->seen, key) : NULL;
    if (first && equal_values(first->source, like->source))
        return first;
    if (first)
        return item;
    return key && add && map_put(&s->seen, key, item) ? item : NULL;
}

/* The same once the codes lie as a table and the layer behind it both read them. */
static struct plan_item *find_shared(struct equals *s, struct plan_item *item, bool add)
{
    struct plan_item like = *item;
    form_put_in_bytes(&like);
    like.in_bytes = true;
    return find_first(s, &like, item, add);
}

/* Makes the codes of MatMulNBits and GatherBlockQuantized lie alike where a weight is
 * used by both, as tied embeddings are. A table without such a layer stays as it is. */
static bool join_tied(struct equals *s, struct plan *plan)
{
    struct equals layers = {.keys = s->keys};
    bool *tied = arena_array(plan->arena, plan->count, sizeof *tied), ok = tied != NULL;
    for (size_t i = 0; ok && i < plan->count; i++) {
        struct plan_item *item = &plan->items[i];
        if (item->form == FORM_NBITS && can_share(item) && form_can_share(item))
            ok = find_shared(&layers, item, true) != NULL;
    }
    for (size_t i = 0; ok && layers.seen.count > 0 && i < plan->count; i++) {
        struct plan_item *item = &plan->items[i], *layer = NULL;
        if (item->form == FORM_LOOKUP && can_share(item) && form_can_share(item))
            layer = find_shared(&layers, item, false);
        if (!layer || layer == item)
            continue;
        form_put_in_bytes(item);
        tied[layer - plan->items] = true;
    }
    for (size_t i = 0; ok && layers.seen.count > 0 && i < plan->count; i++) {
        struct plan_item *item = &plan->items[i], *first = NULL;
        if (item->form == FORM_NBITS && can_share(item) && form_can_share(item))
            first = find_shared(&layers, item, false);
        if (first && tied[first - plan->items])
            form_put_in_bytes(item);
    }
    pages_end(&layers.sampled);
    map_free(&layers.seen);
    return ok;
}

bool plan_find_equal(struct plan *plan, struct error *err)
{
    struct equals s = {.keys = arena_create(ARENA_NO_CAP)};
    bool ok = s.keys && join_tied(&s, plan);
    for (size_t i = 0; ok && i < plan->count; i++) {
        struct plan_item *item = &plan->items[i];
        struct plan_item *first = item;
        if (can_share(item))
            ok = (first = find_first(&s, item, item, true)) != NULL;
        if (first != item)
            item->same = first;
    }
    pages_end(&s.sampled);
    map_free(&s.seen);
    arena_destroy(s.keys);
    return ok || error_memory(err);
}

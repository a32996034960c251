/* Emission, scope by scope. The table of forms is the list of emitters. */
#include "emit/emit.h"
#include "emit/dequantize.h"

#include <string.h>

static const struct form {
    const char *name; /* as plan_item.form says it */
    bool (*emit)(struct place *place, struct plan_item *item);
} forms[] = {
    {"DequantizeLinear", emit_dequantize},
};

static bool emit_item(struct place *place, struct plan_item *item)
{
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++)
        if (strcmp(forms[i].name, item->form) == 0)
            return forms[i].emit(place, item);
    return error_set(place->err, STATUS_UNSUPPORTED, "no form is called %s", item->form);
}

/* Items [begin, end) belong to one scope: the index lists values so. */
static bool emit_scope(struct model *model, struct plan_item *begin, struct plan_item *end,
                       struct error *err)
{
    struct place place;
    if (!place_begin(&place, model, begin->value->scope, (size_t)(end - begin), err))
        return false;
    for (struct plan_item *item = begin; item < end; item++) {
        if (!item->quantize)
            continue;
        item->value->is_replaced = true;
        if (!emit_item(&place, item))
            return false;
    }
    return place_end(&place);
}

bool emit_plan(struct model *model, struct plan *plan, struct error *err)
{
    struct plan_item *end = plan->items + plan->count;
    for (struct plan_item *item = plan->items, *next; item < end; item = next) {
        for (next = item; next < end && next->value->scope == item->value->scope; next++)
            ;
        if (!emit_scope(model, item, next, err))
            return false;
    }
    return true;
}

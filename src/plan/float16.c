/* Choosing the constants that are stored as float16: a list of questions about each. */
#include "plan/float16.h"
#include "core/pages.h"
#include "onnx/imports.h"
#include "plan/already.h"
#include "plan/fixed.h"
#include "plan/float16_uses.h"
#include "quant/float16_loss.h"

#include <string.h>

struct chooser {
    struct model *model;
    const struct plan_options *options;
    struct plan *plan;
    struct pages pages; /* of values that were read */
    struct error *err;
};

bool float16_pays(const char *name, uint64_t elements)
{
    enum { FIELDS = 64, LEAST = 64 }; /* bytes of a Cast without names; the least gain */
    return elements * 2 >= 3 * strlen(name) + FIELDS + LEAST;
}

/* ---- questions ------------------------------------------------------------ */

/* Each question returns a reason or NULL. */

static const char *reason_place(const struct chooser *c, const struct plan_item *item)
{
    enum { OPSET_CAST = 6 }; /* before, the type is a text */
    const struct value *value = item->value;
    bool overridable = value->is_input && c->model->proto->ir_version >= 4;
    if (item->rule && item->rule->float32)
        return arena_printf(c->plan->arena, "kept float32 (--rule '%s')",
                            item->rule->text);
    if (!item->tensor || value->kind == VALUE_SPARSE)
        return "it is no plain tensor";
    if (value->is_ambiguous)
        return "its name is defined more than once";
    if (value->is_trained)
        return "a training step updates it";
    if (overridable && !c->options->freeze)
        return "it is a graph input that a caller may override (--freeze)";
    return model_opset(c->model) < OPSET_CAST ? "the opset is too low for it" : NULL;
}

static const char *reason_size(const struct chooser *c, const struct plan_item *item)
{
    (void)c;
    return float16_pays(item->value->name, item->elements)
               ? NULL
               : "too small: a Cast would take more room than it saves";
}

/* Values that do not change at all are fine, even if nobody has trained them. */
static const char *reason_values(struct chooser *c, struct plan_item *item, bool divides)
{
    enum { PIECE = 1 << 10 };
    struct float16_loss loss = {0};
    float values[PIECE];
    item->source = tensor_values(c->model, item->tensor, c->err);
    if (!item->source)
        return NULL;
    for (uint64_t at = 0; at < item->elements; at += PIECE) {
        uint64_t left = item->elements - at;
        size_t n = left < PIECE ? (size_t)left : PIECE;
        const uint8_t *data = item->source->data + at * sizeof *values;
        pages_read(&c->pages, item->source->file, data, n * sizeof *values);
        memcpy(values, data, n * sizeof *values);
        float16_loss_add(&loss, values, n);
    }
    const char *reason = float16_reason(&loss, divides);
    if (reason || float16_is_exact(&loss))
        return reason;
    return item->fixed || fixed_is_regular(item)
               ? "a regular grid, waves or a table that was not learned"
               : NULL;
}

static const char *reason_to_stay(struct chooser *c, struct plan_item *item)
{
    const char *reason;
    bool divides = false;
    if ((reason = reason_place(c, item)) || (reason = reason_size(c, item)))
        return reason;
    if (already_is_parameter(item->value))
        return "a scale or zero point of what is quantized already";
    if ((reason = float16_uses_reason(c->plan->arena, item->value, &divides)))
        return reason;
    return reason_values(c, item, divides);
}

/* ---- all constants ---------------------------------------------------------- */

uint64_t plan_float_bytes(const struct plan_item *item)
{
    return item->as_float16 ? item->bytes / 2 : item->bytes;
}

bool plan_float16(struct model *model, const struct plan_options *options,
                  struct plan *plan, struct error *err)
{
    struct chooser c = {.model = model, .options = options, .plan = plan, .err = err};
    bool ok = true;
    plan->wants_float16 = options->float16;
    for (size_t i = 0; options->float16 && ok && i < plan->count; i++) {
        struct plan_item *item = &plan->items[i];
        if (item->quantize || item->copy || item->data_type != DATA_FLOAT)
            continue;
        item->float32_reason = reason_to_stay(&c, item);
        item->as_float16 = !item->float32_reason;
        plan->as_float16 += item->as_float16;
        ok = err->status == STATUS_OK && !arena_exhausted(plan->arena);
    }
    pages_end(&c.pages);
    return ok || error_memory(err);
}

/* Making the plan: finds the float constants, asks of each a list of questions,
 * and gives scheme and shape to those that pass. Changes nothing in the model. */
#include "plan/plan.h"
#include "onnx/node.h"
#include "plan/operators.h"

#include <math.h>
#include <string.h>

struct planner {
    struct model *model;
    const struct plan_options *options;
    struct error *err;
};

static char *say(struct planner *p, char *message)
{
    if (!message)
        error_memory(p->err);
    return message;
}

/* ---- reasons to stay float ------------------------------------------
 * Each question returns a reason or NULL. Those up to the operator's layout are
 * asked in this order; `asked` tells whether the user could have expected it. */

static const char *reason_kind(struct planner *p, const struct plan_item *item)
{
    (void)p;
    if (item->value->kind == VALUE_SPARSE)
        return "sparse initializers stay as they are";
    return item->tensor && item->tensor->n_dims >= 2 ? NULL : "biases and other vectors stay float";
}

static const char *reason_small(struct planner *p, const struct plan_item *item)
{
    uint64_t least = p->options->min_elements;
    if (item->elements == 0)
        return "it has no elements";
    if (item->elements >= least)
        return NULL;
    return say(p, arena_printf(p->model->arena, "fewer than %llu elements (--min-elements)",
                               (unsigned long long)least));
}

static const char *reason_rules(struct planner *p, const struct plan_item *item)
{
    const struct plan_options *o = p->options;
    if (o->include && regexec(o->include, item->value->name, 0, NULL, 0) != 0)
        return "not among those asked for (--include)";
    if (o->exclude && regexec(o->exclude, item->value->name, 0, NULL, 0) == 0)
        return "excluded (--exclude)";
    return item->value->uses ? NULL : "nothing uses it";
}

static const char *reason_role(struct planner *p, const struct plan_item *item)
{
    const struct value *value = item->value;
    bool overridable = value->is_input && p->model->proto->ir_version >= 4;
    if (value->is_ambiguous)
        return "its name is defined more than once";
    if (value->is_trained)
        return "a training step updates it";
    if (overridable && !p->options->freeze)
        return "it is a graph input that a caller may override (--freeze)";
    return NULL;
}

/* All consumers must take it as a weight; the first one says how it lies. */
static const char *reason_uses(struct planner *p, const struct plan_item *item,
                               struct layout *layout)
{
    struct layout other;
    for (const struct use *use = item->value->uses; use; use = use->next) {
        const char *reason =
            operator_layout(p->model, use, item->tensor->dims, item->tensor->n_dims,
                            use == item->value->uses ? layout : &other);
        if (reason)
            return reason;
    }
    return NULL;
}

static const char *reason_values(struct planner *p, struct plan_item *item)
{
    const char *key = plan_key(p->model, item->value);
    const char *reason = NULL;
    if (!key)
        error_memory(p->err);
    else if (p->options->unfit)
        reason = map_get(p->options->unfit, key);
    item->warning = reason != NULL;
    return reason;
}

/* ---- scheme and shape ----------------------------------------------- */

static size_t span(const Onnx__TensorProto *tensor, size_t begin, size_t end)
{
    size_t product = 1; /* tensor_elements has checked it */
    for (size_t i = begin; i < end; i++)
        product *= (size_t)tensor->dims[i];
    return product;
}

static enum real_type real_type_of(int data_type)
{
    switch (data_type) {
    case DATA_FLOAT16:
        return REAL_FLOAT16;
    case DATA_BFLOAT16:
        return REAL_BFLOAT16;
    case DATA_DOUBLE:
        return REAL_FLOAT64;
    default:
        return REAL_FLOAT32;
    }
}

/* The next power of two, 16 to 256: what ONNX Runtime fuses (see docs). */
static size_t cut_block(size_t length)
{
    size_t block = 16;
    while (block < length && block < 256)
        block *= 2;
    return block;
}

static void set_shape(struct planner *p, struct plan_item *item, const struct layout *layout)
{
    enum { SHORT_AXIS = 16 };
    const Onnx__TensorProto *tensor = item->tensor;
    size_t rank = tensor->n_dims;
    size_t length = (size_t)tensor->dims[layout->reduction];
    uint64_t block = p->options->block_size;
    enum granularity granularity = p->options->granularity;
    if (granularity == GRANULARITY_DEFAULT) {
        granularity = layout->cut ? GRANULARITY_BLOCKS : GRANULARITY_CHANNEL;
        block = cut_block(length);
    } else if (granularity == GRANULARITY_BLOCKS && length < block && length < SHORT_AXIS) {
        /* Such blocks would be tiny; a channel's scale serves more elements. */
        granularity = GRANULARITY_CHANNEL;
    }
    bool blocks = granularity == GRANULARITY_BLOCKS;
    item->granularity = granularity;
    item->channel_axis = layout->channel;
    item->axis = blocks ? layout->reduction : layout->channel;
    item->shape = (struct quant_shape){.outer = span(tensor, 0, item->axis),
                                       .dim = (size_t)tensor->dims[item->axis],
                                       .inner = span(tensor, item->axis + 1, rank),
                                       .block = blocks ? (size_t)block : 0};
    if (granularity == GRANULARITY_TENSOR)
        item->shape = (struct quant_shape){1, 1, (size_t)item->elements, 0};
}

static void set_scheme(struct planner *p, struct plan_item *item)
{
    enum real_type type = real_type_of(item->data_type);
    item->scheme = p->options->scheme;
    item->scheme.scale_type = type == REAL_FLOAT64 ? REAL_FLOAT32 : type;
    item->form = "DequantizeLinear";
}

uint64_t plan_bytes(const struct plan_item *item)
{
    uint64_t bits = (uint64_t)quant_type_info(item->scheme.type)->bits;
    uint64_t groups = quant_groups(&item->shape);
    uint64_t zeros = item->scheme.symmetric && quant_type_info(item->scheme.type)->lo < 0
                         ? 0
                         : (groups * bits + 7) / 8;
    return (item->elements * bits + 7) / 8 + groups * real_size(item->scheme.scale_type) +
           zeros;
}

/* ---- one item ------------------------------------------------------- */

static bool decide(struct planner *p, struct plan_item *item)
{
    struct layout layout;
    if (!(item->reason = reason_kind(p, item)) && !(item->reason = reason_small(p, item)) &&
        !(item->reason = reason_rules(p, item))) {
        item->asked = true;
        if (!(item->reason = reason_role(p, item)) &&
            !(item->reason = reason_uses(p, item, &layout)))
            item->reason = reason_values(p, item);
    }
    if (item->reason || p->err->status != STATUS_OK)
        return p->err->status == STATUS_OK;
    item->source = tensor_values(p->model, item->tensor, p->err);
    if (!item->source)
        return false;
    set_shape(p, item, &layout);
    set_scheme(p, item);
    item->quantize = plan_bytes(item) < item->bytes;
    if (!item->quantize)
        item->reason = "scales and codes would take more room than it does";
    return true;
}

/* The tensor of a Constant node; NULL where it holds something else. */
static Onnx__TensorProto *constant_tensor(const Onnx__NodeProto *node)
{
    const Onnx__AttributeProto *attribute = node_attribute(node, "value");
    return attribute ? attribute->t : NULL;
}

static const Onnx__AttributeProto *constant_floats(const Onnx__NodeProto *node)
{
    return node_attribute(node, "value_floats");
}

/* Fills in what the value is, or returns false where it is no float constant. */
static bool is_float_constant(struct plan_item *item, struct value *value)
{
    bool constant = value->kind == VALUE_NODE && node_is(value->node, "Constant");
    *item = (struct plan_item){.value = value, .tensor = value->tensor, .use = value->uses};
    if (constant)
        item->tensor = constant_tensor(value->node);
    item->data_type = item->tensor ? item->tensor->data_type : DATA_FLOAT;
    if (constant && !item->tensor) {
        const Onnx__AttributeProto *floats = constant_floats(value->node);
        item->elements = floats ? floats->n_floats : 0;
        item->bytes = item->elements * sizeof(float);
        return floats != NULL;
    }
    if (!item->tensor || !data_type_is_float(item->data_type))
        return false;
    if (!tensor_elements(item->tensor, &item->elements))
        item->elements = 0;
    item->bytes = data_type_bytes(item->data_type, item->elements);
    return true;
}

/* ---- the plan ------------------------------------------------------- */

bool plan_make(struct model *model, const struct graph_index *index,
               const struct plan_options *options, struct plan *plan, struct error *err)
{
    struct planner p = {model, options, err};
    struct plan_item item;
    size_t count = 0;
    for (struct value *value = index->values; value; value = value->next)
        count += is_float_constant(&item, value);
    *plan = (struct plan){.items = arena_array(model->arena, count, sizeof *plan->items)};
    if (!plan->items)
        return error_memory(err);
    for (struct value *value = index->values; value; value = value->next) {
        if (!is_float_constant(&item, value))
            continue;
        if (!decide(&p, &item))
            return false;
        plan->quantized += item.quantize;
        plan->items[plan->count++] = item;
    }
    return true;
}

int64_t plan_opset(const struct plan *plan)
{
    int64_t opset = 0;
    for (size_t i = 0; i < plan->count; i++) {
        const struct plan_item *item = &plan->items[i];
        if (!item->quantize)
            continue;
        bool wide = quant_type_info(item->scheme.type)->bits == 8 && item->shape.block == 0;
        int64_t needed = !wide                                       ? 21
                         : item->scheme.scale_type != REAL_FLOAT32 ? 19
                                                                     : 13;
        opset = needed > opset ? needed : opset;
    }
    return opset;
}

const char *plan_key(struct model *model, const struct value *value)
{
    return arena_printf(model->arena, "%s\n%s", value->scope->path, value->name);
}

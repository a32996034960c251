/* Building blocks of forms. Knows how old and new opsets write operators, but not which
 * form needs them. */
#include "emit/emitter.h"
#include "onnx/imports.h"
#include "onnx/names.h"
#include "onnx/node.h"

#include <stdio.h>
#include <string.h>

static const char *out_of_memory(struct emitter *e)
{
    error_memory(e->err);
    return NULL;
}

/* Nodes with the same attributes share them. A model with many weights has few axes and
 * block sizes. */
static bool set_attributes(struct emitter *e, const struct op *op, Onnx__NodeProto *node)
{
    enum { INTS = sizeof op->ints / sizeof *op->ints };
    char key[INTS * 64];
    size_t length = 0, count = 0;
    for (; count < INTS && op->ints[count].name; count++)
        length +=
            (size_t)snprintf(key + length, sizeof key - length, "%s=%lld ",
                             op->ints[count].name, (long long)op->ints[count].value);
    if (count == 0)
        return true;
    const Onnx__NodeProto *like = map_get(e->attributes, key);
    if (like) {
        node->attribute = like->attribute;
        node->n_attribute = like->n_attribute;
        return true;
    }
    for (size_t i = 0; i < count; i++)
        if (!node_set_int(e->model, node, op->ints[i].name, op->ints[i].value))
            return false;
    const char *kept = arena_string(e->model->arena, key);
    return kept && map_put(e->attributes, kept, node);
}

/* The beginning of fresh names: the name of the node that is replaced, or of the weight.
 */
static const char *base_of(const struct emitter *e)
{
    return e->replaced && *or_empty(e->replaced->name) ? e->replaced->name
                                                       : e->item->value->name;
}

/* Gives a node the name and metadata of the one that it replaces. Profilers and adapters
 * find layers by them. True if it has a name now. Constant nodes may share a name in ONNX
 * Runtime, which makes initializers of them. No other nodes may. */
static bool take_place(struct emitter *e, Onnx__NodeProto *node)
{
    const Onnx__NodeProto *old = e->replaced;
    if (!old || strcmp(node_output(node, 0), e->output) != 0)
        return false;
    bool named = *or_empty(old->name) &&
                 !(node_is(old, "Constant") && name_is_shared(e->model, old->name));
    if (named)
        node->name = old->name;
    node->doc_string = old->doc_string;
    node->metadata_props = old->metadata_props;
    node->n_metadata_props = old->n_metadata_props;
    return named;
}

/* Makes a node of the item. If `out` is NULL, the output gets a fresh name. */
static Onnx__NodeProto *new_node(struct emitter *e, const char *type,
                                 const char *const *in, size_t inputs, const char *out)
{
    if (!out)
        out = name_fresh(e->model, base_of(e), "value");
    Onnx__NodeProto *node =
        out ? node_new(e->model, type, NULL, in, inputs, &out, 1) : NULL;
    if (node && !take_place(e, node) &&
        !(node->name = (char *)(uintptr_t)name_fresh(e->model, base_of(e), type)))
        node = NULL;
    if (!node)
        error_memory(e->err);
    return node;
}

const char *emit_op(struct emitter *e, const struct op *op)
{
    size_t inputs = 0;
    if (e->err->status != STATUS_OK)
        return NULL;
    while (inputs < sizeof op->in / sizeof *op->in && op->in[inputs])
        inputs++;
    Onnx__NodeProto *node = new_node(e, op->type, op->in, inputs, op->out);
    if (!node || !set_attributes(e, op, node))
        return out_of_memory(e);
    node->domain = (char *)(uintptr_t)op->domain;
    return edit_add_node(e->site, e->anchor, node) ? node_output(node, 0) : NULL;
}

Onnx__NodeProto *emit_like(struct emitter *e, const char *type, const char *domain)
{
    const Onnx__NodeProto *old = e->replaced;
    if (e->err->status != STATUS_OK)
        return NULL;
    Onnx__NodeProto *node = new_node(e, type, NULL, 0, node_output(old, 0));
    if (!node)
        return NULL;
    node->domain = (char *)(uintptr_t)domain;
    node->attribute =
        arena_array(e->model->arena, old->n_attribute, sizeof(Onnx__AttributeProto *));
    if (!node->attribute) {
        error_memory(e->err);
        return NULL;
    }
    if (old->n_attribute > 0)
        memcpy(node->attribute, old->attribute,
               old->n_attribute * sizeof *node->attribute);
    node->n_attribute = old->n_attribute;
    return edit_add_node(e->site, e->anchor, node) ? node : NULL;
}

const char *emit_unary(struct emitter *e, const char *type, const char *a,
                       const char *out)
{
    return emit_op(e, &(struct op){.type = type, .in = {a}, .out = out});
}

const char *emit_binary(struct emitter *e, const char *type, const char *a, const char *b,
                        const char *out)
{
    return emit_op(e, &(struct op){.type = type, .in = {a, b}, .out = out});
}

const char *emit_cast(struct emitter *e, const char *a, int type, const char *out)
{
    return emit_op(
        e, &(struct op){.type = "Cast", .in = {a}, .out = out, .ints = {{"to", type}}});
}

static const char *constant(struct emitter *e, Onnx__TensorProto *tensor)
{
    if (!tensor)
        return out_of_memory(e);
    return edit_add_tensor(e->owner, tensor) ? tensor->name : NULL;
}

const char *emit_float(struct emitter *e, float value)
{
    if (e->err->status != STATUS_OK)
        return NULL;
    const char *name = name_fresh(e->model, e->item->value->name, "constant");
    return name ? constant(e, tensor_new_float(e->model, name, DATA_FLOAT, value))
                : out_of_memory(e);
}

const char *emit_ints(struct emitter *e, const int64_t *values, size_t count)
{
    if (e->err->status != STATUS_OK)
        return NULL;
    const char *name = name_fresh(e->model, e->item->value->name, "shape");
    return name ? constant(e, tensor_new_ints(e->model, name, values, count))
                : out_of_memory(e);
}

const char *emit_reshape(struct emitter *e, const char *a, const int64_t *dims,
                         size_t rank, const char *out)
{
    return emit_binary(e, "Reshape", a, emit_ints(e, dims, rank), out);
}

/* Before opset 10, Slice has the attributes starts, ends and axes. */
static const char *slice_attributes(struct emitter *e, const char *a, int64_t axis,
                                    int64_t length, const char *out)
{
    Onnx__NodeProto *node = new_node(e, "Slice", &a, 1, out);
    int64_t zero = 0;
    if (!node || !node_set_ints(e->model, node, "starts", &zero, 1) ||
        !node_set_ints(e->model, node, "ends", &length, 1) ||
        !node_set_ints(e->model, node, "axes", &axis, 1))
        return out_of_memory(e);
    return edit_add_node(e->site, e->anchor, node) ? node_output(node, 0) : NULL;
}

const char *emit_first(struct emitter *e, const char *a, int64_t axis, int64_t length,
                       const char *out)
{
    enum { SLICE_WITH_INPUTS = 10 };
    const int64_t zero = 0;
    if (e->err->status != STATUS_OK)
        return NULL;
    if (model_opset(e->model) < SLICE_WITH_INPUTS)
        return slice_attributes(e, a, axis, length, out);
    const char *start = emit_ints(e, &zero, 1), *end = emit_ints(e, &length, 1);
    const char *axes = emit_ints(e, &axis, 1);
    return emit_op(
        e, &(struct op){.type = "Slice", .in = {a, start, end, axes}, .out = out});
}

/* ---- parameters ----------------------------------------------------- */

int code_data_type(enum quant_type type)
{
    static const int types[QUANT_TYPES] = {[QUANT_INT4] = DATA_INT4,
                                           [QUANT_UINT4] = DATA_UINT4,
                                           [QUANT_INT8] = DATA_INT8,
                                           [QUANT_UINT8] = DATA_UINT8};
    return types[type];
}

size_t item_blocks(const struct plan_item *item)
{
    size_t block = item->shape.block, length = item->shape.dim;
    return block == 0 ? 1 : length / block + (length % block != 0);
}

Onnx__TensorProto *emit_reserved(struct emitter *e, const char *suffix, int type,
                                 const int64_t *dims, size_t rank)
{
    uint64_t elements;
    const char *name = name_fresh(e->model, e->item->value->name, suffix);
    Onnx__TensorProto *tensor =
        name ? tensor_new(e->model, name, type, dims, rank) : NULL;
    if (!tensor || !tensor_elements(tensor, &elements) ||
        !tensor_set_values(e->model, tensor, NULL, data_type_bytes(type, elements)) ||
        !edit_add_tensor(e->owner, tensor)) {
        error_memory(e->err);
        return NULL;
    }
    return tensor;
}

void emit_notes(const struct emitter *e, Onnx__TensorProto *made)
{
    const Onnx__TensorProto *old = e->item->tensor;
    made->doc_string = old->doc_string;
    made->metadata_props = old->metadata_props;
    made->n_metadata_props = old->n_metadata_props;
}

static const char *reserve(struct emitter *e, const char *suffix, int type,
                           const int64_t *dims, size_t rank, struct payload **payload)
{
    Onnx__TensorProto *tensor = emit_reserved(e, suffix, type, dims, rank);
    *payload = tensor ? tensor_payload(tensor) : NULL;
    return tensor ? tensor->name : NULL;
}

bool emit_parameters(struct emitter *e, const struct parameter_dims *dims)
{
    const struct plan_item *item = e->item;
    int scale_type = data_type_of(item->scheme.scale_type);
    Onnx__TensorProto *codes =
        emit_reserved(e, quant_type_info(item->scheme.type)->name, dims->code_type,
                      dims->codes, dims->codes_rank);
    if (!codes)
        return false;
    emit_notes(e, codes);
    e->codes = codes->name;
    e->own->codes = tensor_payload(codes);
    e->scales =
        reserve(e, "scale", scale_type, dims->scales, dims->scales_rank, &e->own->scales);
    if (!e->scales)
        return false;
    e->zeros = NULL;
    if (plan_has_zeros(item))
        e->zeros = reserve(e, "zero_point", dims->zero_type, dims->zeros,
                           dims->zeros_rank, &e->own->zeros);
    return e->err->status == STATUS_OK;
}

const char *emit_scales(struct emitter *e)
{
    enum real_type type = plan_scale_type(e->item);
    if (e->item->scheme.scale_type == type)
        return e->scales;
    return emit_cast(e, e->scales, data_type_of(type), NULL);
}

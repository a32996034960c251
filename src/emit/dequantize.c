/* DequantizeLinear. The weight's name becomes the node's output, so consumers,
 * captures by inner graphs and value_info stay as they are. An initializer turns
 * into its codes where it stands; a Constant node turns into the decoder. */
#include "emit/dequantize.h"
#include "onnx/names.h"
#include "onnx/node.h"

/* TensorProto.DataType of codes and of scales. */
static int code_data_type(enum quant_type type)
{
    static const int types[QUANT_TYPES] = {[QUANT_INT4] = DATA_INT4,
                                           [QUANT_UINT4] = DATA_UINT4,
                                           [QUANT_INT8] = DATA_INT8,
                                           [QUANT_UINT8] = DATA_UINT8};
    return types[type];
}

static int scale_data_type(enum real_type type)
{
    return type == REAL_FLOAT16    ? DATA_FLOAT16
           : type == REAL_BFLOAT16 ? DATA_BFLOAT16
                                   : DATA_FLOAT;
}

static bool reserve(struct place *place, Onnx__TensorProto *tensor, struct payload **payload)
{
    uint64_t elements;
    if (!tensor || !tensor_elements(tensor, &elements) ||
        !tensor_set_values(place->model, tensor, NULL,
                           data_type_bytes(tensor->data_type, elements)))
        return error_memory(place->err);
    *payload = tensor_payload(tensor);
    return true;
}

/* The shape of scales and zero points; its rank. */
static size_t parameter_dims(const struct plan_item *item, int64_t *dims)
{
    const Onnx__TensorProto *tensor = item->tensor;
    if (item->granularity == GRANULARITY_TENSOR)
        return 0;
    if (item->granularity == GRANULARITY_CHANNEL) {
        dims[0] = tensor->dims[item->axis];
        return 1;
    }
    for (size_t i = 0; i < tensor->n_dims; i++)
        dims[i] = tensor->dims[i];
    size_t block = item->shape.block, length = item->shape.dim;
    dims[item->axis] = (int64_t)(length / block + (length % block != 0));
    return tensor->n_dims;
}

static bool add_parameters(struct place *place, struct plan_item *item, const char **scale,
                           const char **zero)
{
    struct model *model = place->model;
    int64_t *dims = arena_array(model->arena, item->tensor->n_dims, sizeof *dims);
    if (!dims)
        return error_memory(place->err);
    size_t rank = parameter_dims(item, dims);
    const char *base = item->value->name;
    *scale = name_fresh(model, base, "scale");
    *zero = NULL;
    if (!*scale)
        return error_memory(place->err);
    Onnx__TensorProto *tensor =
        tensor_new(model, *scale, scale_data_type(item->scheme.scale_type), dims, rank);
    if (!reserve(place, tensor, &item->scales) || !place_tensor(place, tensor))
        return false;
    if (item->scheme.symmetric && quant_type_info(item->scheme.type)->lo < 0)
        return true;
    if (!(*zero = name_fresh(model, base, "zero_point")))
        return error_memory(place->err);
    tensor = tensor_new(model, *zero, code_data_type(item->scheme.type), dims, rank);
    return reserve(place, tensor, &item->zeros) && place_tensor(place, tensor);
}

/* An initializer keeps its slot and changes its name; anything else gets a new
 * tensor of the same shape. */
static bool add_codes(struct place *place, struct plan_item *item, const char **codes)
{
    struct model *model = place->model;
    int type = code_data_type(item->scheme.type);
    *codes = name_fresh(model, item->value->name, quant_type_info(item->scheme.type)->name);
    Onnx__TensorProto *old = item->tensor;
    Onnx__TensorProto *tensor =
        *codes ? tensor_new(model, *codes, type, old->dims, old->n_dims) : NULL;
    if (!reserve(place, tensor, &item->codes))
        return false;
    if (item->value->kind != VALUE_INITIALIZER)
        return place_tensor(place, tensor);
    tensor->doc_string = old->doc_string;
    tensor->n_metadata_props = old->n_metadata_props;
    tensor->metadata_props = old->metadata_props;
    *old = *tensor;
    return true;
}

static bool set_attributes(struct place *place, const struct plan_item *item,
                           Onnx__NodeProto *node)
{
    struct model *model = place->model;
    bool ok = true;
    if (item->granularity != GRANULARITY_TENSOR)
        ok = node_set_int(model, node, "axis", (int64_t)item->axis);
    if (ok && item->granularity == GRANULARITY_BLOCKS)
        ok = node_set_int(model, node, "block_size", (int64_t)item->shape.block);
    return ok || error_memory(place->err);
}

/* Turns the Constant node into the decoder, or places a new node. */
static bool add_decoder(struct place *place, struct plan_item *item,
                        const char *const *inputs, size_t count, const char *output)
{
    struct model *model = place->model;
    const char *name = name_fresh(model, item->value->name, item->form);
    Onnx__NodeProto *node =
        name ? node_new(model, item->form, name, inputs, count, &output, 1) : NULL;
    if (!node)
        return error_memory(place->err);
    if (!set_attributes(place, item, node))
        return false;
    if (item->value->kind == VALUE_INITIALIZER || output != item->value->name)
        return place_node(place, node);
    node->doc_string = item->value->node->doc_string;
    *item->value->node = *node;
    return true;
}

/* DequantizeLinear makes no doubles: they come by a Cast behind it. */
static bool add_cast(struct place *place, struct plan_item *item, const char *input)
{
    struct model *model = place->model;
    const char *output = item->value->name, *name = name_fresh(model, output, "Cast");
    Onnx__NodeProto *node = name ? node_new(model, "Cast", name, &input, 1, &output, 1) : NULL;
    if (!node || !node_set_int(model, node, "to", DATA_DOUBLE))
        return error_memory(place->err);
    if (item->value->kind == VALUE_INITIALIZER)
        return place_node(place, node);
    *item->value->node = *node;
    return true;
}

bool emit_dequantize(struct place *place, struct plan_item *item)
{
    bool is_double = item->data_type == DATA_DOUBLE;
    const char *output = item->value->name, *inputs[3];
    if (is_double && !(output = name_fresh(place->model, output, "float")))
        return error_memory(place->err);
    if (!add_codes(place, item, &inputs[0]) ||
        !add_parameters(place, item, &inputs[1], &inputs[2]))
        return false;
    size_t count = inputs[2] ? 3 : 2;
    return add_decoder(place, item, inputs, count, output) &&
           (!is_double || add_cast(place, item, output));
}

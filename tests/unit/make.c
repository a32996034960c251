/* Making messages for unit tests, with protobuf-c alone. */
#include "quant/quant.h"
#include "support.h"

#include <string.h>

static char *held_string(const char *value)
{
    return hold_printf("%s", value);
}

void put(void *items, size_t *n, void *item)
{
    void **old, **list = hold((*n + 1) * sizeof *list);
    memcpy(&old, items, sizeof old);
    if (*n > 0)
        memcpy(list, old, *n * sizeof *list);
    list[(*n)++] = item;
    memcpy(items, &list, sizeof list);
}

/* Cuts at blanks. */
static void put_names(char ***items, size_t *n, const char *names)
{
    char *save_place = NULL;
    for (char *name = strtok_r(held_string(names), " ", &save_place); name;
         name = strtok_r(NULL, " ", &save_place))
        put(items, n, strcmp(name, "-") == 0 ? held_string("") : name);
}

/* ---- models, graphs, nodes -------------------------------------------- */

Onnx__ModelProto *make_model(int64_t ir, int64_t opset)
{
    Onnx__ModelProto *model = hold(sizeof *model);
    Onnx__OperatorSetIdProto *import = hold(sizeof *import);
    onnx__model_proto__init(model);
    onnx__operator_set_id_proto__init(import);
    model->has_ir_version = import->has_version = true;
    model->ir_version = ir;
    import->version = opset;
    import->domain = held_string("");
    put(&model->opset_import, &model->n_opset_import, import);
    model->graph = make_graph("g");
    return model;
}

Onnx__GraphProto *make_graph(const char *name)
{
    Onnx__GraphProto *graph = hold(sizeof *graph);
    onnx__graph_proto__init(graph);
    graph->name = held_string(name);
    return graph;
}

Onnx__NodeProto *make_node(const char *op_type, const char *inputs, const char *outputs)
{
    Onnx__NodeProto *node = hold(sizeof *node);
    onnx__node_proto__init(node);
    node->op_type = held_string(op_type);
    put_names(&node->input, &node->n_input, inputs);
    put_names(&node->output, &node->n_output, outputs);
    return node;
}

Onnx__FunctionProto *make_function(const char *name, const char *inputs,
                                   const char *outputs)
{
    Onnx__FunctionProto *function = hold(sizeof *function);
    onnx__function_proto__init(function);
    function->name = held_string(name);
    function->domain = held_string("local");
    put_names(&function->input, &function->n_input, inputs);
    put_names(&function->output, &function->n_output, outputs);
    return function;
}

Onnx__ModelProto *make_one(const char *op_type, Onnx__TensorProto *weight)
{
    Onnx__ModelProto *model = make_model(10, 21);
    put_input(model->graph, "X", weight->data_type);
    put_output(model->graph, "Y", weight->data_type);
    put_initializer(model->graph, weight);
    put_node(model->graph, make_node(op_type, hold_printf("X %s", weight->name), "Y"));
    return model;
}

/* ---- tensors ---------------------------------------------------------- */

Onnx__TensorProto *make_tensor(const char *name, int type, const int64_t *dims,
                               size_t rank, const void *raw, size_t size)
{
    Onnx__TensorProto *tensor = hold(sizeof *tensor);
    onnx__tensor_proto__init(tensor);
    tensor->name = held_string(name);
    tensor->has_data_type = true;
    tensor->data_type = type;
    tensor->n_dims = rank;
    tensor->dims = hold((rank + 1) * sizeof *tensor->dims);
    if (rank > 0)
        memcpy(tensor->dims, dims, rank * sizeof *dims);
    if (raw) {
        tensor->has_raw_data = true;
        tensor->raw_data.len = size;
        tensor->raw_data.data = hold(size + 1);
        memcpy(tensor->raw_data.data, raw, size);
    }
    return tensor;
}

Onnx__TensorProto *make_weight(const char *name, int type, const int64_t *dims,
                               size_t rank)
{
    size_t count = 1;
    for (size_t i = 0; i < rank; i++)
        count *= (size_t)dims[i];
    char *raw = hold(count * sizeof(double) + 1);
    size_t size = 0;
    for (size_t i = 0; i < count; i++) {
        float value = random_float();
        double wide = (double)value;
        enum real_type real = type == DATA_FLOAT16    ? REAL_FLOAT16
                              : type == DATA_BFLOAT16 ? REAL_BFLOAT16
                                                      : REAL_FLOAT32;
        if (type == DATA_DOUBLE)
            memcpy(raw + size, &wide, sizeof wide);
        else
            real_store(real, &value, 1, raw + size);
        size += type == DATA_DOUBLE ? sizeof wide : real_size(real);
    }
    return make_tensor(name, type, dims, rank, raw, size);
}

/* ---- attributes ------------------------------------------------------- */

Onnx__AttributeProto *put_attribute(Onnx__NodeProto *node, const char *name, int type)
{
    Onnx__AttributeProto *attribute = hold(sizeof *attribute);
    onnx__attribute_proto__init(attribute);
    attribute->name = held_string(name);
    attribute->has_type = true;
    attribute->type = (Onnx__AttributeProto__AttributeType)type;
    put(&node->attribute, &node->n_attribute, attribute);
    return attribute;
}

void put_int(Onnx__NodeProto *node, const char *name, int64_t value)
{
    Onnx__AttributeProto *attribute =
        put_attribute(node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT);
    attribute->has_i = true;
    attribute->i = value;
}

void put_graph(Onnx__NodeProto *node, const char *name, Onnx__GraphProto *value)
{
    put_attribute(node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__GRAPH)->g = value;
}

void put_tensor(Onnx__NodeProto *node, const char *name, Onnx__TensorProto *value)
{
    put_attribute(node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__TENSOR)->t = value;
}

/* ---- parts of graphs -------------------------------------------------- */

Onnx__NodeProto *put_node(Onnx__GraphProto *graph, Onnx__NodeProto *node)
{
    put(&graph->node, &graph->n_node, node);
    return node;
}

Onnx__TensorProto *put_initializer(Onnx__GraphProto *graph, Onnx__TensorProto *tensor)
{
    put(&graph->initializer, &graph->n_initializer, tensor);
    return tensor;
}

static Onnx__ValueInfoProto *make_info(const char *name, int type)
{
    Onnx__ValueInfoProto *info = hold(sizeof *info);
    onnx__value_info_proto__init(info);
    info->name = held_string(name);
    info->type = hold(sizeof *info->type);
    onnx__type_proto__init(info->type);
    info->type->value_case = ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
    info->type->tensor_type = hold(sizeof *info->type->tensor_type);
    onnx__type_proto__tensor__init(info->type->tensor_type);
    info->type->tensor_type->has_elem_type = true;
    info->type->tensor_type->elem_type = type;
    return info;
}

void put_input(Onnx__GraphProto *graph, const char *name, int type)
{
    put(&graph->input, &graph->n_input, make_info(name, type));
}

void put_output(Onnx__GraphProto *graph, const char *name, int type)
{
    put(&graph->output, &graph->n_output, make_info(name, type));
}

void put_info(Onnx__GraphProto *graph, const char *name, int type)
{
    put(&graph->value_info, &graph->n_value_info, make_info(name, type));
}

void put_function(Onnx__ModelProto *model, Onnx__FunctionProto *function)
{
    put(&model->functions, &model->n_functions, function);
}

void put_function_node(Onnx__FunctionProto *function, Onnx__NodeProto *node)
{
    put(&function->node, &function->n_node, node);
}

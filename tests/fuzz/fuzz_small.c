/* A small model for targets whose input is something else: two products and a table. */
#include "fuzz.h"
#include "onnx.pb-c.h"

#include <stdbool.h>
#include <stdlib.h>

enum { ROWS = 64, COLUMNS = 32 };

static char names[][2] = {"X", "W", "h", "V", "Y"};

static Onnx__TensorProto weight(char *name, int64_t *dims, float *values)
{
    Onnx__TensorProto tensor = ONNX__TENSOR_PROTO__INIT;
    tensor.name = name;
    tensor.dims = dims;
    tensor.n_dims = 2;
    tensor.has_data_type = tensor.has_raw_data = true;
    tensor.data_type = 1;
    tensor.raw_data.data = (uint8_t *)values;
    tensor.raw_data.len = ROWS * COLUMNS * sizeof *values;
    return tensor;
}

static Onnx__NodeProto product(char **inputs, char **output)
{
    Onnx__NodeProto node = ONNX__NODE_PROTO__INIT;
    node.op_type = (char *)(uintptr_t) "MatMul";
    node.name = (char *)(uintptr_t) "/layer/MatMul";
    node.input = inputs;
    node.n_input = 2;
    node.output = output;
    node.n_output = 1;
    return node;
}

void fuzz_save_small(const char *name)
{
    static float values[ROWS * COLUMNS];
    int64_t down[] = {ROWS, COLUMNS}, up[] = {COLUMNS, ROWS};
    char *first[] = {names[0], names[1]}, *second[] = {names[2], names[3]};
    char *hidden[] = {names[2]}, *output[] = {names[4]};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        values[i] = (float)(i * 37 % 101) / 50 - 1;
    Onnx__TensorProto w = weight(names[1], down, values);
    Onnx__TensorProto v = weight(names[3], up, values), *tensors[] = {&w, &v};
    Onnx__NodeProto a = product(first, hidden), b = product(second, output);
    Onnx__NodeProto *nodes[] = {&a, &b};
    Onnx__ValueInfoProto x = ONNX__VALUE_INFO_PROTO__INIT, *inputs[] = {&x};
    Onnx__ValueInfoProto y = ONNX__VALUE_INFO_PROTO__INIT, *outputs[] = {&y};
    Onnx__OperatorSetIdProto opset = ONNX__OPERATOR_SET_ID_PROTO__INIT;
    Onnx__OperatorSetIdProto *opsets[] = {&opset};
    Onnx__GraphProto graph = ONNX__GRAPH_PROTO__INIT;
    Onnx__ModelProto model = ONNX__MODEL_PROTO__INIT;
    x.name = names[0];
    y.name = names[4];
    opset.has_version = model.has_ir_version = true;
    opset.version = 21;
    model.ir_version = 10;
    model.graph = &graph;
    model.opset_import = opsets;
    model.n_opset_import = 1;
    graph.node = nodes;
    graph.initializer = tensors;
    graph.input = inputs;
    graph.output = outputs;
    graph.n_node = graph.n_initializer = 2;
    graph.n_input = graph.n_output = 1;
    size_t size = onnx__model_proto__get_packed_size(&model);
    uint8_t *bytes = malloc(size);
    if (!bytes)
        fuzz_found("no memory");
    onnx__model_proto__pack(&model, bytes);
    fuzz_save(name, bytes, size);
    free(bytes);
}

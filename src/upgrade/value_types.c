/* Types and ranks of values: what the model declares, and simple rules for values in
 * between. Ignores sizes of dimensions, and evaluates nothing. */
#include "upgrade/value_types.h"
#include "onnx/node.h"
#include "onnx/tensor.h"
#include "upgrade/operator_versions.h"

#include <string.h>

static const struct value_type unknown = {0, -1, NULL};

struct value_type type_of(const struct types *types, const char *name)
{
    for (; *name && types; types = types->outer) {
        const struct value_type *type = map_get(&types->map, name);
        if (type)
            return *type;
    }
    return unknown;
}

void types_free(struct types *types)
{
    map_free(&types->map);
}

/* Adds to what is known about a value. Known facts are never lost or changed. */
static bool learn(struct types *types, struct arena *arena, const char *name,
                  struct value_type type)
{
    if (!*name)
        return true;
    struct value_type *known = map_get(&types->map, name);
    if (!known) {
        known = arena_alloc(arena, sizeof *known);
        if (!known || !map_put(&types->map, name, known))
            return false;
        *known = unknown;
    }
    if (known->element == 0)
        known->element = type.element;
    if (known->rank < 0)
        known->rank = type.rank;
    if (!known->constant)
        known->constant = type.constant;
    return true;
}

/* ---- declarations --------------------------------------------------- */

static struct value_type declared(const Onnx__ValueInfoProto *info)
{
    struct value_type type = unknown;
    if (!info->type || info->type->value_case != ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE)
        return type;
    const Onnx__TypeProto__Tensor *tensor = info->type->tensor_type;
    type.element = tensor->elem_type;
    if (tensor->shape && tensor->shape->n_dim <= INT32_MAX)
        type.rank = (int)tensor->shape->n_dim;
    return type;
}

static struct value_type of_tensor(const Onnx__TensorProto *tensor)
{
    return (struct value_type){tensor->data_type, (int)(tensor->n_dims & INT32_MAX),
                               tensor};
}

static bool learn_infos(struct types *types, struct arena *arena,
                        Onnx__ValueInfoProto *const *infos, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!learn(types, arena, or_empty(infos[i]->name), declared(infos[i])))
            return false;
    return true;
}

bool types_of_constant(struct types *types, struct arena *arena,
                       const Onnx__TensorProto *tensor)
{
    return learn(types, arena, or_empty(tensor->name), of_tensor(tensor));
}

bool types_of_graph(struct types *types, struct arena *arena,
                    const Onnx__GraphProto *graph)
{
    for (size_t i = 0; i < graph->n_initializer; i++)
        if (!types_of_constant(types, arena, graph->initializer[i]))
            return false;
    for (size_t i = 0; i < graph->n_input; i++) {
        /* Callers may override an initializer that is also an input. */
        struct value_type *type = map_get(&types->map, or_empty(graph->input[i]->name));
        if (type)
            type->constant = NULL;
    }
    return learn_infos(types, arena, graph->input, graph->n_input) &&
           learn_infos(types, arena, graph->output, graph->n_output) &&
           learn_infos(types, arena, graph->value_info, graph->n_value_info);
}

bool types_of_function(struct types *types, struct arena *arena,
                       const Onnx__FunctionProto *function)
{
    return learn_infos(types, arena, function->value_info, function->n_value_info);
}

/* ---- element types of a node's outputs ------------------------------ */

/* For If, Loop and Scan: the type that the body declares for that output. */
static int element_from_body(const Onnx__NodeProto *node, size_t output)
{
    for (size_t i = 0; i < node->n_attribute; i++) {
        const Onnx__GraphProto *body = node->attribute[i]->g;
        size_t index = output + (node_is(node, "Loop") ? 1 : 0);
        if (body && index < body->n_output)
            return declared(body->output[index]).element;
    }
    return 0;
}

static int element_of(const struct types *types, const Onnx__NodeProto *node,
                      const struct operator_row *row, size_t output)
{
    size_t last = strlen(row->outputs) - 1;
    char rule = row->outputs[output < last ? output : last];
    if (rule >= '0' && rule <= '9')
        return type_of(types, node_input(node, (size_t)(rule - '0'))).element;
    if (rule == 'L')
        return DATA_INT64;
    if (rule == 'B')
        return DATA_BOOL;
    if (rule == 'F')
        return DATA_FLOAT;
    if (node_is(node, "Cast"))
        return (int)node_int(node, "to", 0);
    if (node_is(node, "CastLike"))
        return type_of(types, node_input(node, 1)).element;
    return element_from_body(node, output);
}

/* ---- ranks ---------------------------------------------------------- */

enum rank_rule {
    RANK_SAME,   /* the rank of input 0 */
    RANK_WIDEST, /* the highest rank of all inputs, because they are broadcast */
    RANK_ONE,
    RANK_TWO,
    RANK_LENGTH, /* the length of input 1, if that is a constant list */
};

static const struct rank_row {
    const char *op_type;
    enum rank_rule rule;
} rank_rows[] = {
    {"Add", RANK_WIDEST},
    {"AveragePool", RANK_SAME},
    {"BatchNormalization", RANK_SAME},
    {"Cast", RANK_SAME},
    {"Clip", RANK_SAME},
    {"Concat", RANK_SAME},
    {"Conv", RANK_SAME},
    {"ConvTranspose", RANK_SAME},
    {"Div", RANK_WIDEST},
    {"Dropout", RANK_SAME},
    {"Erf", RANK_SAME},
    {"Exp", RANK_SAME},
    {"Flatten", RANK_TWO},
    {"Gemm", RANK_TWO},
    {"GlobalAveragePool", RANK_SAME},
    {"Identity", RANK_SAME},
    {"LayerNormalization", RANK_SAME},
    {"LeakyRelu", RANK_SAME},
    {"MatMul", RANK_WIDEST},
    {"MaxPool", RANK_SAME},
    {"Mul", RANK_WIDEST},
    {"Neg", RANK_SAME},
    {"Pad", RANK_SAME},
    {"Pow", RANK_WIDEST},
    {"Relu", RANK_SAME},
    {"Reshape", RANK_LENGTH},
    {"Resize", RANK_SAME},
    {"Shape", RANK_ONE},
    {"Sigmoid", RANK_SAME},
    {"SimplifiedLayerNormalization", RANK_SAME},
    {"Slice", RANK_SAME},
    {"Softmax", RANK_SAME},
    {"Split", RANK_SAME},
    {"Sqrt", RANK_SAME},
    {"Sub", RANK_WIDEST},
    {"Tanh", RANK_SAME},
    {"Transpose", RANK_SAME},
    {"Where", RANK_WIDEST},
};

static int widest(const struct types *types, const Onnx__NodeProto *node)
{
    int rank = -1, lowest = 2;
    for (size_t i = 0; i < node->n_input; i++) {
        int other = type_of(types, node_input(node, i)).rank;
        if (other < 0)
            return -1;
        rank = other > rank ? other : rank;
        lowest = other < lowest ? other : lowest;
    }
    /* MatMul with a vector drops a dimension. */
    return node_is(node, "MatMul") && lowest < 2 ? -1 : rank;
}

static int rank_by_length(const struct types *types, const Onnx__NodeProto *node)
{
    const Onnx__TensorProto *list = type_of(types, node_input(node, 1)).constant;
    return list && list->n_dims == 1 && list->dims[0] <= INT32_MAX ? (int)list->dims[0]
                                                                   : -1;
}

static int rank_of(const struct types *types, const Onnx__NodeProto *node)
{
    for (size_t i = 0; i < sizeof rank_rows / sizeof *rank_rows; i++) {
        if (!name_is(or_empty(node->op_type), rank_rows[i].op_type))
            continue;
        switch (rank_rows[i].rule) {
        case RANK_ONE:
            return 1;
        case RANK_TWO:
            return 2;
        case RANK_WIDEST:
            return widest(types, node);
        case RANK_LENGTH:
            return rank_by_length(types, node);
        case RANK_SAME:
            return type_of(types, node_input(node, 0)).rank;
        }
    }
    return -1;
}

/* ---- nodes ---------------------------------------------------------- */

static bool learn_constant(struct types *types, struct arena *arena,
                           const Onnx__NodeProto *node)
{
    const Onnx__AttributeProto *value = node_attribute(node, "value");
    return !value || !value->t ||
           learn(types, arena, node_output(node, 0), of_tensor(value->t));
}

bool types_of_node(struct types *types, struct arena *arena, const Onnx__NodeProto *node)
{
    if (!domain_is_standard(node->domain))
        return true;
    if (node_is(node, "Constant"))
        return learn_constant(types, arena, node);
    const struct operator_row *row = operator_find(or_empty(node->op_type));
    if (!row)
        row = runtime_operator_find(or_empty(node->op_type), INT64_MAX);
    int rank = row ? rank_of(types, node) : -1;
    for (size_t i = 0; row && i < node->n_output; i++) {
        struct value_type type = {element_of(types, node, row, i), rank, NULL};
        if (!learn(types, arena, node_output(node, i), type))
            return false;
    }
    return true;
}

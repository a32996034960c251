/* Which operators compute in float16. The rows follow the types of the schemas, and what
 * is known of their ranges: exponents, powers and sums leave float16 quickly, and small
 * denominators vanish in it. */
#include "compute/compute_operators.h"
#include "core/sizes.h"
#include "onnx/tensor.h"

/* clang-format off */
static const struct compute_operator standard[] = {
    {"Abs", .kind = COMPUTE_FOLLOWS},
    {"Add", .kind = COMPUTE_FOLLOWS},
    {"ArgMax", .kind = COMPUTE_FOLLOWS},
    {"ArgMin", .kind = COMPUTE_FOLLOWS},
    {"Attention", .kind = COMPUTE_BOUNDS},
    {"AveragePool", .kind = COMPUTE_FOLLOWS},
    {"BatchNormalization", .kind = COMPUTE_BOUNDS},
    {"Cast", .kind = COMPUTE_FOLLOWS},
    {"CenterCropPad", .kind = COMPUTE_FOLLOWS},
    {"Clip", .kind = COMPUTE_FOLLOWS, .limits = 1 << 1 | 1 << 2},
    {"Compress", .kind = COMPUTE_FOLLOWS},
    {"Concat", .kind = COMPUTE_FOLLOWS},
    {"ConstantOfShape", .kind = COMPUTE_FOLLOWS},
    {"Conv", .kind = COMPUTE_PRODUCTS},
    {"ConvTranspose", .kind = COMPUTE_PRODUCTS},
    {"Cosh", .kind = COMPUTE_WIDENS},
    {"CumProd", .kind = COMPUTE_WIDENS},
    {"CumSum", .kind = COMPUTE_WIDENS},
    {"DFT", .kind = COMPUTE_WIDENS},
    {"DeformConv", .kind = COMPUTE_PRODUCTS},
    {"DepthToSpace", .kind = COMPUTE_FOLLOWS},
    {"DequantizeLinear", .kind = COMPUTE_PRODUCTS, .since = 19},
    {"Det", .kind = COMPUTE_WIDENS},
    {"Div", .kind = COMPUTE_FOLLOWS},
    {"Dropout", .kind = COMPUTE_FOLLOWS, .stays = 1 << 1},
    {"Einsum", .kind = COMPUTE_PRODUCTS},
    {"Elu", .kind = COMPUTE_FOLLOWS},
    {"Equal", .kind = COMPUTE_FOLLOWS, .since = 11},
    {"Erf", .kind = COMPUTE_BOUNDS},
    {"Exp", .kind = COMPUTE_WIDENS},
    {"Expand", .kind = COMPUTE_FOLLOWS},
    {"Flatten", .kind = COMPUTE_FOLLOWS},
    {"GRU", .kind = COMPUTE_PRODUCTS},
    {"Gather", .kind = COMPUTE_FOLLOWS},
    {"GatherElements", .kind = COMPUTE_FOLLOWS},
    {"GatherND", .kind = COMPUTE_FOLLOWS},
    {"Gelu", .kind = COMPUTE_FOLLOWS},
    {"Gemm", .kind = COMPUTE_PRODUCTS},
    {"GlobalAveragePool", .kind = COMPUTE_FOLLOWS},
    {"GlobalLpPool", .kind = COMPUTE_WIDENS},
    {"GlobalMaxPool", .kind = COMPUTE_FOLLOWS},
    {"Greater", .kind = COMPUTE_FOLLOWS, .since = 7},
    {"GreaterOrEqual", .kind = COMPUTE_FOLLOWS},
    {"GroupNormalization", .kind = COMPUTE_BOUNDS},
    {"HardSigmoid", .kind = COMPUTE_BOUNDS},
    {"HardSwish", .kind = COMPUTE_FOLLOWS},
    {"Hardmax", .kind = COMPUTE_BOUNDS},
    {"Identity", .kind = COMPUTE_FOLLOWS},
    {"InstanceNormalization", .kind = COMPUTE_BOUNDS},
    {"LRN", .kind = COMPUTE_BOUNDS},
    {"LSTM", .kind = COMPUTE_PRODUCTS},
    {"LayerNormalization", .kind = COMPUTE_BOUNDS, .since = 17},
    {"LeakyRelu", .kind = COMPUTE_FOLLOWS},
    {"Less", .kind = COMPUTE_FOLLOWS, .since = 7},
    {"LessOrEqual", .kind = COMPUTE_FOLLOWS},
    {"LogSoftmax", .kind = COMPUTE_BOUNDS},
    {"LpNormalization", .kind = COMPUTE_BOUNDS},
    {"LpPool", .kind = COMPUTE_WIDENS},
    {"MatMul", .kind = COMPUTE_PRODUCTS},
    {"Max", .kind = COMPUTE_FOLLOWS, .limits = COMPUTE_ALL},
    {"MaxPool", .kind = COMPUTE_FOLLOWS},
    {"Mean", .kind = COMPUTE_FOLLOWS},
    {"MelWeightMatrix", .kind = COMPUTE_WIDENS},
    {"Min", .kind = COMPUTE_FOLLOWS, .limits = COMPUTE_ALL},
    {"Mish", .kind = COMPUTE_FOLLOWS},
    {"Mul", .kind = COMPUTE_FOLLOWS},
    {"Neg", .kind = COMPUTE_FOLLOWS},
    {"PRelu", .kind = COMPUTE_FOLLOWS},
    {"Pad", .kind = COMPUTE_FOLLOWS},
    {"Pow", .kind = COMPUTE_WIDENS},
    {"RMSNormalization", .kind = COMPUTE_BOUNDS},
    {"RNN", .kind = COMPUTE_PRODUCTS},
    {"Range", .kind = COMPUTE_WIDENS},
    {"Reciprocal", .kind = COMPUTE_WIDENS},
    {"ReduceL1", .kind = COMPUTE_WIDENS},
    {"ReduceL2", .kind = COMPUTE_WIDENS},
    {"ReduceLogSum", .kind = COMPUTE_WIDENS},
    {"ReduceLogSumExp", .kind = COMPUTE_WIDENS},
    {"ReduceMax", .kind = COMPUTE_FOLLOWS},
    {"ReduceMean", .kind = COMPUTE_FOLLOWS},
    {"ReduceMin", .kind = COMPUTE_FOLLOWS},
    {"ReduceProd", .kind = COMPUTE_WIDENS},
    {"ReduceSum", .kind = COMPUTE_WIDENS},
    {"ReduceSumSquare", .kind = COMPUTE_WIDENS},
    {"Relu", .kind = COMPUTE_FOLLOWS},
    {"Reshape", .kind = COMPUTE_FOLLOWS},
    {"Resize", .kind = COMPUTE_FOLLOWS, .stays = 1 << 1 | 1 << 2},
    {"ReverseSequence", .kind = COMPUTE_FOLLOWS},
    {"RotaryEmbedding", .kind = COMPUTE_PRODUCTS},
    {"STFT", .kind = COMPUTE_WIDENS},
    {"Scatter", .kind = COMPUTE_FOLLOWS},
    {"ScatterElements", .kind = COMPUTE_FOLLOWS},
    {"ScatterND", .kind = COMPUTE_FOLLOWS},
    {"Selu", .kind = COMPUTE_FOLLOWS},
    {"Sigmoid", .kind = COMPUTE_BOUNDS},
    {"SimplifiedLayerNormalization", .kind = COMPUTE_BOUNDS},
    {"Sinh", .kind = COMPUTE_WIDENS},
    {"Slice", .kind = COMPUTE_FOLLOWS},
    {"Softmax", .kind = COMPUTE_BOUNDS},
    {"Softplus", .kind = COMPUTE_WIDENS},
    {"Softsign", .kind = COMPUTE_BOUNDS},
    {"SpaceToDepth", .kind = COMPUTE_FOLLOWS},
    {"Split", .kind = COMPUTE_FOLLOWS},
    {"Sqrt", .kind = COMPUTE_WIDENS},
    {"Squeeze", .kind = COMPUTE_FOLLOWS},
    {"Sub", .kind = COMPUTE_FOLLOWS},
    {"Sum", .kind = COMPUTE_FOLLOWS},
    {"SwiGLU", .kind = COMPUTE_FOLLOWS},
    {"Swish", .kind = COMPUTE_FOLLOWS},
    {"Tan", .kind = COMPUTE_WIDENS},
    {"Tanh", .kind = COMPUTE_BOUNDS},
    {"ThresholdedRelu", .kind = COMPUTE_FOLLOWS},
    {"Tile", .kind = COMPUTE_FOLLOWS},
    {"Transpose", .kind = COMPUTE_FOLLOWS},
    {"Trilu", .kind = COMPUTE_FOLLOWS},
    {"Unsqueeze", .kind = COMPUTE_FOLLOWS},
    {"Upsample", .kind = COMPUTE_FOLLOWS, .stays = 1 << 1},
    {"Where", .kind = COMPUTE_FOLLOWS},
};

static const struct compute_operator microsoft[] = {
    {"Attention", .kind = COMPUTE_BOUNDS, .outputs = "0"},
    {"BiasAdd", .kind = COMPUTE_FOLLOWS, .outputs = "0"},
    {"BiasGelu", .kind = COMPUTE_FOLLOWS, .outputs = "0"},
    {"BiasSplitGelu", .kind = COMPUTE_FOLLOWS, .outputs = "0"},
    {"EmbedLayerNormalization", .kind = COMPUTE_BOUNDS, .outputs = "2?2"},
    {"FastGelu", .kind = COMPUTE_FOLLOWS, .outputs = "0"},
    {"FusedConv", .kind = COMPUTE_PRODUCTS, .outputs = "0"},
    {"FusedGemm", .kind = COMPUTE_PRODUCTS, .outputs = "0"},
    {"FusedMatMul", .kind = COMPUTE_PRODUCTS, .outputs = "0"},
    {"Gelu", .kind = COMPUTE_FOLLOWS, .outputs = "0"},
    {"GatherBlockQuantized", .kind = COMPUTE_PRODUCTS, .outputs = "2"},
    {"GroupQueryAttention", .kind = COMPUTE_BOUNDS, .outputs = "0"},
    {"MatMulNBits", .kind = COMPUTE_PRODUCTS, .outputs = "0"},
    {"MultiHeadAttention", .kind = COMPUTE_BOUNDS, .outputs = "0"},
    {"QuickGelu", .kind = COMPUTE_FOLLOWS, .outputs = "0"},
    {"RotaryEmbedding", .kind = COMPUTE_PRODUCTS, .outputs = "0"},
    {"SkipLayerNormalization", .kind = COMPUTE_BOUNDS, .outputs = "0FF0"},
    {"SkipSimplifiedLayerNormalization", .kind = COMPUTE_BOUNDS, .outputs = "0FF0"},
};
/* clang-format on */

static const struct compute_operator *find(const struct compute_operator *rows,
                                           size_t count, const char *op_type)
{
    for (size_t i = 0; i < count; i++)
        if (name_is(rows[i].op_type, op_type))
            return &rows[i];
    return NULL;
}

#define FIND(rows, node) find(rows, COUNT_OF(rows), or_empty((node)->op_type))

const struct compute_operator *compute_operator_find(const Onnx__NodeProto *node,
                                                     int64_t opset)
{
    const char *domain = or_empty(node->domain);
    if (domain_same(domain, MICROSOFT))
        return FIND(microsoft, node);
    const struct compute_operator *row =
        domain_is_standard(domain) ? FIND(standard, node) : NULL;
    return row && row->since <= opset ? row : NULL;
}

/* ---- positions ---------------------------------------------------------------- */

static const struct place {
    const char *op_type;
    unsigned inputs;
} places[] = {
    {"AffineGrid", COMPUTE_ALL},   {"Ceil", COMPUTE_ALL},
    {"Cos", COMPUTE_ALL},          {"CumSum", COMPUTE_ALL},
    {"Floor", COMPUTE_ALL},        {"GridSample", 1 << 1},
    {"MaxRoiPool", 1 << 1},        {"Mod", COMPUTE_ALL},
    {"NonMaxSuppression", 1 << 0}, {"Range", COMPUTE_ALL},
    {"Resize", 1 << 1 | 1 << 2},   {"RoiAlign", 1 << 1},
    {"Round", COMPUTE_ALL},        {"Sin", COMPUTE_ALL},
    {"Tan", COMPUTE_ALL},          {"Upsample", 1 << 1},
};

bool compute_is_place(const Onnx__NodeProto *node, size_t input)
{
    if (node_is(node, "Cast")) {
        int to = (int)node_int(node, "to", DATA_FLOAT);
        return !data_type_is_float(to) && to != DATA_BOOL;
    }
    for (size_t i = 0; i < COUNT_OF(places); i++)
        if (node_is(node, places[i].op_type))
            return compute_in_mask(places[i].inputs, input);
    return false;
}

bool compute_takes_any(const Onnx__NodeProto *node)
{
    return node_is(node, "Cast") || node_is(node, "Shape") || node_is(node, "Size");
}

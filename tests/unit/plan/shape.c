/* The shape and scheme of what is quantized: block rules, sizes, opsets. */
#include "pipeline.h"

static struct plan_item *plan_weight(const char *op_type, Onnx__TensorProto *weight,
                                     const struct plan_options *options)
{
    return item_named(pipeline_plan(make_one(op_type, weight), options), "W");
}

/* The block of a MatMul's channel of K elements: the largest power of two from 32 to 256
 * that divides it, else 256. A shorter channel is not cut, unless MatMulNBits wants
 * blocks: then it gets the next power of two from 16 on. */
static void test_default_blocks(void **state)
{
    (void)state;
    static const struct {
        int64_t length;
        size_t block, nbits; /* 0: a scale for the channel */
    } rows[] = {{2, 0, 16},      {15, 0, 16},      {16, 16, 16},   {17, 0, 32},
                {32, 32, 32},    {33, 0, 64},      {96, 32, 32},   {120, 0, 128},
                {128, 128, 128}, {129, 0, 256},    {160, 32, 32},  {192, 64, 64},
                {200, 0, 256},   {240, 0, 256},    {255, 0, 256},  {256, 256, 256},
                {257, 256, 256}, {288, 32, 32},    {320, 64, 64},  {384, 128, 128},
                {576, 64, 64},   {1000, 256, 256}, {3136, 64, 64}, {4096, 256, 256}};
    for (size_t i = 0; i < 2 * COUNT(rows); i++) {
        struct plan_options options = plan_defaults();
        options.nbits = i % 2;
        int64_t length = rows[i / 2].length;
        size_t block = options.nbits ? rows[i / 2].nbits : rows[i / 2].block;
        const struct plan_item *item = plan_weight(
            "MatMul", make_weight("W", DATA_FLOAT, DIMS(length, 40)), &options);
        assert_true(item->quantize);
        assert_int_equal(item->granularity,
                         block ? GRANULARITY_BLOCKS : GRANULARITY_CHANNEL);
        assert_int_equal(item->channel_axis, 1);
        assert_int_equal(item->axis, block ? 0 : 1);
        assert_int_equal(item->shape.block, block);
        assert_int_equal(item->shape.dim, block ? length : 40);
    }
}

/* 7 codes and 7 scales are no gain. */
static void test_single_row(void **state)
{
    (void)state;
    struct plan_options options = plan_defaults();
    assert_false(plan_weight("MatMul", make_weight("W", DATA_FLOAT, DIMS(1, 7)), &options)
                     ->quantize);
}

static void test_default_of_other_operators(void **state)
{
    (void)state;
    struct plan_options options = plan_defaults();
    const struct plan_item *item =
        plan_weight("Conv", make_weight("W", DATA_FLOAT, DIMS(8, 600, 3, 3)), &options);
    assert_int_equal(item->granularity, GRANULARITY_CHANNEL);
    assert_int_equal(item->axis, 0);
    assert_int_equal(item->shape.outer, 1);
    assert_int_equal(item->shape.dim, 8);
    assert_int_equal(item->shape.inner, 600 * 9);
    assert_int_equal(item->shape.block, 0);
    item = plan_weight("ConvTranspose", make_weight("W", DATA_FLOAT, DIMS(8, 6, 3, 3)),
                       &options);
    assert_int_equal(item->granularity, GRANULARITY_CHANNEL);
    assert_int_equal(item->axis, 1);
    assert_int_equal(item->shape.outer, 8);
    assert_int_equal(item->shape.dim, 6);
    assert_int_equal(item->shape.inner, 9);
}

/* Of several consumers the first says how the weight lies. */
static void test_first_consumer_decides(void **state)
{
    (void)state;
    for (int transposed_first = 0; transposed_first < 2; transposed_first++) {
        Onnx__ModelProto *proto = make_model(10, 21);
        put_initializer(proto->graph, make_weight("W", DATA_FLOAT, DIMS(64, 64)));
        for (int i = 0; i < 2; i++) {
            Onnx__NodeProto *node = make_node("Gemm", "X W", hold_printf("Y%d", i));
            put_int(put_node(proto->graph, node), "transB", (i == 0) == transposed_first);
        }
        struct plan_options options = plan_defaults();
        const struct plan_item *item = item_named(pipeline_plan(proto, &options), "W");
        assert_true(item->quantize);
        assert_int_equal(item->axis, transposed_first);
        assert_int_equal(item->channel_axis, 1 - transposed_first);
    }
}

static void test_granularities(void **state)
{
    (void)state;
    struct plan_options options = plan_defaults();
    options.granularity = GRANULARITY_CHANNEL;
    const struct plan_item *item =
        plan_weight("MatMul", make_weight("W", DATA_FLOAT, DIMS(4, 64, 10)), &options);
    assert_int_equal(item->granularity, GRANULARITY_CHANNEL);
    assert_int_equal(item->axis, 2);
    assert_int_equal(item->shape.outer, 256);
    assert_int_equal(item->shape.dim, 10);
    assert_int_equal(item->shape.inner, 1);
    assert_int_equal(item->shape.block, 0);

    options.granularity = GRANULARITY_TENSOR;
    item = plan_weight("MatMul", make_weight("W", DATA_FLOAT, DIMS(4, 64, 10)), &options);
    assert_int_equal(item->granularity, GRANULARITY_TENSOR);
    assert_int_equal(quant_groups(&item->shape), 1);
    assert_int_equal(quant_elements(&item->shape), 4 * 64 * 10);

    options.granularity = GRANULARITY_BLOCKS;
    options.block_size = 24;
    item = plan_weight("MatMul", make_weight("W", DATA_FLOAT, DIMS(4, 64, 10)), &options);
    assert_int_equal(item->granularity, GRANULARITY_BLOCKS);
    assert_int_equal(item->axis, 1);
    assert_int_equal(item->shape.outer, 4);
    assert_int_equal(item->shape.dim, 64);
    assert_int_equal(item->shape.inner, 10);
    assert_int_equal(item->shape.block, 24);
    assert_int_equal(quant_groups(&item->shape), 4 * 3 * 10);
}

/* An axis below 16 and below the block is not cut: its channels are. */
static void test_short_axes(void **state)
{
    (void)state;
    static const struct {
        int64_t length;
        uint64_t block;
        enum granularity granularity;
    } rows[] = {
        {3, 32, GRANULARITY_CHANNEL},  {15, 32, GRANULARITY_CHANNEL},
        {15, 16, GRANULARITY_CHANNEL}, {16, 32, GRANULARITY_BLOCKS},
        {17, 32, GRANULARITY_BLOCKS},  {15, 15, GRANULARITY_BLOCKS},
        {15, 4, GRANULARITY_BLOCKS},   {64, 32, GRANULARITY_BLOCKS},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct plan_options options = plan_defaults();
        options.granularity = GRANULARITY_BLOCKS;
        options.block_size = rows[i].block;
        const struct plan_item *item = plan_weight(
            "Conv", make_weight("W", DATA_FLOAT, DIMS(8, rows[i].length, 3, 3)),
            &options);
        assert_true(item->quantize);
        assert_int_equal(item->granularity, rows[i].granularity);
        bool blocks = rows[i].granularity == GRANULARITY_BLOCKS;
        assert_int_equal(item->axis, blocks ? 1 : 0);
        assert_int_equal(item->shape.block, blocks ? rows[i].block : 0);
    }
}

/* Two directions of an LSTM: only blocks as long as a row keep their channels apart. */
static void test_two_directions(void **state)
{
    (void)state;
    for (int64_t directions = 1; directions <= 2; directions++) {
        struct plan_options options = plan_defaults();
        const struct plan_item *item = plan_weight(
            "LSTM", make_weight("W", DATA_FLOAT, DIMS(directions, 32, 20)), &options);
        assert_true(item->quantize);
        assert_int_equal(quant_groups(&item->shape), directions * 32);
        assert_int_equal(item->granularity,
                         directions == 1 ? GRANULARITY_CHANNEL : GRANULARITY_BLOCKS);
    }
}

/* ONNX Runtime computes some blocks of MatMul wrongly: they are refused for it. */
static void test_blocks_that_go_wrong(void **state)
{
    (void)state;
    static const struct {
        const char *op_type;
        uint64_t block;
        enum target target;
        bool good;
    } rows[] = {
        {"MatMul", 256, TARGET_ONNXRUNTIME, true},
        {"MatMul", 512, TARGET_ONNXRUNTIME, false},
        {"MatMul", 4096, TARGET_ONNXRUNTIME, false},
        {"MatMul", 500, TARGET_ONNXRUNTIME, true},
        {"MatMul", 512, TARGET_GENERIC, true},
        {"Conv", 512, TARGET_ONNXRUNTIME, true},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct error err = {0};
        struct graph_index index;
        struct plan plan;
        struct plan_options options = plan_defaults();
        options.granularity = GRANULARITY_BLOCKS;
        options.block_size = rows[i].block;
        options.target = rows[i].target;
        bool conv = rows[i].op_type[0] == 'C';
        struct model *model = read_proto(make_one(
            rows[i].op_type, conv ? make_weight("W", DATA_FLOAT, DIMS(8, 1024, 1))
                                  : make_weight("W", DATA_FLOAT, DIMS(1024, 8))));
        assert_true(graph_index(model, &index, &err));
        assert_int_equal(plan_make(model, &index, &options, &plan, &err), rows[i].good);
        if (rows[i].good)
            assert_fine(&err);
        else
            assert_failed(&err, STATUS_INVALID, "'W'");
        plan_free(&plan);
        graph_index_free(&index);
    }
}

/* ---- sizes ----------------------------------------------------------- */

/* By hand: codes + scales + zero points. */
static void test_bytes(void **state)
{
    (void)state;
    static const struct {
        enum quant_type type;
        bool symmetric;
        int data_type;
        enum granularity granularity;
        uint64_t bytes; /* of [33, 5] with blocks of 16: 165 elements, 15 groups */
    } rows[] = {
        {QUANT_INT4, true, DATA_FLOAT, GRANULARITY_BLOCKS, 83 + 60},
        {QUANT_INT4, false, DATA_FLOAT, GRANULARITY_BLOCKS, 83 + 60 + 8},
        {QUANT_UINT4, false, DATA_FLOAT, GRANULARITY_BLOCKS, 83 + 60 + 8},
        {QUANT_UINT4, true, DATA_FLOAT, GRANULARITY_BLOCKS, 83 + 60 + 8},
        {QUANT_INT8, true, DATA_FLOAT, GRANULARITY_BLOCKS, 165 + 60},
        {QUANT_UINT8, false, DATA_FLOAT, GRANULARITY_BLOCKS, 165 + 60 + 15},
        {QUANT_INT4, true, DATA_FLOAT16, GRANULARITY_BLOCKS, 83 + 30},
        {QUANT_UINT4, false, DATA_BFLOAT16, GRANULARITY_BLOCKS, 83 + 30 + 8},
        {QUANT_INT4, true, DATA_DOUBLE, GRANULARITY_BLOCKS, 83 + 60},
        {QUANT_INT4, true, DATA_FLOAT, GRANULARITY_CHANNEL, 83 + 20},
        {QUANT_UINT4, false, DATA_FLOAT, GRANULARITY_CHANNEL, 83 + 20 + 3},
        {QUANT_UINT4, false, DATA_FLOAT, GRANULARITY_TENSOR, 83 + 4 + 1},
        {QUANT_INT8, true, DATA_FLOAT, GRANULARITY_TENSOR, 165 + 4},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct plan_options options = plan_defaults();
        options.scheme.type = rows[i].type;
        options.scheme.symmetric = rows[i].symmetric;
        options.granularity = rows[i].granularity;
        options.block_size = 16;
        const struct plan_item *item = plan_weight(
            "MatMul", make_weight("W", rows[i].data_type, DIMS(33, 5)), &options);
        assert_true(item->quantize);
        assert_int_equal(plan_bytes(item), rows[i].bytes);
        assert_true(plan_bytes(item) < item->bytes);
    }
}

/* ---- schemes --------------------------------------------------------- */

static void test_scale_types(void **state)
{
    (void)state;
    static const struct {
        int data_type;
        enum real_type scale_type;
    } rows[] = {{DATA_FLOAT, REAL_FLOAT32},
                {DATA_FLOAT16, REAL_FLOAT16},
                {DATA_BFLOAT16, REAL_BFLOAT16},
                {DATA_DOUBLE, REAL_FLOAT32}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct plan_options options = plan_defaults();
        const struct plan_item *item = plan_weight(
            "MatMul", make_weight("W", rows[i].data_type, DIMS(64, 8)), &options);
        assert_int_equal(item->scheme.scale_type, rows[i].scale_type);
        assert_int_equal(item->data_type, rows[i].data_type);
        assert_int_equal(item->form, FORM_DEQUANTIZE);
    }
}

/* The opset at which DequantizeLinear takes the types and attributes used. */
static void test_opset(void **state)
{
    (void)state;
    static const struct {
        enum quant_type type;
        int data_type;
        enum granularity granularity;
        int64_t opset;
    } rows[] = {
        {QUANT_INT4, DATA_FLOAT, GRANULARITY_TENSOR, 21},
        {QUANT_UINT4, DATA_FLOAT, GRANULARITY_CHANNEL, 21},
        {QUANT_INT8, DATA_FLOAT, GRANULARITY_BLOCKS, 21},
        {QUANT_INT8, DATA_FLOAT, GRANULARITY_CHANNEL, 13},
        {QUANT_UINT8, DATA_FLOAT, GRANULARITY_CHANNEL, 13},
        {QUANT_INT8, DATA_DOUBLE, GRANULARITY_CHANNEL, 13},
        {QUANT_INT8, DATA_FLOAT16, GRANULARITY_CHANNEL, 19},
        {QUANT_UINT8, DATA_BFLOAT16, GRANULARITY_TENSOR, 19},
        {QUANT_INT8, DATA_FLOAT16, GRANULARITY_BLOCKS, 21},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct plan_options options = plan_defaults();
        options.scheme.type = rows[i].type;
        options.granularity = rows[i].granularity;
        options.block_size = 32;
        struct pipeline *pipeline = pipeline_plan(
            make_one("MatMul", make_weight("W", rows[i].data_type, DIMS(64, 8))),
            &options);
        assert_int_equal(pipeline->plan.quantized, 1);
        assert_int_equal(plan_opset(&pipeline->plan), rows[i].opset);
    }
    struct plan none = {0};
    assert_int_equal(plan_opset(&none), 0);
}

/* The highest of all weights counts, and only of those that are quantized. */
static void test_opset_of_many(void **state)
{
    (void)state;
    Onnx__ModelProto *proto =
        make_one("MatMul", make_weight("W", DATA_FLOAT, DIMS(64, 8)));
    put_initializer(proto->graph, make_weight("H", DATA_FLOAT16, DIMS(64, 8)));
    put_node(proto->graph, make_node("MatMul", "X H", "Z"));
    struct plan_options options = plan_defaults();
    options.scheme.type = QUANT_INT8;
    options.granularity = GRANULARITY_CHANNEL;
    assert_int_equal(plan_opset(&pipeline_plan(proto, &options)->plan), 19);
    put_output(proto->graph, "H", DATA_FLOAT16);
    assert_int_equal(plan_opset(&pipeline_plan(proto, &options)->plan), 13);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_default_blocks),
        TEST(test_single_row),
        TEST(test_default_of_other_operators),
        TEST(test_first_consumer_decides),
        TEST(test_granularities),
        TEST(test_short_axes),
        TEST(test_two_directions),
        TEST(test_blocks_that_go_wrong),
        TEST(test_bytes),
        TEST(test_scale_types),
        TEST(test_opset),
        TEST(test_opset_of_many),
    };
    return RUN(tests);
}

/* Weights beside quantized activations: what scales they get there, and in which form. */
#include "pipeline.h"

/* What stands in front of MatMul and behind it, as lists of nodes by op type. */
static Onnx__ModelProto *make_chain(const char *const *front, const char *const *behind)
{
    Onnx__ModelProto *proto = make_model(10, 21);
    Onnx__GraphProto *graph = proto->graph;
    const char *value = "X";
    put_initializer(graph, make_weight("W", DATA_FLOAT, DIMS(256, 64)));
    put_input(graph, "X", DATA_FLOAT);
    for (int side = 0; side < 2; side++) {
        for (const char *const *op = side ? behind : front; *op; op++) {
            const char *next = hold_printf("%s_%s", value, *op);
            put_node(graph, make_node(*op, hold_printf("%s k", value), next));
            value = next;
        }
        if (side == 0)
            put_node(graph, make_node("MatMul", hold_printf("%s W", value), "H"));
        value = "H";
    }
    return proto;
}

#define LIST(...) ((const char *const[]){__VA_ARGS__, NULL})
#define NOTHING   ((const char *const[]){NULL})
#define Q         "QuantizeLinear"
#define D         "DequantizeLinear"

static void test_found(void **state)
{
    (void)state;
    const struct {
        const char *const *front, *const *behind;
        bool found;
    } rows[] = {
        {NOTHING, NOTHING, false},
        {LIST(Q, D), NOTHING, true},
        {NOTHING, LIST(Q, D), true},
        {LIST(Q, D, "Reshape", "Transpose"), NOTHING, true},
        {NOTHING, LIST("Relu", "Squeeze", Q), true},
        {LIST(Q, D, "Sigmoid"), NOTHING, false},
        {NOTHING, LIST("Softmax", Q), false},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct plan_options options = plan_defaults();
        options.scheme.type = QUANT_INT8;
        Onnx__ModelProto *proto = make_chain(rows[i].front, rows[i].behind);
        const struct plan_item *item = item_named(pipeline_plan(proto, &options), "W");
        assert_int_equal(item->joined, rows[i].found);
        assert_int_equal(item->fused, !rows[i].found);
        assert_int_equal(item->granularity,
                         rows[i].found ? GRANULARITY_CHANNEL : GRANULARITY_BLOCKS);
        assert_int_equal(plan_has_zeros(item), rows[i].found);
        options.granularity = GRANULARITY_BLOCKS;
        options.block_size = 32;
        item = item_named(pipeline_plan(proto, &options), "W");
        assert_int_equal(item->form, rows[i].found ? FORM_LOAD : FORM_DEQUANTIZE);
        assert_int_equal(item->granularity, GRANULARITY_BLOCKS);
        options.scheme.type = QUANT_INT4; /* given to no integer operator */
        item = item_named(pipeline_plan(proto, &options), "W");
        assert_int_equal(item->form, FORM_DEQUANTIZE);
        assert_int_equal(item->fused, !rows[i].found);
        options.decode = DECODE_AUTO; /* does not count on what is not fused */
        item = item_named(pipeline_plan(proto, &options), "W");
        assert_int_equal(item->form, rows[i].found ? FORM_LOAD : FORM_DEQUANTIZE);
    }
}

/* One weight, a use beside quantized activations and one that is not: the codes that
 * both read suit both. */
static void test_shared(void **state)
{
    (void)state;
    Onnx__ModelProto *proto = make_chain(LIST(Q, D), NOTHING);
    put_node(proto->graph, make_node("Einsum", "X W", "Z"));
    struct plan_options options = plan_defaults();
    options.scheme.type = QUANT_INT8;
    options.granularity = GRANULARITY_BLOCKS;
    options.block_size = 32;
    const struct plan_item *item = item_named(pipeline_plan(proto, &options), "W");
    assert_true(item->alone);
    assert_int_equal(item->form, FORM_LOAD);
}

/* A value with more consumers than are looked at is in doubt only where something is
 * quantized at all. */
static void test_many_consumers(void **state)
{
    (void)state;
    for (int quantized = 0; quantized < 2; quantized++) {
        Onnx__ModelProto *proto = make_chain(NOTHING, NOTHING);
        for (int i = 0; i < 100; i++)
            put_node(proto->graph, make_node("Slice", "H a", hold_printf("S%d", i)));
        if (quantized)
            put_node(proto->graph, make_node(Q, "X k", "XQ"));
        struct plan_options options = plan_defaults();
        const struct plan_item *item = item_named(pipeline_plan(proto, &options), "W");
        assert_int_equal(item->fused, !quantized);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_found),
        TEST(test_shared),
        TEST(test_many_consumers),
    };
    return RUN(tests);
}

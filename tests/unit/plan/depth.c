/* Depth: along chains, beside each other, and through bodies and functions. */
#include "plan/depth.h"
#include "pipeline.h"

static size_t depth_of(Onnx__ModelProto *proto)
{
    struct plan_options options = plan_defaults();
    struct pipeline *p = pipeline_plan(proto, &options);
    struct error err = {0};
    size_t depth = 99;
    assert_true(plan_depth(p->model, &p->index, &p->plan, &depth, &err));
    assert_fine(&err);
    return depth;
}

static void put_weight(Onnx__ModelProto *proto, const char *name)
{
    put_initializer(proto->graph, make_weight(name, DATA_FLOAT, DIMS(64, 64)));
}

/* X times each of these weights, one after the other; the last product is the output. */
static Onnx__ModelProto *chain(size_t count)
{
    Onnx__ModelProto *proto = make_model(10, 21);
    put_input(proto->graph, "X", DATA_FLOAT);
    for (size_t i = 0; i < count; i++) {
        const char *from = i ? hold_printf("h%zu", i - 1) : "X";
        put_weight(proto, hold_printf("W%zu", i));
        put_node(proto->graph, make_node("MatMul", hold_printf("%s W%zu", from, i),
                                         hold_printf("h%zu", i)));
    }
    put_output(proto->graph, count ? hold_printf("h%zu", count - 1) : "X", DATA_FLOAT);
    return proto;
}

static void test_chain(void **state)
{
    (void)state;
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(depth_of(chain(i)), i);
}

/* The longest way counts; what leads to no output does not. */
static void test_ways(void **state)
{
    (void)state;
    Onnx__ModelProto *proto = chain(3);
    put_weight(proto, "V");
    put_node(proto->graph, make_node("MatMul", "X V", "side"));
    put_node(proto->graph, make_node("Add", "side h2", "sum"));
    put_node(proto->graph, make_node("MatMul", "sum V", "unused"));
    put_output(proto->graph, "sum", DATA_FLOAT);
    assert_int_equal(depth_of(proto), 3);
    put_output(proto->graph, "unused", DATA_FLOAT);
    assert_int_equal(depth_of(proto), 4);
}

/* Both weights of an LSTM count. */
static void test_two_weights(void **state)
{
    (void)state;
    Onnx__ModelProto *proto = chain(1);
    put_initializer(proto->graph, make_weight("w", DATA_FLOAT, DIMS(1, 64, 64)));
    put_initializer(proto->graph, make_weight("r", DATA_FLOAT, DIMS(1, 64, 16)));
    put_node(proto->graph, make_node("LSTM", "h0 w r", "Y"));
    put_output(proto->graph, "Y", DATA_FLOAT);
    assert_int_equal(depth_of(proto), 3);
}

/* A body goes on where its node's inputs or outer values are. */
static void test_bodies(void **state)
{
    (void)state;
    for (int captured = 0; captured < 2; captured++) {
        Onnx__ModelProto *proto = chain(2);
        Onnx__GraphProto *body = make_graph("body");
        put_weight(proto, "V");
        put_input(body, "i", DATA_INT64);
        put_input(body, "go", DATA_BOOL);
        put_input(body, "h", DATA_FLOAT);
        put_output(body, "go", DATA_BOOL);
        put_output(body, "n", DATA_FLOAT);
        put_node(body, make_node("MatMul", captured ? "h1 V" : "h V", "n"));
        Onnx__NodeProto *node =
            put_node(proto->graph, make_node("Loop", captured ? "M C X" : "M C h1", "Y"));
        put_graph(node, "body", body);
        put_weight(proto, "U");
        put_node(proto->graph, make_node("MatMul", "Y U", "Z"));
        put_output(proto->graph, "Z", DATA_FLOAT);
        assert_int_equal(depth_of(proto), 4);
    }
}

/* A weight that a function multiplies with counts at the call. */
static void test_functions(void **state)
{
    (void)state;
    Onnx__ModelProto *proto = chain(2);
    Onnx__FunctionProto *function = make_function("f", "a b c", "e");
    put_function_node(function, make_node("MatMul", "a b", "d"));
    put_function_node(function, make_node("MatMul", "d c", "e"));
    put_function(proto, function);
    put_weight(proto, "U");
    put_weight(proto, "V");
    put_node(proto->graph, make_node("f", "h1 U V", "Y"))->domain = hold_printf("local");
    put_output(proto->graph, "Y", DATA_FLOAT);
    assert_int_equal(depth_of(proto), 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_chain, support_teardown),
        cmocka_unit_test_teardown(test_ways, support_teardown),
        cmocka_unit_test_teardown(test_two_weights, support_teardown),
        cmocka_unit_test_teardown(test_bodies, support_teardown),
        cmocka_unit_test_teardown(test_functions, support_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

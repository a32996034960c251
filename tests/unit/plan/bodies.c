/* Weights handed into bodies: of Loop and Scan, and of local functions. What is
 * inside decides; what can't be followed keeps the weight float. */
#include "pipeline.h"

#include <string.h>

static const struct plan_item *plan_named(Onnx__ModelProto *proto, const char *name)
{
    struct plan_options options = plan_defaults();
    return item_named(pipeline_plan(proto, &options), name);
}

static void assert_float(Onnx__ModelProto *proto, const char *part)
{
    const struct plan_item *item = plan_named(proto, "W");
    assert_false(item->quantize);
    if (!strstr(item->reason, part))
        print_error("reason: %s\n", item->reason);
    assert_non_null(strstr(item->reason, part));
}

/* ---- functions ------------------------------------------------------- */

/* Y = f(X, W); f's body: `op_type` on its inputs a and b. */
static Onnx__ModelProto *with_function(const char *op_type, const char *domain)
{
    Onnx__ModelProto *proto = make_model(10, 21);
    put_initializer(proto->graph, make_weight("W", DATA_FLOAT, DIMS(64, 64)));
    put_node(proto->graph, make_node("f", "X W", "Y"))->domain = hold_printf("local");
    Onnx__FunctionProto *function = make_function("f", "a b", "c");
    Onnx__NodeProto *node = make_node(op_type, "a b", "c");
    node->domain = hold_printf("%s", domain);
    put_function_node(function, node);
    put_function(proto, function);
    return proto;
}

static void test_function(void **state)
{
    (void)state;
    const struct plan_item *item = plan_named(with_function("MatMul", ""), "W");
    assert_true(item->quantize);
    assert_int_equal(item->axis, 0);
    assert_false(item->fused); /* it is decoded outside of the function */
    assert_float(with_function("Mul", ""), "used by Mul");
    assert_float(with_function("g", "local"), "used by g"); /* which is nowhere */
    Onnx__ModelProto *other = with_function("MatMul", "");
    other->graph->node[0]->domain = hold_printf("elsewhere");
    assert_float(other, "used by f");
}

/* The overload is part of a function's name. */
static void test_overloads(void **state)
{
    (void)state;
    const char *const op_types[] = {"Mul", "MatMul"};
    for (int called = 0; called < 2; called++) {
        Onnx__ModelProto *proto = with_function(op_types[0], "");
        Onnx__FunctionProto *second = make_function("f", "a b", "c");
        put_function_node(second, make_node(op_types[1], "a b", "c"));
        second->overload = hold_printf("second");
        put_function(proto, second);
        proto->graph->node[0]->overload = hold_printf("%s", called ? "second" : "");
        if (called)
            assert_true(plan_named(proto, "W")->quantize);
        else
            assert_float(proto, "used by Mul");
    }
    Onnx__ModelProto *missing = with_function("MatMul", "");
    missing->graph->node[0]->overload = hold_printf("second");
    assert_float(missing, "used by f");
}

/* The default domain has two spellings, for functions too. */
static void test_default_domain(void **state)
{
    (void)state;
    const char *const domains[] = {"", "ai.onnx"};
    for (int called = 0; called < 2; called++) {
        Onnx__ModelProto *proto = with_function("MatMul", "");
        proto->functions[0]->domain = hold_printf("%s", domains[!called]);
        proto->graph->node[0]->domain = hold_printf("%s", domains[called]);
        assert_true(plan_named(proto, "W")->quantize);
    }
}

/* Every consumer in the body counts, the function's output too. */
static void test_all_uses(void **state)
{
    (void)state;
    Onnx__ModelProto *proto = with_function("MatMul", "");
    put_function_node(proto->functions[0], make_node("Mul", "a b", "d"));
    assert_float(proto, "used by Mul");
    proto = with_function("MatMul", "");
    put(&proto->functions[0]->output, &proto->functions[0]->n_output, hold_printf("b"));
    assert_float(proto, "used by f");
}

/* Of several consumers in the body the first says how the weight lies. */
static void test_first_use(void **state)
{
    (void)state;
    for (int transposed = 0; transposed < 2; transposed++) {
        Onnx__ModelProto *proto = with_function("Gemm", "");
        put_int(proto->functions[0]->node[0], "transB", transposed);
        put_function_node(proto->functions[0], make_node("MatMul", "a b", "d"));
        assert_int_equal(plan_named(proto, "W")->axis, transposed);
        proto->functions[0]->node[1] = make_node("Gemm", "a b", "d");
        put_int(proto->functions[0]->node[1], "transB", !transposed);
        assert_int_equal(plan_named(proto, "W")->axis, transposed);
    }
}

/* The format forbids functions that call themselves; a file may have them. */
static void test_recursion(void **state)
{
    (void)state;
    assert_float(with_function("f", "local"), "f");
    Onnx__ModelProto *proto = with_function("g", "local");
    Onnx__FunctionProto *function = make_function("g", "a b", "c");
    Onnx__NodeProto *node = make_node("f", "a b", "c");
    node->domain = hold_printf("local");
    put_function_node(function, node);
    put_function(proto, function);
    assert_float(proto, "");
}

/* Functions that call the next one twice: followed in time that does not double
 * with each. */
static void test_fan_out(void **state)
{
    (void)state;
    enum { LEVELS = 40 };
    Onnx__ModelProto *proto = make_model(10, 21);
    put_initializer(proto->graph, make_weight("W", DATA_FLOAT, DIMS(64, 64)));
    put_node(proto->graph, make_node("f0", "X W", "Y"))->domain = hold_printf("local");
    for (int i = 0; i < LEVELS; i++) {
        Onnx__FunctionProto *function = make_function(hold_printf("f%d", i), "a b", "c");
        for (int j = 0; j < 2; j++) {
            const char *next = i + 1 < LEVELS ? hold_printf("f%d", i + 1) : "MatMul";
            Onnx__NodeProto *node = make_node(next, "a b", j ? "c" : "d");
            node->domain = hold_printf("%s", i + 1 < LEVELS ? "local" : "");
            put_function_node(function, node);
        }
        put_function(proto, function);
    }
    struct plan_options options = plan_defaults();
    pipeline_plan(proto, &options); /* quantized or not: it ends */
}

/* ---- Loop and Scan --------------------------------------------------- */

/* A Loop or Scan with one state, the weight, that its body multiplies with and
 * hands on under the name `out`. */
static Onnx__ModelProto *with_loop(const char *op_type, const char *out)
{
    bool loop = strcmp(op_type, "Loop") == 0;
    Onnx__ModelProto *proto = make_model(10, 21);
    Onnx__GraphProto *body = make_graph("body");
    put_initializer(proto->graph, make_weight("W", DATA_FLOAT, DIMS(64, 64)));
    if (loop) {
        put_input(body, "i", DATA_INT64);
        put_input(body, "go", DATA_BOOL);
        put_output(body, "go", DATA_BOOL);
    }
    put_input(body, "w", DATA_FLOAT);
    put_output(body, out, DATA_FLOAT);
    put_node(body, make_node("Identity", "w", "same"));
    put_node(body, make_node("Relu", "w", "changed"));
    body->node[1]->op_type = hold_printf("MatMul");
    put(&body->node[1]->input, &body->node[1]->n_input, hold_printf("X"));
    Onnx__NodeProto *node =
        put_node(proto->graph, make_node(op_type, loop ? "M c W" : "W", "after"));
    put_graph(node, "body", body);
    if (!loop)
        put_int(node, "num_scan_inputs", 0);
    return proto;
}

static void test_loop(void **state)
{
    (void)state;
    static const char *const op_types[] = {"Loop", "Scan"};
    for (size_t i = 0; i < COUNT(op_types); i++) {
        assert_true(plan_named(with_loop(op_types[i], "w"), "W")->quantize);
        assert_true(plan_named(with_loop(op_types[i], "same"), "W")->quantize);
        assert_float(with_loop(op_types[i], "changed"), op_types[i]);
        assert_float(with_loop(op_types[i], "nowhere"), op_types[i]);
        /* Who reads the state behind the loop reads the weight itself. */
        Onnx__ModelProto *proto = with_loop(op_types[i], "w");
        put_node(proto->graph, make_node("Relu", "after", "Y"));
        assert_float(proto, op_types[i]);
    }
}

/* Bodies that lack inputs, outputs, or a graph: no state to follow. */
static void test_broken_bodies(void **state)
{
    (void)state;
    static const int64_t scans[] = {-1, 1, 2, INT64_MAX, INT64_MIN};
    for (size_t i = 0; i < COUNT(scans); i++) {
        Onnx__ModelProto *proto = with_loop("Scan", "w");
        Onnx__AttributeProto **attributes = proto->graph->node[0]->attribute;
        attributes[1]->i = scans[i];
        assert_float(proto, "Scan");
    }
    Onnx__ModelProto *proto = with_loop("Loop", "w");
    proto->graph->node[0]->attribute[0]->g->n_output = 1;
    assert_float(proto, "Loop");
    proto = with_loop("Loop", "w");
    proto->graph->node[0]->attribute[0]->g->n_input = 2;
    assert_float(proto, "Loop");
    proto = with_loop("Loop", "w");
    proto->graph->node[0]->attribute[0]->g = NULL;
    assert_float(proto, "Loop");
    proto = with_loop("Loop", "w");
    proto->graph->node[0]->input[0] = hold_printf("W"); /* the trip count */
    assert_float(proto, "Loop");
}

/* Identities in a ring, in a body: unsorted and unsound, but bytes may say so. */
static void test_ring(void **state)
{
    (void)state;
    Onnx__ModelProto *proto = with_loop("Loop", "p");
    Onnx__GraphProto *body = proto->graph->node[0]->attribute[0]->g;
    put_node(body, make_node("Identity", "q", "p"));
    put_node(body, make_node("Identity", "p", "q"));
    assert_float(proto, "Loop");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_function),      TEST(test_overloads), TEST(test_default_domain),
        TEST(test_all_uses),      TEST(test_first_use), TEST(test_loop),
        TEST(test_broken_bodies), TEST(test_recursion), TEST(test_fan_out),
        TEST(test_ring),
    };
    return RUN(tests);
}

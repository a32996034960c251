/* Selectors: nodes behind Transpose and inside bodies and functions, heads, and graphs
 * that a damaged file may have. */
#include "plan/selector.h"
#include "pipeline.h"

#include <string.h>

static bool means(struct pipeline *pipeline, const char *pattern, const char *name)
{
    struct error err = {0};
    struct selector selector;
    assert_true(selector_make(&selector, "--rule", pattern, &err));
    bool found =
        selector_matches(&selector, &pipeline->index, item_named(pipeline, name)->value);
    selector_free(&selector);
    return found;
}

static Onnx__NodeProto *named(const char *name, Onnx__NodeProto *node)
{
    node->name = hold_printf("%s", name);
    return node;
}

static Onnx__ModelProto *with_weight(const char *name)
{
    Onnx__ModelProto *proto = make_model(8, 17);
    put_initializer(proto->graph, make_weight(name, DATA_FLOAT, DIMS(64, 64)));
    put_output(proto->graph, "y", DATA_FLOAT);
    return proto;
}

static void test_behind_transpose(void **state)
{
    (void)state;
    Onnx__ModelProto *proto = with_weight("W");
    put_node(proto->graph, named("turn", make_node("Transpose", "W", "T")));
    put_node(proto->graph, named("first", make_node("MatMul", "x T", "h")));
    put_node(proto->graph, named("second", make_node("MatMul", "h W", "y")));
    struct plan_options options = plan_defaults();
    struct pipeline *pipeline = pipeline_plan(proto, &options);
    assert_true(means(pipeline, "^first$", "W"));
    assert_true(means(pipeline, "^second$", "W"));
    assert_true(means(pipeline, "^T$", "W"));
    assert_true(means(pipeline, "op=Trans.*", "W"));
    assert_false(means(pipeline, "third", "W"));
    assert_false(means(pipeline, "op=Mat", "W"));
}

static void test_in_a_function(void **state)
{
    (void)state;
    Onnx__ModelProto *proto = with_weight("W");
    Onnx__FunctionProto *function = make_function("Layer", "a b", "c");
    put_function_node(function, named("inside", make_node("MatMul", "a b", "c")));
    put_function(proto, function);
    Onnx__NodeProto *call = named("call", make_node("Layer", "x W", "y"));
    call->domain = function->domain;
    put_node(proto->graph, call);
    struct plan_options options = plan_defaults();
    struct pipeline *pipeline = pipeline_plan(proto, &options);
    assert_true(means(pipeline, "^call$", "W"));
    assert_true(means(pipeline, "^inside$", "W"));
    assert_true(means(pipeline, "op=MatMul", "W"));
    assert_true(means(pipeline, "graph=^$", "W"));
}

static void test_heads(void **state)
{
    (void)state;
    Onnx__ModelProto *proto = with_weight("W");
    put_initializer(proto->graph, make_weight("V", DATA_FLOAT, DIMS(64, 64)));
    put_initializer(proto->graph, make_weight("U", DATA_FLOAT, DIMS(64, 64)));
    put_output(proto->graph, "z", DATA_FLOAT);
    put_node(proto->graph, make_node("MatMul", "x U", "z")); /* goes on, too */
    put_node(proto->graph, make_node("MatMul", "z V", "h"));
    put_node(proto->graph, make_node("LayerNormalization", "h s", "n"));
    put_node(proto->graph, make_node("MatMul", "n W", "l"));
    put_node(proto->graph, make_node("Add", "l b", "m"));
    put_node(proto->graph, make_node("Softmax", "m", "y"));
    struct plan_options options = plan_defaults();
    struct pipeline *pipeline = pipeline_plan(proto, &options);
    assert_true(means(pipeline, "role=head", "W"));
    assert_false(means(pipeline, "role=head", "V"));
    assert_false(means(pipeline, "role=head", "U"));
}

/* A ring of nodes ends, and so does a node that takes its own output. */
static void test_rings(void **state)
{
    (void)state;
    Onnx__ModelProto *proto = with_weight("W");
    put_node(proto->graph, make_node("Concat", "W B", "A"));
    put_node(proto->graph, make_node("Identity", "A", "B"));
    put_node(proto->graph, make_node("Add", "y W", "y"));
    struct plan_options options = plan_defaults();
    struct pipeline *pipeline = pipeline_plan(proto, &options);
    assert_false(means(pipeline, "none", "W"));
    assert_false(means(pipeline, "role=head", "W"));
}

static void test_wrong(void **state)
{
    (void)state;
    static const char *const patterns[] = {"(", "op=(", "graph=[", "role=tail"};
    for (size_t i = 0; i < COUNT(patterns); i++) {
        struct error err = {0};
        struct selector selector;
        assert_false(selector_make(&selector, "--exclude", patterns[i], &err));
        assert_failed(&err, STATUS_INVALID, "--exclude");
        assert_non_null(strstr(err.message, patterns[i]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_behind_transpose),
        TEST(test_in_a_function),
        TEST(test_heads),
        TEST(test_rings),
        TEST(test_wrong),
    };
    return RUN(tests);
}

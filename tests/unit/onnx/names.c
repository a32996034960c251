/* Fresh names collide with nothing, wherever that is in the model. */
#include "onnx/names.h"
#include "support.h"

#include <string.h>
#include <time.h>

static void assert_fresh(struct model *model, const char *base, const char *suffix,
                         const char *wanted)
{
    const char *name = name_fresh(model, base, suffix);
    assert_non_null(name);
    assert_string_equal(name, wanted);
}

static void test_free_name(void **state)
{
    (void)state;
    struct model *model = read_proto(make_model(10, 21));
    assert_fresh(model, "W", "scale", "W_scale");
    assert_fresh(model, "W", "scale", "W_scale_2"); /* the first one is taken now */
    assert_fresh(model, "W", "scale", "W_scale_3");
    assert_fresh(model, "", "scale", "_scale");
    assert_fresh(model, "W", "zero_point", "W_zero_point");
}

/* One name a place: each of them is avoided. */
static void test_every_place(void **state)
{
    (void)state;
    Onnx__ModelProto *proto = make_model(10, 21);
    Onnx__GraphProto *graph = proto->graph, *body = make_graph("body"),
                     *deep = make_graph("deep");
    put_initializer(graph, make_weight("initializer_s", DATA_FLOAT, DIMS(1)));
    put_input(graph, "input_s", DATA_FLOAT);
    put_output(graph, "output_s", DATA_FLOAT);
    put_info(graph, "info_s", DATA_FLOAT);
    Onnx__SparseTensorProto *sparse = hold(sizeof *sparse);
    onnx__sparse_tensor_proto__init(sparse);
    sparse->values = make_weight("sparse_s", DATA_FLOAT, DIMS(1));
    put(&graph->sparse_initializer, &graph->n_sparse_initializer, sparse);
    Onnx__NodeProto *node = put_node(graph, make_node("If", "used_s", "made_s"));
    node->name = hold_printf("node_s");
    put_graph(node, "then_branch", body);
    put_initializer(body, make_weight("body_s", DATA_FLOAT, DIMS(1)));
    Onnx__NodeProto *inner = put_node(body, make_node("If", "captured_s", "inner_s"));
    Onnx__AttributeProto *graphs = put_attribute(inner, "graphs", 10);
    put(&graphs->graphs, &graphs->n_graphs, deep);
    put_input(deep, "deep_s", DATA_FLOAT);
    Onnx__FunctionProto *function = make_function("f", "parameter_s", "result_s");
    put_function_node(function, make_node("Op", "parameter_s", "local_s"));
    put_function(proto, function);
    Onnx__TrainingInfoProto *training = hold(sizeof *training);
    onnx__training_info_proto__init(training);
    training->initialization = make_graph("start");
    put_output(training->initialization, "start_s", DATA_FLOAT);
    training->algorithm = make_graph("step");
    put_node(training->algorithm, make_node("Op", "x", "step_s"));
    put(&proto->training_info, &proto->n_training_info, training);

    static const char *const bases[] = {
        "initializer", "input",  "output", "info",     "sparse", "used",
        "made",        "node",   "body",   "captured", "inner",  "deep",
        "parameter",   "result", "local",  "start",    "step",
    };
    struct model *model = read_proto(proto);
    for (size_t i = 0; i < COUNT(bases); i++)
        assert_fresh(model, bases[i], "s", hold_printf("%s_s_2", bases[i]));
    assert_fresh(model, "absent", "s", "absent_s");
}

/* Numbers that are taken already are passed over. */
static void test_gaps(void **state)
{
    (void)state;
    Onnx__ModelProto *proto = make_model(10, 21);
    static const char *const taken[] = {"W_s", "W_s_2", "W_s_4", "W_s_2_2"};
    for (size_t i = 0; i < COUNT(taken); i++)
        put_input(proto->graph, taken[i], DATA_FLOAT);
    struct model *model = read_proto(proto);
    assert_fresh(model, "W", "s", "W_s_3");
    assert_fresh(model, "W", "s", "W_s_5");
    assert_fresh(model, "W_s", "2", "W_s_2_3");
    assert_fresh(model, "W", "s_5", "W_s_5_2");
}

/* Names made from one base many times: no two alike, in time that grows with
 * their number and not with its square. */
static void test_thousands(void **state)
{
    (void)state;
    enum { MANY = 50000 };
    struct model *model = read_proto(make_model(10, 21));
    struct map seen = {0};
    clock_t start = clock();
    for (int i = 0; i < MANY; i++) {
        const char *name = name_fresh(model, "W", "scale");
        assert_non_null(name);
        assert_null(map_get(&seen, name));
        assert_true(map_put(&seen, name, model));
    }
    assert_true(clock() - start < 10 * CLOCKS_PER_SEC);
    map_free(&seen);
}

static void test_long_base(void **state)
{
    (void)state;
    struct model *model = read_proto(make_model(10, 21));
    char *base = hold(100001);
    memset(base, 'n', 100000);
    assert_int_equal(strlen(name_fresh(model, base, "scale")), 100006);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_free_name), TEST(test_every_place), TEST(test_gaps),
        TEST(test_thousands), TEST(test_long_base),
    };
    return RUN(tests);
}

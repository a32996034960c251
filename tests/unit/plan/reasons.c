/* Why a weight stays float: every reason, and that nothing else does. */
#include "onnx/graph.h"
#include "pipeline.h"

#include <string.h>

/* An otherwise good model around a weight "W" of 64 x 64. */
static Onnx__ModelProto *good_model(void)
{
    return make_one("MatMul", make_weight("W", DATA_FLOAT, DIMS(64, 64)));
}

static void assert_left(struct pipeline *pipeline, const char *name, const char *part,
                        bool asked)
{
    const struct plan_item *item = item_named(pipeline, name);
    assert_false(item->quantize);
    assert_non_null(item->reason);
    if (!strstr(item->reason, part))
        print_error("reason: %s\n", item->reason);
    assert_non_null(strstr(item->reason, part));
    assert_int_equal(item->requested, asked);
    assert_false(item->warning);
}

static void assert_quantized(struct pipeline *pipeline, const char *name)
{
    const struct plan_item *item = item_named(pipeline, name);
    assert_null(item->reason);
    assert_true(item->quantize);
    assert_true(item->requested);
    assert_non_null(item->source);
}

static void test_good(void **state)
{
    (void)state;
    struct plan_options options = plan_defaults();
    struct pipeline *pipeline = pipeline_plan(good_model(), &options);
    assert_quantized(pipeline, "W");
    assert_int_equal(pipeline->plan.count, 1);
    assert_int_equal(pipeline->plan.quantized, 1);
}

/* ---- kinds and sizes ------------------------------------------------- */

static void test_what_is_listed(void **state)
{
    (void)state;
    Onnx__ModelProto *proto = good_model();
    Onnx__GraphProto *graph = proto->graph;
    put_initializer(graph, make_tensor("ints", DATA_INT64, DIMS(1), "01234567", 8));
    put_initializer(graph, make_weight("vector", DATA_FLOAT, DIMS(64)));
    put_initializer(graph, make_weight("scalar", DATA_FLOAT, SCALAR));
    put_initializer(graph, make_weight("none", DATA_FLOAT, DIMS(0, 4)));
    put_tensor(put_node(graph, make_node("Constant", "", "constant")), "value",
               make_weight("", DATA_FLOAT, DIMS(64, 64)));
    put_node(graph, make_node("Constant", "", "number"));
    put_attribute(graph->node[graph->n_node - 1], "value_float", 1);
    Onnx__AttributeProto *floats = put_attribute(
        put_node(graph, make_node("Constant", "", "list")), "value_floats", 6);
    floats->n_floats = 3;
    floats->floats = hold(3 * sizeof(float));
    put_node(graph, make_node("MatMul", "X constant", "Z"));
    struct plan_options options = plan_defaults();
    struct pipeline *pipeline = pipeline_plan(proto, &options);
    assert_int_equal(pipeline->plan.count, 6);
    assert_quantized(pipeline, "W");
    assert_quantized(pipeline, "constant");
    assert_left(pipeline, "vector", "vectors stay float", false);
    assert_left(pipeline, "scalar", "vectors stay float", false);
    assert_left(pipeline, "list", "vectors stay float", false);
    assert_left(pipeline, "none", "no elements", false);
    assert_int_equal(item_named(pipeline, "list")->bytes, 12);
    assert_int_equal(item_named(pipeline, "W")->bytes, 64 * 64 * 4);
}

static void test_sparse(void **state)
{
    (void)state;
    Onnx__ModelProto *proto = good_model();
    Onnx__SparseTensorProto *sparse = hold(sizeof *sparse);
    onnx__sparse_tensor_proto__init(sparse);
    sparse->values = make_weight("S", DATA_FLOAT, DIMS(64, 64));
    put(&proto->graph->sparse_initializer, &proto->graph->n_sparse_initializer, sparse);
    put_node(proto->graph, make_node("MatMul", "X S", "Z"));
    struct plan_options options = plan_defaults();
    assert_left(pipeline_plan(proto, &options), "S", "sparse", false);
}

static void test_min_elements(void **state)
{
    (void)state;
    struct plan_options options = plan_defaults();
    options.min_elements = 64 * 64;
    assert_quantized(pipeline_plan(good_model(), &options), "W");
    options.min_elements = 64 * 64 + 1;
    assert_left(pipeline_plan(good_model(), &options), "W", "fewer than 4097 elements",
                false);
}

/* ---- what the options ask for ---------------------------------------- */

static void test_include_exclude(void **state)
{
    (void)state;
    static const struct {
        const char *include, *exclude, *part; /* part: NULL where it is quantized */
    } rows[] = {
        {"W", NULL, NULL},       {"^W$", NULL, NULL},     {"V", NULL, "--include"},
        {"", NULL, NULL},        {NULL, "V", NULL},       {NULL, "W", "--exclude"},
        {"W", "W", "--exclude"}, {"V", "V", "--include"}, {"(V|W)", "^w", NULL},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct error err = {0};
        struct selector include, exclude;
        struct plan_options options = plan_defaults();
        if (rows[i].include) {
            assert_true(selector_make(&include, "", rows[i].include, &err));
            options.include = &include;
        }
        if (rows[i].exclude) {
            assert_true(selector_make(&exclude, "", rows[i].exclude, &err));
            options.exclude = &exclude;
        }
        struct pipeline *pipeline = pipeline_plan(good_model(), &options);
        if (rows[i].part)
            assert_left(pipeline, "W", rows[i].part, false);
        else
            assert_quantized(pipeline, "W");
        if (rows[i].include)
            selector_free(&include);
        if (rows[i].exclude)
            selector_free(&exclude);
    }
}

static void test_unused(void **state)
{
    (void)state;
    Onnx__ModelProto *proto = good_model();
    put_initializer(proto->graph, make_weight("U", DATA_FLOAT, DIMS(64, 64)));
    struct plan_options options = plan_defaults();
    assert_left(pipeline_plan(proto, &options), "U", "nothing uses it", false);
}

/* ---- roles ----------------------------------------------------------- */

/* Before IR 4 every initializer is an input, and constant all the same. */
static void test_overridable(void **state)
{
    (void)state;
    static const struct {
        int64_t ir;
        bool freeze, quantized;
    } rows[] = {{3, false, true},
                {3, true, true},
                {4, false, false},
                {4, true, true},
                {10, false, false}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        Onnx__ModelProto *proto = good_model();
        proto->ir_version = rows[i].ir;
        put_input(proto->graph, "W", DATA_FLOAT);
        struct plan_options options = plan_defaults();
        options.freeze = rows[i].freeze;
        struct pipeline *pipeline = pipeline_plan(proto, &options);
        if (rows[i].quantized)
            assert_quantized(pipeline, "W");
        else
            assert_left(pipeline, "W", "--freeze", true);
    }
}

static void test_ambiguous(void **state)
{
    (void)state;
    Onnx__ModelProto *proto = good_model();
    put_initializer(proto->graph, make_weight("W", DATA_FLOAT, DIMS(64, 64)));
    struct plan_options options = plan_defaults();
    assert_left(pipeline_plan(proto, &options), "W", "more than once", true);
}

static void test_trained(void **state)
{
    (void)state;
    Onnx__ModelProto *proto = good_model();
    Onnx__TrainingInfoProto *training = hold(sizeof *training);
    Onnx__StringStringEntryProto *entry = hold(sizeof *entry);
    onnx__training_info_proto__init(training);
    onnx__string_string_entry_proto__init(entry);
    entry->key = hold_printf("W");
    put(&training->update_binding, &training->n_update_binding, entry);
    put(&proto->training_info, &proto->n_training_info, training);
    struct plan_options options = plan_defaults();
    assert_left(pipeline_plan(proto, &options), "W", "training", true);
}

/* ---- uses ------------------------------------------------------------ */

static void test_uses(void **state)
{
    (void)state;
    static const struct {
        const char *op_type, *inputs, *part; /* of one more consumer */
    } rows[] = {
        {"MatMul", "X W", NULL},   {"MatMul", "W X", NULL},
        {"Gemm", "X W", NULL},     {"Gemm", "X B W", "input 2 of Gemm"},
        {"Add", "X W", NULL},      {"Identity", "W", NULL},
        {"Conv", "X W", "rank 2"}, {"Loop", "M c W", "used by Loop"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        Onnx__ModelProto *proto = good_model();
        put_node(proto->graph, make_node(rows[i].op_type, rows[i].inputs, "Z"));
        struct plan_options options = plan_defaults();
        struct pipeline *pipeline = pipeline_plan(proto, &options);
        if (rows[i].part)
            assert_left(pipeline, "W", rows[i].part, true);
        else
            assert_quantized(pipeline, "W");
    }
    Onnx__ModelProto *proto = good_model();
    put_output(proto->graph, "W", DATA_FLOAT);
    struct plan_options options = plan_defaults();
    assert_left(pipeline_plan(proto, &options), "W", "output of its graph", true);
}

/* Consumers in inner graphs count like any other. */
static void test_captured(void **state)
{
    (void)state;
    for (int bad = 0; bad < 2; bad++) {
        Onnx__ModelProto *proto = good_model();
        Onnx__GraphProto *body = make_graph("body");
        put_node(body, make_node(bad ? "Gemm" : "MatMul", bad ? "X V W" : "X W", "t"));
        put_graph(put_node(proto->graph, make_node("If", "c", "z")), "then_branch", body);
        struct plan_options options = plan_defaults();
        struct pipeline *pipeline = pipeline_plan(proto, &options);
        if (bad)
            assert_left(pipeline, "W", "input 2 of Gemm", true);
        else
            assert_quantized(pipeline, "W");
    }
}

/* ---- values and sizes ------------------------------------------------ */

static void test_unfit(void **state)
{
    (void)state;
    struct plan_options options = plan_defaults();
    struct pipeline *first = pipeline_plan(good_model(), &options);
    struct map unfit = {0};
    static char reason[] = "it contains NaN or infinity";
    const char *key = plan_key(first->plan.arena, item_named(first, "W")->value);
    assert_true(map_put(&unfit, key, reason));
    options.unfit = &unfit;
    struct pipeline *second = pipeline_plan(good_model(), &options);
    const struct plan_item *item = item_named(second, "W");
    assert_false(item->quantize);
    assert_string_equal(item->reason, reason);
    assert_true(item->warning);
    assert_true(item->requested);
    assert_int_equal(second->plan.quantized, 0);
    map_free(&unfit);
}

/* A weight W in the body of an If of that name. */
static void put_body(Onnx__ModelProto *proto, const char *name, const char *weight)
{
    Onnx__GraphProto *body = make_graph("body");
    Onnx__NodeProto *node = put_node(proto->graph, make_node("If", "c", "z"));
    node->name = (char *)(uintptr_t)name;
    put_initializer(body, make_weight(weight, DATA_FLOAT, DIMS(8, 8)));
    Onnx__NodeProto *matmul = put_node(body, make_node("MatMul", "X _", "t"));
    matmul->input[1] = (char *)(uintptr_t)weight;
    put_graph(node, "then_branch", body);
}

/* A key tells weights of one name in two scopes apart, also where nodes share a name. */
static void test_keys(void **state)
{
    (void)state;
    enum { WEIGHTS = 5 };
    Onnx__ModelProto *proto = good_model();
    put_body(proto, "If", "W");
    put_body(proto, "If", "W");
    put_body(proto, "n", "then_branch W");
    put_body(proto, "n.then_branch then_branch", "W");
    struct plan_options options = plan_defaults();
    struct pipeline *pipeline = pipeline_plan(proto, &options);
    assert_int_equal(pipeline->plan.count, WEIGHTS);
    const char *keys[WEIGHTS];
    for (size_t i = 0; i < WEIGHTS; i++) {
        keys[i] = plan_key(pipeline->plan.arena, pipeline->plan.items[i].value);
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(keys[i], keys[j]);
    }
}

/* A scale of 4 bytes for each element of one makes nothing smaller. */
static void test_no_gain(void **state)
{
    (void)state;
    Onnx__ModelProto *proto =
        make_one("Conv", make_weight("W", DATA_FLOAT16, DIMS(1024, 1, 1)));
    struct plan_options options = plan_defaults();
    struct pipeline *pipeline = pipeline_plan(proto, &options);
    assert_left(pipeline, "W", "more room", true);
    assert_int_equal(pipeline->plan.quantized, 0);
}

/* A weight whose values don't fit its shape is an error, not a reason. */
static void test_malformed(void **state)
{
    (void)state;
    struct error err = {0};
    struct graph_index index;
    struct plan plan;
    struct plan_options options = plan_defaults();
    struct model *model = read_proto(
        make_one("MatMul", make_tensor("W", DATA_FLOAT, DIMS(2, 2), "0123", 4)));
    assert_true(graph_index(model, &index, &err));
    assert_false(plan_make(model, &index, &options, &plan, &err));
    assert_failed(&err, STATUS_MALFORMED, "'W'");
    plan_free(&plan);
    graph_index_free(&index);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_good),         TEST(test_what_is_listed),  TEST(test_sparse),
        TEST(test_min_elements), TEST(test_include_exclude), TEST(test_unused),
        TEST(test_overridable),  TEST(test_ambiguous),       TEST(test_trained),
        TEST(test_uses),         TEST(test_captured),        TEST(test_unfit),
        TEST(test_keys),         TEST(test_no_gain),         TEST(test_malformed),
    };
    return RUN(tests);
}

/* model_upgrade on models made by hand: what it changes, what it refuses, and what no
 * writer of models would write. */
#include "onnx/imports.h"
#include "onnx/node.h"
#include "support.h"
#include "upgrade/upgrade.h"

#include <string.h>

enum { INT = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT };

static struct model *one_node(int64_t opset, Onnx__NodeProto *node)
{
    Onnx__ModelProto *proto = make_model(3, opset);
    put_node(proto->graph, node);
    put_input(proto->graph, "x", DATA_FLOAT);
    put_output(proto->graph, "y", DATA_FLOAT);
    return read_proto(proto);
}

static struct model *raised(int64_t opset, Onnx__NodeProto *node, int64_t target)
{
    struct error err = {0};
    struct model *model = one_node(opset, node);
    assert_true(model_upgrade(model, target, &err));
    assert_fine(&err);
    assert_int_equal(model_opset(model), target);
    return model;
}

static void assert_refused(int64_t opset, Onnx__NodeProto *node, const char *part)
{
    struct error err = {0};
    assert_false(model_upgrade(one_node(opset, node), 21, &err));
    assert_failed(&err, STATUS_UNSUPPORTED, part);
}

static Onnx__NodeProto *with_ints(Onnx__NodeProto *node, const char *name, int64_t value)
{
    Onnx__AttributeProto *attribute =
        put_attribute(node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS);
    attribute->ints = hold(sizeof *attribute->ints);
    attribute->ints[0] = value;
    attribute->n_ints = 1;
    return node;
}

/* ---- versions ------------------------------------------------------- */

static void test_ir_versions(void **state)
{
    static const int64_t ir[] = {10, 10, 11, 12, 13, 13, 13, 14};
    (void)state;
    for (int64_t target = 21; target <= upgrade_opset_max(); target++) {
        const struct model *model = raised(7, make_node("Relu", "x", "y"), target);
        assert_int_equal(model->proto->ir_version, ir[target - 21]);
    }
}

static void test_targets(void **state)
{
    static const int64_t targets[] = {20, 29, 0, -1, INT64_MAX, INT64_MIN};
    (void)state;
    for (size_t i = 0; i < COUNT(targets); i++) {
        struct error err = {0};
        struct model *model = one_node(9, make_node("Relu", "x", "y"));
        assert_false(model_upgrade(model, targets[i], &err));
        assert_failed(&err, STATUS_INVALID, "21 to 28");
    }
}

static void test_sources(void **state)
{
    static const int64_t sources[] = {6, 29, 0, -1, INT64_MAX, INT64_MIN};
    (void)state;
    for (size_t i = 0; i < COUNT(sources); i++)
        assert_refused(sources[i], make_node("Relu", "x", "y"), "opsets 7 to 28");
}

static void test_import_without_version(void **state)
{
    (void)state;
    struct error err = {0};
    struct model *model = one_node(9, make_node("Relu", "x", "y"));
    model->proto->opset_import[0]->has_version = false;
    model->proto->opset_import[0]->version = 0;
    assert_int_equal(model_opset(model), 0);
    assert_false(model_upgrade(model, 21, &err));
    assert_failed(&err, STATUS_UNSUPPORTED, "opset 0");
}

/* ---- rewrites ------------------------------------------------------- */

static void test_axes_become_an_initializer(void **state)
{
    (void)state;
    const struct model *model =
        raised(11, with_ints(make_node("Unsqueeze", "x", "y"), "axes", 2), 21);
    const Onnx__GraphProto *graph = model->proto->graph;
    assert_int_equal(graph->n_node, 1);
    assert_int_equal(graph->node[0]->n_attribute, 0);
    assert_string_equal(node_input(graph->node[0], 1), "y_axes");
    const Onnx__TensorProto *axes = find_initializer(graph, "y_axes");
    assert_int_equal(axes->data_type, DATA_INT64);
    assert_int_equal(axes->n_dims, 1);
    assert_memory_equal(tensor_payload(axes)->data, &(int64_t){2}, 8);
}

static void test_softmax_of_the_last_axis(void **state)
{
    (void)state;
    Onnx__NodeProto *node = make_node("Softmax", "x", "y");
    put_int(node, "axis", -1);
    const struct model *model = raised(11, node, 21);
    assert_int_equal(model->proto->graph->n_node, 1);
    assert_int_equal(node_int(model->proto->graph->node[0], "axis", 0), -1);
}

static void test_softmax_of_more(void **state)
{
    static const char *const ops[] = {"Shape", "Flatten", "Softmax", "Reshape"};
    (void)state;
    Onnx__NodeProto *node = make_node("Softmax", "x", "y");
    put_int(node, "axis", -2);
    const Onnx__GraphProto *graph = raised(11, node, 21)->proto->graph;
    assert_int_equal(graph->n_node, COUNT(ops));
    for (size_t i = 0; i < COUNT(ops); i++)
        assert_string_equal(graph->node[i]->op_type, ops[i]);
    assert_int_equal(node_int(graph->node[1], "axis", 1), -2);
    assert_string_equal(node_output(graph->node[3], 0), "y");
}

/* ---- refusals ------------------------------------------------------- */

static void test_refusals(void **state)
{
    (void)state;
    assert_refused(9, make_node("ATen", "x", "y"), "(ATen): no operator of the standard");
    assert_refused(9, make_node("", "x", "y"), "no operator of the standard");
    assert_refused(9, make_node("Celu", "x", "y"), "it came with 12");
    assert_refused(10, make_node("Upsample", "x x", "y"), "it went with 10");
    assert_refused(8, make_node("Scan", "- x", "y"), "batch axis");
}

/* ---- what no writer writes ------------------------------------------ */

/* Every operator that is rewritten, without inputs, outputs or attributes. */
static void test_bare_nodes(void **state)
{
    static const struct {
        const char *op_type;
        int64_t opset;
    } cases[] = {
        {"BatchNormalization", 7},
        {"Upsample", 7},
        {"Dropout", 7},
        {"Slice", 7},
        {"TopK", 7},
        {"Clip", 7},
        {"Pad", 7},
        {"Resize", 10},
        {"Scatter", 9},
        {"Erf", 9},
        {"Hardmax", 7},
        {"ReduceSum", 7},
        {"Resize", 11},
        {"Split", 7},
        {"Squeeze", 7},
        {"Unsqueeze", 7},
        {"RoiAlign", 10},
        {"ReduceMax", 7},
        {"DFT", 17},
        {"GridSample", 16},
        {"GroupNormalization", 18},
        {"ReduceLogSum", 7},
        {"MeanVarianceNormalization", 9},
        {"If", 7},
        {"Loop", 7},
        {"Constant", 7},
        {"Cast", 7},
    };
    static const char *const lists[] = {"", "-", "- - - - - -", "x x x x x x"};
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++)
        for (size_t j = 0; j < COUNT(lists) * COUNT(lists); j++) {
            struct error err = {0};
            Onnx__NodeProto *node = make_node(cases[i].op_type, lists[j % COUNT(lists)],
                                              lists[j / COUNT(lists)]);
            struct model *model = one_node(cases[i].opset, node);
            model->proto->graph->node[0]->name = NULL;
            if (!model_upgrade(model, 28, &err))
                assert_int_equal(err.status, STATUS_UNSUPPORTED);
        }
}

static void test_nodes_without_a_type(void **state)
{
    (void)state;
    struct error err = {0};
    struct model *model = one_node(9, make_node("Relu", "x", "y"));
    model->proto->graph->node[0]->op_type = NULL;
    assert_false(model_upgrade(model, 21, &err));
    assert_failed(&err, STATUS_UNSUPPORTED, "no operator");
}

/* Attributes of another kind than the operator wants, or without a name. */
static void test_wrong_attributes(void **state)
{
    static const char *const names[] = {"axes", "scales", "mode", "starts",
                                        "pads", "min",    "k"};
    static const char *const ops[] = {"Squeeze", "Upsample", "Pad",
                                      "Slice",   "Clip",     "TopK"};
    (void)state;
    for (size_t i = 0; i < COUNT(names) * COUNT(ops); i++) {
        struct error err = {0};
        Onnx__NodeProto *node = make_node(ops[i / COUNT(names)], "x", "y");
        put_attribute(node, names[i % COUNT(names)],
                      ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRINGS);
        put_attribute(node, NULL, INT);
        struct model *model = one_node(7, node);
        model->proto->graph->node[0]->attribute[1]->name = NULL;
        assert_true(model_upgrade(model, 21, &err));
        assert_fine(&err);
    }
}

/* Scales whose tensor is damaged. */
static void test_damaged_scales(void **state)
{
    (void)state;
    struct error err = {0};
    Onnx__ModelProto *proto = make_model(5, 10);
    put_node(proto->graph, make_node("Resize", "x s", "y"));
    put_input(proto->graph, "x", DATA_FLOAT);
    put_output(proto->graph, "y", DATA_FLOAT);
    put_initializer(proto->graph, make_tensor("s", DATA_FLOAT, DIMS(4), "123456", 6));
    assert_false(model_upgrade(read_proto(proto), 21, &err));
    assert_failed(&err, STATUS_MALFORMED, "'s'");
}

/* ---- what is said of values ------------------------------------------ */

/* A Dropout whose mask nobody uses: it goes, as what is said of it must. */
static Onnx__GraphProto *with_mask(const char *name)
{
    Onnx__GraphProto *graph = make_graph(name);
    put_node(graph, make_node("Dropout", "x", hold_printf("%s_y %s_mask", name, name)));
    put_info(graph, hold_printf("%s_mask", name), DATA_FLOAT);
    put_info(graph, hold_printf("%s_y", name), DATA_FLOAT);
    put_output(graph, hold_printf("%s_y", name), DATA_FLOAT);
    return graph;
}

static void assert_forgotten(const Onnx__GraphProto *graph)
{
    assert_int_equal(graph->node[0]->n_output, 1);
    assert_int_equal(graph->n_value_info, 1);
    assert_string_equal(graph->value_info[0]->name, hold_printf("%s_y", graph->name));
}

/* Wherever a graph can be: in the model, an attribute, a list of graphs, a function's
 * node, training. */
static void test_dropped_values(void **state)
{
    (void)state;
    struct error err = {0};
    Onnx__ModelProto *proto = make_model(6, 9);
    proto->graph = with_mask("main");
    Onnx__NodeProto *node = put_node(proto->graph, make_node("If", "c", "z"));
    put_graph(node, "then_branch", with_mask("body"));
    Onnx__NodeProto *custom = put_node(proto->graph, make_node("Custom", "x", "u"));
    custom->domain = hold_printf("custom");
    Onnx__AttributeProto *list =
        put_attribute(custom, "bodies", ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__GRAPHS);
    put(&list->graphs, &list->n_graphs, with_mask("first"));
    put(&list->graphs, &list->n_graphs, with_mask("second"));
    Onnx__FunctionProto *function = make_function("f", "x", "y");
    Onnx__NodeProto *call = make_node("If", "x", "y");
    put_graph(call, "then_branch", with_mask("part"));
    put_function_node(function, call);
    put_function(proto, function);
    Onnx__TrainingInfoProto *training = hold(sizeof *training);
    onnx__training_info_proto__init(training);
    training->algorithm = with_mask("step");
    put(&proto->training_info, &proto->n_training_info, training);
    struct model *model = read_proto(proto);
    proto = model->proto;
    assert_true(imports_add(model, imports_of_function(proto->functions[0]), "", 9));
    assert_true(model_upgrade(model, 21, &err));
    assert_fine(&err);
    assert_forgotten(proto->graph);
    assert_forgotten(proto->graph->node[1]->attribute[0]->g);
    assert_forgotten(proto->graph->node[2]->attribute[0]->graphs[0]);
    assert_forgotten(proto->graph->node[2]->attribute[0]->graphs[1]);
    assert_forgotten(proto->functions[0]->node[0]->attribute[0]->g);
    assert_forgotten(proto->training_info[0]->algorithm);
}

/* ---- growth --------------------------------------------------------- */

/* Each node becomes four: the arena's cap must not stop that. */
static void test_many_nodes(void **state)
{
    enum { MANY = 60000 };
    (void)state;
    struct error err = {0};
    Onnx__ModelProto *proto = make_model(6, 11);
    Onnx__GraphProto *graph = proto->graph;
    put_input(graph, "x", DATA_FLOAT);
    put_output(graph, "y0", DATA_FLOAT);
    graph->node = hold(MANY * sizeof(Onnx__NodeProto *));
    graph->n_node = MANY;
    for (size_t i = 0; i < MANY; i++) {
        graph->node[i] = make_node("Softmax", "x", hold_printf("y%zu", i));
        put_int(graph->node[i], "axis", 0);
    }
    struct model *model = read_proto(proto);
    assert_true(model_upgrade(model, 21, &err));
    assert_fine(&err);
    assert_int_equal(model->proto->graph->n_node, 4 * MANY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_ir_versions),
        TEST(test_targets),
        TEST(test_sources),
        TEST(test_import_without_version),
        TEST(test_axes_become_an_initializer),
        TEST(test_softmax_of_the_last_axis),
        TEST(test_softmax_of_more),
        TEST(test_refusals),
        TEST(test_bare_nodes),
        TEST(test_nodes_without_a_type),
        TEST(test_wrong_attributes),
        TEST(test_damaged_scales),
        TEST(test_dropped_values),
        TEST(test_many_nodes),
    };
    return RUN(tests);
}

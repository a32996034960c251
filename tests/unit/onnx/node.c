/* Nodes, attributes, and lists of protobuf-c's form. */
#include "onnx/node.h"
#include "support.h"

#include <string.h>

static struct model *empty_model(void)
{
    return read_proto(make_model(10, 21));
}

static void test_domains(void **state)
{
    (void)state;
    Onnx__NodeProto *node = make_node("MatMul", "a b", "c");
    assert_true(domain_is_standard(NULL));
    assert_true(domain_is_standard(""));
    assert_true(domain_is_standard("ai.onnx"));
    assert_false(domain_is_standard("ai.onnx.ml"));
    assert_false(domain_is_standard("com.microsoft"));
    assert_true(node_is(node, "MatMul"));
    assert_false(node_is(node, "MatMulInteger"));
    assert_false(node_is(node, "matmul"));
    node->domain = hold_printf("ai.onnx");
    assert_true(node_is(node, "MatMul"));
    node->domain = hold_printf("com.microsoft");
    assert_false(node_is(node, "MatMul"));
    node->op_type = NULL;
    node->domain = NULL;
    assert_false(node_is(node, "MatMul"));
}

static void test_names(void **state)
{
    (void)state;
    struct model *model = empty_model();
    Onnx__NodeProto *node = make_node("Clip", "x - z", "y");
    assert_string_equal(node_input(node, 0), "x");
    assert_string_equal(node_input(node, 1), "");
    assert_string_equal(node_input(node, 2), "z");
    assert_string_equal(node_input(node, 3), "");
    assert_string_equal(node_output(node, 0), "y");
    assert_string_equal(node_output(node, 1), "");
    assert_non_null(strstr(node_label(model, node), "unnamed"));
    assert_non_null(strstr(node_label(model, node), "'y'"));
    node->name = hold_printf("/layer/Clip");
    assert_string_equal(node_label(model, node), "/layer/Clip");
}

static void test_reading_attributes(void **state)
{
    (void)state;
    Onnx__NodeProto *node = make_node("Op", "x", "y");
    put_int(node, "axis", -3);
    put_attribute(node, "empty", ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT);
    put_attribute(node, "alpha", ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT)->f = 0.5f;
    Onnx__AttributeProto *mode =
        put_attribute(node, "mode", ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRING);
    mode->s = (ProtobufCBinaryData){4, (uint8_t *)hold_printf("edge")};
    assert_int_equal(node_int(node, "axis", 7), -3);
    assert_int_equal(node_int(node, "absent", 7), 7);
    assert_int_equal(node_int(node, "empty", 7), 0); /* writers leave zeroes out */
    assert_true(node_float(node, "alpha", 1.0f) == 0.5f);
    assert_true(node_float(node, "beta", 1.0f) == 1.0f);
    assert_true(node_string_is(node, "mode", "edge", "constant"));
    assert_false(node_string_is(node, "mode", "edg", "constant"));
    assert_false(node_string_is(node, "mode", "edges", "constant"));
    assert_false(node_string_is(node, "mode", "constant", "constant"));
    assert_true(node_string_is(node, "absent", "constant", "constant"));
    assert_false(node_string_is(node, "absent", "edge", "constant"));
    assert_null(node_attribute(node, "axi"));
    assert_string_equal(node_attribute(node, "axis")->name, "axis");
}

static void test_setting_attributes(void **state)
{
    (void)state;
    struct model *model = empty_model();
    Onnx__NodeProto *node = make_node("Op", "x", "y");
    put_int(node, "first", 1);
    put_int(node, "second", 2);
    char name[] = "third", value[] = "text";
    Onnx__TensorProto *tensor = make_weight("t", DATA_FLOAT, DIMS(2));
    assert_true(node_set_string(model, node, name, value));
    name[0] = value[0] = 'X'; /* both are copied */
    assert_true(node_set_int(model, node, "first", 11));
    assert_true(node_set_tensor(model, node, "second", tensor)); /* an int before */
    assert_int_equal(node->n_attribute, 3);
    const Onnx__AttributeProto *first = node->attribute[0], *second = node->attribute[1],
                               *third = node->attribute[2];
    assert_string_equal(first->name, "first");
    assert_int_equal(first->type, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT);
    assert_true(first->has_type && first->has_i);
    assert_int_equal(first->i, 11);
    assert_string_equal(second->name, "second");
    assert_int_equal(second->type, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__TENSOR);
    assert_false(second->has_i);
    assert_ptr_equal(second->t, tensor);
    assert_string_equal(third->name, "third");
    assert_int_equal(third->type, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRING);
    assert_true(node_string_is(node, "third", "text", ""));
}

static void test_removing_attributes(void **state)
{
    (void)state;
    Onnx__NodeProto *node = make_node("Op", "x", "y");
    static const char *const names[] = {"a", "b", "c"};
    for (size_t i = 0; i < COUNT(names); i++)
        put_int(node, names[i], (int64_t)i);
    assert_false(node_remove(node, "d"));
    assert_int_equal(node->n_attribute, 3);
    assert_true(node_remove(node, "b"));
    assert_false(node_remove(node, "b"));
    assert_int_equal(node->n_attribute, 2);
    assert_int_equal(node_int(node, "a", 9), 0);
    assert_int_equal(node_int(node, "c", 9), 2);
    assert_true(node_remove(node, "a"));
    assert_true(node_remove(node, "c"));
    assert_int_equal(node->n_attribute, 0);
}

static void test_making_nodes(void **state)
{
    (void)state;
    struct model *model = empty_model();
    const char *const inputs[] = {"a", "", "c"}, *const outputs[] = {"y"};
    Onnx__NodeProto *node = node_new(model, "Clip", "n", inputs, 3, outputs, 1);
    assert_true(node_is(node, "Clip"));
    assert_string_equal(node->name, "n");
    assert_int_equal(node->n_input, 3);
    assert_string_equal(node_input(node, 1), "");
    assert_string_equal(node_input(node, 2), "c");
    assert_int_equal(node->n_output, 1);
    assert_true(node_set_input(model, node, 5, "f"));
    assert_int_equal(node->n_input, 6);
    assert_true(node_set_input(model, node, 0, "A"));
    static const char *const wanted[] = {"A", "", "c", "", "", "f"};
    for (size_t i = 0; i < COUNT(wanted); i++)
        assert_string_equal(node->input[i], wanted[i]);
    node = node_new(model, "Constant", "n", NULL, 0, outputs, 1);
    assert_int_equal(node->n_input, 0);
    Onnx__ModelProto *proto = make_model(10, 21); /* packs as any other */
    put_node(proto->graph, node);
    assert_string_equal(unpack(pack(proto))->graph->node[0]->op_type, "Constant");
}

/* ---- lists ----------------------------------------------------------- */

static void test_list_insert(void **state)
{
    (void)state;
    struct model *model = empty_model();
    static int items[20];
    for (size_t length = 0; length <= 4; length++) {
        for (size_t at = 0; at <= length; at++) {
            for (size_t count = 0; count <= 3; count++) {
                void **list = NULL, *added[3] = {&items[10], &items[11], &items[12]};
                size_t n = 0;
                for (size_t i = 0; i < length; i++)
                    put(&list, &n, &items[i]);
                assert_true(list_insert(model, &list, &n, at, added, count));
                assert_int_equal(n, length + count);
                for (size_t i = 0; i < n; i++)
                    assert_ptr_equal(list[i], i < at           ? &items[i]
                                              : i < at + count ? &items[10 + i - at]
                                                               : &items[i - count]);
            }
        }
    }
}

static bool keep_some(void *context, const void *item)
{
    const unsigned *mask = context;
    return (*mask >> *(const int *)item & 1) != 0;
}

/* All subsets of five items. */
static void test_list_filter(void **state)
{
    (void)state;
    enum { LENGTH = 5 };
    static int items[LENGTH] = {0, 1, 2, 3, 4};
    for (unsigned mask = 0; mask < 1u << LENGTH; mask++) {
        void **list = NULL;
        size_t n = 0, kept = 0;
        for (size_t i = 0; i < LENGTH; i++)
            put(&list, &n, &items[i]);
        list_filter(&list, &n, keep_some, &mask);
        for (size_t i = 0; i < LENGTH; i++)
            if (mask >> i & 1)
                assert_ptr_equal(list[kept++], &items[i]);
        assert_int_equal(n, kept);
    }
    void **none = NULL;
    size_t n = 0;
    unsigned mask = 0;
    list_filter(&none, &n, keep_some, &mask);
    assert_int_equal(n, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_domains),
        TEST(test_names),
        TEST(test_reading_attributes),
        TEST(test_setting_attributes),
        TEST(test_removing_attributes),
        TEST(test_making_nodes),
        TEST(test_list_insert),
        TEST(test_list_filter),
    };
    return RUN(tests);
}

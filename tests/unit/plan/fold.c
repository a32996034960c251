/* Folding: weights behind operators that only move values become initializers
 * with the values those operators would have made; nothing else changes. */
#include "plan/fold.h"
#include "onnx/node.h"
#include "pipeline.h"

#include <string.h>
#include <unistd.h>

/* Reads the model, folds once, and gives the message with real bytes. */
static Onnx__GraphProto *fold(const Onnx__ModelProto *proto, bool *changed)
{
    struct error err = {0};
    struct plan_options options = plan_defaults();
    struct pipeline *pipeline = hold(sizeof *pipeline);
    pipeline->model = read_proto(proto);
    assert_true(graph_index(pipeline->model, &pipeline->index, &err));
    alarm(60); /* whatever the model is, this takes no time */
    bool ok =
        fold_constants(pipeline->model, &pipeline->index, &options, NULL, changed, &err);
    alarm(0);
    graph_index_free(&pipeline->index);
    assert_fine(&err);
    assert_true(ok);
    return pipeline_bytes(pipeline)->graph;
}

/* X times what becomes of "W", a float matrix of 6 x 4 whose element i is i. */
static Onnx__ModelProto *make_chain(void)
{
    Onnx__ModelProto *proto = make_model(10, 21);
    float values[24];
    for (int i = 0; i < 24; i++)
        values[i] = (float)i;
    put_initializer(proto->graph,
                    make_tensor("W", DATA_FLOAT, DIMS(6, 4), values, sizeof values));
    put_node(proto->graph, make_node("MatMul", "X V", "Y"));
    put_output(proto->graph, "Y", DATA_FLOAT);
    return proto;
}

static void put_ints(Onnx__NodeProto *node, const char *name, const int64_t *values,
                     size_t count)
{
    Onnx__AttributeProto *attribute = put_attribute(node, name, 7);
    attribute->ints = hold((count + 1) * sizeof *values);
    memcpy(attribute->ints, values, count * sizeof *values);
    attribute->n_ints = count;
}

static void put_list(Onnx__GraphProto *graph, const char *name, const int64_t *values,
                     size_t count)
{
    int64_t dim = (int64_t)count;
    put_initializer(
        graph, make_tensor(name, DATA_INT64, &dim, 1, values, count * sizeof *values));
}

static void assert_folded(const Onnx__GraphProto *graph, const int64_t *dims, size_t rank,
                          const float *values, size_t count)
{
    const Onnx__TensorProto *tensor = find_initializer(graph, "V");
    assert_non_null(tensor);
    assert_int_equal(tensor->data_type, DATA_FLOAT);
    assert_int_equal(tensor->n_dims, rank);
    for (size_t i = 0; i < rank; i++)
        assert_int_equal(tensor->dims[i], dims[i]);
    assert_int_equal(tensor->raw_data.len, count * sizeof *values);
    assert_memory_equal(tensor->raw_data.data, values, count * sizeof *values);
    /* Of the chain nothing is left, neither nodes nor the old values. */
    assert_int_equal(graph->n_node, 1);
    assert_null(find_initializer(graph, "W"));
}

/* ---- operators ------------------------------------------------------- */

static void test_slice(void **state)
{
    (void)state;
    bool changed;
    for (int as_attributes = 0; as_attributes < 2; as_attributes++) {
        Onnx__ModelProto *proto = make_chain();
        Onnx__GraphProto *graph = proto->graph;
        Onnx__NodeProto *node =
            make_node("Slice", as_attributes ? "W" : "W starts ends axes steps", "V");
        if (as_attributes) {
            put_ints(node, "starts", DIMS(-5, 1));
            put_ints(node, "ends", DIMS(5, INT64_MAX));
        } else {
            put_list(graph, "starts", DIMS(1, 1));
            put_list(graph, "ends", DIMS(-1, 99));
            put_list(graph, "axes", DIMS(-1, 0));
            put_list(graph, "steps", DIMS(1, 2));
        }
        put_node(graph, node);
        const Onnx__GraphProto *after = fold(proto, &changed);
        assert_true(changed);
        if (as_attributes) {
            const float wanted[] = {5, 6, 7, 9, 10, 11, 13, 14, 15, 17, 18, 19};
            assert_folded(after, DIMS(4, 3), wanted, COUNT(wanted));
        } else {
            const float wanted[] = {5, 6, 13, 14, 21, 22};
            assert_folded(after, DIMS(3, 2), wanted, COUNT(wanted));
        }
    }
}

static void test_split_and_concat(void **state)
{
    (void)state;
    bool changed;
    Onnx__ModelProto *proto = make_chain();
    Onnx__NodeProto *split =
        put_node(proto->graph, make_node("Split", "W sizes", "a b c"));
    put_list(proto->graph, "sizes", DIMS(1, 2, 1));
    put_int(split, "axis", 1);
    put_int(put_node(proto->graph, make_node("Concat", "b c a", "V")), "axis", -1);
    float wanted[24];
    for (int i = 0; i < 24; i++)
        wanted[i] = (float)(i / 4 * 4 + (i + 1) % 4);
    assert_folded(fold(proto, &changed), DIMS(6, 4), wanted, COUNT(wanted));
}

/* Without perm all axes are turned about. */
static void test_plain_transpose(void **state)
{
    (void)state;
    bool changed;
    Onnx__ModelProto *proto = make_chain();
    put_list(proto->graph, "shape", DIMS(2, 3, 4));
    put_node(proto->graph, make_node("Reshape", "W shape", "a"));
    put_node(proto->graph, make_node("Transpose", "a", "V"));
    float wanted[24];
    for (int k = 0, n = 0; k < 4; k++)
        for (int j = 0; j < 3; j++)
            for (int i = 0; i < 2; i++)
                wanted[n++] = (float)(i * 12 + j * 4 + k);
    assert_folded(fold(proto, &changed), DIMS(4, 3, 2), wanted, COUNT(wanted));
}

static void test_reshape_and_transpose(void **state)
{
    (void)state;
    bool changed;
    Onnx__ModelProto *proto = make_chain();
    Onnx__GraphProto *graph = proto->graph;
    put_list(graph, "shape", DIMS(2, -1, 0));
    put_node(graph, make_node("Reshape", "W shape", "a"));
    graph->initializer[1]->raw_data.data[16] = 2; /* [2, -1, 2] */
    Onnx__NodeProto *node = put_node(graph, make_node("Transpose", "a", "V"));
    put_ints(node, "perm", DIMS(2, 0, 1));
    float wanted[24];
    for (int k = 0, n = 0; k < 2; k++)
        for (int i = 0; i < 2; i++)
            for (int j = 0; j < 6; j++)
                wanted[n++] = (float)(i * 12 + j * 2 + k);
    assert_folded(fold(proto, &changed), DIMS(2, 2, 6), wanted, COUNT(wanted));
}

static void test_cast_and_unsqueeze(void **state)
{
    (void)state;
    bool changed;
    const uint16_t halves[] = {0x3c00, 0xc000, 0x3800, 0x0000};
    Onnx__ModelProto *proto = make_chain();
    Onnx__GraphProto *graph = proto->graph;
    graph->n_initializer = 0;
    put_initializer(graph,
                    make_tensor("W", DATA_FLOAT16, DIMS(2, 2), halves, sizeof halves));
    put_int(put_node(graph, make_node("Cast", "W", "a")), "to", DATA_FLOAT);
    put_ints(put_node(graph, make_node("Unsqueeze", "a", "b")), "axes", DIMS(0, 3));
    put_ints(put_node(graph, make_node("Squeeze", "b", "V")), "axes", DIMS(-1));
    const float wanted[] = {1, -2, 0.5f, 0};
    assert_folded(fold(proto, &changed), DIMS(1, 2, 2), wanted, COUNT(wanted));
}

/* An Identity over a weight is passed by: its consumers read the weight itself. */
static void test_identity(void **state)
{
    (void)state;
    bool changed;
    Onnx__ModelProto *proto = make_chain();
    put_node(proto->graph, make_node("Identity", "W", "a"));
    put_node(proto->graph, make_node("Identity", "a", "V"));
    const Onnx__GraphProto *graph = fold(proto, &changed);
    assert_true(changed);
    assert_int_equal(graph->n_node, 1);
    assert_string_equal(graph->node[0]->input[1], "W");
    assert_non_null(find_initializer(graph, "W"));
}

/* ---- what is not folded ---------------------------------------------- */

static void test_shared(void **state)
{
    (void)state;
    bool changed;
    Onnx__ModelProto *proto = make_chain();
    put_ints(put_node(proto->graph, make_node("Unsqueeze", "W", "V")), "axes", DIMS(0));
    put_node(proto->graph, make_node("Add", "X W", "Z")); /* needs the float values */
    const Onnx__GraphProto *graph = fold(proto, &changed);
    assert_false(changed);
    assert_non_null(find_initializer(graph, "W"));
    assert_int_equal(graph->n_node, 3);
}

static void test_not_constant(void **state)
{
    (void)state;
    static const struct {
        const char *op_type, *inputs;
    } rows[] = {
        {"Unsqueeze", "W axes_of_nobody"},
        {"Reshape", "W"},
        {"Transpose", "V"},
        {"Slice", "W X X"},
        {"Concat", "W W V"},
        {"Concat", ""},
        {"Split", ""},
        {"Squeeze", "W Y"},
        {"Identity", "Y"},
        {"Identity", "V"},
        {"Reshape", "W W"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        bool changed;
        Onnx__ModelProto *proto = make_chain();
        put_node(proto->graph, make_node(rows[i].op_type, rows[i].inputs, "V"));
        fold(proto, &changed);
        assert_false(changed);
    }
}

/* Arguments that no exporter writes: nothing is read beyond the values. */
static void test_hostile_arguments(void **state)
{
    (void)state;
    const struct {
        const char *op_type, *name;
        const int64_t *values;
        size_t count;
    } rows[] = {
        {"Transpose", "perm", DIMS(0, 0)},
        {"Transpose", "perm", DIMS(1, 1)},
        {"Transpose", "perm", DIMS(0, -2)},
        {"Transpose", "perm", DIMS(0, 2)},
        {"Squeeze", "axes", DIMS(0, 0)},
        {"Unsqueeze", "axes", DIMS(0, 0)},
        {"Unsqueeze", "axes", DIMS(INT64_MIN)},
        {"Split", "split", DIMS(INT64_MAX)},
        {"Split", "split", DIMS(-1)},
        {"Split", "split", DIMS(7)},
        {"Split", "split", DIMS(INT64_MAX, INT64_MAX, 1)},
        {"Split", "split", DIMS(-1, 7, 1)},
        {"Split", "split", DIMS(INT64_MIN, INT64_MIN, 6)},
        {"Reshape", "shape", DIMS(-1, -1)},
        {"Reshape", "shape", DIMS(5, -1)},
        {"Reshape", "shape", DIMS(INT64_MAX, INT64_MAX)},
        {"Reshape", "shape", DIMS(-2, 12)},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        bool changed;
        Onnx__ModelProto *proto = make_chain();
        bool three = rows[i].count == 3;
        put_int(put_node(proto->graph, make_node("Cast", "W", "c")), "to", DATA_FLOAT);
        Onnx__NodeProto *node = make_node(rows[i].op_type, "c", three ? "a b V" : "V");
        put_ints(node, rows[i].name, rows[i].values, rows[i].count);
        put_node(proto->graph, node);
        fold(proto, &changed);
        if (changed)
            print_error("%s, row %zu\n", rows[i].op_type, i);
        assert_false(changed);
    }
}

/* A step beyond the end takes one element. */
static void test_huge_step(void **state)
{
    (void)state;
    bool changed;
    Onnx__ModelProto *proto = make_chain();
    put_list(proto->graph, "starts", DIMS(2));
    put_list(proto->graph, "ends", DIMS(INT64_MAX));
    put_list(proto->graph, "axes", DIMS(0));
    put_list(proto->graph, "steps", DIMS(INT64_MAX));
    put_node(proto->graph, make_node("Slice", "W starts ends axes steps", "V"));
    const float wanted[] = {8, 9, 10, 11};
    assert_folded(fold(proto, &changed), DIMS(1, 4), wanted, COUNT(wanted));
}

/* ---- no model takes long ---------------------------------------------- */

/* Each Concat doubles the one before: 2^40 values, if anybody made them. */
static void test_doubling(void **state)
{
    (void)state;
    bool changed;
    Onnx__ModelProto *proto = make_chain();
    const char *last = "W";
    for (int i = 0; i < 40; i++) {
        char *next = i == 39 ? hold_printf("V") : hold_printf("c%d", i);
        Onnx__NodeProto *node =
            make_node("Concat", hold_printf("%s %s", last, last), next);
        put_int(put_node(proto->graph, node), "axis", 0);
        last = next;
    }
    fold(proto, &changed);
}

/* The same, but of views of one value: looked at again and again. */
static void test_shared_views(void **state)
{
    (void)state;
    bool changed;
    Onnx__ModelProto *proto = make_chain();
    const char *last = "W";
    for (int i = 0; i < 30; i++) {
        char *joined = hold_printf("c%d", i),
             *next = i == 29 ? hold_printf("V") : hold_printf("s%d", i);
        Onnx__NodeProto *node = put_node(
            proto->graph, make_node("Concat", hold_printf("%s %s", last, last), joined));
        put_int(node, "axis", 0);
        Onnx__NodeProto *slice = put_node(proto->graph, make_node("Slice", joined, next));
        put_ints(slice, "starts", DIMS(0));
        put_ints(slice, "ends", DIMS(6));
        last = next;
    }
    fold(proto, &changed);
}

/* No elements, but dims without end. */
static void test_empty(void **state)
{
    (void)state;
    bool changed;
    Onnx__ModelProto *proto = make_chain();
    proto->graph->n_initializer = 0;
    put_initializer(proto->graph,
                    make_tensor("W", DATA_FLOAT, DIMS(INT64_C(1) << 56, 0), "", 0));
    put_int(put_node(proto->graph, make_node("Concat", "W W", "V")), "axis", 1);
    fold(proto, &changed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_slice),
        TEST(test_split_and_concat),
        TEST(test_reshape_and_transpose),
        TEST(test_cast_and_unsqueeze),
        TEST(test_plain_transpose),
        TEST(test_identity),
        TEST(test_shared),
        TEST(test_not_constant),
        TEST(test_hostile_arguments),
        TEST(test_huge_step),
        TEST(test_doubling),
        TEST(test_shared_views),
        TEST(test_empty),
    };
    return RUN(tests);
}

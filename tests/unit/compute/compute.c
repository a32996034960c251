/* The conversion to float16: the table, and a small graph. tests/e2e/test_compute.py runs
 * what it makes. */
#include "compute/compute.h"
#include "compute/compute_operators.h"
#include "support.h"

static const struct compute_operator *row_of(const char *op_type, int64_t opset)
{
    return compute_operator_find(make_node(op_type, "a", "b"), opset);
}

static void test_rows(void **state)
{
    (void)state;
    assert_int_equal(row_of("MatMul", 13)->kind, COMPUTE_PRODUCTS);
    assert_int_equal(row_of("Exp", 13)->kind, COMPUTE_WIDENS);
    assert_null(row_of("NonMaxSuppression", 13));
    assert_null(row_of("DequantizeLinear", 18)); /* its scales are float32 */
    assert_non_null(row_of("DequantizeLinear", 19));
    Onnx__NodeProto *foreign = make_node("MatMul", "a", "b");
    foreign->domain = hold_printf("other");
    assert_null(compute_operator_find(foreign, 21));
    foreign->domain = hold_printf("ai.onnx");
    assert_non_null(compute_operator_find(foreign, 21));
}

static void test_masks(void **state)
{
    (void)state;
    assert_true(compute_in_mask(1 << 2, 2));
    assert_false(compute_in_mask(1 << 2, 1));
    assert_true(compute_in_mask(COMPUTE_ALL, 100));
    assert_false(compute_in_mask(1 << 2, 100));
}

static void test_places(void **state)
{
    (void)state;
    Onnx__NodeProto *resize = make_node("Resize", "a b c", "d");
    assert_false(compute_is_place(resize, 0));
    assert_true(compute_is_place(resize, 2));
    assert_true(compute_is_place(make_node("Sin", "a", "b"), 0));
    assert_false(compute_is_place(make_node("Relu", "a", "b"), 0));
}

/* What compute_float16 makes of y = op(x, c) with a constant c. */
static Onnx__GraphProto *convert(const char *op_type, float c, bool io,
                                 struct compute_counts *counts)
{
    struct error err = {0};
    const int64_t one = 1;
    Onnx__ModelProto *proto = make_model(8, 17);
    Onnx__GraphProto *graph = proto->graph;
    put_input(graph, "x", DATA_FLOAT);
    put_output(graph, "y", DATA_FLOAT);
    put_node(graph, make_node(op_type, "x c", "y"));
    put_initializer(graph, make_tensor("c", DATA_FLOAT, &one, 1, &c, sizeof c));
    struct model *model = read_proto(proto);
    assert_true(compute_float16(model, io, counts, &err));
    assert_fine(&err);
    return model->proto->graph;
}

static void test_borders(void **state)
{
    (void)state;
    struct compute_counts counts;
    const Onnx__GraphProto *graph = convert("Add", 0.5F, false, &counts);
    assert_int_equal(counts.float16, 1);
    assert_int_equal(counts.float32, 0);
    assert_int_equal(graph->n_node, 3);
    assert_string_equal(graph->node[0]->op_type, "Cast");
    assert_string_equal(graph->node[0]->input[0], "x");
    assert_string_equal(graph->node[1]->input[0], graph->node[0]->output[0]);
    assert_string_equal(graph->node[2]->input[0], graph->node[1]->output[0]);
    assert_string_equal(graph->node[2]->output[0], "y");
    assert_int_equal(graph->initializer[0]->data_type, DATA_FLOAT16);
    assert_int_equal(graph->output[0]->type->tensor_type->elem_type, DATA_FLOAT);
}

static void test_io(void **state)
{
    (void)state;
    struct compute_counts counts;
    const Onnx__GraphProto *graph = convert("Add", 0.5F, true, &counts);
    assert_int_equal(graph->n_node, 1);
    assert_int_equal(graph->input[0]->type->tensor_type->elem_type, DATA_FLOAT16);
    assert_int_equal(graph->output[0]->type->tensor_type->elem_type, DATA_FLOAT16);
}

static void test_constants_that_do_not_fit(void **state)
{
    (void)state;
    static const float values[] = {70000.0F, 1e-9F};
    for (size_t i = 0; i < COUNT(values); i++) {
        struct compute_counts counts;
        const Onnx__GraphProto *graph = convert("Add", values[i], false, &counts);
        assert_int_equal(counts.float16, 0);
        assert_int_equal(counts.float32, 1);
        assert_int_equal(graph->n_node, 1);
        assert_int_equal(graph->initializer[0]->data_type, DATA_FLOAT);
    }
    struct compute_counts counts;
    convert("Max", 3e38F, false, &counts); /* a limit may become infinite */
    assert_int_equal(counts.float16, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_rows),    TEST(test_masks), TEST(test_places),
        TEST(test_borders), TEST(test_io),    TEST(test_constants_that_do_not_fit),
    };
    return RUN(tests);
}

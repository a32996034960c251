/* What takes a weight's place in the graph: nodes, tensors, shapes and names, and
 * all that must stay as it is. */
#include "onnx/node.h"
#include "pipeline.h"

#include <string.h>

/* The decoder that makes `name`, whose type and attributes are checked. */
static Onnx__NodeProto *decoder_of(const Onnx__GraphProto *graph, const char *name)
{
    Onnx__NodeProto *node = find_node(graph->node, graph->n_node, name);
    assert_non_null(node);
    assert_string_equal(node->op_type, "DequantizeLinear");
    assert_true(domain_is_standard(node->domain));
    assert_int_equal(node->n_output, 1);
    return node;
}

static void assert_tensor(const Onnx__GraphProto *graph, const char *name, int type,
                          const int64_t *dims, size_t rank)
{
    const Onnx__TensorProto *tensor = find_initializer(graph, name);
    uint64_t elements = 1;
    assert_non_null(tensor);
    assert_int_equal(tensor->data_type, type);
    assert_int_equal(tensor->n_dims, rank);
    for (size_t i = 0; i < rank; i++) {
        assert_int_equal(tensor->dims[i], dims[i]);
        elements *= (uint64_t)dims[i];
    }
    assert_true(tensor->has_raw_data);
    assert_int_equal(tensor->raw_data.len, data_type_bytes(type, elements));
}

/* ---- shapes ---------------------------------------------------------- */

static void test_shapes(void **state)
{
    (void)state;
    enum { NONE = INT32_MIN };
    const struct {
        const char *op_type;
        const int64_t *dims;
        size_t rank;
        enum granularity granularity;
        uint64_t block;
        int64_t axis, block_size; /* attributes; NONE: absent */
        const int64_t *scales;
        size_t scales_rank;
    } rows[] = {
        {"MatMul", DIMS(300, 6), GRANULARITY_DEFAULT, 0, 0, 256, DIMS(2, 6)},
        {"MatMul", DIMS(20, 6), GRANULARITY_DEFAULT, 0, 1, NONE, DIMS(6)},
        {"MatMul", DIMS(2, 300, 6), GRANULARITY_DEFAULT, 0, 1, 256, DIMS(2, 2, 6)},
        {"MatMul", DIMS(64, 6), GRANULARITY_CHANNEL, 0, 1, NONE, DIMS(6)},
        {"MatMul", DIMS(64, 6), GRANULARITY_TENSOR, 0, NONE, NONE, SCALAR},
        {"MatMul", DIMS(65, 6), GRANULARITY_BLOCKS, 32, 0, 32, DIMS(3, 6)},
        {"Conv", DIMS(8, 20, 3, 3), GRANULARITY_DEFAULT, 0, 0, NONE, DIMS(8)},
        {"Conv", DIMS(8, 20, 3, 3), GRANULARITY_BLOCKS, 16, 1, 16, DIMS(8, 2, 3, 3)},
        {"ConvTranspose", DIMS(8, 20, 3, 3), GRANULARITY_DEFAULT, 0, 1, NONE, DIMS(20)},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct plan_options options = plan_defaults();
        options.granularity = rows[i].granularity;
        options.block_size = rows[i].block;
        struct pipeline *pipeline = pipeline_plan(
            make_one(rows[i].op_type,
                     make_weight("W", DATA_FLOAT, rows[i].dims, rows[i].rank)),
            &options);
        assert_int_equal(pipeline->plan.quantized, 1);
        const Onnx__GraphProto *graph = pipeline_emit(pipeline)->graph;
        const Onnx__NodeProto *node = decoder_of(graph, "W");
        assert_int_equal(node->n_input, 2);
        assert_tensor(graph, node->input[0], DATA_INT4, rows[i].dims, rows[i].rank);
        assert_tensor(graph, node->input[1], DATA_FLOAT, rows[i].scales,
                      rows[i].scales_rank);
        assert_int_equal(node_int(node, "axis", NONE), rows[i].axis);
        assert_int_equal(node_int(node, "block_size", NONE), rows[i].block_size);
        assert_int_equal(node->n_attribute,
                         (rows[i].axis != NONE) + (rows[i].block_size != NONE));
        assert_int_equal(graph->n_initializer, 2);
    }
}

static void test_types(void **state)
{
    (void)state;
    static const struct {
        enum quant_type type;
        bool symmetric;
        int data_type, codes, scales;
        size_t inputs;
    } rows[] = {
        {QUANT_INT4, true, DATA_FLOAT, DATA_INT4, DATA_FLOAT, 2},
        {QUANT_INT4, false, DATA_FLOAT, DATA_INT4, DATA_FLOAT, 3},
        {QUANT_UINT4, false, DATA_FLOAT, DATA_UINT4, DATA_FLOAT, 3},
        {QUANT_UINT4, true, DATA_FLOAT, DATA_UINT4, DATA_FLOAT, 3}, /* z = 8, not 0 */
        {QUANT_INT8, true, DATA_FLOAT, DATA_INT8, DATA_FLOAT, 2},
        {QUANT_INT8, false, DATA_FLOAT, DATA_INT8, DATA_FLOAT, 3},
        {QUANT_UINT8, true, DATA_FLOAT, DATA_UINT8, DATA_FLOAT, 3},
        {QUANT_INT4, true, DATA_FLOAT16, DATA_INT4, DATA_FLOAT16, 2},
        {QUANT_UINT4, false, DATA_BFLOAT16, DATA_UINT4, DATA_BFLOAT16, 3},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct plan_options options = plan_defaults();
        options.scheme.type = rows[i].type;
        options.scheme.symmetric = rows[i].symmetric;
        struct pipeline *pipeline = pipeline_plan(
            make_one("MatMul", make_weight("W", rows[i].data_type, DIMS(257, 3))),
            &options);
        const Onnx__GraphProto *graph = pipeline_emit(pipeline)->graph;
        const Onnx__NodeProto *node = decoder_of(graph, "W");
        assert_int_equal(node->n_input, rows[i].inputs);
        assert_tensor(graph, node->input[0], rows[i].codes, DIMS(257, 3));
        assert_tensor(graph, node->input[1], rows[i].scales, DIMS(2, 3));
        if (rows[i].inputs == 3)
            assert_tensor(graph, node->input[2], rows[i].codes, DIMS(2, 3));
        const struct plan_item *item = item_named(pipeline, "W");
        const struct item_tensors *made = &pipeline->tensors[item - pipeline->plan.items];
        assert_int_equal(made->zeros != NULL, rows[i].inputs == 3);
        assert_int_equal(made->codes->size + made->scales->size +
                             (made->zeros ? made->zeros->size : 0),
                         plan_bytes(item));
    }
}

/* DequantizeLinear makes no doubles: a Cast does. */
static void test_double(void **state)
{
    (void)state;
    struct plan_options options = plan_defaults();
    const Onnx__GraphProto *graph =
        pipeline_emit(
            pipeline_plan(make_one("MatMul", make_weight("W", DATA_DOUBLE, DIMS(257, 3))),
                          &options))
            ->graph;
    const Onnx__NodeProto *cast = find_node(graph->node, graph->n_node, "W");
    assert_string_equal(cast->op_type, "Cast");
    assert_int_equal(node_int(cast, "to", 0), DATA_DOUBLE);
    const Onnx__NodeProto *node = decoder_of(graph, cast->input[0]);
    assert_tensor(graph, node->input[1], DATA_FLOAT, DIMS(2, 3));
    assert_ptr_equal(graph->node[0], node); /* before its consumer */
    assert_ptr_equal(graph->node[1], cast);
}

/* ---- around the weight ----------------------------------------------- */

static void test_rest_stays(void **state)
{
    (void)state;
    Onnx__ModelProto *proto =
        make_one("MatMul", make_weight("W", DATA_FLOAT, DIMS(64, 8)));
    Onnx__GraphProto *graph = proto->graph;
    put_info(graph, "W", DATA_FLOAT);
    graph->initializer[0]->doc_string = hold_printf("the weight");
    put_initializer(graph, make_weight("B", DATA_FLOAT, DIMS(8)));
    put_initializer(graph, make_weight("V", DATA_FLOAT, DIMS(64, 8)));
    put_node(graph, make_node("Add", "Y B", "Z"));
    put_node(graph, make_node("Gemm", "X V B", "Q"));
    struct plan_options options = plan_defaults();
    struct pipeline *pipeline = pipeline_plan(proto, &options);
    const Onnx__GraphProto *after = pipeline_emit(pipeline)->graph;
    const Onnx__NodeProto *w = decoder_of(after, "W"), *v = decoder_of(after, "V");
    assert_null(find_initializer(after, "W"));
    assert_null(find_initializer(after, "V"));
    assert_string_equal(find_initializer(after, w->input[0])->doc_string, "the weight");
    assert_int_equal(find_initializer(after, "B")->data_type, DATA_FLOAT);
    assert_non_null(find_initializer(after, v->input[0]));
    assert_int_equal(after->n_initializer, 5);
    /* Decoders first, then the old nodes, untouched and in their order. */
    assert_int_equal(after->n_node, 5);
    assert_ptr_equal(after->node[0], w);
    assert_ptr_equal(after->node[1], v);
    for (size_t i = 0; i < graph->n_node; i++) {
        const Onnx__NodeProto *node = after->node[i + 2];
        assert_string_equal(node->op_type, graph->node[i]->op_type);
        for (size_t j = 0; j < node->n_input; j++)
            assert_string_equal(node->input[j], graph->node[i]->input[j]);
    }
    assert_int_equal(after->n_value_info, 1);
    assert_int_equal(after->value_info[0]->type->tensor_type->elem_type, DATA_FLOAT);
    assert_int_equal(after->n_input, 1);
    assert_int_equal(after->n_output, 1);
}

/* Every name is one of a kind, also where the obvious ones are taken. */
static void test_names(void **state)
{
    (void)state;
    Onnx__ModelProto *proto =
        make_one("MatMul", make_weight("W", DATA_FLOAT, DIMS(64, 8)));
    static const char *const taken[] = {"W_int4", "W_scale", "W_zero_point",
                                        "W_DequantizeLinear", "W_int4_2"};
    for (size_t i = 0; i < COUNT(taken); i++)
        put_input(proto->graph, taken[i], DATA_FLOAT);
    struct plan_options options = plan_defaults();
    options.scheme.symmetric = false;
    const Onnx__GraphProto *graph = pipeline_emit(pipeline_plan(proto, &options))->graph;
    struct map names = {0};
    for (size_t i = 0; i < graph->n_input; i++)
        assert_true(map_put(&names, graph->input[i]->name, hold(1)));
    for (size_t i = 0; i < graph->n_initializer; i++) {
        assert_null(map_get(&names, graph->initializer[i]->name));
        assert_true(map_put(&names, graph->initializer[i]->name, hold(1)));
    }
    const Onnx__NodeProto *node = decoder_of(graph, "W");
    assert_null(map_get(&names, node->name));
    for (size_t i = 0; i < node->n_input; i++)
        assert_non_null(find_initializer(graph, node->input[i]));
    map_free(&names);
}

/* A decoder's output may not be an input of its graph. */
static void test_graph_input_removed(void **state)
{
    (void)state;
    Onnx__ModelProto *proto =
        make_one("MatMul", make_weight("W", DATA_FLOAT, DIMS(64, 8)));
    proto->ir_version = 3;
    put_input(proto->graph, "W", DATA_FLOAT);
    put_initializer(proto->graph, make_weight("B", DATA_FLOAT, DIMS(8)));
    put_input(proto->graph, "B", DATA_FLOAT);
    put_input(proto->graph, "Z", DATA_FLOAT);
    struct plan_options options = plan_defaults();
    const Onnx__GraphProto *graph = pipeline_emit(pipeline_plan(proto, &options))->graph;
    static const char *const wanted[] = {"X", "B", "Z"};
    assert_int_equal(graph->n_input, COUNT(wanted));
    for (size_t i = 0; i < COUNT(wanted); i++)
        assert_string_equal(graph->input[i]->name, wanted[i]);
    decoder_of(graph, "W");
}

/* ---- Constant nodes, bodies, functions ------------------------------- */

static Onnx__NodeProto *constant(const char *name, int type)
{
    Onnx__NodeProto *node = make_node("Constant", "", name);
    node->doc_string = hold_printf("a constant");
    put_tensor(node, "value", make_weight("", type, DIMS(64, 8)));
    return node;
}

static void test_constant_node(void **state)
{
    (void)state;
    for (int is_double = 0; is_double < 2; is_double++) {
        Onnx__ModelProto *proto = make_model(10, 21);
        Onnx__GraphProto *graph = proto->graph;
        put_node(graph, make_node("Relu", "X", "R"));
        put_node(graph, constant("C", is_double ? DATA_DOUBLE : DATA_FLOAT));
        put_node(graph, make_node("MatMul", "R C", "Y"));
        struct plan_options options = plan_defaults();
        const Onnx__GraphProto *after =
            pipeline_emit(pipeline_plan(proto, &options))->graph;
        assert_null(find_node(after->node, after->n_node, "")); /* no Constant is left */
        const Onnx__NodeProto *node = find_node(after->node, after->n_node, "C");
        size_t place = after->n_node - 2; /* where the Constant stood */
        assert_ptr_equal(after->node[place], node);
        if (is_double) {
            assert_string_equal(node->op_type, "Cast");
            assert_int_equal(node_int(node, "to", 0), DATA_DOUBLE);
            node = decoder_of(after, node->input[0]);
        } else {
            decoder_of(after, "C");
        }
        assert_null(node_attribute(node, "value"));
        assert_int_equal(after->n_node, is_double ? 4 : 3);
        assert_tensor(after, node->input[0], DATA_INT4, DIMS(64, 8));
        assert_tensor(after, node->input[1], DATA_FLOAT, DIMS(1, 8));
    }
}

static void test_inner_graph(void **state)
{
    (void)state;
    Onnx__ModelProto *proto =
        make_one("MatMul", make_weight("W", DATA_FLOAT, DIMS(64, 8)));
    Onnx__GraphProto *body = make_graph("body");
    put_initializer(body, make_weight("V", DATA_FLOAT, DIMS(64, 8)));
    put_node(body, make_node("MatMul", "X V", "t"));
    put_node(body, make_node("MatMul", "X W", "u")); /* captured */
    put_graph(put_node(proto->graph, make_node("If", "c", "z")), "then_branch", body);
    struct plan_options options = plan_defaults();
    const Onnx__GraphProto *outer = pipeline_emit(pipeline_plan(proto, &options))->graph;
    const Onnx__GraphProto *inner = outer->node[outer->n_node - 1]->attribute[0]->g;
    const Onnx__NodeProto *w = decoder_of(outer, "W"), *v = decoder_of(inner, "V");
    assert_tensor(outer, w->input[0], DATA_INT4, DIMS(64, 8));
    assert_tensor(inner, v->input[0], DATA_INT4, DIMS(64, 8));
    assert_null(find_node(inner->node, inner->n_node, "W"));
    assert_int_equal(outer->n_initializer, 2);
    assert_int_equal(inner->n_initializer, 2);
    assert_int_equal(inner->n_node, 3);
}

/* A function has no initializers: everything is a node, constants come first. */
static void test_function(void **state)
{
    (void)state;
    for (int is_double = 0; is_double < 2; is_double++) {
        Onnx__ModelProto *proto = make_model(10, 21);
        Onnx__FunctionProto *function = make_function("f", "a", "b");
        put_function_node(function, constant("C", is_double ? DATA_DOUBLE : DATA_FLOAT));
        put_function_node(function, make_node("MatMul", "a C", "b"));
        put_function(proto, function);
        struct plan_options options = plan_defaults();
        options.scheme = (struct quant_scheme){.type = QUANT_UINT4, .method = QUANT_RTN};
        const Onnx__ModelProto *after = pipeline_emit(pipeline_plan(proto, &options));
        assert_int_equal(after->graph->n_initializer, 0);
        assert_int_equal(after->graph->n_node, 0);
        function = after->functions[0];
        struct map made = {0};
        size_t decoders = 0, constants = 0;
        assert_true(map_put(&made, "a", hold(1)));
        for (size_t i = 0; i < function->n_node; i++) {
            const Onnx__NodeProto *node = function->node[i];
            for (size_t j = 0; j < node->n_input; j++) /* sorted: inputs come first */
                assert_non_null(map_get(&made, node->input[j]));
            assert_true(map_put(&made, node->output[0], hold(1)));
            decoders += node_is(node, "DequantizeLinear");
            if (!node_is(node, "Constant"))
                continue;
            const Onnx__TensorProto *tensor = node_attribute(node, "value")->t;
            static const int types[] = {DATA_UINT4, DATA_FLOAT, DATA_UINT4};
            assert_int_equal(tensor->data_type, types[constants++]);
        }
        assert_int_equal(decoders, 1);
        assert_int_equal(constants, 3);
        assert_non_null(map_get(&made, "C"));
        assert_int_equal(function->n_node, is_double ? 6 : 5);
        map_free(&made);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_shapes),        TEST(test_types),       TEST(test_double),
        TEST(test_rest_stays),    TEST(test_names),       TEST(test_graph_input_removed),
        TEST(test_constant_node), TEST(test_inner_graph), TEST(test_function),
    };
    return RUN(tests);
}

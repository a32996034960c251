/* All forms: whatever the form, the graph stays sound, holds what the plan has
 * counted, and nothing of the float weight; and what each form looks like. */
#include "onnx/node.h"
#include "pipeline.h"

#include <string.h>

/* ---- soundness -------------------------------------------------------- */

static void define(struct map *names, const char *name)
{
    if (!*name)
        return;
    assert_null(map_get(names, name)); /* once only */
    assert_true(map_put(names, name, hold(1)));
}

/* Every input is there before it is used, no name is given twice, and there is no
 * initializer that nothing uses. */
static void assert_sound(const Onnx__GraphProto *graph)
{
    struct map names = {0}, used = {0};
    for (size_t i = 0; i < graph->n_input; i++)
        define(&names, graph->input[i]->name);
    for (size_t i = 0; i < graph->n_initializer; i++)
        define(&names, graph->initializer[i]->name);
    for (size_t i = 0; i < graph->n_node; i++) {
        const Onnx__NodeProto *node = graph->node[i];
        for (size_t j = 0; j < node->n_input; j++) {
            if (*node->input[j] && !map_get(&names, node->input[j]))
                fail_msg("%s uses '%s' before it is there", node->op_type,
                         node->input[j]);
            assert_true(map_put(&used, node->input[j], hold(1)));
        }
        for (size_t j = 0; j < node->n_output; j++)
            define(&names, node->output[j]);
    }
    for (size_t i = 0; i < graph->n_output; i++)
        assert_non_null(map_get(&names, graph->output[i]->name));
    for (size_t i = 0; i < graph->n_initializer; i++)
        if (!map_get(&used, graph->initializer[i]->name))
            fail_msg("nothing uses '%s'", graph->initializer[i]->name);
    map_free(&names);
    map_free(&used);
}

static size_t count_type(const Onnx__GraphProto *graph, int type)
{
    size_t count = 0;
    for (size_t i = 0; i < graph->n_initializer; i++)
        count += graph->initializer[i]->data_type == type;
    return count;
}

static Onnx__NodeProto *only_node(const Onnx__GraphProto *graph, const char *op_type)
{
    Onnx__NodeProto *found = NULL;
    for (size_t i = 0; i < graph->n_node; i++) {
        if (strcmp(graph->node[i]->op_type, op_type) != 0)
            continue;
        assert_null(found);
        found = graph->node[i];
    }
    assert_non_null(found);
    return found;
}

/* One operator on weight W, with inputs in the order that it wants them. */
static Onnx__ModelProto *make_consumer(const char *op_type, Onnx__TensorProto *weight)
{
    Onnx__ModelProto *proto = make_model(10, 21);
    bool table = strcmp(op_type, "Gather") == 0, experts = strcmp(op_type, "MoE") == 0;
    put_input(proto->graph, "X", table ? DATA_INT64 : weight->data_type);
    put_output(proto->graph, "Y", weight->data_type);
    put_info(proto->graph, "W", weight->data_type);
    put_initializer(proto->graph, weight);
    const char *inputs = table ? "W X" : experts ? "X X W - W" : "X W";
    Onnx__NodeProto *node = put_node(proto->graph, make_node(op_type, inputs, "Y"));
    if (experts)
        node->domain = hold_printf("com.microsoft");
    return proto;
}

static void test_every_form(void **state)
{
    (void)state;
    const struct {
        const char *op_type;
        const int64_t *dims;
        size_t rank;
    } consumers[] = {
        {"MatMul", DIMS(64, 6)},
        {"MatMul", DIMS(300, 7)},
        {"MatMul", DIMS(2, 40, 5)},
        {"Gemm", DIMS(64, 6)},
        {"Conv", DIMS(8, 20, 3, 3)},
        {"Conv", DIMS(7, 3, 5)},
        {"Gather", DIMS(50, 64)},
        {"Gather", DIMS(50, 33)},
        {"ConvTranspose", DIMS(8, 6, 3, 3)},
        {"MoE", DIMS(3, 32, 32)},
    };
    static const int data_types[] = {DATA_FLOAT, DATA_FLOAT16, DATA_BFLOAT16,
                                     DATA_DOUBLE};
    static const enum granularity cuts[] = {GRANULARITY_DEFAULT, GRANULARITY_CHANNEL,
                                            GRANULARITY_TENSOR, GRANULARITY_BLOCKS};
    size_t seen[FORMS] = {0};
    for (unsigned i = 0; i < COUNT(consumers) * 4 * 4 * 4 * 2 * 2 * 2; i++) {
        unsigned pick = i;
        struct plan_options options = plan_defaults();
        int data_type = data_types[pick % 4];
        options.granularity = cuts[(pick /= 4) % 4];
        options.decode = (enum decode)((pick /= 4) % 4);
        options.nbits = (pick /= 4) % 2;
        options.scheme.symmetric = (pick /= 2) % 2;
        options.scheme.type = (pick /= 2) % 2 ? QUANT_INT4 : QUANT_UINT8;
        pick /= 2;
        options.block_size = 32;
        Onnx__ModelProto *proto = make_consumer(
            consumers[pick].op_type,
            make_weight("W", data_type, consumers[pick].dims, consumers[pick].rank));
        struct pipeline *pipeline = pipeline_plan(proto, &options);
        assert_int_equal(pipeline->plan.count, 1);
        struct plan_item *item = &pipeline->plan.items[0];
        if (!item->quantize)
            continue;
        seen[item->form]++;
        const Onnx__ModelProto *after = pipeline_emit(pipeline);
        assert_sound(after->graph);
        assert_null(find_initializer(after->graph, "W"));
        const struct item_tensors *made = &pipeline->tensors[0];
        uint64_t reserved = made->codes->size + made->scales->size;
        reserved += made->zeros ? made->zeros->size : 0;
        assert_int_equal(reserved, plan_bytes(item));
        if (item->form == FORM_PORTABLE)
            assert_int_equal(count_type(after->graph, DATA_INT4) +
                                 count_type(after->graph, DATA_UINT4),
                             0);
        /* value_info speaks of W as long as there is one. */
        bool named = find_node(after->graph->node, after->graph->n_node, "W") != NULL;
        assert_int_equal(after->graph->n_value_info, named);
        if (i % 64 == 63)
            support_teardown(NULL);
    }
    for (int form = 0; form < FORMS; form++)
        assert_true(seen[form] > 0);
}

/* ---- one after the other ----------------------------------------------- */

/* ONNX Runtime fuses [K, N] only: a transposed weight is stored turned. */
static void test_turned(void **state)
{
    (void)state;
    Onnx__ModelProto *proto =
        make_consumer("Gemm", make_weight("W", DATA_FLOAT, DIMS(6, 300)));
    put_int(proto->graph->node[0], "transB", 1);
    struct plan_options options = plan_defaults();
    const Onnx__GraphProto *graph = pipeline_emit(pipeline_plan(proto, &options))->graph;
    const Onnx__NodeProto *gemm = only_node(graph, "Gemm");
    const Onnx__NodeProto *node = only_node(graph, "DequantizeLinear");
    assert_null(node_attribute(gemm, "transB"));
    assert_string_equal(gemm->input[1], node->output[0]);
    assert_string_not_equal(gemm->input[1], "W"); /* that was something else */
    const Onnx__TensorProto *codes = find_initializer(graph, node->input[0]);
    const Onnx__TensorProto *scales = find_initializer(graph, node->input[1]);
    assert_int_equal(codes->dims[0], 300);
    assert_int_equal(codes->dims[1], 6);
    assert_int_equal(node_int(node, "axis", 9), 0);
    assert_int_equal(node_int(node, "block_size", 0), 256);
    assert_int_equal(scales->dims[0], 2);
    assert_int_equal(scales->dims[1], 6);
}

static void test_nbits(void **state)
{
    (void)state;
    for (int biased = 0; biased < 2; biased++) {
        Onnx__ModelProto *proto =
            make_consumer("Gemm", make_weight("W", DATA_FLOAT, DIMS(64, 6)));
        if (biased) {
            put_initializer(proto->graph, make_weight("B", DATA_FLOAT, DIMS(6)));
            Onnx__NodeProto *gemm = proto->graph->node[0];
            put(&gemm->input, &gemm->n_input, hold_printf("B"));
        }
        struct plan_options options = plan_defaults();
        options.nbits = true;
        options.granularity = GRANULARITY_BLOCKS;
        options.block_size = 32;
        const Onnx__ModelProto *after = pipeline_emit(pipeline_plan(proto, &options));
        const Onnx__GraphProto *graph = after->graph;
        const Onnx__NodeProto *node = only_node(graph, "MatMulNBits");
        assert_string_equal(node->domain, "com.microsoft");
        assert_int_equal(node_int(node, "K", 0), 64);
        assert_int_equal(node_int(node, "N", 0), 6);
        assert_int_equal(node_int(node, "bits", 0), 4);
        assert_int_equal(node_int(node, "block_size", 0), 32);
        assert_string_equal(node_input(node, 0), "X");
        assert_string_equal(node_input(node, 5), biased ? "B" : "");
        assert_string_equal(node_output(node, 0), "Y");
        const Onnx__TensorProto *codes = find_initializer(graph, node_input(node, 1));
        assert_int_equal(codes->data_type, DATA_UINT8);
        assert_int_equal(codes->n_dims, 3);
        assert_int_equal(codes->dims[0], 6);
        assert_int_equal(codes->dims[1], 2);
        assert_int_equal(codes->dims[2], 16);
        size_t imports = 0;
        for (size_t i = 0; i < after->n_opset_import; i++)
            imports +=
                strcmp(or_empty(after->opset_import[i]->domain), "com.microsoft") == 0;
        assert_int_equal(imports, 1);
        assert_int_equal(graph->n_node, 1); /* the Gemm has gone */
    }
}

static void test_lookup(void **state)
{
    (void)state;
    struct plan_options options = plan_defaults();
    options.nbits = true;
    const Onnx__GraphProto *graph =
        pipeline_emit(pipeline_plan(make_consumer("Gather", make_weight("W", DATA_FLOAT,
                                                                        DIMS(50, 64))),
                                    &options))
            ->graph;
    const Onnx__NodeProto *node = only_node(graph, "GatherBlockQuantized");
    assert_string_equal(node->domain, "com.microsoft");
    assert_int_equal(node_int(node, "gather_axis", 9), 0);
    assert_int_equal(node_int(node, "quantize_axis", 9), 1);
    assert_int_equal(node_int(node, "block_size", 0), 64);
    assert_string_equal(node_input(node, 1), "X");
    assert_string_equal(node_output(node, 0), "Y");
    assert_int_equal(graph->n_node, 1);
}

/* Rows are gathered before they are decoded: nothing decodes the whole table. */
static void test_rows(void **state)
{
    (void)state;
    struct plan_options options = plan_defaults();
    const Onnx__GraphProto *graph =
        pipeline_emit(pipeline_plan(make_consumer("Gather", make_weight("W", DATA_FLOAT,
                                                                        DIMS(50, 64))),
                                    &options))
            ->graph;
    for (size_t i = 0; i < graph->n_node; i++) {
        const Onnx__NodeProto *node = graph->node[i];
        const Onnx__TensorProto *table = find_initializer(graph, node->input[0]);
        if (table && table->n_dims > 0 && table->dims[0] == 50) {
            assert_string_equal(node->op_type, "Gather");
            assert_string_equal(node->input[1], "X");
        }
    }
}

/* ---- several consumers -------------------------------------------------- */

/* A weight of two fused consumers: copied while that is cheap, shared otherwise. */
static void test_copies(void **state)
{
    (void)state;
    for (int copied = 0; copied < 2; copied++) {
        Onnx__ModelProto *proto =
            make_consumer("MatMul", make_weight("W", DATA_FLOAT, DIMS(64, 32)));
        put_node(proto->graph, make_node("MatMul", "Y W", "Z"));
        put_output(proto->graph, "Z", DATA_FLOAT);
        struct plan_options options = plan_defaults();
        options.copy_bytes = 64 * 32 / 2 + 32 * 4 - !copied; /* codes and scales */
        struct pipeline *pipeline = pipeline_plan(proto, &options);
        assert_int_equal(pipeline->plan.count, copied ? 2 : 1);
        if (copied) {
            assert_false(pipeline->plan.items[0].copy);
            assert_true(pipeline->plan.items[1].copy);
            assert_true(pipeline->plan.items[1].again);
        }
        const Onnx__GraphProto *graph = pipeline_emit(pipeline)->graph;
        assert_sound(graph);
        assert_int_equal(graph->n_initializer, copied ? 4 : 2);
        assert_int_equal(graph->n_node, copied ? 4 : 3);
        const char *first = find_node(graph->node, graph->n_node, "Y")->input[1];
        const char *second = find_node(graph->node, graph->n_node, "Z")->input[1];
        assert_int_equal(strcmp(first, second) == 0, !copied);
    }
}

/* A MatMul reads it through a Transpose, another as it is. */
static void test_through_transpose(void **state)
{
    (void)state;
    for (int also_direct = 0; also_direct < 2; also_direct++) {
        Onnx__ModelProto *proto = make_model(10, 21);
        Onnx__GraphProto *graph = proto->graph;
        put_input(graph, "X", DATA_FLOAT);
        put_initializer(graph, make_weight("W", DATA_FLOAT, DIMS(48, 64)));
        put_node(graph, make_node("Transpose", "W", "T"));
        put_node(graph, make_node("MatMul", "X T", "Y"));
        put_output(graph, "Y", DATA_FLOAT);
        if (also_direct) {
            put_node(graph, make_node("MatMul", "Y W", "Z"));
            put_output(graph, "Z", DATA_FLOAT);
        }
        struct plan_options options = plan_defaults();
        options.copy_bytes = 1 << 20;
        const Onnx__GraphProto *after =
            pipeline_emit(pipeline_plan(proto, &options))->graph;
        assert_sound(after);
        for (size_t i = 0; i < after->n_node; i++)
            assert_string_not_equal(after->node[i]->op_type, "Transpose");
        const Onnx__NodeProto *matmul = find_node(after->node, after->n_node, "Y");
        const Onnx__NodeProto *decoder =
            find_node(after->node, after->n_node, matmul->input[1]);
        const Onnx__TensorProto *codes = find_initializer(after, decoder->input[0]);
        assert_int_equal(codes->dims[0], 64); /* stored as T was */
        assert_int_equal(codes->dims[1], 48);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_every_form),
        TEST(test_turned),
        TEST(test_nbits),
        TEST(test_lookup),
        TEST(test_rows),
        TEST(test_copies),
        TEST(test_through_transpose),
    };
    return RUN(tests);
}

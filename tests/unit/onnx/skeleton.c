/* The scan and the reader together: the message is what protobuf-c alone would
 * have read, but for its payloads, which lie in the file. */
#include "core/file.h"
#include "support.h"
#include "wire.h"

#include <string.h>

/* Puts values back where protobuf-c expects them. */
static bool restore(void *context, Onnx__TensorProto *tensor)
{
    (void)context;
    if (tensor->has_raw_data)
        tensor->raw_data.data = (uint8_t *)(uintptr_t)tensor_payload(tensor)->data;
    return true;
}

/* Reading and packing gives what protobuf-c's own reading and packing gives. */
static void assert_same(const void *data, size_t size)
{
    struct model *model = read_bytes(data, size);
    assert_true(model_tensors(model, restore, NULL));
    struct bytes ours = pack(model->proto);
    struct bytes theirs = pack(unpack((struct bytes){(uint8_t *)(uintptr_t)data, size}));
    assert_int_equal(ours.size, theirs.size);
    assert_memory_equal(ours.data, theirs.data, ours.size);
}

static Onnx__ModelProto *everything(void)
{
    Onnx__ModelProto *model =
        make_one("MatMul", make_weight("W", DATA_FLOAT, DIMS(64, 64)));
    Onnx__GraphProto *graph = model->graph, *body = make_graph("body");
    put_initializer(body, make_weight("V", DATA_FLOAT16, DIMS(3, 5)));
    put_node(body, make_node("Add", "a b", "z"));
    Onnx__NodeProto *branch = put_node(graph, make_node("If", "c", "z"));
    put_graph(branch, "then_branch", body);
    Onnx__AttributeProto *many = put_attribute(branch, "many", 9);
    put(&many->tensors, &many->n_tensors, make_weight("T", DATA_DOUBLE, DIMS(2, 3)));
    put(&many->tensors, &many->n_tensors, make_tensor("E", DATA_FLOAT, DIMS(0), "", 0));
    put(&many->graphs, &many->n_graphs, make_graph("other"));
    Onnx__SparseTensorProto *sparse = hold(sizeof *sparse);
    onnx__sparse_tensor_proto__init(sparse);
    sparse->values = make_weight("S", DATA_FLOAT, DIMS(7));
    sparse->indices = make_tensor("", DATA_INT64, DIMS(1), "\1\0\0\0\0\0\0", 8);
    put(&graph->sparse_initializer, &graph->n_sparse_initializer, sparse);
    Onnx__FunctionProto *function = make_function("f", "a", "b");
    Onnx__NodeProto *constant = make_node("Constant", "", "b");
    put_tensor(constant, "value", make_weight("C", DATA_BFLOAT16, DIMS(9, 1000)));
    put_function_node(function, constant);
    put_function(model, function);
    Onnx__TrainingInfoProto *training = hold(sizeof *training);
    onnx__training_info_proto__init(training);
    training->algorithm = make_graph("algorithm");
    put_initializer(training->algorithm, make_weight("rate", DATA_FLOAT, DIMS(1)));
    put(&model->training_info, &model->n_training_info, training);
    put_info(graph, "Y", DATA_FLOAT);
    return model;
}

static void test_same_as_protobuf(void **state)
{
    (void)state;
    struct bytes bytes = pack(everything());
    assert_same(bytes.data, bytes.size);
}

static bool count_tensor(void *context, Onnx__TensorProto *tensor)
{
    size_t *counts = context;
    counts[0]++;
    counts[1] += tensor->has_raw_data ? 1 : 0;
    return counts[0] != counts[2];
}

/* Wherever tensors may be; and the walk stops when told to. */
static void test_all_tensors_found(void **state)
{
    (void)state;
    struct model *model = read_proto(everything());
    size_t counts[3] = {0, 0, SIZE_MAX};
    assert_true(model_tensors(model, count_tensor, counts));
    assert_int_equal(counts[0], 8); /* W V T E S indices C rate */
    assert_int_equal(counts[1], 8);
    size_t stopped[3] = {0, 0, 3};
    assert_false(model_tensors(model, count_tensor, stopped));
    assert_int_equal(stopped[0], 3);
}

static void test_raw_data_sizes(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 7, 8, 9, 4095, 4096, 4097, 1000000};
    for (size_t i = 0; i < COUNT(sizes); i++) {
        uint8_t *raw = hold(sizes[i] + 1);
        for (size_t j = 0; j < sizes[i]; j++)
            raw[j] = (uint8_t)random_below(256);
        Onnx__ModelProto *proto = make_model(10, 21);
        int64_t dim = (int64_t)sizes[i];
        put_initializer(proto->graph,
                        make_tensor("a", DATA_UINT8, &dim, 1, raw, sizes[i]));
        put_initializer(proto->graph, make_tensor("b", DATA_UINT8, DIMS(2), "xy", 2));
        struct bytes bytes = pack(proto);
        struct model *model = read_bytes(bytes.data, bytes.size);
        const Onnx__TensorProto *tensor = model->proto->graph->initializer[0];
        assert_true(tensor->has_raw_data);
        assert_int_equal(tensor->raw_data.len, sizes[i]);
        const struct payload *payload = tensor_payload(tensor);
        assert_ptr_equal(payload_at(&model->payloads, payload), payload);
        assert_int_equal(payload->size, sizes[i]);
        assert_memory_equal(payload->data, raw, sizes[i]);
        /* It was not copied: it lies in the mapping. */
        assert_true(payload->data >= model->file->data);
        assert_true(payload->data + sizes[i] <= model->file->data + model->file->size);
        assert_ptr_equal(payload->file, model->file);
        assert_same(bytes.data, bytes.size);
    }
}

/* ---- typed values ---------------------------------------------------- */

enum { FLOATS = 1024 }; /* 4096 bytes */

static float *floats(void)
{
    float *values = hold(FLOATS * sizeof *values);
    for (size_t i = 0; i < FLOATS; i++)
        values[i] = random_float();
    return values;
}

static struct model *model_of_tensor(const struct wire *tensor)
{
    struct wire graph = {0}, model = {0};
    wire_message(&graph, 5, tensor);
    wire_message(&model, 7, &graph);
    return read_bytes(model.data, model.size);
}

static const Onnx__TensorProto *only_tensor(const struct model *model)
{
    assert_int_equal(model->proto->graph->n_initializer, 1);
    return model->proto->graph->initializer[0];
}

static struct wire tensor_start(int type, uint64_t dim)
{
    struct wire wire = {0};
    wire_number(&wire, 1, dim);
    wire_number(&wire, 2, (uint64_t)type);
    return wire;
}

static void assert_floats(struct model *model, const float *values, size_t count)
{
    struct error err = {0};
    struct payload *payload = tensor_values(model, only_tensor(model), &err);
    assert_fine(&err);
    assert_int_equal(payload->size, count * sizeof *values);
    assert_memory_equal(payload->data, values, count * sizeof *values);
}

/* One large packed run is used where it lies. */
static void test_packed(void **state)
{
    (void)state;
    const float *values = floats();
    struct wire wire = tensor_start(DATA_FLOAT, FLOATS);
    wire_field(&wire, 4, values, FLOATS * sizeof *values);
    struct model *model = model_of_tensor(&wire);
    assert_true(only_tensor(model)->has_raw_data);
    assert_int_equal(only_tensor(model)->n_float_data, 0);
    assert_ptr_equal(tensor_payload(only_tensor(model))->file, model->file);
    assert_floats(model, values, FLOATS);

    wire = tensor_start(DATA_DOUBLE, FLOATS / 2);
    wire_field(&wire, 10, values, FLOATS * sizeof *values);
    model = model_of_tensor(&wire);
    assert_true(only_tensor(model)->has_raw_data);
    assert_int_equal(only_tensor(model)->n_double_data, 0);
    assert_floats(model, values, FLOATS);
}

/* Everything else stays typed, and has the same values. */
static void test_not_referred_to(void **state)
{
    (void)state;
    const float *values = floats();
    enum { SMALL = FLOATS - 1 };
    struct wire small = tensor_start(DATA_FLOAT, SMALL);
    wire_field(&small, 4, values, SMALL * sizeof *values);
    struct wire unpacked = tensor_start(DATA_FLOAT, FLOATS);
    for (size_t i = 0; i < FLOATS; i++) {
        wire_key(&unpacked, 4, WIRE_FIXED32);
        wire_raw(&unpacked, &values[i], 4);
    }
    struct wire halves = tensor_start(DATA_FLOAT, 2 * FLOATS);
    wire_field(&halves, 4, values, FLOATS * sizeof *values);
    wire_field(&halves, 4, values, FLOATS * sizeof *values);
    struct wire mixed = tensor_start(DATA_FLOAT, FLOATS + 1);
    wire_field(&mixed, 4, values, FLOATS * sizeof *values);
    wire_key(&mixed, 4, WIRE_FIXED32);
    wire_raw(&mixed, values, 4);
    const struct {
        const struct wire *wire;
        size_t count;
    } rows[] = {{&small, SMALL},
                {&unpacked, FLOATS},
                {&halves, 2 * FLOATS},
                {&mixed, FLOATS + 1}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct error err = {0};
        struct model *model = model_of_tensor(rows[i].wire);
        assert_false(only_tensor(model)->has_raw_data);
        assert_int_equal(only_tensor(model)->n_float_data, rows[i].count);
        struct payload *payload = tensor_values(model, only_tensor(model), &err);
        assert_fine(&err);
        assert_int_equal(payload->size, rows[i].count * sizeof *values);
        for (size_t j = 0; j < rows[i].count; j++)
            assert_memory_equal(payload->data + 4 * j, &values[j % FLOATS], 4);
    }
}

/* Both raw_data and float_data: neither is touched, raw_data is what counts. */
static void test_typed_beside_raw(void **state)
{
    (void)state;
    const float *values = floats(), *others = floats();
    for (int raw_first = 0; raw_first < 2; raw_first++) {
        struct wire wire = tensor_start(DATA_FLOAT, FLOATS);
        if (raw_first)
            wire_field(&wire, 9, values, FLOATS * sizeof *values);
        wire_field(&wire, 4, others, FLOATS * sizeof *values);
        if (!raw_first)
            wire_field(&wire, 9, values, FLOATS * sizeof *values);
        struct model *model = model_of_tensor(&wire);
        assert_int_equal(only_tensor(model)->n_float_data, FLOATS);
        assert_floats(model, values, FLOATS);
    }
}

/* Of two raw_data the last one counts, as everywhere in protobuf. */
static void test_raw_twice(void **state)
{
    (void)state;
    const float *values = floats(), *others = floats();
    struct wire wire = tensor_start(DATA_FLOAT, FLOATS);
    wire_field(&wire, 9, others, FLOATS * sizeof *values);
    wire_field(&wire, 9, values, FLOATS * sizeof *values);
    assert_floats(model_of_tensor(&wire), values, FLOATS);
}

/* A graph in two pieces is one graph, a tensor in two pieces one tensor. */
static void test_merged_messages(void **state)
{
    (void)state;
    const float *values = floats();
    struct wire one = tensor_start(DATA_FLOAT, FLOATS), two = {0};
    wire_field(&one, 9, values, FLOATS * sizeof *values);
    wire_text(&two, 8, "name");
    struct wire attribute = {0}, node = {0}, graph = {0}, other = {0}, model = {0};
    wire_message(&attribute, 5, &one);
    wire_message(&attribute, 5, &two);
    wire_message(&node, 5, &attribute);
    wire_message(&graph, 1, &node);
    wire_text(&other, 2, "g");
    wire_message(&model, 7, &graph);
    wire_message(&model, 7, &other);
    assert_same(model.data, model.size);
    struct model *read = read_bytes(model.data, model.size);
    assert_string_equal(read->proto->graph->name, "g");
    const Onnx__TensorProto *tensor = read->proto->graph->node[0]->attribute[0]->t;
    assert_string_equal(tensor->name, "name");
    assert_memory_equal(tensor_payload(tensor)->data, values, FLOATS * sizeof *values);
}

/* ---- what nibble does not know --------------------------------------- */

static void test_unknown_fields(void **state)
{
    (void)state;
    struct wire tensor = tensor_start(DATA_FLOAT, 1), graph = {0}, model = {0},
                other = {0};
    wire_number(&tensor, 900, 77);
    wire_field(&tensor, 9, "\0\0\0\0", 4);
    wire_text(&other, 1, "inside");
    wire_message(&graph, 901, &other);
    wire_message(&graph, 5, &tensor);
    wire_key(&model, 902, WIRE_FIXED64);
    wire_raw(&model, "12345678", 8);
    wire_message(&model, 7, &graph);
    wire_key(&model, 903, WIRE_FIXED32);
    wire_raw(&model, "1234", 4);
    assert_same(model.data, model.size);
    struct model *read = read_bytes(model.data, model.size);
    assert_int_equal(read->proto->base.n_unknown_fields, 2);
    assert_int_equal(read->proto->graph->base.n_unknown_fields, 1);
    assert_int_equal(read->proto->graph->initializer[0]->base.n_unknown_fields, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_same_as_protobuf), TEST(test_all_tensors_found),
        TEST(test_raw_data_sizes),   TEST(test_packed),
        TEST(test_not_referred_to),  TEST(test_typed_beside_raw),
        TEST(test_raw_twice),        TEST(test_merged_messages),
        TEST(test_unknown_fields),
    };
    return RUN(tests);
}

/* The writer: what protobuf-c would write, with payloads where it says they are. */
#include "onnx/write.h"
#include "support.h"

#include <string.h>

static struct bytes write_model(struct model *model)
{
    struct error err = {0};
    const char *path = temp_path("written.onnx");
    struct output *output = output_create(path, NULL, &err);
    assert_non_null(output);
    assert_true(model_write(model, model_size(model), output, &err));
    assert_true(model_write_payloads(model, &err));
    assert_true(output_commit(output, &err));
    assert_fine(&err);
    output_free(output);
    return load(path);
}

static Onnx__TensorProto *bytes_tensor(const char *name, size_t size)
{
    int64_t dim = (int64_t)size;
    uint8_t *raw = hold(size + 1);
    for (size_t i = 0; i < size; i++)
        raw[i] = (uint8_t)(1 + random_below(255)); /* no zeroes: a hole is seen */
    return make_tensor(name, DATA_UINT8, &dim, 1, raw, size);
}

/* Payloads of many sizes, in places that the buffer's end falls on. */
static Onnx__ModelProto *many_payloads(void)
{
    static const size_t sizes[] = {0, 1, 10, 4096, 65530, 65536, 70000, 3, 1000000, 0, 5};
    Onnx__ModelProto *proto = make_model(10, 21);
    for (size_t i = 0; i < COUNT(sizes); i++)
        put_initializer(proto->graph, bytes_tensor(hold_printf("t%zu", i), sizes[i]));
    Onnx__GraphProto *body = make_graph("body");
    put_initializer(body, bytes_tensor("inner", 20000));
    put_graph(put_node(proto->graph, make_node("If", "c", "z")), "then_branch", body);
    proto->doc_string = hold(200001);
    memset(proto->doc_string, 'd', 200000);
    return proto;
}

static void test_round_trip(void **state)
{
    (void)state;
    struct bytes before = pack(many_payloads());
    struct model *model = read_bytes(before.data, before.size);
    assert_int_equal(model_size(model), before.size);
    struct bytes after = write_model(model);
    assert_int_equal(after.size, before.size);
    assert_memory_equal(after.data, before.data, before.size);
    assert_memory_equal(write_model(model).data, before.data,
                        before.size); /* and again */
}

/* Field order and unknown fields as protobuf-c has them, if not as the file had. */
static void test_foreign_order(void **state)
{
    (void)state;
    static const char bytes[] = "\x3a\x06\x12\x01g\xf8\x3e\x07\x9d\x06"
                                "1234\x08\x0a\x12\x01p";
    struct bytes in = {(uint8_t *)(uintptr_t)bytes, sizeof bytes - 1};
    struct model *model = read_bytes(in.data, in.size);
    struct bytes wanted = pack(unpack(in)), got = write_model(model);
    assert_int_equal(got.size, wanted.size);
    assert_memory_equal(got.data, wanted.data, got.size);
}

static bool check_place(void *context, Onnx__TensorProto *tensor)
{
    const struct bytes *file = context;
    const struct payload *payload = tensor_payload(tensor);
    if (payload->size == 0)
        return true;
    return payload->output && payload->offset + payload->size <= file->size &&
           memcmp(file->data + payload->offset, payload->data, payload->size) == 0;
}

static void test_places(void **state)
{
    (void)state;
    struct model *model = read_proto(many_payloads());
    struct bytes file = write_model(model);
    assert_true(model_tensors(model, check_place, &file));
}

/* A reserved payload is a hole of the right size at its place, the last one in
 * the file, too; what is written there later is the tensor's value. */
static void test_reserved(void **state)
{
    (void)state;
    enum { SIZE = 5000 };
    struct error err = {0};
    for (int last = 0; last < 2; last++) {
        struct model *model = read_proto(many_payloads());
        Onnx__GraphProto *graph = model->proto->graph;
        Onnx__TensorProto *tensor = tensor_new(model, "new", DATA_UINT8, DIMS(SIZE));
        assert_true(tensor_set_values(model, tensor, NULL, SIZE));
        if (last)
            graph->n_initializer = 0; /* nothing but small fields behind it */
        put(&graph->initializer, &graph->n_initializer, tensor);
        const char *path = temp_path("reserved.onnx");
        struct output *output = output_create(path, NULL, &err);
        assert_true(model_write(model, model_size(model), output, &err) &&
                    model_write_payloads(model, &err));
        const struct payload *payload = tensor_payload(tensor);
        assert_ptr_equal(payload->output, output);
        uint8_t values[SIZE];
        memset(values, 0xa5, SIZE);
        assert_true(output_write(output, payload->offset, values, SIZE, &err));
        assert_true(output_commit(output, &err));
        output_free(output);
        struct model *again = read_saved(path);
        graph = again->proto->graph;
        const Onnx__TensorProto *read = graph->initializer[graph->n_initializer - 1];
        assert_string_equal(read->name, "new");
        assert_int_equal(tensor_payload(read)->size, SIZE);
        assert_memory_equal(tensor_payload(read)->data, values, SIZE);
    }
}

/* A file that ends in a hole has its full size before anything fills it. */
static void test_hole_at_the_end(void **state)
{
    (void)state;
    struct model *model = read_proto(make_model(10, 21));
    model->proto->n_opset_import = 0;
    Onnx__TensorProto *tensor = tensor_new(model, "new", DATA_UINT8, DIMS(5000));
    assert_true(tensor_set_values(model, tensor, NULL, 5000));
    put(&model->proto->graph->initializer, &model->proto->graph->n_initializer, tensor);
    assert_int_equal(write_model(model).size, model_size(model));
}

/* Values in memory, as those that an upgrade makes. */
static void test_values_in_memory(void **state)
{
    (void)state;
    struct model *model = read_proto(make_model(10, 21));
    const int64_t axes[] = {1, -1, INT64_MIN};
    put(&model->proto->graph->initializer, &model->proto->graph->n_initializer,
        tensor_new_ints(model, "axes", axes, 3));
    Onnx__ModelProto *written = unpack(write_model(model));
    const Onnx__TensorProto *tensor = written->graph->initializer[0];
    assert_int_equal(tensor->raw_data.len, sizeof axes);
    assert_memory_equal(tensor->raw_data.data, axes, sizeof axes);
}

/* A packed float_data that was read in place goes out as raw_data. */
static void test_float_data(void **state)
{
    (void)state;
    Onnx__ModelProto *proto = make_model(10, 21);
    Onnx__TensorProto *tensor = make_tensor("f", DATA_FLOAT, DIMS(2000), NULL, 0);
    tensor->n_float_data = 2000;
    tensor->float_data = hold(2000 * sizeof(float));
    for (size_t i = 0; i < 2000; i++)
        tensor->float_data[i] = random_float();
    put_initializer(proto->graph, tensor);
    const Onnx__TensorProto *read =
        unpack(write_model(read_proto(proto)))->graph->initializer[0];
    assert_int_equal(read->n_float_data, 0);
    assert_int_equal(read->raw_data.len, 8000);
    assert_memory_equal(read->raw_data.data, tensor->float_data, 8000);
}

/* Sizes beyond 2 GiB are seen before a byte is written. */
static void test_too_large(void **state)
{
    (void)state;
    struct error err = {0};
    struct model *model = read_proto(make_model(10, 21));
    for (int i = 0; i < 3; i++) {
        Onnx__TensorProto *tensor = tensor_new(model, "big", DATA_UINT8, DIMS(1 << 30));
        assert_true(tensor_set_values(model, tensor, NULL, 1 << 30));
        put(&model->proto->graph->initializer, &model->proto->graph->n_initializer,
            tensor);
    }
    assert_true(model_size(model) > UINT64_C(3) << 30);
    struct output *output = output_create(temp_path("big.onnx"), NULL, &err);
    assert_false(model_write(model, model_size(model), output, &err));
    assert_failed(&err, STATUS_UNSUPPORTED, "2 GiB");
    output_free(output);
}

static void test_write_fails(void **state)
{
    (void)state;
    struct error err = {0};
    struct model *model = read_proto(many_payloads());
    const char *path = device("full");
    if (!path)
        skip();
    struct output *output = output_create(path, NULL, &err);
    assert_fine(&err);
    assert_true(model_write(model, model_size(model), output,
                            &err)); /* a stream is written on commit */
    assert_false(output_commit(output, &err));
    assert_failed(&err, STATUS_WRITE, "No space left");
    output_free(output);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_round_trip), TEST(test_foreign_order),   TEST(test_places),
        TEST(test_reserved),   TEST(test_hole_at_the_end), TEST(test_values_in_memory),
        TEST(test_float_data), TEST(test_too_large),       TEST(test_write_fails),
    };
    return RUN(tests);
}

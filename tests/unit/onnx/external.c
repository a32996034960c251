/* External data: entries read and refused, files mapped once, and written back. */
#include "onnx/external.h"
#include "support.h"

#include <string.h>
#include <sys/resource.h>

static void put_entry(Onnx__TensorProto *tensor, const char *key, const char *value)
{
    Onnx__StringStringEntryProto *entry = hold(sizeof *entry);
    onnx__string_string_entry_proto__init(entry);
    entry->key = hold_printf("%s", key);
    entry->value = hold_printf("%s", value);
    put(&tensor->external_data, &tensor->n_external_data, entry);
}

static Onnx__TensorProto *put_external(Onnx__ModelProto *proto, const char *name,
                                       const char *location, const char *offset,
                                       const char *length)
{
    Onnx__TensorProto *tensor =
        put_initializer(proto->graph, make_tensor(name, DATA_UINT8, DIMS(4), NULL, 0));
    tensor->has_data_location = true;
    tensor->data_location = ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL;
    if (location)
        put_entry(tensor, "location", location);
    if (offset)
        put_entry(tensor, "offset", offset);
    if (length)
        put_entry(tensor, "length", length);
    return tensor;
}

static void test_entries(void **state)
{
    (void)state;
    static const struct {
        const char *offset, *length, *contents;
    } rows[] = {
        {NULL, NULL, "0123456789"}, {"0", "4", "0123"}, {"6", NULL, "6789"},
        {"1", "3", "123"},          {"10", NULL, ""},   {"10", "0", ""},
        {"007", "0003", "789"},
    };
    Onnx__ModelProto *proto = make_model(10, 21);
    for (size_t i = 0; i < COUNT(rows); i++)
        put_external(proto, hold_printf("t%zu", i), "w.bin", rows[i].offset,
                     rows[i].length);
    put_entry(proto->graph->initializer[0], "checksum", "da39a3ee");
    put_entry(proto->graph->initializer[0], "unknown", "key");
    save("w.bin", "0123456789", 10);
    struct model *model = read_proto(proto);
    uint64_t used = model->file->size;
    for (size_t i = 0; i < COUNT(rows); i++) {
        const Onnx__TensorProto *tensor = model->proto->graph->initializer[i];
        size_t size = strlen(rows[i].contents);
        assert_true(tensor->has_raw_data); /* as if the values were in the model */
        assert_false(tensor->has_data_location);
        assert_int_equal(tensor->n_external_data, 0);
        const struct payload *payload = tensor_payload(tensor);
        assert_int_equal(payload->size, size);
        assert_memory_equal(payload->data, rows[i].contents, size);
        assert_ptr_equal(payload->file, model->external->file);
        used += size;
    }
    assert_null(model->external->next); /* one file, mapped once */
    assert_int_equal(model->bytes, used);
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *location, *offset, *length;
        enum status status;
        const char *part;
    } rows[] = {
        {NULL, "0", "4", STATUS_MALFORMED, "no location"},
        {"w.bin", "x", NULL, STATUS_MALFORMED, "offset is not a number"},
        {"w.bin", "-1", NULL, STATUS_MALFORMED, "offset is not a number"},
        {"w.bin", "+1", NULL, STATUS_MALFORMED, "offset is not a number"},
        {"w.bin", " 1", NULL, STATUS_MALFORMED, "offset is not a number"},
        {"w.bin", "1 ", NULL, STATUS_MALFORMED, "offset is not a number"},
        {"w.bin", "0x1", NULL, STATUS_MALFORMED, "offset is not a number"},
        {"w.bin", "", NULL, STATUS_MALFORMED, "offset is not a number"},
        {"w.bin", "99999999999999999999", NULL, STATUS_MALFORMED,
         "offset is not a number"},
        {"w.bin", "0", "1e3", STATUS_MALFORMED, "length is not a number"},
        {"w.bin", "18446744073709551615", "2", STATUS_MALFORMED,
         "offset is not a number"},
        {"w.bin", "11", NULL, STATUS_MALFORMED, "ends after"},
        {"w.bin", "9223372036854775807", "1", STATUS_MALFORMED, "ends after"},
        {"w.bin", "0", "11", STATUS_MALFORMED, "ends after"},
        {"w.bin", "9", "2", STATUS_MALFORMED, "ends after"},
        {"w.bin", "9", "9223372036854775807", STATUS_MALFORMED, "ends after"},
        {"missing", NULL, NULL, STATUS_READ, "'missing'"},
        {"../w.bin", NULL, NULL, STATUS_READ, "leaves the model's folder"},
        {"/etc/passwd", NULL, NULL, STATUS_MALFORMED, "not a relative"},
        {"", NULL, NULL, STATUS_MALFORMED, "not a relative"},
    };
    save("w.bin", "\0\1\2\3\4\5\6\7\1\2", 10); /* a text would be named as one */
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct error err = {0};
        Onnx__ModelProto *proto = make_model(10, 21);
        put_external(proto, "fine", "w.bin", NULL, NULL);
        put_external(proto, "W", rows[i].location, rows[i].offset, rows[i].length);
        struct bytes bytes = pack(proto);
        int before = open_files();
        const char *path = save("m.onnx", bytes.data, bytes.size);
        assert_null(open_model(path, &err));
        assert_failed(&err, rows[i].status, rows[i].part);
        assert_non_null(strstr(err.message, "m.onnx: "));
        assert_int_equal(open_files(), before);
    }
}

/* In attributes, bodies and functions, too. */
static void test_anywhere(void **state)
{
    (void)state;
    save("w.bin", "0123456789", 10);
    Onnx__ModelProto *proto = make_model(10, 21), *other = make_model(10, 21);
    Onnx__NodeProto *constant = put_node(proto->graph, make_node("Constant", "", "c"));
    put_tensor(constant, "value", put_external(other, "c", "w.bin", "2", "4"));
    struct model *model = read_proto(proto);
    const Onnx__TensorProto *tensor = model->proto->graph->node[0]->attribute[0]->t;
    assert_memory_equal(tensor_payload(tensor)->data, "2345", 4);
}

/* Two names of one file are two mappings; neither is left open. */
static void test_files(void **state)
{
    (void)state;
    save("a", "aaaa", 4);
    save("b", "bbbb", 4);
    Onnx__ModelProto *proto = make_model(10, 21);
    put_external(proto, "1", "a", NULL, NULL);
    put_external(proto, "2", "b", NULL, NULL);
    put_external(proto, "3", "./a", NULL, NULL);
    put_external(proto, "4", "a", NULL, NULL);
    int before = open_files();
    struct error err = {0};
    struct bytes bytes = pack(proto);
    struct model *model = open_model(save("m.onnx", bytes.data, bytes.size), &err);
    assert_fine(&err);
    Onnx__TensorProto **t = model->proto->graph->initializer;
    assert_memory_equal(tensor_payload(t[0])->data, "aaaa", 4);
    assert_memory_equal(tensor_payload(t[1])->data, "bbbb", 4);
    assert_memory_equal(tensor_payload(t[2])->data, "aaaa", 4);
    assert_ptr_equal(tensor_payload(t[0])->file, tensor_payload(t[3])->file);
    close_model(model);
    assert_int_equal(open_files(), before);
}

/* Exporters write one file for each tensor, and large models have thousands: more
 * than a process may have open. */
static void test_more_files_than_descriptors(void **state)
{
    (void)state;
    enum { FILES = 120, LIMIT = 64 };
    struct rlimit old, low;
    struct error err = {0};
    Onnx__ModelProto *proto = make_model(10, 21);
    for (int i = 0; i < FILES; i++) {
        const char *name = hold_printf("w%d", i);
        save(name, hold_printf("%04d", i), 4);
        put_external(proto, name, name, NULL, NULL);
    }
    struct bytes bytes = pack(proto);
    const char *path = save("m.onnx", bytes.data, bytes.size);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    low = old;
    low.rlim_cur = LIMIT;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    struct model *model = open_model(path, &err);
    setrlimit(RLIMIT_NOFILE, &old);
    assert_fine(&err);
    for (int i = 0; i < FILES; i++) {
        const Onnx__TensorProto *tensor = model->proto->graph->initializer[i];
        assert_memory_equal(tensor_payload(tensor)->data, hold_printf("%04d", i), 4);
    }
    close_model(model);
}

static const char *entry_of(const Onnx__TensorProto *tensor, const char *key)
{
    for (size_t i = 0; i < tensor->n_external_data; i++)
        if (strcmp(tensor->external_data[i]->key, key) == 0)
            return tensor->external_data[i]->value;
    return NULL;
}

static void test_detach(void **state)
{
    (void)state;
    struct error err = {0};
    struct model *model =
        read_proto(make_one("MatMul", make_weight("W", DATA_FLOAT, DIMS(4, 4))));
    Onnx__TensorProto *tensor = model->proto->graph->initializer[0];
    assert_true(
        external_detach(model, tensor, hold_printf("m.data"), UINT64_C(1) << 40, &err));
    Onnx__ModelProto *written = unpack(pack(model->proto));
    tensor = written->graph->initializer[0];
    assert_false(tensor->has_raw_data);
    assert_int_equal(tensor->data_location, ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL);
    assert_string_equal(entry_of(tensor, "location"), "m.data");
    assert_string_equal(entry_of(tensor, "offset"), "1099511627776");
    assert_string_equal(entry_of(tensor, "length"), "64");
    assert_int_equal(tensor->n_external_data, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_entries), TEST(test_refused), TEST(test_anywhere),
        TEST(test_files),   TEST(test_detach),  TEST(test_more_files_than_descriptors),
    };
    return RUN(tests);
}

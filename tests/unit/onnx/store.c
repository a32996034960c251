/* Storing: one file or two, and never over the input by accident. */
#include "onnx/store.h"
#include "onnx/write.h"
#include "support.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SMALL = EXTERNAL_MIN - 1, LARGE = EXTERNAL_MIN, ODD = 5001 };

static struct output *const no_reports[STORE_REPORTS];

static Onnx__TensorProto *bytes_tensor(const char *name, size_t size)
{
    int64_t dim = (int64_t)size;
    uint8_t *raw = hold(size);
    memset(raw, name[0], size);
    return make_tensor(name, DATA_UINT8, &dim, 1, raw, size);
}

static Onnx__ModelProto *three_tensors(void)
{
    Onnx__ModelProto *proto = make_model(10, 21);
    put_initializer(proto->graph, bytes_tensor("odd", ODD));
    put_initializer(proto->graph, bytes_tensor("small", SMALL));
    put_initializer(proto->graph, bytes_tensor("large", LARGE));
    return proto;
}

static uint64_t store(struct model *model, const char *path,
                      const struct store_options *options, struct error *err)
{
    struct store store;
    uint64_t size = 0;
    bool ok = store_open(&store, path, model, options, err) &&
              store_write(&store, model, model_size(model), err) &&
              store_prepare(&store, &size, err) && store_publish(&store, no_reports, err);
    assert_int_equal(ok, err->status == STATUS_OK);
    store_close(&store);
    return size;
}

/* The path of the data file that belongs to out.onnx. NULL if there is none. */
static const char *data_of(const char *name)
{
    const char *found = NULL;
    DIR *folder = opendir(temp_folder());
    size_t length = strlen(name);
    for (const struct dirent *entry; (entry = readdir(folder));)
        if (strncmp(entry->d_name, name, length) == 0 &&
            strlen(entry->d_name) == length + strlen(".0123456789abcdef.data"))
            found = temp_path(entry->d_name);
    closedir(folder);
    return found;
}

/* The number of files of out.onnx, temporary ones included. */
static size_t files_of_output(void)
{
    size_t count = 0;
    DIR *folder = opendir(temp_folder());
    for (const struct dirent *entry; (entry = readdir(folder));)
        count += strstr(entry->d_name, "out.onnx") != NULL;
    closedir(folder);
    return count;
}

static void test_one_file(void **state)
{
    (void)state;
    struct error err = {0};
    struct store_options options = {0};
    struct bytes before = pack(three_tensors());
    const char *path = temp_path("out.onnx");
    struct model *model = read_bytes(before.data, before.size);
    assert_int_equal(store(model, path, &options, &err), before.size);
    assert_fine(&err);
    assert_memory_equal(load(path).data, before.data, before.size);
    assert_null(data_of("out.onnx"));
}

static uint64_t number_entry(const Onnx__TensorProto *tensor, const char *key)
{
    for (size_t i = 0; i < tensor->n_external_data; i++)
        if (strcmp(tensor->external_data[i]->key, key) == 0)
            return strtoull(tensor->external_data[i]->value, NULL, 10);
    return UINT64_MAX;
}

static void test_two_files(void **state)
{
    (void)state;
    struct error err = {0};
    struct store_options options = {.external = true};
    const char *path = temp_path("out.onnx");
    struct model *model = read_proto(three_tensors());
    uint64_t size = store(model, path, &options, &err);
    assert_fine(&err);
    struct bytes file = load(path), data = load(data_of("out.onnx"));
    assert_int_equal(size, file.size + data.size);
    Onnx__GraphProto *graph = unpack(file)->graph;
    const Onnx__TensorProto *small = find_initializer(graph, "small");
    assert_int_equal(small->raw_data.len, SMALL);
    assert_int_equal(small->n_external_data, 0);
    static const struct {
        const char *name;
        size_t size;
    } rows[] = {{"odd", ODD}, {"large", LARGE}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        const Onnx__TensorProto *tensor = find_initializer(graph, rows[i].name);
        uint64_t offset = number_entry(tensor, "offset");
        assert_false(tensor->has_raw_data);
        assert_int_equal(tensor->data_location,
                         ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL);
        assert_int_equal(offset % EXTERNAL_ALIGNMENT, 0);
        assert_int_equal(number_entry(tensor, "length"), rows[i].size);
        assert_true(offset + rows[i].size <= data.size);
        for (size_t j = 0; j < rows[i].size; j++)
            assert_int_equal(data.data[offset + j], rows[i].name[0]);
    }
    /* And back into one file, as it was. */
    struct store_options one = {0};
    struct bytes original = pack(three_tensors());
    const char *again = temp_path("again.onnx");
    store(read_saved(path), again, &one, &err);
    assert_fine(&err);
    assert_int_equal(load(again).size, original.size);
    assert_memory_equal(load(again).data, original.data, original.size);
}

/* A data file that ends in a reserved tensor has its full size all the same. */
static void test_reserved_at_the_end(void **state)
{
    (void)state;
    struct error err = {0};
    struct store_options options = {.external = true};
    struct model *model = read_proto(three_tensors());
    Onnx__GraphProto *graph = model->proto->graph;
    Onnx__TensorProto *tensor = tensor_new(model, "reserved", DATA_UINT8, DIMS(LARGE));
    assert_true(tensor_set_values(model, tensor, NULL, LARGE));
    put(&graph->initializer, &graph->n_initializer, tensor);
    const struct payload *payload = tensor_payload(tensor);
    store(model, temp_path("out.onnx"), &options, &err);
    assert_fine(&err);
    struct bytes data = load(data_of("out.onnx"));
    assert_int_equal(payload->offset % EXTERNAL_ALIGNMENT, 0);
    assert_int_equal(data.size, payload->offset + LARGE);
    read_saved(temp_path("out.onnx"));
}

static void test_no_data_file_possible(void **state)
{
    (void)state;
    struct store_options options = {.external = true};
    const char *const paths[] = {device("null"), temp_path("out.onnx.gz")};
    for (size_t i = 0; i < COUNT(paths); i++) {
        if (!paths[i])
            continue;
        struct error err = {0};
        struct model *model = read_proto(three_tensors());
        size_t before = entries_of(temp_folder());
        store(model, paths[i], &options, &err);
        assert_failed(&err, STATUS_UNSUPPORTED, "data file");
        assert_int_equal(entries_of(temp_folder()), before);
    }
}

/* ---- replacing ------------------------------------------------------- */

static void test_input_is_output(void **state)
{
    (void)state;
    struct bytes bytes = pack(three_tensors());
    const char *path = save("m.onnx", bytes.data, bytes.size);
    assert_int_equal(symlink("m.onnx", temp_path("link")), 0);
    const char *const names[] = {path, temp_path("link")};
    struct store_options options = {0};
    for (size_t i = 0; i < COUNT(names); i++) {
        struct error err = {0};
        store(read_saved(path), names[i], &options, &err);
        assert_failed(&err, STATUS_WRITE, "is the input itself");
        assert_memory_equal(load(path).data, bytes.data, bytes.size);
    }
    struct error err = {0};
    struct stat st;
    options.force = true;
    store(read_saved(path), temp_path("link"), &options, &err);
    assert_fine(&err);
    assert_int_equal(load(path).size, bytes.size);
    assert_memory_equal(load(path).data, bytes.data, bytes.size);
    assert_int_equal(lstat(temp_path("link"), &st), 0);
    assert_true(S_ISLNK(st.st_mode));
    assert_int_equal(entries_of(temp_folder()), 2);
}

/* The data file of the input is input, too: as the model and as the data. */
static void test_data_is_output(void **state)
{
    (void)state;
    struct error err = {0};
    struct store_options external = {.external = true, .data_name = "m.onnx.data"};
    struct store_options one = {0};
    const char *path = temp_path("m.onnx"), *data = temp_path("m.onnx.data");
    store(read_proto(three_tensors()), path, &external, &err);
    assert_fine(&err);
    struct bytes before = load(data);
    store(read_saved(path), data, &one, &err);
    assert_failed(&err, STATUS_WRITE, "is the input itself");

    struct error other = {0};
    unlink(temp_path("copy.onnx"));
    assert_int_equal(rename(path, temp_path("copy.onnx")), 0);
    store(read_saved(temp_path("copy.onnx")), path, &external, &other);
    assert_failed(&other, STATUS_WRITE, "m.onnx.data: is the input itself");
    assert_false(exists(path));
    assert_int_equal(load(data).size, before.size);
    assert_memory_equal(load(data).data, before.data, before.size);

    struct error forced = {0};
    external.force = true;
    store(read_saved(temp_path("copy.onnx")), path, &external, &forced);
    assert_fine(&forced);
    assert_memory_equal(load(data).data, before.data, before.size);
}

static void test_not_committed(void **state)
{
    (void)state;
    struct error err = {0};
    struct store store;
    struct store_options options = {.external = true};
    struct model *model = read_proto(three_tensors());
    const char *old = save("out.onnx.0123456789abcdef.data", "old data", 8);
    save("out.onnx", "old model", 9);
    size_t before = entries_of(temp_folder());
    assert_true(store_open(&store, temp_path("out.onnx"), model, &options, &err));
    assert_true(store_write(&store, model, model_size(model), &err));
    store_close(&store);
    store_close(&store); /* again is harmless */
    assert_memory_equal(load(temp_path("out.onnx")).data, "old model", 9);
    assert_memory_equal(load(old).data, "old data", 8);
    assert_int_equal(entries_of(temp_folder()), before);
}

/* ---- pairs ------------------------------------------------------------- */

/* The data file of the old pair is there until the new pair is complete. */
static void test_pair_is_replaced(void **state)
{
    (void)state;
    struct error err = {0};
    struct store_options options = {.external = true};
    const char *path = temp_path("out.onnx");
    store(read_proto(three_tensors()), path, &options, &err);
    const char *old = data_of("out.onnx");
    struct bytes before = load(old), model_before = load(path);
    Onnx__ModelProto *proto = three_tensors();
    proto->graph->initializer[2]->raw_data.data[0] ^= 1;
    struct model *model = read_proto(proto);
    struct store store_two;
    uint64_t size;
    assert_true(store_open(&store_two, path, model, &options, &err));
    assert_true(store_write(&store_two, model, model_size(model), &err));
    assert_true(store_prepare(&store_two, &size, &err));
    assert_memory_equal(load(old).data, before.data, before.size);
    assert_memory_equal(load(path).data, model_before.data, model_before.size);
    assert_true(store_publish(&store_two, no_reports, &err));
    store_close(&store_two);
    assert_false(exists(old));
    assert_non_null(data_of("out.onnx"));
    read_saved(path);
    assert_int_equal(files_of_output(), 2);
}

/* The same contents have the same name, in any folder. */
static void test_equal_data(void **state)
{
    (void)state;
    struct error err = {0};
    struct store_options options = {.external = true};
    for (int i = 0; i < 2; i++)
        store(read_proto(three_tensors()), temp_path("out.onnx"), &options, &err);
    assert_fine(&err);
    read_saved(temp_path("out.onnx"));
    assert_int_equal(files_of_output(), 2);
}

/* A file that could not be renamed leaves no data behind. */
static void test_rename_fails(void **state)
{
    (void)state;
    struct error err = {0};
    struct store_options options = {.external = true};
    struct model *model = read_proto(three_tensors());
    struct store store;
    uint64_t size;
    assert_true(store_open(&store, temp_path("out.onnx"), model, &options, &err));
    assert_true(store_write(&store, model, model_size(model), &err));
    assert_true(store_prepare(&store, &size, &err));
    assert_int_equal(mkdir(temp_path("out.onnx"), 0700), 0);
    assert_false(store_publish(&store, no_reports, &err));
    assert_failed(&err, STATUS_WRITE, "out.onnx");
    store_close(&store);
    assert_int_equal(files_of_output(), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_one_file),
        TEST(test_two_files),
        TEST(test_reserved_at_the_end),
        TEST(test_no_data_file_possible),
        TEST(test_input_is_output),
        TEST(test_data_is_output),
        TEST(test_not_committed),
        TEST(test_pair_is_replaced),
        TEST(test_equal_data),
        TEST(test_rename_fails),
    };
    return RUN(tests);
}

/* Reading a model: what is refused, and why; what it may cost. */
#include "onnx/model.h"
#include "support.h"
#include "wire.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

static void assert_refused(const void *data, size_t size, enum status status,
                           const char *part)
{
    struct error err = {0};
    int before = open_files();
    assert_null(open_model(save("bad.onnx", data, size), &err));
    assert_failed(&err, status, part);
    assert_non_null(strstr(err.message, "bad.onnx: "));
    assert_int_equal(open_files(), before);
}

static void test_refused(void **state)
{
    (void)state;
    struct wire no_graph = {0}, bad_packed = {0}, tensor = {0}, graph = {0};
    wire_number(&no_graph, 1, 10);
    wire_field(&tensor, 4, "12345", 5); /* float_data of a float and a quarter */
    wire_message(&graph, 5, &tensor);
    wire_message(&bad_packed, 7, &graph);
    assert_refused("", 0, STATUS_MALFORMED, "empty file");
    assert_refused(no_graph.data, no_graph.size, STATUS_MALFORMED, "no graph in it");
    assert_refused(bad_packed.data, bad_packed.size, STATUS_MALFORMED, "don't parse");
    assert_refused("not a model", 11, STATUS_MALFORMED,
                   "a text that begins 'not a model'");

    struct error err = {0};
    assert_null(open_model(temp_path("missing.onnx"), &err));
    assert_failed(&err, STATUS_READ, "missing.onnx: No such file");
}

static void test_read(void **state)
{
    (void)state;
    struct bytes bytes =
        pack(make_one("MatMul", make_weight("W", DATA_FLOAT, DIMS(4, 4))));
    struct model *model = read_bytes(bytes.data, bytes.size);
    assert_int_equal(model->bytes, bytes.size);
    assert_int_equal(model->proto->ir_version, 10);
    assert_int_equal(model->proto->graph->n_node, 1);
    assert_string_equal(model->proto->graph->node[0]->op_type, "MatMul");
    model_free(NULL);
}

/* ---- caps ------------------------------------------------------------ */

static size_t memory_peak(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (size_t)usage.ru_maxrss * 1024;
}

/* Messages of no bytes inside are the dearest there are. Whether or not they are
 * read: memory stays below a fixed sum and a multiple of the file's size. */
static void assert_bounded(uint32_t number, size_t count, size_t factor)
{
    struct wire graph = {0}, model = {0};
    for (size_t i = 0; i < count; i++)
        wire_raw(&graph, (uint8_t[]){(uint8_t)(number << 3 | WIRE_LENGTH), 0}, 2);
    wire_message(&model, 7, &graph);
    const char *path = save("bomb.onnx", model.data, model.size);
    size_t size = model.size, before = memory_peak();
    struct error err = {0};
    close_model(open_model(path, &err));
    if (err.status != STATUS_OK)
        assert_failed(&err, STATUS_MEMORY, "made to do harm");
    assert_true(memory_peak() - before < (96u << 20) + size * factor);
}

static void test_empty_messages(void **state)
{
    (void)state;
    assert_bounded(1, 8000000, 40);  /* nodes */
    assert_bounded(5, 8000000, 40);  /* initializers */
    assert_bounded(11, 8000000, 40); /* inputs */
}

/* A million real nodes of some bytes each are no bomb. */
static void test_many_nodes(void **state)
{
    (void)state;
    enum { MANY = 200000 };
    struct wire graph = {0}, model = {0};
    char name[40];
    for (int i = 0; i < MANY; i++) {
        struct wire node = {0};
        snprintf(name, sizeof name, "value_%d", i);
        wire_text(&node, 1, name);
        snprintf(name, sizeof name, "value_%d", i + 1);
        wire_text(&node, 2, name);
        wire_text(&node, 4, "Relu");
        wire_message(&graph, 1, &node);
    }
    wire_message(&model, 7, &graph);
    struct model *read = read_bytes(model.data, model.size);
    assert_int_equal(read->proto->graph->n_node, MANY);
    assert_string_equal(read->proto->graph->node[MANY - 1]->output[0], name);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_empty_messages),
        TEST(test_refused),
        TEST(test_read),
        TEST(test_many_nodes),
    };
    return RUN(tests);
}

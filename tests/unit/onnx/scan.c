/* The wire scan on bytes that are damaged, and the messages it gives then. */
#include "onnx/scan.h"
#include "support.h"
#include "wire.h"

#include <stdlib.h>
#include <string.h>

/* Scans a copy that ends where its memory ends, so that sanitizers see any read
 * beyond. */
static bool scan(const void *data, size_t size, struct error *err)
{
    struct payloads payloads = {0};
    struct skeleton skeleton = {0};
    uint8_t *copy = malloc(size ? size : 1);
    assert_non_null(copy);
    if (size > 0)
        memcpy(copy, data, size);
    struct file file = {.path = "m.onnx", .data = copy, .size = size, .fd = -1};
    bool ok = scan_model(&file, &payloads, &skeleton, err);
    assert_int_equal(ok, err->status == STATUS_OK);
    free(skeleton.data);
    payloads_free(&payloads);
    free(copy);
    return ok;
}

static void test_errors(void **state)
{
    (void)state;
#define BYTES(text) (text), sizeof(text) - 1
    static const struct {
        const char *bytes;
        size_t size;
        const char *part;
    } rows[] = {
        {BYTES("\x80"), "byte 0 of 1: not a field's tag"},
        {BYTES("\x00\x00"), "byte 0 of 2: not a field's tag"},
        {BYTES("\x02\x00"), "not a field's tag"},                 /* number 0, a length */
        {BYTES("\x80\x80\x80\x80\x10\x00"), "not a field's tag"}, /* number 2^29 */
        {BYTES("\x08\x07\x0b"), "byte 2 of 3: unknown wire type"},
        {BYTES("\x0c"), "unknown wire type"},
        {BYTES("\x0e"), "unknown wire type"},
        {BYTES("\x0f\x00\x00\x00\x00"), "unknown wire type"},
        {BYTES("\x08"), "a number does not end"},
        {BYTES("\x08\x80"), "byte 1 of 2: a number does not end"},
        {BYTES("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
         "a number does not end"},
        {BYTES("\x3a"), "a length does not end"},
        {BYTES("\x3a\x80"), "byte 1 of 2: a length does not end"},
        {BYTES("\x3a\x05\x00"), "ends after 3 of at least 7 bytes"},
        {BYTES("\x3a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
         "a field runs over its end"},
        {BYTES("\x3a\xff\xff\xff\xff\xff\xff\xff\xff\x7f"), "a field runs over its end"},
        {BYTES("\x99\x06\x00\x00\x00"),
         "a field runs over its end"}, /* fixed64, unknown */
        {BYTES("\x9d\x06\x00\x00\x00"),
         "a field runs over its end"}, /* fixed32, unknown */
        {BYTES("\x0d\x00\x00\x00\x00"), "wrong wire type"},
        {BYTES("\x09\x00\x00\x00\x00\x00\x00\x00\x00"), "wrong wire type"},
        {BYTES("\x0a\x01\x07"), "wrong wire type"}, /* ir_version is not repeated */
        {BYTES("\x38\x01"), "wrong wire type"},     /* a graph as a number */
        {BYTES("\x12\x03\x61\x00\x62"), "byte 2 of 5: a name or text with a zero byte"},
        {BYTES("\x12\x01\x00"), "zero byte"},
        /* A field that leaves its message, though not the file. */
        {BYTES("\x3a\x02\x0a\x05\x08\x01\x08\x01\x08\x01"),
         "byte 2 of 10: a field runs over"},
        {BYTES("\x3a\x01\x80\x08\x01"), "byte 2 of 5: not a field's tag"},
        {BYTES("\x3a\x02\x50\x01"), "wrong wire type"}, /* the graph's doc_string */
        {BYTES("\x3a\x04\x52\x02\x61\x00"), "zero byte"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct error err = {0};
        assert_false(scan(rows[i].bytes, rows[i].size, &err));
        assert_failed(&err, STATUS_MALFORMED, rows[i].part);
        assert_int_equal(strncmp(err.message, "m.onnx: ", 8), 0);
    }
}

/* Who opens a picture is asked whether it is a model; who has damage deep inside
 * a model is not. */
static void test_hint(void **state)
{
    (void)state;
    struct error start = {0}, deep = {0};
    assert_false(scan("\x89PNG\r\n\x1a\n", 8, &start));
    assert_failed(&start, STATUS_MALFORMED, "is this an ONNX model?");
    struct wire wire = {0};
    char *doc = hold(101);
    memset(doc, 'd', 100);
    wire_text(&wire, 6, doc);
    wire_raw(&wire, "\x0f", 1);
    assert_false(scan(wire.data, wire.size, &deep));
    assert_null(strstr(deep.message, "is this an ONNX model?"));
}

static void test_good(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t size;
    } rows[] = {
        {BYTES("\x08\x0a")},
        {BYTES("\x08\x8a\x80\x80\x00")},                         /* a padded number */
        {BYTES("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")}, /* -1 */
        {BYTES("\x3a\x00")},
        {BYTES("\x3a\x80\x00")},             /* a padded length */
        {BYTES("\xfa\xff\xff\xff\x0f\x00")}, /* the largest field number, unknown */
        {BYTES("\x98\x06\x01\x9d\x06\x01\x02\x03\x04\x99\x06\x01\x02\x03\x04\x05\x06\x07"
               "\x08")},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct error err = {0};
        assert_true(scan(rows[i].bytes, rows[i].size, &err));
        assert_fine(&err);
    }
}

/* ---- depth ----------------------------------------------------------- */

/* A model whose innermost message is `depth` deep: graph 2, node 3, attribute 4,
 * graph 5 and so on. */
static struct wire nested(int depth)
{
    static const uint32_t numbers[] = {1, 5, 6}; /* node, attribute, g */
    struct wire wire = {0};
    for (int level = depth; level > 2; level--) {
        struct wire outer = {0};
        wire_message(&outer, numbers[level % 3], &wire);
        wire = outer;
    }
    struct wire model = {0};
    wire_message(&model, 7, &wire);
    return model;
}

static void test_depth(void **state)
{
    (void)state;
    static const struct {
        int depth;
        bool good;
    } rows[] = {{2, true},    {99, true},   {100, true},
                {101, false}, {102, false}, {3000, false}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct error err = {0};
        struct wire wire = nested(rows[i].depth);
        assert_int_equal(scan(wire.data, wire.size, &err), rows[i].good);
        if (!rows[i].good)
            assert_failed(&err, STATUS_MALFORMED, "more than 100 levels");
    }
}

/* ---- truncation and noise -------------------------------------------- */

static struct bytes rich_model(void)
{
    Onnx__ModelProto *model =
        make_one("MatMul", make_weight("W", DATA_FLOAT, DIMS(8, 8)));
    model->producer_name = hold_printf("test");
    Onnx__NodeProto *branch = put_node(model->graph, make_node("If", "c", "z"));
    Onnx__GraphProto *body = make_graph("then");
    put_initializer(body, make_weight("V", DATA_FLOAT16, DIMS(3, 5)));
    put_node(body, make_node("Add", "a b", "z"));
    put_graph(branch, "then_branch", body);
    return pack(model);
}

/* Every beginning of a model either ends between two fields or is refused. */
static void test_every_truncation(void **state)
{
    (void)state;
    struct bytes bytes = rich_model();
    size_t good = 0;
    for (size_t size = 0; size <= bytes.size; size++) {
        struct error err = {0};
        if (scan(bytes.data, size, &err))
            good++;
        else
            assert_failed(&err, STATUS_MALFORMED,
                          strstr(err.message, "ends after") ? "incomplete download?"
                                                            : "damaged or truncated at");
    }
    /* Nothing, and behind ir_version, producer_name, graph and opset_import. */
    assert_int_equal(good, 5);
}

static void test_noise(void **state)
{
    (void)state;
    struct bytes bytes = rich_model();
    random_begin();
    for (int i = 0; i < 20000; i++) {
        struct error err = {0};
        uint8_t *copy = hold(bytes.size);
        memcpy(copy, bytes.data, bytes.size);
        for (uint64_t n = 1 + random_below(4); n > 0; n--)
            copy[random_below(bytes.size)] = (uint8_t)random_below(256);
        if (!scan(copy, bytes.size, &err))
            assert_int_equal(err.status, STATUS_MALFORMED);
        if (i % 1000 == 999) {
            support_teardown(NULL);
            bytes = rich_model();
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_errors),           TEST(test_hint),  TEST(test_good), TEST(test_depth),
        TEST(test_every_truncation), TEST(test_noise),
    };
    return RUN(tests);
}

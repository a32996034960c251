/* The threshold of elements: what it looks at, and where it lies. */
#include "plan/threshold.h"
#include "pipeline.h"

/* Weights of these sizes, `count` of each. */
struct row {
    int64_t rows, columns;
    size_t count;
};

static uint64_t threshold_of(const struct row *rows, size_t count)
{
    Onnx__ModelProto *proto = make_model(10, 21);
    struct plan_options options = plan_defaults();
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < rows[i].count; k++) {
            const char *name = hold_printf("W%zu_%zu", i, k);
            put_initializer(
                proto->graph,
                make_weight(name, DATA_FLOAT, DIMS(rows[i].rows, rows[i].columns)));
            put_node(proto->graph, make_node("MatMul", hold_printf("X %s", name),
                                             hold_printf("Y%zu_%zu", i, k)));
        }
    struct pipeline *p = pipeline_plan(proto, &options);
    plan_set_threshold(&options, &p->index, MIN_ELEMENTS_DEFAULT);
    assert_int_equal(options.load_below, 1024);
    return options.min_elements;
}

#define THRESHOLD(...)                              \
    threshold_of((const struct row[]){__VA_ARGS__}, \
                 COUNT(((const struct row[]){__VA_ARGS__})))

static void test_asked(void **state)
{
    (void)state;
    static const uint64_t rows[][2] = {
        {0, 0}, {99, 99}, {1u << 30, 1u << 30}, {MIN_ELEMENTS_DEFAULT, 1024}};
    const struct graph_index none = {0};
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct plan_options options = plan_defaults();
        plan_set_threshold(&options, &none, rows[i][0]);
        assert_int_equal(options.min_elements, rows[i][1]);
        assert_int_equal(options.load_below, i == 3 ? 1024 : 0);
    }
}

static void test_share(void **state)
{
    (void)state;
    assert_int_equal(THRESHOLD({64, 64, 1}), 1024);
    /* 500 elements of 50,500 are less than a hundredth. */
    assert_int_equal(THRESHOLD({20, 25, 1}, {250, 200, 1}), 1024);
    /* Two are more. */
    assert_int_equal(THRESHOLD({20, 25, 2}, {250, 200, 1}), 500);
    /* The smallest ones may stay float, up to a hundredth. */
    assert_int_equal(THRESHOLD({20, 15, 1}, {20, 25, 2}, {250, 200, 1}), 500);
    assert_int_equal(THRESHOLD({20, 15, 2}, {20, 25, 2}, {250, 200, 1}), 300);
    /* Below 256 elements it does not matter how many there are. */
    assert_int_equal(THRESHOLD({16, 15, 999}, {32, 32, 1}), 256);
    assert_int_equal(THRESHOLD({16, 16, 999}, {32, 32, 1}), 256);
    assert_int_equal(THRESHOLD({31, 33, 9}), 1023);
    assert_int_equal(THRESHOLD({32, 32, 9}), 1024);
}

/* Nodes take more than small weights of 16 bits save. */
static void test_halves(void **state)
{
    (void)state;
    struct plan_options options = plan_defaults();
    Onnx__ModelProto *proto =
        make_one("MatMul", make_weight("W", DATA_FLOAT16, DIMS(20, 20)));
    struct pipeline *p = pipeline_plan(proto, &options);
    plan_set_threshold(&options, &p->index, MIN_ELEMENTS_DEFAULT);
    assert_int_equal(options.min_elements, 1024);
}

static void test_vectors(void **state)
{
    (void)state;
    assert_int_equal(THRESHOLD({1, 1000, 99}, {500, 1, 99}, {64, 64, 1}), 1024);
}

/* Nothing uses it, or it is no float. */
static void test_others(void **state)
{
    (void)state;
    Onnx__ModelProto *proto =
        make_one("MatMul", make_weight("W", DATA_FLOAT, DIMS(64, 64)));
    struct plan_options options = plan_defaults();
    put_initializer(proto->graph, make_weight("unused", DATA_FLOAT, DIMS(20, 20)));
    put_initializer(proto->graph, make_tensor("ints", DATA_INT64, DIMS(20, 20), NULL, 0));
    proto->graph->initializer[2]->n_int64_data = 400;
    proto->graph->initializer[2]->int64_data = hold(400 * sizeof(int64_t));
    put_node(proto->graph, make_node("Gather", "ints X", "Z"));
    struct pipeline *p = pipeline_plan(proto, &options);
    plan_set_threshold(&options, &p->index, MIN_ELEMENTS_DEFAULT);
    assert_int_equal(options.min_elements, 1024);
}

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(test_asked), TEST(test_share),
                                       TEST(test_halves), TEST(test_vectors),
                                       TEST(test_others)};
    return RUN(tests);
}

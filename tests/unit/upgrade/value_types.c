/* What is known of values: declared, followed through nodes, and never guessed. */
#include "support.h"
#include "upgrade/value_types.h"

struct known {
    struct types types;
    struct model *model;
};

static struct known *known_of(Onnx__ModelProto *proto)
{
    struct known *known = hold(sizeof *known);
    known->model = read_proto(proto);
    assert_true(
        types_of_graph(&known->types, known->model->arena, known->model->proto->graph));
    return known;
}

/* Values a (float, rank 3), h (float16, rank 1), i (int64, rank 2), u (nothing known). */
static struct known *some_values(void)
{
    static const struct {
        const char *name;
        int type;
        size_t rank;
    } rows[] = {{"a", DATA_FLOAT, 3}, {"h", DATA_FLOAT16, 1}, {"i", DATA_INT64, 2}};
    static const int64_t dims[3] = {1, 1, 1};
    Onnx__ModelProto *proto = make_model(8, 17);
    for (size_t i = 0; i < COUNT(rows); i++)
        put_initializer(proto->graph,
                        make_weight(rows[i].name, rows[i].type, dims, rows[i].rank));
    return known_of(proto);
}

static void follow(struct known *known, Onnx__NodeProto *node)
{
    assert_true(types_of_node(&known->types, known->model->arena, node));
}

static void assert_type(const struct known *known, const char *name, int element,
                        int rank)
{
    struct value_type type = type_of(&known->types, name);
    assert_int_equal(type.element, element);
    assert_int_equal(type.rank, rank);
}

static void test_nothing_is_known(void **state)
{
    (void)state;
    struct known *known = some_values();
    assert_type(known, "u", 0, -1);
    assert_type(known, "", 0, -1);
    follow(known, make_node("Relu", "u", "v"));
    assert_type(known, "v", 0, -1);
    Onnx__NodeProto *foreign = make_node("Relu", "a", "w");
    foreign->domain = hold_printf("other");
    follow(known, foreign);
    assert_type(known, "w", 0, -1);
    follow(known, make_node("ATen", "a", "w"));
    assert_type(known, "w", 0, -1);
    types_free(&known->types);
}

static void test_elements(void **state)
{
    static const struct {
        const char *op_type, *inputs;
        int first, second;
    } rows[] = {
        {"Add", "h h", DATA_FLOAT16, 0},
        {"Shape", "h", DATA_INT64, 0},
        {"Equal", "i i", DATA_BOOL, 0},
        {"TopK", "h i", DATA_FLOAT16, DATA_INT64},
        {"Where", "u h h", DATA_FLOAT16, 0},
        {"Split", "h", DATA_FLOAT16, DATA_FLOAT16},
        {"OneHot", "i i h", DATA_FLOAT16, 0},
        {"CastLike", "a h", DATA_FLOAT16, 0},
        {"LSTM", "h h h", DATA_FLOAT16, DATA_FLOAT16},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct known *known = some_values();
        follow(known, make_node(rows[i].op_type, rows[i].inputs, "x y"));
        assert_int_equal(type_of(&known->types, "x").element, rows[i].first);
        if (rows[i].second)
            assert_int_equal(type_of(&known->types, "y").element, rows[i].second);
        types_free(&known->types);
    }
}

static void test_cast(void **state)
{
    (void)state;
    struct known *known = some_values();
    Onnx__NodeProto *node = make_node("Cast", "i", "x");
    put_int(node, "to", DATA_DOUBLE);
    follow(known, node);
    assert_type(known, "x", DATA_DOUBLE, 2);
    types_free(&known->types);
}

static void test_bodies(void **state)
{
    (void)state;
    struct known *known = some_values();
    Onnx__GraphProto *body = make_graph("body");
    put_output(body, "p", DATA_BOOL);
    put_output(body, "q", DATA_FLOAT16);
    Onnx__NodeProto *loop = make_node("Loop", "- - u", "x"),
                    *branch = make_node("If", "u", "y z");
    put_graph(loop, "body", body);
    put_graph(branch, "then_branch", body);
    follow(known, loop);
    follow(known, branch);
    assert_int_equal(type_of(&known->types, "x").element, DATA_FLOAT16);
    assert_int_equal(type_of(&known->types, "y").element, DATA_BOOL);
    assert_int_equal(type_of(&known->types, "z").element, DATA_FLOAT16);
    types_free(&known->types);
}

static void test_ranks(void **state)
{
    static const struct {
        const char *op_type, *inputs;
        int rank;
    } rows[] = {
        {"Relu", "a", 3},      {"Add", "h a", 3},     {"Add", "a u", -1},
        {"MatMul", "a i", 3},  {"MatMul", "a h", -1}, {"MatMul", "h a", -1},
        {"Shape", "a", 1},     {"Flatten", "a", 2},   {"Gemm", "i i i", 2},
        {"Transpose", "a", 3}, {"Gather", "a i", -1}, {"Where", "i h a", 3},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct known *known = some_values();
        follow(known, make_node(rows[i].op_type, rows[i].inputs, "x"));
        assert_int_equal(type_of(&known->types, "x").rank, rows[i].rank);
        types_free(&known->types);
    }
}

static void test_rank_by_a_constant_shape(void **state)
{
    (void)state;
    static const int64_t shape[] = {2, 3, 4, -1};
    struct known *known = some_values();
    Onnx__NodeProto *constant = make_node("Constant", "", "s");
    put_tensor(constant, "value",
               make_tensor("", DATA_INT64, DIMS(4), shape, sizeof shape));
    follow(known, constant);
    assert_type(known, "s", DATA_INT64, 1);
    follow(known, make_node("Reshape", "h s", "x"));
    assert_type(known, "x", DATA_FLOAT16, 4);
    follow(known, make_node("Reshape", "h u", "y"));
    assert_type(known, "y", DATA_FLOAT16, -1);
    types_free(&known->types);
}

static void test_inputs_are_no_constants(void **state)
{
    (void)state;
    Onnx__ModelProto *proto = make_model(8, 17);
    put_initializer(proto->graph, make_weight("w", DATA_FLOAT, DIMS(2, 2)));
    put_initializer(proto->graph, make_weight("v", DATA_FLOAT, DIMS(2, 2)));
    put_input(proto->graph, "w", DATA_FLOAT);
    struct known *known = known_of(proto);
    assert_null(type_of(&known->types, "w").constant);
    assert_non_null(type_of(&known->types, "v").constant);
    assert_type(known, "w", DATA_FLOAT, 2);
    types_free(&known->types);
}

static void test_scopes(void **state)
{
    (void)state;
    struct known *known = some_values();
    struct types inner = {.outer = &known->types};
    assert_true(types_of_node(&inner, known->model->arena, make_node("Relu", "h", "x")));
    assert_int_equal(type_of(&inner, "x").element, DATA_FLOAT16);
    assert_int_equal(type_of(&known->types, "x").element, 0);
    types_free(&inner);
    types_free(&known->types);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_nothing_is_known),
        TEST(test_elements),
        TEST(test_cast),
        TEST(test_bodies),
        TEST(test_ranks),
        TEST(test_rank_by_a_constant_shape),
        TEST(test_scopes),
        TEST(test_inputs_are_no_constants),
    };
    return RUN(tests);
}

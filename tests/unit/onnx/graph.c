/* The graph index: who defines a value, who uses it, and from where it is seen. */
#include "onnx/graph.h"
#include "support.h"

#include <string.h>

static struct graph_index indexed; /* of the test that runs */

static struct model *index_proto(const Onnx__ModelProto *proto)
{
    struct error err = {0};
    struct model *model = read_proto(proto);
    graph_index_free(&indexed);
    assert_true(graph_index(model, &indexed, &err));
    assert_fine(&err);
    return model;
}

static int teardown(void **state)
{
    graph_index_free(&indexed);
    return support_teardown(state);
}

/* The value of that name in the scope of that path. */
static struct value *value_at(const char *path, const char *name)
{
    for (struct value *value = indexed.values; value; value = value->next)
        if (strcmp(value->scope->path, path) == 0 && strcmp(value->name, name) == 0)
            return value;
    return NULL;
}

static size_t uses_of(const struct value *value)
{
    size_t count = 0;
    assert_non_null(value);
    for (const struct use *use = value->uses; use; use = use->next)
        count++;
    return count;
}

static Onnx__GraphProto *body_with(const char *inputs, const char *output)
{
    Onnx__GraphProto *body = make_graph("body");
    put_node(body, make_node("Add", inputs, output));
    put_output(body, output, DATA_FLOAT);
    return body;
}

static Onnx__NodeProto *put_if(Onnx__GraphProto *graph, const char *name,
                               const char *output, Onnx__GraphProto *then_branch,
                               Onnx__GraphProto *else_branch)
{
    Onnx__NodeProto *node = put_node(graph, make_node("If", "cond", output));
    node->name = hold_printf("%s", name);
    put_graph(node, "then_branch", then_branch);
    if (else_branch)
        put_graph(node, "else_branch", else_branch);
    return node;
}

/* ---- one scope ------------------------------------------------------- */

static void test_kinds(void **state)
{
    (void)state;
    Onnx__ModelProto *proto = make_model(3, 8);
    Onnx__GraphProto *graph = proto->graph;
    put_input(graph, "X", DATA_FLOAT);
    put_input(graph, "W", DATA_FLOAT); /* an input with a default, as before IR 4 */
    put_initializer(graph, make_weight("W", DATA_FLOAT, DIMS(2, 2)));
    put_initializer(graph, make_weight("B", DATA_FLOAT, DIMS(2)));
    Onnx__SparseTensorProto *sparse = hold(sizeof *sparse);
    onnx__sparse_tensor_proto__init(sparse);
    sparse->values = make_weight("S", DATA_FLOAT, DIMS(2));
    put(&graph->sparse_initializer, &graph->n_sparse_initializer, sparse);
    put_node(graph, make_node("Gemm", "X W B", "Y"));
    put_node(graph, make_node("Split", "Y", "a - b"));
    put_output(graph, "Y", DATA_FLOAT);
    index_proto(proto);
    const struct {
        const char *name;
        enum value_kind kind;
        bool is_input, has_tensor, has_node;
        size_t uses;
    } rows[] = {
        {"X", VALUE_INPUT, true, false, false, 1},
        {"W", VALUE_INITIALIZER, true, true, false, 1},
        {"B", VALUE_INITIALIZER, false, true, false, 1},
        {"S", VALUE_SPARSE, false, true, false, 0},
        {"Y", VALUE_NODE, false, false, true, 2},
        {"a", VALUE_NODE, false, false, true, 0},
        {"b", VALUE_NODE, false, false, true, 0},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        const struct value *value = value_at("", rows[i].name);
        assert_non_null(value);
        assert_int_equal(value->kind, rows[i].kind);
        assert_int_equal(value->is_input, rows[i].is_input);
        assert_int_equal(value->tensor != NULL, rows[i].has_tensor);
        assert_int_equal(value->node != NULL, rows[i].has_node);
        assert_int_equal(uses_of(value), rows[i].uses);
        assert_false(value->is_ambiguous);
        assert_ptr_equal(value->scope, indexed.main);
        assert_ptr_equal(scope_find(indexed.main, rows[i].name), value);
    }
    assert_null(scope_find(indexed.main, "absent"));
    assert_null(value_at("", "")); /* a left-out output is no value */
}

static void test_uses(void **state)
{
    (void)state;
    Onnx__ModelProto *proto = make_model(10, 21);
    Onnx__GraphProto *graph = proto->graph;
    put_initializer(graph, make_weight("W", DATA_FLOAT, DIMS(2, 2)));
    put_node(graph, make_node("MatMul", "X W", "a"));
    put_node(graph, make_node("Gemm", "W W", "b"));
    put_node(graph, make_node("Clip", "b - W", "c"));
    put_output(graph, "c", DATA_FLOAT);
    put_output(graph, "W", DATA_FLOAT);
    struct model *model = index_proto(proto);
    static const struct {
        int node; /* -1: output of the graph */
        size_t input;
    } wanted[] = {{0, 1}, {1, 0}, {1, 1}, {2, 2}, {-1, 1}};
    const struct use *use = value_at("", "W")->uses;
    for (size_t i = 0; i < COUNT(wanted); i++, use = use->next) {
        assert_non_null(use);
        assert_ptr_equal(use->node, wanted[i].node < 0
                                        ? NULL
                                        : model->proto->graph->node[wanted[i].node]);
        assert_int_equal(use->input, wanted[i].input);
        assert_ptr_equal(use->scope, indexed.main);
    }
    assert_null(use);
}

static void test_order_does_not_matter(void **state)
{
    (void)state;
    Onnx__ModelProto *proto = make_model(10, 21);
    put_node(proto->graph, make_node("Relu", "late", "Y"));
    put_if(proto->graph, "if", "z", body_with("late X", "t"), NULL);
    put_node(proto->graph, make_node("Relu", "X", "late"));
    index_proto(proto);
    assert_int_equal(uses_of(value_at("", "late")), 2);
}

static void test_ambiguous(void **state)
{
    (void)state;
    Onnx__ModelProto *proto = make_model(10, 21);
    put_initializer(proto->graph, make_weight("twice", DATA_FLOAT, DIMS(2, 2)));
    put_initializer(proto->graph, make_weight("twice", DATA_FLOAT, DIMS(2, 2)));
    put_initializer(proto->graph, make_weight("both", DATA_FLOAT, DIMS(2, 2)));
    put_node(proto->graph, make_node("Relu", "X", "both"));
    put_node(proto->graph, make_node("Relu", "X", "once"));
    index_proto(proto);
    assert_true(value_at("", "twice")->is_ambiguous);
    assert_true(value_at("", "both")->is_ambiguous);
    assert_false(value_at("", "once")->is_ambiguous);
}

static void test_trained(void **state)
{
    (void)state;
    Onnx__ModelProto *proto =
        make_one("MatMul", make_weight("W", DATA_FLOAT, DIMS(2, 2)));
    put_initializer(proto->graph, make_weight("I", DATA_FLOAT, DIMS(2, 2)));
    put_initializer(proto->graph, make_weight("V", DATA_FLOAT, DIMS(2, 2)));
    Onnx__TrainingInfoProto *training = hold(sizeof *training);
    onnx__training_info_proto__init(training);
    static const char *const keys[] = {"W", "I", "unknown"};
    for (size_t i = 0; i < COUNT(keys); i++) {
        Onnx__StringStringEntryProto *entry = hold(sizeof *entry);
        onnx__string_string_entry_proto__init(entry);
        entry->key = hold_printf("%s", keys[i]);
        entry->value = hold_printf("V");
        if (i == 1)
            put(&training->initialization_binding, &training->n_initialization_binding,
                entry);
        else
            put(&training->update_binding, &training->n_update_binding, entry);
    }
    put(&proto->training_info, &proto->n_training_info, training);
    index_proto(proto);
    assert_true(value_at("", "W")->is_trained);
    assert_true(value_at("", "I")->is_trained);
    assert_false(value_at("", "V")->is_trained);
}

/* ---- bodies ---------------------------------------------------------- */

static void test_captures(void **state)
{
    (void)state;
    Onnx__ModelProto *proto = make_model(10, 21);
    Onnx__GraphProto *inner = body_with("W own", "r"), *outer = make_graph("outer");
    put_initializer(inner, make_weight("own", DATA_FLOAT, DIMS(2, 2)));
    put_if(outer, "inner", "q", inner, NULL);
    put_output(outer, "q", DATA_FLOAT);
    put_initializer(proto->graph, make_weight("W", DATA_FLOAT, DIMS(2, 2)));
    put_if(proto->graph, "outer", "z", outer, body_with("W W", "e"));
    index_proto(proto);
    const struct value *w = value_at("", "W");
    assert_int_equal(uses_of(w), 3);
    assert_ptr_not_equal(w->uses->scope, indexed.main);
    const struct scope *deepest = w->uses->scope;
    assert_ptr_equal(deepest->parent->parent, indexed.main);
    assert_ptr_equal(scope_find(deepest, "W"), w);
    const struct value *own = scope_find(deepest, "own");
    assert_int_equal(own->kind, VALUE_INITIALIZER);
    assert_int_equal(uses_of(own), 1);
    assert_null(scope_find(indexed.main, "own")); /* not seen from outside */
    assert_null(scope_find(indexed.main, "q"));
    /* The output of a body is a use there. */
    const struct value *q = scope_find(deepest->parent, "q");
    assert_int_equal(uses_of(q), 1);
    assert_null(q->uses->node);
    assert_ptr_equal(q->uses->scope, deepest->parent);
}

static void test_shadowing(void **state)
{
    (void)state;
    Onnx__ModelProto *proto = make_model(10, 21);
    Onnx__GraphProto *body = body_with("W X", "r");
    put_initializer(body, make_weight("W", DATA_FLOAT, DIMS(3, 3)));
    put_initializer(proto->graph, make_weight("W", DATA_FLOAT, DIMS(2, 2)));
    put_node(proto->graph, make_node("MatMul", "X W", "y"));
    put_if(proto->graph, "if", "z", body, NULL);
    index_proto(proto);
    const struct value *outer = value_at("", "W");
    assert_int_equal(uses_of(outer), 1);
    assert_int_equal(outer->tensor->dims[0], 2);
    assert_false(outer->is_ambiguous);
    size_t found = 0;
    for (const struct value *value = indexed.values; value; value = value->next) {
        if (value == outer || strcmp(value->name, "W") != 0)
            continue;
        found++;
        assert_int_equal(uses_of(value), 1);
        assert_int_equal(value->tensor->dims[0], 3);
    }
    assert_int_equal(found, 1);
}

/* A function sees its inputs and its own nodes, and nothing of the main graph. */
static void test_functions(void **state)
{
    (void)state;
    Onnx__ModelProto *proto = make_model(10, 21);
    put_initializer(proto->graph, make_weight("W", DATA_FLOAT, DIMS(2, 2)));
    put_node(proto->graph, make_node("f", "X", "Y"));
    Onnx__FunctionProto *function = make_function("f", "a", "b");
    put_function_node(function, make_node("MatMul", "a W", "t"));
    put_function_node(function, make_node("Relu", "t", "b"));
    put_function(proto, function);
    index_proto(proto);
    assert_int_equal(uses_of(value_at("", "W")), 0);
    const struct value *a = value_at("function f", "a"), *b = value_at("function f", "b");
    assert_int_equal(a->kind, VALUE_INPUT);
    assert_int_equal(uses_of(a), 1);
    assert_int_equal(uses_of(b), 1);
    assert_null(b->uses->node);
    assert_null(a->scope->parent);
    assert_non_null(a->scope->function);
    assert_null(a->scope->graph);
}

/* Paths tell people where a value is: no two bodies share one, whatever their names. */
static void test_paths(void **state)
{
    (void)state;
    Onnx__ModelProto *proto = make_model(10, 21);
    Onnx__GraphProto *inner = body_with("X X", "r"), *then_branch = body_with("X X", "t");
    put_if(then_branch, "deep", "q", inner, NULL);
    put_if(proto->graph, "If_12", "z", then_branch, body_with("X X", "e"));
    put_if(proto->graph, "", "unnamed_output", body_with("X X", "u"), NULL);
    put_if(proto->graph, "If_12", "y", body_with("X X", "v"), NULL);
    put_if(proto->graph, "If_12.then_branch#3", "x", body_with("X X", "w"), NULL);
    put_if(proto->graph, "If_12", "w", body_with("X X", "y"), NULL);
    index_proto(proto);
    struct map paths = {0};
    size_t scopes = 0;
    for (struct scope *scope = indexed.scopes; scope; scope = scope->next, scopes++) {
        assert_null(map_get(&paths, scope->path));
        assert_true(map_put(&paths, scope->path, scope));
    }
    assert_int_equal(scopes, 8);
    map_free(&paths);
    const struct scope *deep = NULL;
    for (struct scope *scope = indexed.scopes; scope; scope = scope->next)
        if (strstr(scope->path, "deep"))
            deep = scope;
    assert_non_null(strstr(deep->path, "If_12"));
    assert_non_null(strstr(deep->path, "then_branch"));
    assert_non_null(strstr(deep->parent->path, "If_12"));
    assert_string_equal(indexed.main->path, "");
}

#define GRAPH_TEST(function) cmocka_unit_test_teardown(function, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        GRAPH_TEST(test_kinds),
        GRAPH_TEST(test_uses),
        GRAPH_TEST(test_order_does_not_matter),
        GRAPH_TEST(test_ambiguous),
        GRAPH_TEST(test_trained),
        GRAPH_TEST(test_captures),
        GRAPH_TEST(test_shadowing),
        GRAPH_TEST(test_functions),
        GRAPH_TEST(test_paths),
    };
    return RUN(tests);
}

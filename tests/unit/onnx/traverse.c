/* The traversal: every region and node once, in order, whatever holds it; and regions
 * are released even if the visitor has ended the traversal. */
#include "onnx/traverse.h"
#include "support.h"

#include <stdio.h>
#include <string.h>

enum { GRAPHS = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__GRAPHS };

/* Writes down what it meets, and ends at the event `last`. */
struct log {
    char text[1000];
    const char *last;
    int entered, released;
};

static const char *region_name(const struct region *region)
{
    return region->graph ? region->graph->name : region->function->name;
}

static bool note(struct log *log, const char *event, const char *name)
{
    char entry[40];
    snprintf(entry, sizeof entry, "%s%s", event, name);
    size_t length = strlen(log->text);
    assert_true(length + strlen(entry) + 2 < sizeof log->text);
    snprintf(log->text + length, sizeof log->text - length, "%s%s", length ? " " : "",
             entry);
    return !log->last || strcmp(entry, log->last) != 0;
}

static bool enter(void *context, struct region *region)
{
    struct log *log = context;
    assert_null(region->data);
    region->data = log;
    log->entered++;
    return note(log, "<", region_name(region));
}

static bool leave(void *context, struct region *region)
{
    assert_ptr_equal(region->data, context);
    return note(context, ">", region_name(region));
}

static bool before(void *context, struct region *region, Onnx__NodeProto *node)
{
    assert_ptr_equal(region->data, context);
    return note(context, "", node->op_type);
}

static bool after(void *context, struct region *region, Onnx__NodeProto *node)
{
    assert_ptr_equal(region->data, context);
    return note(context, "/", node->op_type);
}

static void release(void *context, struct region *region)
{
    struct log *log = context;
    assert_ptr_equal(region->data, context);
    log->released++;
}

static const struct visitor logging = {enter, before, after, leave, release};

static Onnx__GraphProto *graph_of(const char *name, const char *op_type)
{
    Onnx__GraphProto *graph = make_graph(name);
    put_node(graph, make_node(op_type, "x", "y"));
    return graph;
}

/* A body in a body, bodies in a list, a function with a body, two training graphs. */
static Onnx__ModelProto *rich_model(void)
{
    Onnx__ModelProto *proto = make_model(10, 21);
    proto->graph->name = hold_printf("main");
    Onnx__NodeProto *node = put_node(proto->graph, make_node("A", "x", "y"));
    Onnx__GraphProto *outer = graph_of("outer", "B");
    put_graph(outer->node[0], "body", graph_of("inner", "C"));
    put_int(node, "number", 1);
    put_graph(node, "body", outer);
    Onnx__AttributeProto *list = put_attribute(node, "bodies", GRAPHS);
    put(&list->graphs, &list->n_graphs, graph_of("first", "D"));
    put(&list->graphs, &list->n_graphs, make_graph("empty"));
    put_node(proto->graph, make_node("E", "x", "z"));
    Onnx__FunctionProto *function = make_function("f", "x", "y");
    Onnx__NodeProto *call = make_node("F", "x", "y");
    put_graph(call, "body", graph_of("part", "G"));
    put_function_node(function, call);
    put_function(proto, function);
    Onnx__TrainingInfoProto *training = hold(sizeof *training),
                            *none = hold(sizeof *none);
    onnx__training_info_proto__init(training);
    onnx__training_info_proto__init(none);
    training->initialization = graph_of("start", "H");
    training->algorithm = graph_of("step", "I");
    put(&proto->training_info, &proto->n_training_info, none);
    put(&proto->training_info, &proto->n_training_info, training);
    return proto;
}

static const char whole[] =
    "<f F <part G /G >part /F >f <start H /H >start <step I /I >step "
    "<main A <outer B <inner C /C >inner /B >outer <first D /D >first <empty >empty /A "
    "E /E >main";

static void test_order(void **state)
{
    (void)state;
    struct log log = {.last = NULL};
    assert_true(traverse_model(rich_model(), &logging, &log));
    assert_string_equal(log.text, whole);
    assert_int_equal(log.entered, 9);
    assert_int_equal(log.released, 9);
}

static void test_parts(void **state)
{
    (void)state;
    struct log log = {.last = NULL};
    const Onnx__ModelProto *proto = rich_model();
    assert_true(traverse_function(proto->functions[0], &logging, &log));
    assert_string_equal(log.text, "<f F <part G /G >part /F >f");
    log = (struct log){.last = NULL};
    assert_true(traverse_graphs(proto, &logging, &log));
    assert_string_equal(log.text, strstr(whole, "<start"));
    log = (struct log){.last = NULL};
    assert_true(traverse_graph(proto->graph, &logging, &log));
    assert_string_equal(log.text, strstr(whole, "<main"));
}

/* Each event ends the traversal at once, and nothing that was entered is forgotten. */
static void test_ending(void **state)
{
    (void)state;
    const Onnx__ModelProto *proto = rich_model();
    char events[sizeof whole];
    memcpy(events, whole, sizeof whole);
    for (char *event = strtok(events, " "); event; event = strtok(NULL, " ")) {
        struct log log = {.last = event};
        assert_false(traverse_model(proto, &logging, &log));
        const char *end = strstr(log.text, event) + strlen(event);
        assert_int_equal(*end, '\0');
        assert_int_equal(strncmp(log.text, whole, strlen(log.text)), 0);
        assert_int_equal(log.entered, log.released);
    }
}

static bool check_outer(void *context, struct region *region)
{
    struct log *log = context;
    if (!region->outer) {
        assert_null(region->owner);
        return true;
    }
    return note(log, "", region_name(region)) &&
           note(log, "of ", region->owner->op_type) &&
           note(log, "in ", region_name(region->outer)) &&
           note(log, "as ", region->attribute->name);
}

static void test_where_bodies_are(void **state)
{
    (void)state;
    const struct visitor checking = {.enter = check_outer};
    struct log log = {.last = NULL};
    assert_true(traverse_model(rich_model(), &checking, &log));
    assert_string_equal(
        log.text,
        "part of F in f as body outer of A in main as body inner of B in outer as body "
        "first of A in main as bodies empty of A in main as bodies");
}

static bool replace_nodes(void *context, struct region *region)
{
    (void)context;
    region->graph->node = NULL;
    region->graph->n_node = 0;
    return true;
}

static void test_leave_may_replace_nodes(void **state)
{
    (void)state;
    const struct visitor replacing = {.leave = replace_nodes};
    Onnx__GraphProto *graph = rich_model()->graph;
    assert_true(traverse_graph(graph, &replacing, NULL));
    assert_int_equal(graph->n_node, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_order),
        TEST(test_parts),
        TEST(test_ending),
        TEST(test_where_bodies_are),
        TEST(test_leave_may_replace_nodes),
    };
    return RUN(tests);
}

/* Plans in which types and granularities were chosen weight by weight: each choice is
 * kept to, whatever the options say for all, and also once the opset is raised. */
#include "pipeline.h"
#include "upgrade/upgrade.h"

#include <string.h>

static struct plan_choice made(enum quant_type type, uint64_t block)
{
    return (struct plan_choice){.type = type,
                                .granularity =
                                    block ? GRANULARITY_BLOCKS : GRANULARITY_DEFAULT,
                                .block_size = block};
}

static void free_findings(void *findings)
{
    plan_findings_close(findings);
}

static void free_map(void *map)
{
    map_free(map);
}

/* Chooses for "A", "B", "C" of the main graph, and "A" of the body. */
static struct map *choose(const struct plan_choice *rows)
{
    static const char *const keys[] = {"0  A", "0  B", "0  C", "16 cond.then_branch A"};
    struct map *map = hold(sizeof *map);
    at_end(free_map, map);
    for (size_t i = 0; i < COUNT(keys); i++)
        assert_true(map_put(map, keys[i], (void *)(uintptr_t)&rows[i]));
    return map;
}

/* MatMuls of "A" to "D"; the body of "cond" has an "A" of its own. */
static Onnx__ModelProto *model_of(int64_t opset)
{
    Onnx__ModelProto *proto = make_model(8, opset);
    Onnx__GraphProto *graph = proto->graph, *body = make_graph("body");
    for (char name = 'A'; name <= 'D'; name++) {
        char *weight = hold_printf("%c", name);
        put_initializer(graph, make_weight(weight, DATA_FLOAT, DIMS(256, 64)));
        put_node(graph, make_node("MatMul", hold_printf("X %s", weight),
                                  hold_printf("Y%s", weight)));
    }
    put_initializer(body, make_weight("A", DATA_FLOAT, DIMS(256, 64)));
    put_node(body, make_node("MatMul", "X A", "t"));
    put_output(body, "t", DATA_FLOAT);
    Onnx__NodeProto *node = put_node(graph, make_node("If", "c", "z"));
    node->name = hold_printf("cond");
    put_graph(node, "then_branch", body);
    return proto;
}

static struct plan_item *find(const struct plan *plan, const char *path, const char *name)
{
    for (size_t i = 0; i < plan->count; i++)
        if (strcmp(plan->items[i].value->name, name) == 0 &&
            strcmp(plan->items[i].value->scope->path, path) == 0)
            return &plan->items[i];
    fail_msg("the plan has no item '%s'", name);
    return NULL;
}

static void assert_item(const struct plan *plan, const char *path, const char *name,
                        enum quant_type type, uint64_t block)
{
    const struct plan_item *item = find(plan, path, name);
    assert_true(item->quantize);
    assert_int_equal(item->scheme.type, type);
    assert_int_equal(item->granularity, GRANULARITY_BLOCKS);
    assert_int_equal(item->shape.block, block);
}

static void assert_choices(const struct plan *plan)
{
    assert_item(plan, "", "A", QUANT_INT4, 32);
    assert_item(plan, "", "B", QUANT_INT8, 256);
    assert_item(plan, "cond.then_branch", "A", QUANT_INT4, 128);
    assert_item(plan, "", "D", QUANT_INT4, 256); /* as the options say */
    const struct plan_item *left = find(plan, "", "C");
    assert_false(left->quantize);
    assert_string_equal(left->reason, "for a reason");
    assert_true(left->chosen && find(plan, "", "A")->chosen);
    assert_false(find(plan, "", "D")->chosen);
}

static void test_each_its_own(void **state)
{
    (void)state;
    for (int missed = 0; missed < 2; missed++) {
        struct plan_choice rows[] = {made(QUANT_INT4, 32), made(QUANT_INT8, 0),
                                     made(QUANT_INT4, 0), made(QUANT_INT4, 128)};
        struct plan_options options = plan_defaults();
        rows[2].reason = "for a reason";
        rows[2].missed = missed;
        options.choices = choose(rows);
        struct pipeline *pipeline = pipeline_plan(model_of(21), &options);
        assert_choices(&pipeline->plan);
        assert_int_equal(find(&pipeline->plan, "", "C")->requested, missed);
        assert_true(find(&pipeline->plan, "", "B")->requested);
    }
}

static void free_index(void *index)
{
    graph_index_free(index);
}

static void free_plan(void *plan)
{
    plan_free(plan);
}

static void test_after_upgrade(void **state)
{
    (void)state;
    struct error err = {0};
    struct plan_choice rows[] = {made(QUANT_INT4, 32),
                                 made(QUANT_INT8, 0),
                                 {.reason = "for a reason"},
                                 made(QUANT_INT4, 128)};
    struct plan_options options = plan_defaults();
    struct graph_index *index = hold(sizeof *index);
    struct plan *plan = hold(sizeof *plan);
    options.choices = choose(rows);
    struct pipeline *pipeline = pipeline_plan(model_of(11), &options);
    assert_choices(&pipeline->plan);
    assert_true(model_upgrade(pipeline->model, 21, &err));
    at_end(free_index, index);
    at_end(free_plan, plan);
    assert_true(graph_index(pipeline->model, index, &err));
    assert_true(plan_make(pipeline->model, index, &options, plan, &err));
    assert_fine(&err);
    assert_choices(plan);
}

/* A weight that is unfit stays float whatever was chosen, and for that reason. */
static void test_unfit_first(void **state)
{
    (void)state;
    struct error err = {0};
    struct plan_choice rows[] = {made(QUANT_INT4, 32), made(QUANT_INT8, 0),
                                 made(QUANT_INT4, 0), made(QUANT_INT4, 128)};
    struct plan_options options = plan_defaults();
    struct plan_findings *findings = hold(sizeof *findings);
    assert_true(plan_findings_open(findings, &err));
    at_end(free_findings, findings);
    struct pipeline *before = pipeline_plan(model_of(21), &options);
    assert_true(
        plan_note(findings, find(&before->plan, "", "A"), QUANT_FIT_NOT_FINITE, &err));
    options.choices = choose(rows);
    options.unfit = &findings->unfit;
    struct pipeline *pipeline = pipeline_plan(model_of(21), &options);
    const struct plan_item *item = find(&pipeline->plan, "", "A");
    assert_false(item->quantize);
    assert_non_null(strstr(item->reason, "NaN"));
    assert_true(item->warning && item->requested && !item->chosen);
}

/* Rows of 96 can't be gathered in blocks of 64: decoded for all, it is stored once. */
static void test_forms_by_choice(void **state)
{
    (void)state;
    struct plan_options options = plan_defaults();
    for (uint64_t block = 0; block <= 64; block += 32) {
        const struct plan_choice row = made(QUANT_INT4, block);
        struct map *map = hold(sizeof *map);
        at_end(free_map, map);
        assert_true(map_put(map, "0  E", (void *)(uintptr_t)&row));
        options.choices = map;
        Onnx__ModelProto *proto = make_model(10, 21);
        put_initializer(proto->graph, make_weight("E", DATA_FLOAT, DIMS(512, 96)));
        put_node(proto->graph, make_node("Gather", "E I", "Y"));
        put_node(proto->graph, make_node("MatMul", "E X", "Z"));
        const struct plan *plan = &pipeline_plan(proto, &options)->plan;
        assert_int_equal(plan->count, block == 64 ? 1 : 2);
        assert_int_equal(plan->items[0].form, FORM_DEQUANTIZE);
        assert_int_equal(plan->items[0].alone, block == 64);
    }
}

/* Scales that float16 can't hold get wider; those of the weight's own type can't. */
static void test_findings(void **state)
{
    (void)state;
    struct error err = {0};
    struct plan_options options = plan_defaults();
    struct plan_findings *findings = hold(sizeof *findings);
    assert_true(plan_findings_open(findings, &err));
    at_end(free_findings, findings);
    options.half_scales = true;
    struct plan *plan = &pipeline_plan(model_of(21), &options)->plan;
    struct plan_item *wide = find(plan, "", "A"), *unfit = find(plan, "", "B"),
                     *own = find(plan, "", "C");
    own->scheme.scale_type = plan_scale_type(own);
    assert_true(plan_note(findings, wide, QUANT_FIT_SCALE_RANGE, &err) &&
                plan_note(findings, unfit, QUANT_FIT_NOT_FINITE, &err) &&
                plan_note(findings, own, QUANT_FIT_SCALE_RANGE, &err));
    options.unfit = &findings->unfit;
    options.wide_scales = &findings->wide_scales;
    plan = &pipeline_plan(model_of(21), &options)->plan;
    assert_true(find(plan, "", "A")->quantize);
    assert_int_equal(find(plan, "", "A")->scheme.scale_type, REAL_FLOAT32);
    assert_int_equal(find(plan, "", "D")->scheme.scale_type, REAL_FLOAT16);
    assert_non_null(strstr(find(plan, "", "B")->reason, "NaN"));
    assert_non_null(strstr(find(plan, "", "C")->reason, "float type"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_each_its_own), TEST(test_after_upgrade),   TEST(test_unfit_first),
        TEST(test_findings),     TEST(test_forms_by_choice),
    };
    return RUN(tests);
}

/* Two looks at the whole model: calls of local functions, and names in use.
 * Changes nothing, and needs no order of nodes. */
#include "upgrade/survey.h"
#include "onnx/node.h"
#include "onnx/traverse.h"

#include <string.h>

/* A local function, and how often each of its attributes is given. */
struct callee {
    const Onnx__FunctionProto *function;
    struct callee *next;     /* of all */
    struct callee *namesake; /* of the same name: another domain or overload */
    size_t calls;
    struct map given; /* of struct count, by attribute */
};

struct count {
    size_t times;
};

/* ---- local functions ------------------------------------------------ */

static bool is_named(const Onnx__FunctionProto *function, const char *domain,
                     const char *overload)
{
    return domain_same(function->domain, domain) &&
           strcmp(or_empty(function->overload), or_empty(overload)) == 0;
}

static struct callee *callee_of(const struct survey *survey, const char *domain,
                                const char *name, const char *overload)
{
    struct callee *callee = map_get(&survey->callees, or_empty(name));
    while (callee && !is_named(callee->function, domain, overload))
        callee = callee->namesake;
    return callee;
}

static struct callee *callee_of_node(const struct survey *survey,
                                     const Onnx__NodeProto *node)
{
    return callee_of(survey, node->domain, node->op_type, node->overload);
}

static bool count_given(struct survey *survey, struct callee *callee,
                        const char *attribute)
{
    struct count *count = map_get(&callee->given, attribute);
    if (!count) {
        count = arena_alloc(survey->model->arena, sizeof *count);
        if (!count || !map_put(&callee->given, attribute, count))
            return false;
    }
    count->times++;
    return true;
}

static bool count_node(void *context, struct region *region, Onnx__NodeProto *node)
{
    (void)region;
    struct survey *survey = context;
    struct callee *callee = callee_of_node(survey, node);
    survey->nodes++;
    if (!callee)
        return true;
    callee->calls++;
    for (size_t i = 0; i < node->n_attribute; i++)
        if (!count_given(survey, callee, or_empty(node->attribute[i]->name)))
            return false;
    return true;
}

static bool add_callee(struct survey *survey, const Onnx__FunctionProto *function)
{
    struct callee *callee = arena_alloc(survey->model->arena, sizeof *callee);
    if (!callee)
        return false;
    callee->function = function;
    callee->next = survey->first;
    callee->namesake = map_get(&survey->callees, or_empty(function->name));
    survey->first = callee;
    return map_put(&survey->callees, or_empty(function->name), callee);
}

bool survey_open(struct survey *survey, struct model *model)
{
    const struct visitor counting = {.node = count_node};
    *survey = (struct survey){.model = model};
    for (size_t i = 0; i < model->proto->n_functions; i++)
        if (!add_callee(survey, model->proto->functions[i]))
            return false;
    return traverse_model(model->proto, &counting, survey);
}

void survey_close(struct survey *survey)
{
    for (struct callee *callee = survey->first; callee; callee = callee->next)
        map_free(&callee->given);
    map_free(&survey->callees);
    map_free(&survey->used);
}

bool survey_is_call(const struct survey *survey, const Onnx__NodeProto *node)
{
    return callee_of_node(survey, node) != NULL;
}

bool survey_is_given(const struct survey *survey, const Onnx__FunctionProto *function,
                     const char *attribute)
{
    for (size_t i = 0; i < function->n_attribute_proto; i++)
        if (strcmp(or_empty(function->attribute_proto[i]->name), attribute) == 0)
            return true;
    const struct callee *callee =
        callee_of(survey, function->domain, function->name, function->overload);
    const struct count *count = callee ? map_get(&callee->given, attribute) : NULL;
    return callee && (callee->calls == 0 || (count && count->times == callee->calls));
}

/* ---- names in use --------------------------------------------------- */

static bool use(struct survey *survey, const char *name)
{
    return !*or_empty(name) || map_put(&survey->used, name, survey);
}

static bool use_inputs(void *survey, struct region *region, Onnx__NodeProto *node)
{
    (void)region;
    for (size_t i = 0; i < node->n_input; i++)
        if (!use(survey, node->input[i]))
            return false;
    return true;
}

static bool use_outputs(void *survey, struct region *region)
{
    const Onnx__GraphProto *graph = region->graph;
    const Onnx__FunctionProto *function = region->function;
    for (size_t i = 0; graph && i < graph->n_output; i++)
        if (!use(survey, graph->output[i]->name))
            return false;
    for (size_t i = 0; function && i < function->n_output; i++)
        if (!use(survey, function->output[i]))
            return false;
    return true;
}

static bool use_all(struct survey *survey)
{
    const struct visitor using = {.enter = use_outputs, .node = use_inputs};
    return traverse_model(survey->model->proto, &using, survey);
}

bool survey_is_used(struct survey *survey, const char *name, bool *used)
{
    if (!survey->has_used && !use_all(survey))
        return false;
    survey->has_used = true;
    *used = map_get(&survey->used, name) != NULL;
    return true;
}

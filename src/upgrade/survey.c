/* Two looks at the whole model: calls of local functions, and names in use.
 * Changes nothing, and needs no order of nodes. */
#include "upgrade/survey.h"
#include "onnx/node.h"

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

/* ---- all nodes ------------------------------------------------------ */

typedef bool node_fn(struct survey *survey, const Onnx__NodeProto *node);
typedef bool graph_fn(struct survey *survey, const Onnx__GraphProto *graph);

struct visitor {
    node_fn *node;
    graph_fn *graph; /* NULL: nothing */
};

static bool visit_graph(struct survey *survey, const Onnx__GraphProto *graph,
                        const struct visitor *visitor);

static bool visit_nodes(struct survey *survey, Onnx__NodeProto *const *nodes,
                        size_t count, const struct visitor *visitor)
{
    for (size_t i = 0; i < count; i++) {
        if (!visitor->node(survey, nodes[i]))
            return false;
        for (size_t j = 0; j < nodes[i]->n_attribute; j++) {
            const Onnx__AttributeProto *attribute = nodes[i]->attribute[j];
            if (attribute->g && !visit_graph(survey, attribute->g, visitor))
                return false;
            for (size_t k = 0; k < attribute->n_graphs; k++)
                if (!visit_graph(survey, attribute->graphs[k], visitor))
                    return false;
        }
    }
    return true;
}

static bool visit_graph(struct survey *survey, const Onnx__GraphProto *graph,
                        const struct visitor *visitor)
{
    return (!visitor->graph || visitor->graph(survey, graph)) &&
           visit_nodes(survey, graph->node, graph->n_node, visitor);
}

static bool visit_model(struct survey *survey, const struct visitor *visitor)
{
    const Onnx__ModelProto *proto = survey->model->proto;
    for (size_t i = 0; i < proto->n_functions; i++)
        if (!visit_nodes(survey, proto->functions[i]->node, proto->functions[i]->n_node,
                         visitor))
            return false;
    for (size_t i = 0; i < proto->n_training_info; i++) {
        const Onnx__TrainingInfoProto *training = proto->training_info[i];
        if ((training->initialization &&
             !visit_graph(survey, training->initialization, visitor)) ||
            (training->algorithm && !visit_graph(survey, training->algorithm, visitor)))
            return false;
    }
    return visit_graph(survey, proto->graph, visitor);
}

/* ---- local functions ------------------------------------------------ */

static bool is_named(const Onnx__FunctionProto *function, const char *domain,
                     const char *overload)
{
    bool same_domain = domain_is_standard(domain)
                           ? domain_is_standard(function->domain)
                           : strcmp(text(function->domain), domain) == 0;
    return same_domain && strcmp(text(function->overload), text(overload)) == 0;
}

static struct callee *callee_of(const struct survey *survey, const char *domain,
                                const char *name, const char *overload)
{
    struct callee *callee = map_get(&survey->callees, text(name));
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

static bool count_node(struct survey *survey, const Onnx__NodeProto *node)
{
    struct callee *callee = callee_of_node(survey, node);
    survey->nodes++;
    if (!callee)
        return true;
    callee->calls++;
    for (size_t i = 0; i < node->n_attribute; i++)
        if (!count_given(survey, callee, text(node->attribute[i]->name)))
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
    callee->namesake = map_get(&survey->callees, text(function->name));
    survey->first = callee;
    return map_put(&survey->callees, text(function->name), callee);
}

bool survey_open(struct survey *survey, struct model *model)
{
    const struct visitor counting = {count_node, NULL};
    *survey = (struct survey){.model = model};
    for (size_t i = 0; i < model->proto->n_functions; i++)
        if (!add_callee(survey, model->proto->functions[i]))
            return false;
    return visit_model(survey, &counting);
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
        if (strcmp(text(function->attribute_proto[i]->name), attribute) == 0)
            return true;
    const struct callee *callee =
        callee_of(survey, function->domain, function->name, function->overload);
    const struct count *count = callee ? map_get(&callee->given, attribute) : NULL;
    return callee && (callee->calls == 0 || (count && count->times == callee->calls));
}

/* ---- names in use --------------------------------------------------- */

static bool use(struct survey *survey, const char *name)
{
    return !*text(name) || map_put(&survey->used, name, survey);
}

static bool use_inputs(struct survey *survey, const Onnx__NodeProto *node)
{
    for (size_t i = 0; i < node->n_input; i++)
        if (!use(survey, node->input[i]))
            return false;
    return true;
}

static bool use_outputs(struct survey *survey, const Onnx__GraphProto *graph)
{
    for (size_t i = 0; i < graph->n_output; i++)
        if (!use(survey, graph->output[i]->name))
            return false;
    return true;
}

static bool use_all(struct survey *survey)
{
    const struct visitor using = {use_inputs, use_outputs};
    const Onnx__ModelProto *proto = survey->model->proto;
    for (size_t i = 0; i < proto->n_functions; i++)
        for (size_t j = 0; j < proto->functions[i]->n_output; j++)
            if (!use(survey, proto->functions[i]->output[j]))
                return false;
    return visit_model(survey, &using);
}

bool survey_is_used(struct survey *survey, const char *name, bool *used)
{
    if (!survey->has_used && !use_all(survey))
        return false;
    survey->has_used = true;
    *used = map_get(&survey->used, name) != NULL;
    return true;
}

/* The traversal. Knows where graphs can be: in the model, in its training, in attributes
 * of nodes, and in functions. Knows no operator. */
#include "onnx/traverse.h"

struct traversal {
    const struct visitor *visitor;
    void *context;
};

static bool at_region(const struct traversal *t, region_fn *fn, struct region *region)
{
    return !fn || fn(t->context, region);
}

static bool at_node(const struct traversal *t, node_fn *fn, struct region *region,
                    Onnx__NodeProto *node)
{
    return !fn || fn(t->context, region, node);
}

static bool traverse(const struct traversal *t, struct region *region);

static bool traverse_body(const struct traversal *t, struct region *outer,
                          const Onnx__NodeProto *node,
                          const Onnx__AttributeProto *attribute, Onnx__GraphProto *graph)
{
    return traverse(
        t, &(struct region){
               .outer = outer, .graph = graph, .owner = node, .attribute = attribute});
}

/* Whether the attribute may hold graphs so. Early versions of ONNX state no type. Graphs
 * in an attribute of another type are no bodies, and runtimes do not see them. */
static bool may_hold(const Onnx__AttributeProto *attribute,
                     Onnx__AttributeProto__AttributeType type)
{
    return !attribute->has_type || attribute->type == type ||
           attribute->type == ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__UNDEFINED;
}

static bool traverse_bodies(const struct traversal *t, struct region *outer,
                            const Onnx__NodeProto *node)
{
    for (size_t i = 0; i < node->n_attribute; i++) {
        const Onnx__AttributeProto *attribute = node->attribute[i];
        bool one = may_hold(attribute, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__GRAPH);
        bool many = may_hold(attribute, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__GRAPHS);
        if (attribute->g && one &&
            !traverse_body(t, outer, node, attribute, attribute->g))
            return false;
        for (size_t j = 0; many && j < attribute->n_graphs; j++)
            if (!traverse_body(t, outer, node, attribute, attribute->graphs[j]))
                return false;
    }
    return true;
}

static bool traverse_nodes(const struct traversal *t, struct region *region,
                           Onnx__NodeProto *const *nodes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!at_node(t, t->visitor->node, region, nodes[i]) ||
            !traverse_bodies(t, region, nodes[i]) ||
            !at_node(t, t->visitor->after, region, nodes[i]))
            return false;
    return true;
}

static bool traverse(const struct traversal *t, struct region *region)
{
    const Onnx__GraphProto *graph = region->graph;
    const Onnx__FunctionProto *function = region->function;
    bool ok = at_region(t, t->visitor->enter, region) &&
              traverse_nodes(t, region, graph ? graph->node : function->node,
                             graph ? graph->n_node : function->n_node) &&
              at_region(t, t->visitor->leave, region);
    if (t->visitor->release)
        t->visitor->release(t->context, region);
    return ok;
}

bool traverse_graph(Onnx__GraphProto *graph, const struct visitor *visitor, void *context)
{
    const struct traversal t = {visitor, context};
    return traverse(&t, &(struct region){.graph = graph});
}

bool traverse_function(Onnx__FunctionProto *function, const struct visitor *visitor,
                       void *context)
{
    const struct traversal t = {visitor, context};
    return traverse(&t, &(struct region){.function = function});
}

bool traverse_graphs(const Onnx__ModelProto *proto, const struct visitor *visitor,
                     void *context)
{
    for (size_t i = 0; i < proto->n_training_info; i++) {
        const Onnx__TrainingInfoProto *training = proto->training_info[i];
        if (training->initialization &&
            !traverse_graph(training->initialization, visitor, context))
            return false;
        if (training->algorithm && !traverse_graph(training->algorithm, visitor, context))
            return false;
    }
    return traverse_graph(proto->graph, visitor, context);
}

bool traverse_model(const Onnx__ModelProto *proto, const struct visitor *visitor,
                    void *context)
{
    for (size_t i = 0; i < proto->n_functions; i++)
        if (!traverse_function(proto->functions[i], visitor, context))
            return false;
    return traverse_graphs(proto, visitor, context);
}

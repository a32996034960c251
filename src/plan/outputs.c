/* Going back from the outputs of the main graph, as long as all inputs of a node are
 * constants. Bodies, functions and long chains are not looked into. */
#include "plan/outputs.h"
#include "onnx/node.h"

enum { STEPS_MAX = 64 }; /* the most nodes between a constant and an output */

enum constancy { NOT_KNOWN, CONSTANT, VARIABLE };

/* Whether the node computes its output from its inputs alone. Without inputs it makes
 * random numbers, or is a Constant. */
static bool only_computes(const Onnx__NodeProto *node)
{
    static const char *const random[] = {"Bernoulli",         "Dropout",
                                         "Multinomial",       "RandomNormalLike",
                                         "RandomUniformLike", NULL};
    for (size_t i = 0; i < node->n_attribute; i++)
        if (node->attribute[i]->g || node->attribute[i]->n_graphs > 0)
            return false;
    return domain_is_standard(node->domain) && node->n_input > 0 &&
           !node_is_one_of(node, random);
}

static bool is_constant(const struct value *value, unsigned char *states, int steps)
{
    unsigned char *state = &states[value->number];
    if (*state != NOT_KNOWN)
        return *state == CONSTANT;
    bool constant = value_constant(value) != NULL;
    if (!constant && value->kind == VALUE_NODE && steps < STEPS_MAX) {
        constant = only_computes(value->node);
        for (size_t i = 0; constant && i < value->node->n_input; i++) {
            const struct value *input = input_value(value->scope, value->node, i);
            constant = !*node_input(value->node, i) ||
                       (input && is_constant(input, states, steps + 1));
        }
    }
    *state = constant && !value->is_input && !value->is_trained ? CONSTANT : VARIABLE;
    return *state == CONSTANT;
}

/* Marks a constant and all that it is made of. */
static void mark(const struct value *value, bool *shown)
{
    if (shown[value->number])
        return;
    shown[value->number] = true;
    for (size_t i = 0; value->kind == VALUE_NODE && i < value->node->n_input; i++) {
        const struct value *input = input_value(value->scope, value->node, i);
        if (input)
            mark(input, shown);
    }
}

bool outputs_mark(const struct graph_index *index, bool *shown, struct arena *arena)
{
    const Onnx__GraphProto *graph = index->main ? index->main->graph : NULL;
    unsigned char *states = arena_array(arena, index->value_count, sizeof *states);
    for (size_t i = 0; states && graph && i < graph->n_output; i++) {
        const struct value *value =
            scope_find(index->main, or_empty(graph->output[i]->name));
        if (value && !value_constant(value) && is_constant(value, states, 0))
            mark(value, shown);
    }
    return states != NULL;
}

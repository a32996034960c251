/* Values of the main graph become outputs as they are. Those of a body are handed out by
 * the nodes around it: a Loop or Scan collects them over its iterations, and of an If
 * the other branch gives an empty tensor. Nothing that was there changes its place. */
#include "calibrate/instrument.h"
#include "core/arena.h"
#include "onnx/names.h"
#include "onnx/node.h"

#include <stdlib.h>
#include <string.h>

/* A body, and the node that has it. */
struct body {
    const Onnx__GraphProto *graph;
    Onnx__NodeProto *node;
};

struct instrument {
    struct model *model;
    struct body *bodies; /* by address of the graph */
    size_t body_count, body_room;
    struct map made; /* outputs of the main graph, by scope and name */
    struct error *err;
};

/* ---- bodies ------------------------------------------------------------ */

static bool add_body(struct instrument *in, const Onnx__GraphProto *graph,
                     Onnx__NodeProto *node)
{
    if (in->body_count == in->body_room) {
        size_t bigger = in->body_room ? in->body_room * 2 : 16;
        struct body *grown = realloc(in->bodies, bigger * sizeof *grown);
        if (!grown)
            return error_memory(in->err);
        in->bodies = grown;
        in->body_room = bigger;
    }
    in->bodies[in->body_count++] = (struct body){graph, node};
    return true;
}

static bool add_bodies(struct instrument *in, const Onnx__GraphProto *graph)
{
    for (size_t i = 0; i < graph->n_node; i++)
        for (size_t j = 0; j < graph->node[i]->n_attribute; j++) {
            const Onnx__AttributeProto *a = graph->node[i]->attribute[j];
            if (a->g && !add_body(in, a->g, graph->node[i]))
                return false;
        }
    return true;
}

static int by_graph(const void *left, const void *right)
{
    uintptr_t a = (uintptr_t)((const struct body *)left)->graph;
    uintptr_t b = (uintptr_t)((const struct body *)right)->graph;
    return a < b ? -1 : a > b;
}

static Onnx__NodeProto *owner_of(const struct instrument *in, const struct scope *scope)
{
    const struct body wanted = {.graph = scope->graph};
    const struct body *found = NULL;
    if (in->body_count > 0)
        found = bsearch(&wanted, in->bodies, in->body_count, sizeof wanted, by_graph);
    return found ? found->node : NULL;
}

struct instrument *instrument_begin(struct model *model, const struct graph_index *index,
                                    struct error *err)
{
    struct instrument *in = calloc(1, sizeof *in);
    if (!in) {
        error_memory(err);
        return NULL;
    }
    *in = (struct instrument){.model = model, .err = err};
    bool ok = true;
    for (const struct scope *scope = index->scopes; ok && scope; scope = scope->next)
        ok = !scope->graph || add_bodies(in, scope->graph);
    if (in->body_count > 0)
        qsort(in->bodies, in->body_count, sizeof *in->bodies, by_graph);
    if (ok)
        return in;
    instrument_end(in);
    return NULL;
}

void instrument_end(struct instrument *in)
{
    if (!in)
        return;
    names_forget(in->model);
    map_free(&in->made);
    free(in->bodies);
    free(in);
}

bool instrument_reaches(const struct instrument *in, const struct site *site)
{
    bool branched = false;
    for (const struct scope *scope = site->scope; scope->parent; scope = scope->parent) {
        const Onnx__NodeProto *owner = owner_of(in, scope);
        bool loops = owner && (node_is(owner, "Loop") || node_is(owner, "Scan"));
        if (!owner || (!loops && !node_is(owner, "If")) || (loops && branched))
            return false;
        branched |= !loops;
    }
    return site->scope->graph != NULL;
}

/* ---- changes ----------------------------------------------------------- */

static const char *fresh(struct instrument *in, const char *base)
{
    enum {
        OUTPUT_GROWTH = 4 << 10
    }; /* of the arena: names, nodes and lists of one output */
    arena_extend(in->model->arena, OUTPUT_GROWTH + strlen(base) * 8);
    return name_fresh(in->model, *base ? base : "state", "observed");
}

static bool append(struct instrument *in, void *items, size_t *n, void *added)
{
    arena_extend(in->model->arena, (*n + 2) * sizeof(void *));
    return list_insert(in->model, items, n, *n, &added, 1) || error_memory(in->err);
}

static bool add_node(struct instrument *in, Onnx__GraphProto *graph, const char *type,
                     const char *input, const char *output, Onnx__TensorProto *value)
{
    const char *name = fresh(in, type);
    Onnx__NodeProto *node = name ? node_new(in->model, type, name, input ? &input : NULL,
                                            input ? 1 : 0, &output, 1)
                                 : NULL;
    if (!node || (value && !node_set_tensor(in->model, node, "value", value)))
        return error_memory(in->err);
    return append(in, &graph->node, &graph->n_node, node);
}

static bool add_output(struct instrument *in, Onnx__GraphProto *graph, const char *name,
                       int type)
{
    struct arena *arena = in->model->arena;
    Onnx__ValueInfoProto *info = arena_alloc(arena, sizeof *info);
    Onnx__TypeProto *any = arena_alloc(arena, sizeof *any);
    Onnx__TypeProto__Tensor *tensor = arena_alloc(arena, sizeof *tensor);
    if (!info || !any || !tensor)
        return error_memory(in->err);
    onnx__value_info_proto__init(info);
    onnx__type_proto__init(any);
    onnx__type_proto__tensor__init(tensor);
    tensor->has_elem_type = true;
    tensor->elem_type = type;
    any->value_case = ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
    any->tensor_type = tensor;
    info->name = (char *)(uintptr_t)name;
    info->type = any;
    return append(in, &graph->output, &graph->n_output, info);
}

/* A branch that has nothing to hand out. */
static bool add_nothing(struct instrument *in, Onnx__GraphProto *graph, int type)
{
    const int64_t none = 0;
    const char *name = fresh(in, "nothing");
    Onnx__TensorProto *empty = name ? tensor_new(in->model, name, type, &none, 1) : NULL;
    if (!empty || !tensor_set_values(in->model, empty, NULL, 0))
        return error_memory(in->err);
    return add_node(in, graph, "Constant", NULL, name, empty) &&
           add_output(in, graph, name, type);
}

/* Scans say for each output where its iterations go, if they say it at all. */
static bool extend_ints(struct instrument *in, Onnx__NodeProto *node, const char *name)
{
    const Onnx__AttributeProto *a = node_attribute(node, name);
    if (!a)
        return true;
    arena_extend(in->model->arena, (a->n_ints + 1) * sizeof(int64_t) * 2);
    int64_t *ints = arena_array(in->model->arena, a->n_ints + 1, sizeof *ints);
    if (!ints)
        return error_memory(in->err);
    if (a->n_ints > 0)
        memcpy(ints, a->ints, a->n_ints * sizeof *ints);
    return node_set_ints(in->model, node, name, ints, a->n_ints + 1) ||
           error_memory(in->err);
}

/* One output more of a node, whose bodies have `before` of them without it. */
static const char *add_node_output(struct instrument *in, Onnx__NodeProto *node,
                                   size_t before, const char *base)
{
    while (node->n_output < before) { /* those at the end may have been left out */
        const char *name = fresh(in, base);
        if (!name || !append(in, &node->output, &node->n_output, (void *)(uintptr_t)name))
            return NULL;
    }
    const char *name = fresh(in, base);
    if (!name || !append(in, &node->output, &node->n_output, (void *)(uintptr_t)name))
        return NULL;
    return name;
}

/* A value of a body, as a value of the graph around it. */
static const char *lift(struct instrument *in, const struct scope *scope,
                        const char *value, int type)
{
    Onnx__NodeProto *owner = owner_of(in, scope);
    size_t before = scope->graph->n_output - (node_is(owner, "Loop") ? 1 : 0);
    const char *inside = fresh(in, value);
    if (!inside || !add_node(in, scope->graph, "Identity", value, inside, NULL) ||
        !add_output(in, scope->graph, inside, type))
        return NULL;
    for (size_t i = 0; node_is(owner, "If") && i < owner->n_attribute; i++) {
        Onnx__GraphProto *graph = owner->attribute[i]->g;
        if (graph && graph != scope->graph && !add_nothing(in, graph, type))
            return NULL;
    }
    if (node_is(owner, "Scan") && (!extend_ints(in, owner, "scan_output_axes") ||
                                   !extend_ints(in, owner, "scan_output_directions")))
        return NULL;
    const char *name = add_node_output(in, owner, before, value);
    if (name && scope->parent->parent)
        return lift(in, scope->parent, name, type);
    return name && add_output(in, scope->parent->graph, name, type) ? name : NULL;
}

/* ---- values ------------------------------------------------------------ */

static bool is_output(const struct value *value)
{
    for (const struct use *use = value->uses; use; use = use->next)
        if (!use->node)
            return true;
    return false;
}

/* The name of the value, given now to a state that nobody has asked for. */
static const char *value_name(struct instrument *in, const struct site *site,
                              size_t index)
{
    const char *name = site->values[index], *output;
    if (*name || site->kind != SITE_STATE || index != 0)
        return name;
    output = node_output(site->node, 0);
    if (*output)
        return output; /* by another weight of the node */
    output = fresh(in, site->node->name ? site->node->name : "");
    if (!output)
        return NULL;
    if (site->node->n_output == 0)
        return append(in, &site->node->output, &site->node->n_output,
                      (void *)(uintptr_t)output)
                   ? output
                   : NULL;
    return site->node->output[0] = (char *)(uintptr_t)output;
}

static const char *make(struct instrument *in, const struct site *site, const char *name,
                        bool *is_input)
{
    const struct value *value = map_get(&site->scope->values, name);
    Onnx__GraphProto *graph = site->scope->graph;
    if (site->scope->parent) {
        name = lift(in, site->scope, name, site->data_type);
        graph = in->model->proto->graph;
        return name && add_output(in, graph, name, site->data_type) ? name : NULL;
    }
    *is_input = value && value->kind == VALUE_INPUT;
    if (*is_input || (value && is_output(value)))
        return name;
    if (value && value->kind != VALUE_NODE) {
        const char *copy = fresh(in, name);
        if (!copy || !add_node(in, graph, "Identity", name, copy, NULL))
            return NULL;
        name = copy;
    }
    return add_output(in, graph, name, site->data_type) ? name : NULL;
}

const char *instrument_value(struct instrument *in, const struct site *site, size_t index,
                             bool *is_input)
{
    const char *name = value_name(in, site, index);
    *is_input = false;
    if (!name)
        error_memory(in->err);
    if (!name || !*name)
        return name;
    arena_extend(in->model->arena, strlen(name) + strlen(site->scope->path) + 64);
    const char *key = arena_printf(in->model->arena, "%s\n%s", site->scope->path, name);
    const char *made = key ? map_get(&in->made, key) : NULL;
    if (made) {
        const struct value *value = map_get(&site->scope->values, name);
        *is_input = !site->scope->parent && value && value->kind == VALUE_INPUT;
        return made;
    }
    made = key ? make(in, site, name, is_input) : NULL;
    if (!made || !map_put(&in->made, key, (void *)(uintptr_t)made)) {
        error_memory(in->err);
        return NULL;
    }
    return made;
}

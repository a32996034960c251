/* Gathering changes to scopes. Knows graphs and functions, no forms. */
#include "onnx/place.h"
#include "onnx/names.h"
#include "onnx/node.h"

#include <stdlib.h>
#include <string.h>

/* One change to the list of nodes. */
struct change {
    const Onnx__NodeProto *anchor; /* NULL: at the head */
    Onnx__NodeProto *node;         /* to be put before it; NULL: anchor goes out */
    size_t order;
};

struct place {
    struct places *places;
    struct scope *scope;
    struct place *next;
    void **tensors;
    size_t tensor_count, tensor_room;
    struct change *changes;
    size_t change_count, change_room;
};

struct place *place_of(struct places *places, struct scope *scope)
{
    if (scope->place)
        return scope->place;
    struct place *place = arena_alloc(places->model->arena, sizeof *place);
    if (!place) {
        error_memory(places->err);
        return NULL;
    }
    *place = (struct place){.places = places, .scope = scope, .next = places->first};
    places->first = scope->place = place;
    return place;
}

/* Room for one more in an array of the arena. */
static void *grow(struct place *place, void *items, size_t count, size_t *room,
                  size_t size)
{
    if (count < *room)
        return items;
    size_t bigger = *room ? *room * 2 : 4;
    void *grown = arena_array(place->places->model->arena, bigger, size);
    if (!grown) {
        error_memory(place->places->err);
        return NULL;
    }
    if (count > 0)
        memcpy(grown, items, count * size);
    arena_release(place->places->model->arena, items);
    *room = bigger;
    return grown;
}

static bool add_change(struct place *place, const Onnx__NodeProto *anchor,
                       Onnx__NodeProto *node)
{
    struct change *changes = grow(place, place->changes, place->change_count,
                                  &place->change_room, sizeof *changes);
    if (!changes)
        return false;
    place->changes = changes;
    changes[place->change_count] = (struct change){anchor, node, place->change_count};
    place->change_count++;
    return true;
}

bool place_node(struct place *place, const Onnx__NodeProto *anchor, Onnx__NodeProto *node)
{
    return node ? add_change(place, anchor, node) : error_memory(place->places->err);
}

bool place_drop(struct place *place, Onnx__NodeProto *node)
{
    return add_change(place, node, NULL);
}

bool place_tensor(struct place *place, Onnx__TensorProto *tensor)
{
    struct model *model = place->places->model;
    if (!tensor)
        return error_memory(place->places->err);
    if (place->scope->graph) {
        void **tensors = grow(place, place->tensors, place->tensor_count,
                              &place->tensor_room, sizeof *tensors);
        if (!tensors)
            return false;
        place->tensors = tensors;
        tensors[place->tensor_count++] = tensor;
        return true;
    }
    const char *output = tensor->name, *name = name_fresh(model, output, "Constant");
    Onnx__NodeProto *node =
        name ? node_new(model, "Constant", name, NULL, 0, &output, 1) : NULL;
    if (!node || !node_set_tensor(model, node, "value", tensor))
        return error_memory(place->places->err);
    return place_node(place, NULL, node);
}

/* ---- applying ------------------------------------------------------- */

static int by_anchor(const void *left, const void *right)
{
    const struct change *a = left, *b = right;
    uintptr_t x = (uintptr_t)a->anchor, y = (uintptr_t)b->anchor;
    if (x != y)
        return x < y ? -1 : 1;
    return a->order < b->order ? -1 : a->order > b->order;
}

/* The first change of that anchor in the sorted list, or the end. */
static size_t find_anchor(const struct place *place, const Onnx__NodeProto *anchor)
{
    size_t low = 0, high = place->change_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if ((uintptr_t)place->changes[middle].anchor < (uintptr_t)anchor)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Puts what belongs before the anchor into the list; false where it goes out. */
static bool put_before(const struct place *place, const Onnx__NodeProto *anchor,
                       Onnx__NodeProto **list, size_t *count)
{
    bool stays = true;
    for (size_t i = find_anchor(place, anchor);
         i < place->change_count && place->changes[i].anchor == anchor; i++) {
        if (place->changes[i].node)
            list[(*count)++] = place->changes[i].node;
        else
            stays = false;
    }
    return stays;
}

static bool apply_nodes(struct place *place, Onnx__NodeProto ***nodes, size_t *n)
{
    struct arena *arena = place->places->model->arena;
    Onnx__NodeProto **list = arena_array(arena, *n + place->change_count, sizeof *list);
    size_t count = 0;
    if (!list)
        return error_memory(place->places->err);
    if (place->change_count == 0)
        return true;
    qsort(place->changes, place->change_count, sizeof *place->changes, by_anchor);
    put_before(place, NULL, list, &count);
    for (size_t i = 0; i < *n; i++)
        if (put_before(place, (*nodes)[i], list, &count))
            list[count++] = (*nodes)[i];
    arena_release(arena, *nodes);
    *nodes = list;
    *n = count;
    return true;
}

static const struct value *value_called(void *scope, const char *name)
{
    return map_get(&((const struct scope *)scope)->values, text(name));
}

static bool keep_tensor(void *scope, const void *item)
{
    const Onnx__TensorProto *tensor = item;
    const struct value *value = value_called(scope, tensor->name);
    return !value || !value->is_replaced || value->tensor != tensor;
}

static bool keep_input(void *scope, const void *item)
{
    const Onnx__ValueInfoProto *input = item;
    const struct value *value = value_called(scope, input->name);
    return !value || !value->is_replaced;
}

static bool keep_info(void *scope, const void *item)
{
    const Onnx__ValueInfoProto *info = item;
    const struct value *value = value_called(scope, info->name);
    return !value || !value->is_gone;
}

static bool apply_graph(struct place *place, Onnx__GraphProto *graph)
{
    struct scope *scope = place->scope;
    list_filter(&graph->initializer, &graph->n_initializer, keep_tensor, scope);
    list_filter(&graph->input, &graph->n_input, keep_input, scope);
    list_filter(&graph->value_info, &graph->n_value_info, keep_info, scope);
    if (!list_insert(place->places->model, &graph->initializer, &graph->n_initializer,
                     graph->n_initializer, place->tensors, place->tensor_count))
        return error_memory(place->places->err);
    return apply_nodes(place, &graph->node, &graph->n_node);
}

static bool apply_function(struct place *place, Onnx__FunctionProto *function)
{
    list_filter(&function->value_info, &function->n_value_info, keep_info, place->scope);
    return apply_nodes(place, &function->node, &function->n_node);
}

bool places_apply(struct places *places)
{
    struct arena *arena = places->model->arena;
    for (struct place *place = places->first; place; place = place->next) {
        struct scope *scope = place->scope;
        if (!(scope->graph ? apply_graph(place, scope->graph)
                           : apply_function(place, scope->function)))
            return false;
        arena_release(arena, place->changes);
        arena_release(arena, place->tensors);
    }
    places->first = NULL;
    return true;
}

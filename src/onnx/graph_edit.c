/* Gathering edits, and making them. Knows graphs and functions, but no forms. */
#include "onnx/graph_edit.h"
#include "onnx/names.h"
#include "onnx/node.h"

#include <stdlib.h>
#include <string.h>

/* One change to the list of nodes. */
struct node_change {
    const Onnx__NodeProto *anchor; /* NULL: at the head */
    Onnx__NodeProto *node;         /* comes before the anchor; NULL: the anchor goes */
    size_t order;
};

struct graph_edit {
    struct graph_edits *edits;
    const struct scope *scope;
    void **tensors;
    size_t tensor_count, tensor_room;
    struct node_change *changes;
    size_t change_count, change_room;
};

bool edits_begin(struct graph_edits *edits, struct model *model,
                 const struct graph_index *index, struct error *err)
{
    *edits = (struct graph_edits){
        .model = model,
        .err = err,
        .scopes = calloc(index->scope_count + 1, sizeof *edits->scopes),
        .scope_count = index->scope_count,
        .values = calloc(index->value_count + 1, sizeof *edits->values),
    };
    return (edits->scopes && edits->values) || error_memory(err);
}

void edits_end(struct graph_edits *edits)
{
    free(edits->scopes);
    free(edits->values);
    *edits = (struct graph_edits){0};
}

struct graph_edit *edit_of(struct graph_edits *edits, const struct scope *scope)
{
    struct graph_edit **edit = &edits->scopes[scope->number];
    if (*edit)
        return *edit;
    *edit = arena_alloc(edits->model->arena, sizeof **edit);
    if (*edit)
        **edit = (struct graph_edit){.edits = edits, .scope = scope};
    else
        error_memory(edits->err);
    return *edit;
}

struct value_edit *edit_of_value(struct graph_edits *edits, const struct value *value)
{
    return &edits->values[value->number];
}

bool edit_moves_last(struct graph_edits *edits, const struct value *value)
{
    return ++edits->values[value->number].moved_uses >= value->use_count;
}

bool edit_drop_node(struct graph_edits *edits, const struct value *value)
{
    Onnx__NodeProto *node = value->node;
    for (size_t i = 0; i < node->n_output; i++) {
        const struct value *output = map_get(&value->scope->values, node_output(node, i));
        if (output && output != value &&
            edit_of_value(edits, output)->moved_uses < output->use_count)
            return true; /* another output is still used */
    }
    struct graph_edit *edit = edit_of(edits, value->scope);
    if (!edit || !edit_remove_node(edit, node))
        return false;
    for (size_t i = 0; i < node->n_input; i++) {
        struct value *input = scope_find(value->scope, node_input(node, i));
        if (input && !edit_release(edits, input))
            return false;
    }
    return true;
}

bool edit_release(struct graph_edits *edits, struct value *value)
{
    if (!edit_moves_last(edits, value))
        return true;
    struct value_edit *change = edit_of_value(edits, value);
    if (value->kind == VALUE_INITIALIZER && !value->is_input) {
        change->is_replaced = change->is_gone = true;
        return edit_of(edits, value->scope) != NULL;
    }
    if (value->kind != VALUE_NODE)
        return true;
    change->is_gone = true;
    return edit_drop_node(edits, value);
}

/* Makes room for one more item in an array of the arena. */
static void *grow(struct graph_edit *edit, void *items, size_t count, size_t *room,
                  size_t size)
{
    if (count < *room)
        return items;
    size_t bigger = *room ? *room * 2 : 4;
    void *grown = arena_array(edit->edits->model->arena, bigger, size);
    if (!grown) {
        error_memory(edit->edits->err);
        return NULL;
    }
    if (count > 0)
        memcpy(grown, items, count * size);
    arena_release(edit->edits->model->arena, items);
    *room = bigger;
    return grown;
}

static bool add_change(struct graph_edit *edit, const Onnx__NodeProto *anchor,
                       Onnx__NodeProto *node)
{
    struct node_change *changes = grow(edit, edit->changes, edit->change_count,
                                       &edit->change_room, sizeof *changes);
    if (!changes)
        return false;
    edit->changes = changes;
    changes[edit->change_count] = (struct node_change){anchor, node, edit->change_count};
    edit->change_count++;
    return true;
}

bool edit_add_node(struct graph_edit *edit, const Onnx__NodeProto *anchor,
                   Onnx__NodeProto *node)
{
    return node ? add_change(edit, anchor, node) : error_memory(edit->edits->err);
}

bool edit_remove_node(struct graph_edit *edit, Onnx__NodeProto *node)
{
    return add_change(edit, node, NULL);
}

bool edit_add_tensor(struct graph_edit *edit, Onnx__TensorProto *tensor)
{
    struct model *model = edit->edits->model;
    if (!tensor)
        return error_memory(edit->edits->err);
    if (edit->scope->graph) {
        void **tensors = grow(edit, edit->tensors, edit->tensor_count, &edit->tensor_room,
                              sizeof *tensors);
        if (!tensors)
            return false;
        edit->tensors = tensors;
        tensors[edit->tensor_count++] = tensor;
        return true;
    }
    const char *output = tensor->name, *name = name_fresh(model, output, "Constant");
    Onnx__NodeProto *node =
        name ? node_new(model, "Constant", name, NULL, 0, &output, 1) : NULL;
    if (!node || !node_set_tensor(model, node, "value", tensor))
        return error_memory(edit->edits->err);
    return edit_add_node(edit, NULL, node);
}

/* ---- applying ------------------------------------------------------- */

static int by_anchor(const void *left, const void *right)
{
    const struct node_change *a = left, *b = right;
    uintptr_t x = (uintptr_t)a->anchor, y = (uintptr_t)b->anchor;
    if (x != y)
        return x < y ? -1 : 1;
    return a->order < b->order ? -1 : a->order > b->order;
}

/* Finds the first change at the anchor in the sorted list, or the end. */
static size_t find_anchor(const struct graph_edit *edit, const Onnx__NodeProto *anchor)
{
    size_t low = 0, high = edit->change_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if ((uintptr_t)edit->changes[middle].anchor < (uintptr_t)anchor)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Adds the new nodes before an anchor to the list. False if the anchor itself goes. */
static bool put_before(const struct graph_edit *edit, const Onnx__NodeProto *anchor,
                       Onnx__NodeProto **list, size_t *count)
{
    bool stays = true;
    for (size_t i = find_anchor(edit, anchor);
         i < edit->change_count && edit->changes[i].anchor == anchor; i++) {
        if (edit->changes[i].node)
            list[(*count)++] = edit->changes[i].node;
        else
            stays = false;
    }
    return stays;
}

static bool apply_nodes(struct graph_edit *edit, Onnx__NodeProto ***nodes, size_t *n)
{
    struct arena *arena = edit->edits->model->arena;
    Onnx__NodeProto **list = arena_array(arena, *n + edit->change_count, sizeof *list);
    size_t count = 0;
    if (!list)
        return error_memory(edit->edits->err);
    if (edit->change_count == 0)
        return true;
    qsort(edit->changes, edit->change_count, sizeof *edit->changes, by_anchor);
    put_before(edit, NULL, list, &count);
    for (size_t i = 0; i < *n; i++)
        if (put_before(edit, (*nodes)[i], list, &count))
            list[count++] = (*nodes)[i];
    arena_release(arena, *nodes);
    *nodes = list;
    *n = count;
    return true;
}

/* What the stage does to a name in the scope of an edit. NULL if the name is not known.
 */
static const struct value_edit *edit_of_name(const struct graph_edit *edit,
                                             const char *name, const struct value **value)
{
    *value = map_get(&edit->scope->values, or_empty(name));
    return *value ? edit_of_value(edit->edits, *value) : NULL;
}

static bool keep_tensor(void *edit, const void *item)
{
    const Onnx__TensorProto *tensor = item;
    const struct value *value;
    const struct value_edit *change = edit_of_name(edit, tensor->name, &value);
    return !change || !change->is_replaced || value->tensor != tensor;
}

static bool keep_input(void *edit, const void *item)
{
    const Onnx__ValueInfoProto *input = item;
    const struct value *value;
    const struct value_edit *change = edit_of_name(edit, input->name, &value);
    return !change || !change->is_replaced;
}

static bool keep_info(void *edit, const void *item)
{
    const Onnx__ValueInfoProto *info = item;
    const struct value *value;
    const struct value_edit *change = edit_of_name(edit, info->name, &value);
    return !change || !change->is_gone;
}

static bool apply_graph(struct graph_edit *edit, Onnx__GraphProto *graph)
{
    list_filter(&graph->initializer, &graph->n_initializer, keep_tensor, edit);
    list_filter(&graph->input, &graph->n_input, keep_input, edit);
    list_filter(&graph->value_info, &graph->n_value_info, keep_info, edit);
    if (!list_insert(edit->edits->model, &graph->initializer, &graph->n_initializer,
                     graph->n_initializer, edit->tensors, edit->tensor_count))
        return error_memory(edit->edits->err);
    return apply_nodes(edit, &graph->node, &graph->n_node);
}

static bool apply_function(struct graph_edit *edit, Onnx__FunctionProto *function)
{
    list_filter(&function->value_info, &function->n_value_info, keep_info, edit);
    return apply_nodes(edit, &function->node, &function->n_node);
}

bool edits_apply(struct graph_edits *edits)
{
    struct arena *arena = edits->model->arena;
    for (size_t i = 0; i < edits->scope_count; i++) {
        struct graph_edit *edit = edits->scopes[i];
        if (!edit)
            continue;
        const struct scope *scope = edit->scope;
        if (!(scope->graph ? apply_graph(edit, scope->graph)
                           : apply_function(edit, scope->function)))
            return false;
        arena_release(arena, edit->changes);
        arena_release(arena, edit->tensors);
    }
    return true;
}

/* Storing constants as float16: the Cast behind such a constant has its old name. */
#include "emit/float16.h"
#include "onnx/names.h"
#include "onnx/node.h"
#include "plan/float16.h"
#include "quant/float16_loss.h"

static const char suffix[] = "float16";

bool emit_float16(struct emitter *e)
{
    const struct plan_item *item = e->item;
    struct value *value = item->value;
    struct value_edit *change = edit_of_value(e->edits, value);
    const Onnx__TensorProto *old = item->tensor;
    if (change->is_gone)
        return true; /* a corrected bias has taken its place */
    change->is_replaced = true;
    if (value->kind == VALUE_NODE && !edit_remove_node(e->owner, value->node))
        return false;
    Onnx__TensorProto *made =
        emit_reserved(e, suffix, DATA_FLOAT16, old->dims, old->n_dims);
    if (!made)
        return false;
    emit_notes(e, made);
    e->own->codes = tensor_payload(made);
    e->site = e->owner;
    return emit_cast(e, made->name, DATA_FLOAT, value->name) != NULL;
}

/* Adds the Cast at the head of the scope. */
static bool add_cast(struct graph_edits *edits, const struct scope *scope,
                     const char *input, const char *output)
{
    struct model *model = edits->model;
    struct graph_edit *edit = edit_of(edits, scope);
    const char *name = name_fresh(model, output, "Cast");
    Onnx__NodeProto *node =
        name ? node_new(model, "Cast", name, &input, 1, &output, 1) : NULL;
    return edit && node && node_set_int(model, node, "to", DATA_FLOAT) &&
           edit_add_node(edit, NULL, node);
}

bool emit_float16_tensor(struct graph_edits *edits, const struct scope *scope,
                         Onnx__TensorProto *tensor, const float *values, size_t count)
{
    struct model *model = edits->model;
    struct float16_loss loss = {0};
    const char *name = tensor->name;
    float16_loss_add(&loss, values, count);
    /* In a function a tensor is a node, which has the name, too. */
    if (!scope->graph || tensor->data_type != DATA_FLOAT || !float16_pays(name, count) ||
        float16_reason(&loss, false))
        return true;
    uint64_t size = data_type_bytes(DATA_FLOAT16, count);
    void *bytes = arena_alloc(model->arena, size);
    tensor->name = (char *)(uintptr_t)name_fresh(model, name, suffix);
    if (!bytes || !tensor->name)
        return error_memory(edits->err);
    real_store(REAL_FLOAT16, values, count, bytes);
    tensor->data_type = DATA_FLOAT16;
    return (tensor_set_values(model, tensor, bytes, size) &&
            add_cast(edits, scope, tensor->name, name)) ||
           error_memory(edits->err);
}

/* Evaluating constants. Most operators here only change dims and strides. Concat, Cast
 * and some Reshapes make new values. Nothing else is computed. */
#include "plan/constant.h"
#include "onnx/external.h"
#include "onnx/node.h"
#include "plan/constant_ops.h"

#include <stdlib.h>
#include <string.h>

enum { CONSTANT_DEPTH_MAX = 64, SCRATCH_MIN = 1 << 20 };

uint64_t constant_elements(const struct constant *constant)
{
    uint64_t elements =
        1; /* can't overflow: there are no more than in a tensor, which was checked */
    for (size_t i = 0; i < constant->rank; i++)
        elements *= constant->dims[i];
    return elements;
}

static size_t element_size(const struct constant *constant)
{
    return data_type_bits(constant->data_type) / 8;
}

void constant_set_strides(struct constant *constant)
{
    ptrdiff_t stride = (ptrdiff_t)element_size(constant);
    for (size_t i = constant->rank; i-- > 0;) {
        constant->strides[i] = stride;
        stride *= (ptrdiff_t)constant->dims[i];
    }
}

static bool is_contiguous(const struct constant *constant)
{
    struct constant packed = *constant;
    constant_set_strides(&packed);
    for (size_t i = 0; i < constant->rank; i++)
        if (constant->dims[i] > 1 && constant->strides[i] != packed.strides[i])
            return false;
    return true;
}

/* ---- making values -------------------------------------------------- */

/* Memory for new values: in the arena, or in a temporary file of the model. */
void *constant_room(struct evaluation *evaluation, uint64_t size, struct file **file)
{
    struct model *model = evaluation->model;
    *file = NULL;
    void *data = NULL;
    if (size > evaluation->room)
        return NULL; /* too much: not worth folding */
    evaluation->room -= size;
    if (size < SCRATCH_MIN)
        data = arena_alloc(model->arena, (size_t)size);
    else if ((*file = external_scratch(model, size, evaluation->err)))
        data = (void *)(uintptr_t)(*file)->data;
    if (!data && evaluation->err->status == STATUS_OK)
        error_memory(evaluation->err);
    return data;
}

/* Copies a view to `out`, which has the given strides. */
void constant_copy(const struct constant *from, uint8_t *out, const ptrdiff_t *strides,
                   size_t axis, const uint8_t *data)
{
    size_t size = element_size(from);
    if (axis == from->rank) {
        memcpy(out, data, size);
        return;
    }
    bool row = axis + 1 == from->rank && from->strides[axis] == (ptrdiff_t)size &&
               strides[axis] == (ptrdiff_t)size;
    if (row) {
        memcpy(out, data, from->dims[axis] * size);
        return;
    }
    for (size_t i = 0; i < from->dims[axis]; i++)
        constant_copy(from, out + (ptrdiff_t)i * strides[axis], strides, axis + 1,
                      data + (ptrdiff_t)i * from->strides[axis]);
}

bool constant_pack(struct evaluation *evaluation, struct constant *constant)
{
    struct constant packed = *constant;
    struct file *file;
    if (is_contiguous(constant))
        return true;
    uint64_t size = constant_elements(constant) * element_size(constant);
    uint8_t *out = constant_room(evaluation, size, &file);
    if (!out)
        return false;
    constant_set_strides(&packed);
    constant_copy(constant, out, packed.strides, 0, constant->data);
    packed.data = out;
    *constant = packed;
    return true;
}

struct payload *constant_payload(struct evaluation *evaluation,
                                 const struct constant *constant)
{
    struct constant packed = *constant;
    struct model *model = evaluation->model;
    if (!constant_pack(evaluation, &packed))
        return NULL;
    uint64_t size = constant_elements(&packed) * element_size(&packed);
    struct payload *payload = payload_add(&model->payloads, packed.data, size,
                                          model_file_of(model, packed.data));
    if (!payload)
        error_memory(evaluation->err);
    return payload;
}

/* ---- evaluating ----------------------------------------------------- */

static bool from_tensor(struct evaluation *evaluation, Onnx__TensorProto *tensor,
                        struct constant *constant)
{
    if (!data_type_is_float(tensor->data_type) || tensor->n_dims > CONSTANT_RANK_MAX)
        return false;
    const struct payload *payload =
        tensor_values(evaluation->model, tensor, evaluation->err);
    if (!payload || !payload->data || payload->size == 0)
        return false;
    *constant = (struct constant){
        .data = payload->data, .data_type = tensor->data_type, .rank = tensor->n_dims};
    for (size_t i = 0; i < tensor->n_dims; i++)
        constant->dims[i] = (size_t)tensor->dims[i];
    constant_set_strides(constant);
    return true;
}

static bool evaluate(struct evaluation *evaluation, struct value *value,
                     struct constant *constant)
{
    bool fixed = !value->is_input || evaluation->model->proto->ir_version < 4;
    if (value->is_ambiguous || value->is_trained || !fixed ||
        evaluation->depth > CONSTANT_DEPTH_MAX)
        return false;
    Onnx__TensorProto *tensor = value_constant(value);
    if (tensor)
        return from_tensor(evaluation, tensor, constant);
    if (value->kind != VALUE_NODE)
        return false;
    const struct constant_op *op = constant_op_of(value->node);
    evaluation->depth++;
    bool ok = op && op->evaluate(evaluation, value, constant);
    evaluation->depth--;
    return ok && evaluation->err->status == STATUS_OK;
}

/* Marks values that were evaluated and are no constants. */
static const struct constant not_constant;

bool constants_begin(struct evaluation *evaluation, const struct graph_index *index)
{
    evaluation->known = calloc(index->value_count + 1, sizeof *evaluation->known);
    return evaluation->known || error_memory(evaluation->err);
}

void constants_end(struct evaluation *evaluation)
{
    free(evaluation->known);
    evaluation->known = NULL;
}

const struct constant *constant_known(const struct evaluation *evaluation,
                                      const struct value *value)
{
    const struct constant *known = evaluation->known[value->number];
    return known != &not_constant ? known : NULL;
}

bool constant_evaluate(struct evaluation *evaluation, struct value *value,
                       struct constant *constant)
{
    if (!value)
        return false;
    const struct constant **known = &evaluation->known[value->number];
    if (!*known) {
        /* This is set first, so that a value that needs itself is no constant. */
        *known = &not_constant;
        struct constant found;
        struct constant *kept;
        if (!evaluate(evaluation, value, &found))
            return false;
        if (!(kept = arena_alloc(evaluation->model->arena, sizeof *kept)))
            return error_memory(evaluation->err);
        *kept = found;
        *known = kept;
    }
    if (*known == &not_constant)
        return false;
    *constant = **known;
    return true;
}

bool constant_can_fold(const Onnx__NodeProto *node)
{
    return constant_op_of(node) != NULL;
}

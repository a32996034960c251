/* What float16 does to constants. */
#include "compute/compute_graph.h"
#include "core/pages.h"
#include "core/sizes.h"
#include "quant/float16_loss.h"

#include <string.h>

/* Makes a tensor of value_float or value_floats in place of that attribute. */
static bool make_tensor(struct compute *c, Onnx__NodeProto *node, const char *name,
                        Onnx__TensorProto **tensor)
{
    struct model *model = c->model;
    Onnx__AttributeProto *old = node_take(node, name);
    bool one = strcmp(name, "value_float") == 0;
    size_t count = one ? 1 : old->n_floats;
    int64_t dim = (int64_t)count;
    float *values = arena_array(model->arena, count + 1, sizeof *values);
    *tensor = tensor_new(model, node_output(node, 0), DATA_FLOAT, &dim, one ? 0 : 1);
    if (!values || !*tensor)
        return error_memory(c->err);
    if (!one && count > 0)
        memcpy(values, old->floats, count * sizeof *values);
    else if (one)
        values[0] = old->f;
    return (tensor_set_values(model, *tensor, values, count * sizeof *values) &&
            node_set_tensor(model, node, "value", *tensor)) ||
           error_memory(c->err);
}

bool compute_constant(struct compute *c, const struct value *value,
                      Onnx__TensorProto **tensor)
{
    static const char *const attributes[] = {"value_float", "value_floats"};
    *tensor = NULL;
    if (value->is_ambiguous || value->is_trained || value->is_input)
        return true;
    *tensor = value_constant(value);
    if (*tensor || value->kind != VALUE_NODE || !node_is(value->node, "Constant"))
        return true;
    for (size_t i = 0; i < COUNT_OF(attributes); i++)
        if (node_attribute(value->node, attributes[i]))
            return make_tensor(c, value->node, attributes[i], tensor);
    return true;
}

static bool range_of_tensor(struct compute *c, const Onnx__TensorProto *tensor,
                            enum range *range)
{
    enum { PIECE = 1 << 10 };
    const double most_noise = 1e-6;
    struct pages pages = {0};
    struct float16_loss loss = {0};
    float values[PIECE];
    const struct payload *payload = tensor_values(c->model, tensor, c->err);
    if (!payload)
        return false;
    for (uint64_t at = 0, count = payload->size / sizeof *values; at < count;
         at += PIECE) {
        size_t n = count - at < PIECE ? (size_t)(count - at) : PIECE;
        const uint8_t *data = payload->data + at * sizeof *values;
        pages_read(&pages, payload->file, data, n * sizeof *values);
        memcpy(values, data, n * sizeof *values);
        float16_loss_add(&loss, values, n);
    }
    pages_end(&pages);
    bool noisy = loss.not_numbers > 0 || loss.noise > most_noise * loss.signal;
    *range = loss.beyond > 0                        ? RANGE_BEYOND
             : noisy                                ? RANGE_NOISY
             : float16_reason(&loss, false) != NULL ? RANGE_COARSE
                                                    : RANGE_FITS;
    return true;
}

/* ConstantOfShape has a constant, too. */
bool compute_range(struct compute *c, const struct value *value, enum range *range)
{
    struct value_state *state = state_of(c, value);
    Onnx__TensorProto *tensor = NULL;
    if (state->range == RANGE_UNKNOWN) {
        enum range found = RANGE_FITS;
        if (!compute_constant(c, value, &tensor))
            return false;
        if (!tensor)
            tensor = value_constant(value); /* a caller may override it */
        if (!tensor && value->kind == VALUE_NODE &&
            node_is(value->node, "ConstantOfShape") &&
            node_attribute(value->node, "value"))
            tensor = node_attribute(value->node, "value")->t;
        if (tensor && tensor->data_type == DATA_FLOAT &&
            !range_of_tensor(c, tensor, &found))
            return false;
        state->range = found;
    }
    *range = state->range;
    return true;
}

/* The threshold of elements. Small weights are not worth nodes of their own if they are a
 * negligible part of the model. They are worth it in small models with many of them, as
 * in depthwise convolutions, but not in 16 bits. Looks at dims and types only. */
#include "plan/threshold.h"
#include "onnx/tensor.h"

enum {
    THRESHOLD_MIN = 256, /* smaller weights hardly save more than their nodes take */
    THRESHOLD_MAX = 1024,
    SHARE = 100, /* the part of all values that may stay float is 1 / SHARE */
};

/* The elements of a float constant that may be a weight, or 0. Vectors are none. */
static uint64_t weight_elements(const struct value *value)
{
    const Onnx__TensorProto *tensor = value_constant(value);
    uint64_t elements;
    size_t longer = 0;
    if (!tensor || !data_type_is_float(tensor->data_type) || !value->uses ||
        !tensor_elements(tensor, &elements))
        return 0;
    for (size_t i = 0; i < tensor->n_dims; i++)
        longer += tensor->dims[i] > 1;
    return longer < 2 ? 0 : elements;
}

static bool is_wide(const struct value *value)
{
    return data_type_bits(value_constant(value)->data_type) > 16;
}

static uint64_t find_threshold(const struct graph_index *index)
{
    uint64_t values[THRESHOLD_MAX] = {0}, total = 0, left = 0, threshold = 0;
    for (const struct value *value = index->values; value; value = value->next) {
        uint64_t elements = weight_elements(value);
        if (elements > 0 && elements < THRESHOLD_MAX && is_wide(value))
            values[elements] += elements;
        total = total <= UINT64_MAX - elements ? total + elements : UINT64_MAX;
    }
    while (threshold < THRESHOLD_MAX &&
           (threshold < THRESHOLD_MIN || left + values[threshold] <= total / SHARE))
        left += values[threshold++];
    return threshold;
}

void plan_set_threshold(struct plan_options *options, const struct graph_index *index,
                        uint64_t asked)
{
    bool found = asked == MIN_ELEMENTS_DEFAULT;
    options->min_elements = found ? find_threshold(index) : asked;
    options->load_below = found ? THRESHOLD_MAX : 0;
}

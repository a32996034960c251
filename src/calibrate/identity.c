/* Identity. Values are sampled: reading all of them would take as long as quantizing. */
#include "calibrate/identity.h"
#include "onnx/tensor.h"

#include <string.h>

enum { SAMPLES = 64 };

static void add_bytes(uint64_t *hash, const void *data, size_t size)
{
    const uint8_t *bytes = data;
    for (size_t i = 0; i < size; i++)
        *hash = (*hash ^ bytes[i]) * 0x100000001b3u;
}

static void add_text(uint64_t *hash, const char *string)
{
    add_bytes(hash, or_empty(string), strlen(or_empty(string)) + 1);
}

static bool add_tensor(void *context, Onnx__TensorProto *tensor)
{
    uint64_t *hash = context;
    const struct payload *payload = tensor->has_raw_data ? tensor_payload(tensor) : NULL;
    add_text(hash, tensor->name);
    add_bytes(hash, &tensor->data_type, sizeof tensor->data_type);
    add_bytes(hash, tensor->dims, tensor->n_dims * sizeof *tensor->dims);
    uint64_t size = payload && payload->data ? payload->size : 0;
    uint64_t width = size < 8 ? size : 8;
    for (uint64_t i = 0; i < SAMPLES && width > 0; i++)
        add_bytes(hash, payload->data + (size - width) / (SAMPLES - 1) * i,
                  (size_t)width);
    return true;
}

uint64_t model_identity(const struct model *model)
{
    const Onnx__GraphProto *graph = model->proto->graph;
    uint64_t hash = 0xcbf29ce484222325u;
    for (size_t i = 0; i < graph->n_node; i++) {
        const Onnx__NodeProto *node = graph->node[i];
        add_text(&hash, node->op_type);
        for (size_t j = 0; j < node->n_input; j++)
            add_text(&hash, node->input[j]);
        for (size_t j = 0; j < node->n_output; j++)
            add_text(&hash, node->output[j]);
    }
    model_tensors(model, add_tensor, &hash);
    return hash;
}

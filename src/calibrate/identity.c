/* Identity. All values count. */
#include "calibrate/identity.h"
#include "core/content_hash.h"
#include "core/pages.h"
#include "onnx/tensor.h"

#include <string.h>

static void add_text(struct content_hash *hash, const char *string)
{
    content_hash_add(hash, or_empty(string), strlen(or_empty(string)) + 1);
}

static void add_values(struct content_hash *hash, const struct payload *payload)
{
    enum { IDENTITY_PIECE = 1 << 20 };
    struct pages pages = {0};
    for (uint64_t at = 0, n; at < payload->size; at += n) {
        n = payload->size - at < IDENTITY_PIECE ? payload->size - at : IDENTITY_PIECE;
        pages_read(&pages, payload->file, payload->data + at, n);
        content_hash_add(hash, payload->data + at, n);
    }
    pages_end(&pages);
}

static bool add_tensor(void *context, Onnx__TensorProto *tensor)
{
    struct content_hash *hash = context;
    const struct payload *payload = tensor->has_raw_data ? tensor_payload(tensor) : NULL;
    add_text(hash, tensor->name);
    content_hash_add(hash, &tensor->data_type, sizeof tensor->data_type);
    content_hash_add(hash, tensor->dims, tensor->n_dims * sizeof *tensor->dims);
    if (payload && payload->data)
        add_values(hash, payload);
    return true;
}

static void add_node(struct content_hash *hash, const Onnx__NodeProto *node)
{
    add_text(hash, node->op_type);
    for (size_t i = 0; i < node->n_input; i++)
        add_text(hash, node->input[i]);
    for (size_t i = 0; i < node->n_output; i++)
        add_text(hash, node->output[i]);
    for (size_t i = 0; i < node->n_attribute; i++) {
        const Onnx__AttributeProto *a = node->attribute[i];
        add_text(hash, a->name);
        content_hash_add(hash, &a->i, sizeof a->i);
        content_hash_add(hash, &a->f, sizeof a->f);
        content_hash_add(hash, a->s.data, a->s.len);
        content_hash_add(hash, a->ints, a->n_ints * sizeof *a->ints);
        content_hash_add(hash, a->floats, a->n_floats * sizeof *a->floats);
    }
}

uint64_t model_identity(const struct model *model)
{
    const Onnx__GraphProto *graph = model->proto->graph;
    struct content_hash hash = CONTENT_HASH_START;
    for (size_t i = 0; i < graph->n_node; i++)
        add_node(&hash, graph->node[i]);
    model_tensors(model, add_tensor, &hash);
    return content_hash_end(&hash, graph->n_node);
}

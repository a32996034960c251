/* Identity. All values count. They are hashed in four lanes of words, which is faster
 * than memory. */
#include "calibrate/identity.h"
#include "core/pages.h"
#include "onnx/tensor.h"

#include <string.h>

static const uint64_t prime = 0x100000001b3u;

static void add_bytes(uint64_t *hash, const void *data, size_t size)
{
    const uint8_t *bytes = data;
    for (size_t i = 0; i < size; i++)
        *hash = (*hash ^ bytes[i]) * prime;
}

static void add_text(uint64_t *hash, const char *string)
{
    add_bytes(hash, or_empty(string), strlen(or_empty(string)) + 1);
}

static void add_words(uint64_t *hash, const uint8_t *data, uint64_t size)
{
    enum { LANES = 4, STRIPE = LANES * sizeof(uint64_t) };
    uint64_t lanes[LANES] = {*hash, 1, 2, 3}, words[LANES], rest = size % STRIPE;
    for (uint64_t at = 0; at < size - rest; at += STRIPE) {
        memcpy(words, data + at, STRIPE);
        for (int i = 0; i < LANES; i++) {
            lanes[i] = (lanes[i] ^ words[i]) * prime;
            lanes[i] ^= lanes[i] >> 29;
        }
    }
    add_bytes(hash, lanes, sizeof lanes);
    add_bytes(hash, data + size - rest, rest);
}

static void add_values(uint64_t *hash, const struct payload *payload)
{
    enum { PIECE = 1 << 20 };
    struct pages pages = {0};
    for (uint64_t at = 0, n; at < payload->size; at += n) {
        n = payload->size - at < PIECE ? payload->size - at : PIECE;
        pages_read(&pages, payload->file, payload->data + at, n);
        add_words(hash, payload->data + at, n);
    }
    pages_end(&pages);
}

static bool add_tensor(void *context, Onnx__TensorProto *tensor)
{
    uint64_t *hash = context;
    const struct payload *payload = tensor->has_raw_data ? tensor_payload(tensor) : NULL;
    add_text(hash, tensor->name);
    add_bytes(hash, &tensor->data_type, sizeof tensor->data_type);
    add_bytes(hash, tensor->dims, tensor->n_dims * sizeof *tensor->dims);
    if (payload && payload->data)
        add_values(hash, payload);
    return true;
}

static void add_node(uint64_t *hash, const Onnx__NodeProto *node)
{
    add_text(hash, node->op_type);
    for (size_t i = 0; i < node->n_input; i++)
        add_text(hash, node->input[i]);
    for (size_t i = 0; i < node->n_output; i++)
        add_text(hash, node->output[i]);
    for (size_t i = 0; i < node->n_attribute; i++) {
        const Onnx__AttributeProto *a = node->attribute[i];
        add_text(hash, a->name);
        add_bytes(hash, &a->i, sizeof a->i);
        add_bytes(hash, &a->f, sizeof a->f);
        add_bytes(hash, a->s.data, a->s.len);
        add_bytes(hash, a->ints, a->n_ints * sizeof *a->ints);
        add_bytes(hash, a->floats, a->n_floats * sizeof *a->floats);
    }
}

uint64_t model_identity(const struct model *model)
{
    const Onnx__GraphProto *graph = model->proto->graph;
    uint64_t hash = 0xcbf29ce484222325u;
    for (size_t i = 0; i < graph->n_node; i++)
        add_node(&hash, graph->node[i]);
    model_tensors(model, add_tensor, &hash);
    return hash;
}

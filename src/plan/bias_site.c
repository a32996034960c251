/* The table of operators with biases. Looks at no values. */
#include "plan/bias_site.h"
#include "onnx/node.h"

#include <string.h>

/* Finds the constant that is the bias. It has the weight's type and so many contiguous
 * elements; only such values may be changed. True, with no constant, if the input is
 * absent. */
static bool find_old(const struct plan_item *item, struct bias_site *site,
                     size_t elements)
{
    const char *name = node_input(site->node, site->input);
    uint64_t count;
    site->old = *name ? scope_find(site->scope, name) : NULL;
    if (!*name)
        return true;
    const Onnx__TensorProto *tensor = site->old ? value_constant(site->old) : NULL;
    return tensor && !site->old->is_input && !site->old->is_ambiguous &&
           !site->old->is_trained && tensor->data_type == item->data_type &&
           tensor_elements(tensor, &count) && count == elements;
}

static size_t channels(const struct plan_item *item)
{
    return (size_t)item->tensor->dims[item->channel_axis];
}

/* ---- by operator ------------------------------------------------------- */

static bool set_vector(const struct plan_item *item, struct bias_site *site, size_t count,
                       size_t outputs)
{
    site->rank = 1;
    site->dims[0] = (int64_t)count;
    site->group_stride = outputs;
    return find_old(item, site, count);
}

static bool conv_bias(const struct plan_item *item, struct bias_site *site)
{
    size_t group = (size_t)node_int(site->node, "group", 1), count = channels(item);
    site->input = 2;
    return group > 0 && count % group == 0 &&
           set_vector(item, site, count, count / group);
}

/* There is one group, or as many as there are channels. */
static bool conv_transpose_bias(const struct plan_item *item, struct bias_site *site)
{
    size_t group = (size_t)node_int(site->node, "group", 1), count = channels(item);
    site->input = 2;
    return (group == 1 || (item->channel_axis == 0 && group == count)) &&
           set_vector(item, site, count, count / group);
}

/* A bias that all rows share is a vector, or a matrix of one row. */
static bool is_row(const struct bias_site *site)
{
    const Onnx__TensorProto *tensor = site->old ? value_constant(site->old) : NULL;
    for (size_t i = 0; tensor && i + 1 < tensor->n_dims; i++)
        if (tensor->dims[i] != 1)
            return false;
    return !tensor || tensor->n_dims > 0;
}

static bool gemm_bias(const struct plan_item *item, struct bias_site *site)
{
    site->input = 2;
    return node_float(site->node, "alpha", 1) == 1.0f &&
           node_float(site->node, "beta", 1) == 1.0f &&
           set_vector(item, site, channels(item), 0) && is_row(site);
}

static bool attention_bias(const struct plan_item *item, struct bias_site *site)
{
    site->input = 2;
    return set_vector(item, site, channels(item), 0) && site->old;
}

/* Finds the constant of an Add behind the node, if nothing else uses the node's output.
 */
static bool add_behind(const struct plan_item *item, struct bias_site *site)
{
    const char *output = node_output(site->node, 0);
    const struct value *value = scope_find(site->scope, output);
    const struct use *use = value && value->use_count == 1 ? value->uses : NULL;
    if (!use || !use->node || !node_is(use->node, "Add") || use->scope != site->scope ||
        item->tensor->n_dims != 2)
        return false;
    site->node = use->node;
    site->input = 1 - use->input;
    return set_vector(item, site, channels(item), 0) && site->old && is_row(site);
}

/* The dims are [directions, biases of W and of R]. In a GRU, a gate may scale the bias of
 * R. */
static bool recurrent_bias(const struct plan_item *item, struct bias_site *site,
                           size_t input)
{
    size_t directions = (size_t)item->tensor->dims[0], gates = channels(item);
    if (input == 2 && node_is(site->node, "GRU"))
        return false;
    site->input = 3;
    site->rank = 2;
    site->dims[0] = (int64_t)directions;
    site->dims[1] = (int64_t)(2 * gates);
    site->group_stride = 2 * gates;
    site->first = input == 2 ? gates : 0;
    return find_old(item, site, directions * 2 * gates);
}

/* ---- the table --------------------------------------------------------- */

static const struct {
    const char *domain, *op_type;
    bool (*find)(const struct plan_item *item, struct bias_site *site);
} table[] = {
    {STANDARD, "Conv", conv_bias},
    {STANDARD, "ConvTranspose", conv_transpose_bias},
    {STANDARD, "Gemm", gemm_bias},
    {STANDARD, "MatMul", add_behind},
    {MICROSOFT, "FusedConv", conv_bias},
    {MICROSOFT, "FusedGemm", gemm_bias},
    {MICROSOFT, "Attention", attention_bias},
};

static bool is_recurrent(const Onnx__NodeProto *node)
{
    return node_is(node, "LSTM") || node_is(node, "GRU") || node_is(node, "RNN");
}

bool bias_site(const struct plan_item *item, const struct use *use,
               struct bias_site *site)
{
    *site = (struct bias_site){.node = use->node, .scope = use->scope};
    if (!use->node)
        return false;
    if (is_recurrent(use->node))
        return recurrent_bias(item, site, use->input);
    for (size_t i = 0; use->input == 1 && i < sizeof table / sizeof *table; i++)
        if (node_is_in(use->node, table[i].domain, table[i].op_type))
            return table[i].find(item, site);
    return false;
}

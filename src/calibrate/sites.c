/* Sites by operator. A new operator is a new row of the table. */
#include "calibrate/sites.h"
#include "onnx/node.h"
#include "plan/uses.h"

#include <string.h>

struct builder {
    struct arena *arena;
    const struct plan_item *item;
    const struct use *use;
    struct site *site;
    struct site_matrix *matrix;
};

static size_t dim(const struct builder *b, size_t axis)
{
    return (size_t)b->item->tensor->dims[axis];
}

static size_t product(const struct builder *b, size_t begin, size_t end)
{
    size_t result = 1;
    for (size_t i = begin; i < end; i++)
        result *= dim(b, i);
    return result;
}

static bool set_offsets(struct builder *b, size_t outer, size_t outer_stride,
                        size_t inner, size_t inner_stride)
{
    struct site_matrix *m = b->matrix;
    m->inputs = outer * inner;
    m->offsets = arena_array(b->arena, m->inputs, sizeof *m->offsets);
    for (size_t i = 0; m->offsets && i < outer; i++)
        for (size_t j = 0; j < inner; j++)
            m->offsets[i * inner + j] = i * outer_stride + j * inner_stride;
    b->site->groups = m->groups;
    b->site->inputs = m->inputs;
    return m->offsets != NULL;
}

/* ---- matrices: the last two axes, one matrix for each index of the others ------- */

static bool set_matrix(struct builder *b)
{
    size_t rank = b->item->tensor->n_dims, channel = b->item->channel_axis;
    if (channel + 2 < rank)
        return false;
    size_t reduction = 2 * rank - 3 - channel, last = dim(b, rank - 1);
    *b->matrix = (struct site_matrix){.groups = product(b, 0, rank - 2),
                                      .outputs = dim(b, channel),
                                      .group_stride = product(b, rank - 2, rank),
                                      .output_stride = channel == rank - 1 ? 1 : last};
    return set_offsets(b, dim(b, reduction), reduction == rank - 1 ? 1 : last, 1, 0);
}

static bool set_rows(struct builder *b, size_t input, int axis)
{
    b->site->kind = SITE_ROWS;
    b->site->axis = axis;
    b->site->values[0] = node_input(b->use->node, input);
    return set_matrix(b);
}

/* The weight is the operand `use->input` of a product of two. */
static bool matmul_site(struct builder *b)
{
    bool second = b->use->input == 1;
    const char *transposed = second ? "transA" : "transB";
    bool turned = node_int(b->use->node, transposed, 0) != 0;
    if (node_int(b->use->node, second ? "transBatchA" : "transBatchB", 0) != 0)
        return false;
    if (!set_rows(b, second ? 0 : 1, second != turned ? -1 : -2))
        return false;
    b->site->batched = b->site->groups > 1;
    return true;
}

static bool last_axis_site(struct builder *b)
{
    return set_rows(b, 0, -1);
}

/* An equation of two operands, of which the weight is a matrix, and in which its second
 * index is summed over by the other: like a MatMul. */
static bool einsum_site(struct builder *b)
{
    const Onnx__AttributeProto *a = node_attribute(b->use->node, "equation");
    const char *at = a ? (const char *)a->s.data : NULL, *end = at ? at + a->s.len : NULL;
    char operands[2][16] = {{0}};
    size_t lengths[2] = {0}, operand = 0;
    if (b->item->tensor->n_dims != 2 || b->use->node->n_input != 2)
        return false;
    for (; at && at < end && *at != '-'; at++) {
        if (*at == '.' || operand > 1 || lengths[operand] == 15)
            return false;
        if (*at == ',')
            operand++;
        else if (*at != ' ')
            operands[operand][lengths[operand]++] = *at;
    }
    if (operand != 1 || at == end || b->use->input > 1 || lengths[b->use->input] != 2)
        return false;
    size_t channel = b->item->channel_axis;
    if (use_through(b->item, b->use))
        channel = 1 - channel;
    char summed = operands[b->use->input][1 - channel];
    char kept = operands[b->use->input][channel];
    const char *other = operands[1 - b->use->input], *found = strchr(other, summed);
    if (!found || strchr(found + 1, summed) || strchr(other, kept) ||
        memchr(at, summed, (size_t)(end - at)) || !memchr(at, kept, (size_t)(end - at)))
        return false;
    return set_rows(b, 1 - b->use->input,
                    (int)(found - other) - (int)lengths[1 - b->use->input]);
}

/* ---- convolutions ------------------------------------------------------ */

static bool read_ints(const Onnx__NodeProto *node, const char *name, size_t count,
                      int64_t least, int64_t *out)
{
    const int64_t most = INT32_MAX;
    const Onnx__AttributeProto *a = node_attribute(node, name);
    if (a && a->n_ints != count)
        return false;
    for (size_t i = 0; a && i < count; i++) {
        if (a->ints[i] < least || a->ints[i] > most)
            return false;
        out[i] = a->ints[i];
    }
    return true;
}

static bool set_window(struct builder *b)
{
    const Onnx__NodeProto *node = b->use->node;
    struct window *w = &b->site->window;
    size_t rank = b->item->tensor->n_dims;
    int64_t pads[2 * SITE_AXES] = {0};
    w->axes = rank - 2;
    if (w->axes > SITE_AXES)
        return false;
    for (size_t i = 0; i < w->axes; i++) {
        w->kernel[i] = b->item->tensor->dims[i + 2];
        w->strides[i] = w->dilations[i] = 1;
    }
    w->taps = product(b, 2, rank);
    w->same_upper = node_string_is(node, "auto_pad", "SAME_UPPER", "NOTSET");
    w->same_lower = node_string_is(node, "auto_pad", "SAME_LOWER", "NOTSET");
    w->has_shape = node_attribute(node, "output_shape") != NULL;
    if (!read_ints(node, "strides", w->axes, 1, w->strides) ||
        !read_ints(node, "dilations", w->axes, 1, w->dilations) ||
        !read_ints(node, "output_padding", w->axes, 0, w->extra) ||
        !read_ints(node, "output_shape", w->axes, 1, w->shape) ||
        !read_ints(node, "pads", 2 * w->axes, INT32_MIN, pads))
        return false;
    if (node_string_is(node, "auto_pad", "VALID", "NOTSET"))
        memset(pads, 0, sizeof pads);
    for (size_t i = 0; i < w->axes; i++) {
        w->before[i] = pads[i];
        w->after[i] = pads[w->axes + i];
    }
    return true;
}

static bool set_convolution(struct builder *b, enum site_kind kind)
{
    size_t channels = dim(b, 0), group = (size_t)node_int(b->use->node, "group", 1);
    b->site->kind = kind;
    b->site->values[0] = node_input(b->use->node, 0);
    b->matrix->groups = group;
    return group > 0 && channels % group == 0 && set_window(b);
}

/* [group x outputs, inputs, taps] */
static bool conv_site(struct builder *b)
{
    if (!set_convolution(b, SITE_CONV))
        return false;
    struct site_matrix *m = b->matrix;
    size_t taps = b->site->window.taps, inputs = dim(b, 1);
    m->outputs = dim(b, 0) / m->groups;
    m->output_stride = inputs * taps;
    m->group_stride = m->outputs * m->output_stride;
    return set_offsets(b, inputs, taps, taps, 1);
}

/* [group x inputs, outputs, taps] */
static bool conv_transpose_site(struct builder *b)
{
    if (!set_convolution(b, SITE_CONV_TRANSPOSE))
        return false;
    struct site_matrix *m = b->matrix;
    size_t taps = b->site->window.taps, inputs = dim(b, 0) / m->groups;
    m->outputs = dim(b, 1);
    m->output_stride = taps;
    m->group_stride = inputs * m->outputs * taps;
    return set_offsets(b, inputs, m->outputs * taps, taps, 1);
}

/* ---- recurrent states -------------------------------------------------- */

static bool state_site(struct builder *b)
{
    Onnx__NodeProto *node = b->use->node;
    b->site->kind = SITE_STATE;
    b->site->values[0] = node_output(node, 0);
    b->site->values[1] = node_input(node, 5);
    b->site->reverse = node_string_is(node, "direction", "reverse", "forward");
    b->site->batch_first = node_int(node, "layout", 0) != 0;
    return set_matrix(b);
}

/* ---- the table --------------------------------------------------------- */

static const struct {
    const char *domain, *op_type;
    unsigned inputs; /* a bit for each input that may be the weight */
    bool (*make)(struct builder *b);
} table[] = {
    {STANDARD, "MatMul", 1 | 2, matmul_site},
    {STANDARD, "Gemm", 1 | 2, matmul_site},
    {STANDARD, "Einsum", 1 | 2, einsum_site},
    {STANDARD, "Conv", 2, conv_site},
    {STANDARD, "ConvTranspose", 2, conv_transpose_site},
    {STANDARD, "LSTM", 2, last_axis_site},
    {STANDARD, "LSTM", 4, state_site},
    {STANDARD, "GRU", 2, last_axis_site},
    {STANDARD, "GRU", 4, state_site},
    {STANDARD, "RNN", 2, last_axis_site},
    {STANDARD, "RNN", 4, state_site},
    {MICROSOFT, "FusedMatMul", 1 | 2, matmul_site},
    {MICROSOFT, "FusedGemm", 2, matmul_site},
    {MICROSOFT, "FusedConv", 2, conv_site},
    {MICROSOFT, "Attention", 2, last_axis_site},
};

static bool make_by_operator(struct builder *b)
{
    const Onnx__NodeProto *node = b->use->node;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (node_is_in(node, table[i].domain, table[i].op_type) && b->use->input < 32 &&
            (table[i].inputs >> b->use->input & 1))
            return table[i].make(b);
    return false;
}

/* Values that nothing computes say nothing. */
static bool can_observe(const struct site *site)
{
    const char *name = site->values[0];
    const struct value *value = *name ? scope_find(site->scope, name) : NULL;
    if (site->kind == SITE_STATE)
        return true;
    return value && !value->is_ambiguous &&
           (value->kind == VALUE_INPUT ||
            (value->kind == VALUE_NODE && !node_is(value->node, "Constant")));
}

static const char *window_key(struct arena *arena, const struct window *w)
{
    const char *key =
        arena_printf(arena, " %d%d%d", w->same_upper, w->same_lower, w->has_shape);
    for (size_t i = 0; key && i < w->axes; i++)
        key = arena_printf(
            arena, "%s,%lld/%lld/%lld/%lld/%lld/%lld/%lld", key, (long long)w->kernel[i],
            (long long)w->strides[i], (long long)w->dilations[i], (long long)w->before[i],
            (long long)w->after[i], (long long)w->extra[i], (long long)w->shape[i]);
    return key;
}

/* A state that is no output yet is known by the node's next output that there is. */
static const char *known_name(const struct site *site)
{
    const char *name = site->values[0];
    for (size_t i = 0; !*name && i < site->node->n_output; i++)
        name = node_output(site->node, i);
    return name;
}

/* The value whose name is the key's. A Cast to float changes nothing that counts, and
 * --compute float16 puts some in. */
static const struct value *known_value(const struct site *site)
{
    const struct value *value = scope_find(site->scope, known_name(site));
    if (!value || value->kind != VALUE_NODE || !node_is(value->node, "Cast") ||
        !data_type_is_float((int)node_int(value->node, "to", DATA_FLOAT)))
        return value;
    const struct value *before = input_value(value->scope, value->node, 0);
    return before ? before : value;
}

/* Where it is observed, what the value is called and what is made of it. */
static bool set_key(struct arena *arena, struct site *site)
{
    static const char *const kinds[SITE_KINDS] = {"rows", "conv", "conv_transpose",
                                                  "state"};
    const struct value *value = known_value(site);
    const char *window = site->window.axes ? window_key(arena, &site->window) : "";
    site->key = value && window
                    ? arena_printf(arena, "%s/%s %s%s %d%d%d %zu", site->scope->path,
                                   value->name, kinds[site->kind], window, site->axis,
                                   site->reverse, site->batch_first, site->groups)
                    : NULL;
    return site->key != NULL;
}

bool site_make(struct arena *arena, const struct plan_item *item, const struct use *use,
               struct site *site, struct site_matrix *matrix)
{
    struct builder b = {arena, item, use, site, matrix};
    *site = (struct site){.scope = use->scope,
                          .node = use->node,
                          .values = {"", ""},
                          .data_type = item->data_type};
    *matrix = (struct site_matrix){0};
    for (const struct scope *s = use->scope; s; s = s->parent)
        if (s->function)
            return false;
    return use->node && make_by_operator(&b) && can_observe(site) && set_key(arena, site);
}

/* Which values are constants, reading tensors, and following a value to those that it is
 * made of. The operators are in evaluate_operators.c. */
#include "constants/evaluate.h"
#include "onnx/node.h"
#include "onnx/tensor.h"

#include <stdlib.h>
#include <string.h>

enum { STEPS_MAX = 2000, EVALUATE_DEPTH = 64, LIMIT_MIN = 1 << 20, CODE_BITS_MAX = 32 };

void evaluator_init(struct evaluator *e, struct model *model,
                    const struct graph_index *index, struct error *err)
{
    /* Two codes lie in a byte, and padding may double them. */
    uint64_t limit = model->bytes < UINT64_MAX / 64 ? 4 * model->bytes : UINT64_MAX / 16;
    *e = (struct evaluator){.model = model, .index = index, .err = err};
    e->limit = limit > LIMIT_MIN ? limit : LIMIT_MIN;
    evaluator_reset(e);
}

bool evaluator_begin(struct evaluator *e, struct model *model,
                     const struct graph_index *index, struct error *err)
{
    evaluator_init(e, model, index, err);
    e->stores = true;
    e->known = calloc(index->value_count + 1, sizeof *e->known);
    return e->known || error_memory(err);
}

void evaluator_end(struct evaluator *e)
{
    free(e->known);
    e->known = NULL;
}

void evaluator_reset(struct evaluator *e)
{
    e->steps = STEPS_MAX;
    e->rows = NULL;
    e->row_count = 0;
    e->codes = e->real = (struct source){.name = "", .type = ""};
}

/* ---- which values are constants -------------------------------------- */

bool evaluate_is_fixed(const struct evaluator *e, const struct value *value)
{
    return !value->is_ambiguous && !value->is_trained &&
           (!value->is_input || e->model->proto->ir_version < 4);
}

/* What is known of a value before anything is computed. */
enum kind { KIND_OTHER, KIND_CONSTANT, KIND_ROWS };

static enum kind check(struct evaluator *e, const struct value *value, unsigned depth);

static void note_source(struct evaluator *e, const char *name,
                        const Onnx__TensorProto *tensor)
{
    uint64_t elements = 0;
    bool is_real = data_type_is_float(tensor->data_type);
    struct source *source = is_real ? &e->real : &e->codes;
    if (!tensor_elements(tensor, &elements) || tensor->data_type == DATA_BOOL ||
        (!is_real && data_type_bits(tensor->data_type) > CODE_BITS_MAX))
        return;
    if (!*source->name || elements > source->elements)
        *source = (struct source){name, data_type_name(tensor->data_type), elements};
}

static bool is_gather_of_rows(const Onnx__NodeProto *node)
{
    return node_is(node, "Gather") && node_int(node, "axis", 0) == 0;
}

/* Rows by `value`: these indices become the ones that all tables are read by. */
static enum kind check_indices(struct evaluator *e, const struct value *value)
{
    if (!e->rows)
        e->rows = value;
    return e->rows == value ? KIND_ROWS : KIND_OTHER;
}

static enum kind check_input(struct evaluator *e, const struct value *value, size_t index,
                             unsigned depth)
{
    const struct value *input = input_value(value->scope, value->node, index);
    if (!input)
        return *node_input(value->node, index) ? KIND_OTHER : KIND_CONSTANT;
    if (node_is(value->node, "Shape"))
        return input == e->rows || check(e, input, depth + 1) ? KIND_CONSTANT
                                                              : KIND_OTHER;
    enum kind kind = check(e, input, depth + 1);
    if (kind == KIND_OTHER && index == 1 && is_gather_of_rows(value->node))
        return check_indices(e, input);
    return kind;
}

/* Rows together with a constant of several elements depend on which rows they are: that
 * is more than decoding. */
static bool is_single(const struct value *value, size_t index)
{
    const struct value *input = input_value(value->scope, value->node, index);
    const Onnx__TensorProto *tensor = input ? value_constant(input) : NULL;
    uint64_t elements;
    return tensor && tensor_elements(tensor, &elements) && elements == 1;
}

static bool is_arithmetic(const Onnx__NodeProto *node)
{
    return node_is(node, "Add") || node_is(node, "Sub") || node_is(node, "Mul") ||
           node_is(node, "Div");
}

static enum kind check_inputs(struct evaluator *e, const struct value *value,
                              unsigned depth)
{
    enum kind kinds[2] = {KIND_CONSTANT, KIND_CONSTANT}, all = KIND_CONSTANT;
    for (size_t i = 0; i < value->node->n_input; i++) {
        enum kind kind = check_input(e, value, i, depth);
        if (kind == KIND_OTHER)
            return kind;
        kinds[i > 0] = kind;
        all = kind == KIND_ROWS ? kind : all;
    }
    if (is_arithmetic(value->node) && kinds[0] != kinds[1] &&
        !is_single(value, kinds[0] == KIND_ROWS))
        return KIND_OTHER;
    return all;
}

static enum kind check(struct evaluator *e, const struct value *value, unsigned depth)
{
    if (!evaluate_is_fixed(e, value) || depth > EVALUATE_DEPTH || e->steps == 0)
        return KIND_OTHER;
    e->steps--;
    const Onnx__TensorProto *tensor = value_constant(value);
    if (tensor) {
        note_source(e, value->name, tensor);
        return KIND_CONSTANT;
    }
    if (value->kind != VALUE_NODE || !evaluate_operator(value->node))
        return KIND_OTHER;
    return check_inputs(e, value, depth);
}

bool evaluate_check(struct evaluator *e, const struct value *value)
{
    return check(e, value, 0) != KIND_OTHER;
}

/* ---- tensors ---------------------------------------------------------- */

/* Codes of 2 and 4 bits, packed. */
static bool unpack_codes(struct evaluator *e, const struct payload *payload,
                         struct constant *out)
{
    unsigned bits = data_type_bits(out->data_type), each = 8 / bits;
    unsigned mask = (1u << bits) - 1, top = 1u << (bits - 1);
    bool is_signed = out->data_type == DATA_INT4 || out->data_type == DATA_INT2;
    uint64_t count = constant_elements(out);
    if (!constant_make(out, e->stores, e->err))
        return false;
    uint8_t *to = (uint8_t *)(uintptr_t)out->data;
    for (uint64_t i = 0; i < count; i++) {
        unsigned code = (unsigned)payload->data[i / each] >> (bits * (i % each)) & mask;
        to[i] = (uint8_t)(is_signed ? (code ^ top) - top : code);
    }
    return true;
}

/* Whether values of the type can be computed with. */
static bool is_number(int data_type)
{
    unsigned bits = data_type_bits(data_type);
    const char *name = data_type_name(data_type);
    return data_type_is_float(data_type) || data_type == DATA_BOOL ||
           (bits > 0 && (name[0] == 'i' || name[0] == 'u'));
}

/* ONNX keeps these in a field of their own, which nibble does not read. */
static bool is_in_uint64_data(const Onnx__TensorProto *tensor)
{
    return tensor->n_uint64_data > 0 && !tensor->has_raw_data;
}

bool evaluate_tensor(struct evaluator *e, const char *name,
                     const Onnx__TensorProto *tensor, struct constant *out)
{
    uint64_t dims[CONSTANT_RANK_MAX], elements;
    if (tensor->n_dims > CONSTANT_RANK_MAX || !tensor_elements(tensor, &elements) ||
        !is_number(tensor->data_type) || is_in_uint64_data(tensor))
        return false;
    for (size_t i = 0; i < tensor->n_dims; i++)
        dims[i] = (uint64_t)tensor->dims[i];
    if (!constant_shape(out, tensor->data_type, dims, tensor->n_dims, e->limit))
        return false;
    if (e->dry)
        return true;
    const struct payload *payload = tensor_values(e->model, tensor, e->err);
    if (!payload || (!payload->data && elements > 0))
        return false;
    note_source(e, name, tensor);
    if (data_type_bits(tensor->data_type) < 8 && elements > 0)
        return unpack_codes(e, payload, out);
    out->data = payload->data;
    out->payload = payload;
    return true;
}

/* ---- values ----------------------------------------------------------- */

static size_t output_index(const struct value *value)
{
    size_t index = 0;
    while (strcmp(node_output(value->node, index), value->name) != 0)
        index++;
    return index;
}

static bool compute(struct evaluator *e, const struct value *value, struct constant *out)
{
    if (!evaluate_is_fixed(e, value) || e->steps == 0 || e->depth > EVALUATE_DEPTH)
        return false;
    e->steps--;
    const Onnx__TensorProto *tensor = value_constant(value);
    if (tensor)
        return evaluate_tensor(e, value->name, tensor, out);
    evaluate_fn *fn = value->kind == VALUE_NODE ? evaluate_operator(value->node) : NULL;
    if (!fn || (e->stores && evaluate_is_decoder(value->node)))
        return false;
    struct node_call call = {e, value->scope, value->node, output_index(value)};
    e->depth++;
    bool ok = fn(&call, out) && e->err->status == STATUS_OK;
    e->depth--;
    return ok;
}

/* Marks values that were looked at and are no constants. */
static const struct constant not_constant;

static bool find_known(struct evaluator *e, const struct value *value,
                       struct constant *out)
{
    const struct constant **known = &e->known[value->number];
    struct constant *kept;
    if (!*known) {
        /* This is set first, so that a value that needs itself is no constant. */
        *known = &not_constant;
        if (!compute(e, value, out))
            return false;
        if (!(kept = arena_alloc(e->model->arena, sizeof *kept)))
            return error_memory(e->err);
        *kept = *out;
        *known = kept;
    }
    if (*known == &not_constant)
        return false;
    *out = **known;
    return true;
}

bool evaluate(struct evaluator *e, const struct value *value, struct constant *out)
{
    *out = (struct constant){0};
    if (e->dry && e->known)
        return find_known(e, value, out);
    if (compute(e, value, out))
        return true;
    constant_free(out);
    return false;
}

bool evaluate_shape_of(struct evaluator *e, const struct value *value,
                       struct constant *out)
{
    bool dry = e->dry;
    e->dry = true;
    bool ok = evaluate(e, value, out);
    e->dry = dry;
    return ok;
}

const struct constant *evaluate_known(const struct evaluator *e,
                                      const struct value *value)
{
    const struct constant *known = e->known[value->number];
    return known != &not_constant ? known : NULL;
}

bool evaluate_array(struct evaluator *e, const struct value *value, struct array *out)
{
    struct constant constant;
    *out = (struct array){0};
    return evaluate(e, value, &constant) && array_take(out, &constant, e->err);
}

bool evaluate_input(struct evaluator *e, const struct scope *scope,
                    const Onnx__NodeProto *node, size_t index, struct array *out)
{
    const struct value *value = input_value(scope, node, index);
    *out = (struct array){0};
    return value && evaluate_array(e, value, out);
}

const char *packed_type(const struct source *codes, uint64_t elements)
{
    return codes->elements < elements && codes->elements >= elements / 2 ? "uint4"
                                                                         : codes->type;
}

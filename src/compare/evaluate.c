/* Which values are constants, and reading tensors as float32. The operators are in
 * evaluate_operators.c. */
#include "compare/evaluate.h"
#include "core/pages.h"
#include "onnx/node.h"
#include "onnx/tensor.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { STEPS_MAX = 2000, DEPTH_MAX = 64, LIMIT_MIN = 1 << 20, CODE_BITS_MAX = 32 };

void evaluator_init(struct evaluator *e, struct model *model,
                    const struct graph_index *index, struct error *err)
{
    /* Two codes lie in a byte, and padding may double them. */
    uint64_t limit = model->bytes < UINT64_MAX / 64 ? 4 * model->bytes : UINT64_MAX / 16;
    *e = (struct evaluator){.model = model, .index = index, .err = err};
    e->limit = limit > LIMIT_MIN ? limit : LIMIT_MIN;
    evaluator_reset(e);
}

void evaluator_reset(struct evaluator *e)
{
    e->steps = STEPS_MAX;
    e->rows = NULL;
    e->row_count = 0;
    e->codes = e->real = (struct source){.name = "", .type = ""};
}

struct value *input_value(const struct scope *scope, const Onnx__NodeProto *node,
                          size_t index)
{
    const char *name = node_input(node, index);
    return *name ? scope_find(scope, name) : NULL;
}

/* ---- which values are constants -------------------------------------- */

static bool is_fixed(const struct evaluator *e, const struct value *value)
{
    return !value->is_ambiguous && (!value->is_input || e->model->proto->ir_version < 4);
}

/* What is known of a value before anything is computed. */
enum kind { KIND_OTHER, KIND_CONSTANT, KIND_ROWS };

static enum kind check(struct evaluator *e, const struct value *value, unsigned depth);

static void note_source(struct evaluator *e, const struct value *value,
                        const Onnx__TensorProto *tensor)
{
    enum { BOOLEAN = 9 };
    uint64_t elements = 0;
    bool is_real = data_type_is_float(tensor->data_type);
    struct source *source = is_real ? &e->real : &e->codes;
    if (!tensor_elements(tensor, &elements) || tensor->data_type == BOOLEAN ||
        (!is_real && data_type_bits(tensor->data_type) > CODE_BITS_MAX))
        return;
    if (!*source->name || elements > source->elements)
        *source =
            (struct source){value->name, data_type_name(tensor->data_type), elements};
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
    if (!is_fixed(e, value) || depth > DEPTH_MAX || e->steps == 0)
        return KIND_OTHER;
    e->steps--;
    const Onnx__TensorProto *tensor = value_constant(value);
    if (tensor) {
        note_source(e, value, tensor);
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

static void read_small(const uint8_t *data, unsigned bits, bool is_signed, uint64_t count,
                       float *out)
{
    unsigned each = 8 / bits, mask = (1u << bits) - 1, top = 1u << (bits - 1);
    for (uint64_t i = 0; i < count; i++) {
        unsigned code = (unsigned)data[i / each] >> (bits * (i % each)) & mask;
        out[i] =
            (float)(int)(is_signed ? (code ^ top) : code) - (is_signed ? (float)top : 0);
    }
}

#define READ_INTEGERS(type)                                          \
    for (uint64_t i = 0; i < count; i++) {                           \
        type integer;                                                \
        memcpy(&integer, data + i * sizeof integer, sizeof integer); \
        out[i] = (float)integer;                                     \
    }                                                                \
    return true

static bool read_values(int type, const uint8_t *data, uint64_t count, float *out)
{
    switch (type) {
    case 2:
        READ_INTEGERS(uint8_t);
    case 3:
        READ_INTEGERS(int8_t);
    case 4:
        READ_INTEGERS(uint16_t);
    case 5:
        READ_INTEGERS(int16_t);
    case 6:
        READ_INTEGERS(int32_t);
    case 7:
        READ_INTEGERS(int64_t);
    case 9:
        READ_INTEGERS(uint8_t);
    case 21:
    case 22:
        read_small(data, 4, type == 22, count, out);
        return true;
    case 25:
    case 26:
        read_small(data, 2, type == 26, count, out);
        return true;
    default:
        if (!data_type_is_float(type))
            return false;
        real_load(data_type_real(type), data, (size_t)count, out);
        return true;
    }
}

static bool read_tensor(struct evaluator *e, const struct value *value,
                        const Onnx__TensorProto *tensor, struct array *out)
{
    uint64_t dims[ARRAY_RANK_MAX] = {0}, elements;
    if (tensor->n_dims > ARRAY_RANK_MAX || !tensor_elements(tensor, &elements) ||
        data_type_bits(tensor->data_type) == 0)
        return false;
    const struct payload *payload = tensor_values(e->model, tensor, e->err);
    if (!payload || (!payload->data && elements > 0))
        return false;
    for (size_t i = 0; i < tensor->n_dims; i++)
        dims[i] = (uint64_t)tensor->dims[i];
    if (!array_make(out, dims, tensor->n_dims, e->limit, e->err))
        return false;
    struct pages pages = {0};
    pages_read(&pages, payload->file, payload->data, payload->size);
    bool known = read_values(tensor->data_type, payload->data, elements, out->values);
    pages_end(&pages);
    if (!known) {
        array_free(out);
        return false;
    }
    note_source(e, value, tensor);
    return true;
}

/* ---- values ----------------------------------------------------------- */

bool evaluate(struct evaluator *e, const struct value *value, struct array *out)
{
    *out = (struct array){0};
    if (!is_fixed(e, value) || e->steps == 0)
        return false;
    e->steps--;
    const Onnx__TensorProto *tensor = value_constant(value);
    if (tensor)
        return read_tensor(e, value, tensor, out);
    evaluate_fn *fn = value->kind == VALUE_NODE ? evaluate_operator(value->node) : NULL;
    struct node_call call = {e, value->scope, value->node};
    if (fn && fn(&call, out))
        return true;
    array_free(out);
    return false;
}

bool evaluate_input(struct evaluator *e, const struct scope *scope,
                    const Onnx__NodeProto *node, size_t index, struct array *out)
{
    const struct value *value = input_value(scope, node, index);
    *out = (struct array){0};
    return value && evaluate(e, value, out);
}

static int64_t clamp(float value)
{
    if (value >= 0x1p62f)
        return INT64_MAX;
    return value <= -0x1p62f ? -INT64_MAX : (int64_t)value;
}

int64_t *evaluate_ints(struct node_call *call, size_t index, size_t *count)
{
    const struct value *value = input_value(call->scope, call->node, index);
    const Onnx__TensorProto *tensor = value ? value_constant(value) : NULL;
    struct array array = {0};
    uint64_t exact_count = 0;
    int64_t *ints = NULL;
    /* float32 holds no large integers: they are read as they are where that can be. */
    if (tensor && (tensor->data_type == DATA_INT64 || tensor->data_type == DATA_INT32)) {
        const int64_t *exact =
            tensor_ints(call->e->model, tensor, &exact_count, call->e->err);
        *count = (size_t)exact_count;
        ints = exact ? malloc((*count + 1) * sizeof *ints) : NULL;
        if (ints)
            memcpy(ints, exact, *count * sizeof *ints);
        return ints;
    }
    if (!value || !evaluate(call->e, value, &array))
        return NULL;
    *count = (size_t)array.count;
    ints = malloc((*count + 1) * sizeof *ints);
    for (size_t i = 0; ints && i < *count; i++)
        ints[i] = clamp(array.values[i]);
    array_free(&array);
    return ints;
}

const char *packed_type(const struct source *codes, uint64_t elements)
{
    return codes->elements < elements && codes->elements >= elements / 2 ? "uint4"
                                                                         : codes->type;
}

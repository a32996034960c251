/* Folding. A chain is folded only if nothing but other such chains uses its parts.
 * Otherwise the float values would stay in the file beside the codes. */
#include "plan/fold.h"
#include "constants/evaluate.h"
#include "onnx/graph_edit.h"
#include "onnx/node.h"
#include "plan/fold_shapes.h"
#include "plan/weight_operators.h"

#include <stdlib.h>
#include <string.h>

/* A chain of constants that ends in a weight. */
struct constant_chain {
    struct constant_chain *next;
    struct value *end;
    struct constant constant;
    struct value **members; /* the end, and all values that it is made of */
    size_t member_count;
    bool wanted;
};

/* What folding knows about one value. */
struct membership {
    uint32_t chains;  /* how many chains it is part of */
    uint32_t visited; /* the number of the last visit that counted it */
    bool wanted;      /* whether some chain that is quantized has it */
};

/* Bytes that new values may take, in addition to twice the bytes of the model. */
static const uint64_t ROOM_BASE = (uint64_t)16 << 20;

struct folder {
    struct model *model;
    const struct graph_index *index;
    const struct plan_options *options;
    struct plan_findings *findings; /* may be NULL */
    struct graph_edits edits;
    struct evaluator evaluator;
    uint64_t room; /* bytes that new values may still take */
    struct constant_chain *chains;
    struct membership *memberships;
    uint32_t visits; /* how many there were */
    bool changed;
    struct error *err;
};

bool fold_can_pass(const Onnx__NodeProto *node)
{
    return evaluate_operator(node) && !evaluate_is_decoder(node);
}

/* ---- what is worth folding ------------------------------------------ */

/* The constant that is input 0 of the node itself; else NULL. */
static struct value *direct_source(const struct value *value)
{
    struct value *from = scope_find(value->scope, node_input(value->node, 0));
    return from && value_constant(from) ? from : NULL;
}

/* Whether the value is a matrix behind one Transpose. The plan looks through that itself
 * (uses.c) and stores the codes transposed, without a copy of the values. */
static bool is_plain_transpose(const struct value *value)
{
    const Onnx__AttributeProto *perm = node_attribute(value->node, "perm");
    return node_is(value->node, "Transpose") && direct_source(value) &&
           (!perm || perm->n_ints == 2);
}

/* Whether the operator makes a constant, which then is what counts. */
static bool goes_on(struct folder *f, const struct use *use)
{
    struct constant constant;
    const struct value *output =
        use->node ? output_value(use->scope, use->node, 0) : NULL;
    evaluator_reset(&f->evaluator);
    return output && output->uses && evaluate_shape_of(&f->evaluator, output, &constant);
}

static bool is_weight(struct folder *f, const struct value *value,
                      const struct constant *constant)
{
    int64_t dims[CONSTANT_RANK_MAX];
    struct layout layout;
    if (constant->rank < 2 || !data_type_is_float(constant->data_type) ||
        constant_elements(constant) < f->options->min_elements || !value->uses)
        return false;
    for (size_t i = 0; i < constant->rank; i++)
        dims[i] = (int64_t)constant->dims[i];
    bool known = false;
    for (const struct use *use = value->uses; use; use = use->next) {
        const char *reason = operator_layout(f->index->arena, f->index, use, dims,
                                             constant->rank, &layout);
        if ((reason && !layout.foreign) || goes_on(f, use))
            return false;
        known |= !reason;
    }
    return known;
}

/* Whether the value is what QuantizeLinear makes of a weight. These codes are stored, and
 * nothing is rounded twice. */
static bool is_codes(struct folder *f, const struct value *value,
                     const struct constant *constant)
{
    if (!name_is(or_empty(value->node->op_type), "QuantizeLinear") || !value->uses ||
        data_type_bits(constant->data_type) > 8 ||
        constant_elements(constant) < f->options->min_elements)
        return false;
    for (const struct use *use = value->uses; use; use = use->next)
        if (!use->node)
            return false; /* the codes are an output of the graph */
    return true;
}

/* Visits a value and the constants that it is made of, each once. Counts them and, if the
 * chain has a list already, puts them into it. */
static void visit(struct folder *f, const struct constant_chain *chain,
                  struct value *value, size_t *count)
{
    if (!value || !evaluate_known(&f->evaluator, value) ||
        f->memberships[value->number].visited == f->visits)
        return;
    f->memberships[value->number].visited = f->visits;
    if (chain->members)
        chain->members[*count] = value;
    ++*count;
    if (value->kind != VALUE_NODE || !fold_can_pass(value->node))
        return;
    for (size_t i = 0; i < value->node->n_input; i++)
        visit(f, chain, scope_find(value->scope, node_input(value->node, i)), count);
}

static bool list_members(struct folder *f, struct constant_chain *chain)
{
    size_t again = 0;
    f->visits++;
    visit(f, chain, chain->end, &chain->member_count);
    chain->members = arena_array(f->model->arena, chain->member_count, sizeof(void *));
    if (!chain->members)
        return error_memory(f->err);
    f->visits++;
    visit(f, chain, chain->end, &again);
    for (size_t i = 0; i < chain->member_count; i++)
        f->memberships[chain->members[i]->number].chains++;
    return true;
}

static bool find_chain(struct folder *f, struct value *value)
{
    struct constant constant;
    evaluator_reset(&f->evaluator);
    if (!evaluate_shape_of(&f->evaluator, value, &constant) ||
        !(is_weight(f, value, &constant) || is_codes(f, value, &constant)))
        return f->err->status == STATUS_OK;
    struct constant_chain *chain = arena_alloc(f->model->arena, sizeof *chain);
    if (!chain)
        return error_memory(f->err);
    *chain =
        (struct constant_chain){.next = f->chains, .end = value, .constant = constant};
    f->chains = chain;
    return list_members(f, chain);
}

/* ---- which chains stand on their own ----------------------------------- */

static bool is_in_chain(const struct folder *f, const struct use *use)
{
    bool found = use->node && use->node->n_input == 0; /* it was a Shape */
    for (size_t i = 0; !found && use->node && i < use->node->n_output; i++) {
        const struct value *value = scope_find(use->scope, node_output(use->node, i));
        bool inside = value && f->memberships[value->number].chains > 0;
        if (value && value->use_count > 0 && !inside)
            return false; /* something else uses this part */
        found |= inside;
    }
    return found;
}

/* Whether a part may stay for others that use it: it is small beside the weight. */
static bool is_small(const struct folder *f, const struct constant_chain *chain,
                     const struct value *member)
{
    enum { TIMES = 16 };
    const struct constant *part = evaluate_known(&f->evaluator, member);
    return constant_bytes(part) <= constant_bytes(&chain->constant) / TIMES;
}

/* Whether all users of all large members belong to chains. The users of the end need not.
 */
static bool is_closed(const struct folder *f, const struct constant_chain *chain)
{
    for (size_t i = 0; i < chain->member_count; i++) {
        const struct value *member = chain->members[i];
        if (member == chain->end || is_small(f, chain, member))
            continue;
        for (const struct use *use = member->uses; use; use = use->next)
            if (!is_in_chain(f, use))
                return false;
    }
    return true;
}

/* Whether codes of the weight take less room than what it is made of. They would not if
 * a small constant was repeated. */
static bool is_worth_it(const struct folder *f, const struct constant_chain *chain)
{
    uint64_t bits = (uint64_t)quant_type_info(f->options->scheme.type)->bits, sources = 0;
    for (size_t i = 0; i < chain->member_count; i++)
        if (value_constant(chain->members[i]))
            sources += constant_bytes(evaluate_known(&f->evaluator, chain->members[i]));
    return constant_elements(&chain->constant) / 8 * bits < sources;
}

/* Removes a chain. Returns the next one. */
static struct constant_chain *take_out(struct folder *f,
                                       const struct constant_chain *chain)
{
    for (size_t i = 0; i < chain->member_count; i++)
        f->memberships[chain->members[i]->number].chains--;
    return chain->next;
}

/* Removes chains until all others are closed. */
static void keep_closed(struct folder *f)
{
    for (bool again = true; again;) {
        again = false;
        for (struct constant_chain **at = &f->chains; *at;) {
            if (is_closed(f, *at) && is_worth_it(f, *at)) {
                at = &(*at)->next;
                continue;
            }
            *at = take_out(f, *at);
            again = true;
        }
    }
}

/* ---- which chains are worth it --------------------------------------- */

static bool stays_float(const struct folder *f, const struct constant_chain *chain)
{
    const struct map *map = f->options->unfolded;
    if (!map || map->count == 0)
        return false;
    const char *key = plan_key(f->model->arena, chain->end);
    return key && map_get(map, key);
}

/* Whether the chain, or a chain that shares a part with it, ends in a weight that is
 * quantized. Marks the parts of such chains. */
static bool is_wanted(struct folder *f, const struct constant_chain *chain)
{
    bool wanted = !stays_float(f, chain);
    for (size_t i = 0; i < chain->member_count; i++)
        wanted |= f->memberships[chain->members[i]->number].wanted;
    for (size_t i = 0; wanted && i < chain->member_count; i++)
        f->memberships[chain->members[i]->number].wanted = true;
    return wanted;
}

/* Keeps the chains of values that stay float, since folded values might take more room.
 * They are folded only if the values that they are made of can go. */
static void keep_wanted(struct folder *f)
{
    for (bool again = true; again;) {
        again = false;
        for (struct constant_chain *chain = f->chains; chain; chain = chain->next) {
            bool wanted = chain->wanted;
            chain->wanted = wanted || is_wanted(f, chain);
            again |= chain->wanted != wanted;
        }
    }
    for (struct constant_chain **at = &f->chains; *at;) {
        if ((*at)->wanted)
            at = &(*at)->next;
        else
            *at = take_out(f, *at);
    }
}

/* ---- folding -------------------------------------------------------- */

static bool add_tensor(struct folder *f, const struct value *value,
                       struct constant *constant)
{
    int64_t dims[CONSTANT_RANK_MAX];
    const struct payload *payload = constant_keep(f->model, constant, f->err);
    for (size_t i = 0; i < constant->rank; i++)
        dims[i] = (int64_t)constant->dims[i];
    Onnx__TensorProto *tensor =
        payload
            ? tensor_new(f->model, value->name, constant->data_type, dims, constant->rank)
            : NULL;
    struct graph_edit *edit = edit_of(&f->edits, value->scope);
    if (!tensor)
        return error_memory(f->err);
    tensor->has_raw_data = true;
    tensor->raw_data.data = (uint8_t *)(uintptr_t)payload;
    tensor->raw_data.len = (size_t)payload->size;
    return edit && edit_add_tensor(edit, tensor);
}

static bool note_folded(struct folder *f, const struct value *value, int data_type)
{
    if (!f->findings)
        return true;
    f->findings->codes += !data_type_is_float(data_type);
    const char *key = plan_key(f->findings->keys, value);
    return (key && map_put(&f->findings->folded, key, (void *)(uintptr_t)1)) ||
           error_memory(f->err);
}

static bool fold_chain(struct folder *f, struct constant_chain *chain)
{
    struct value *value = chain->end;
    struct constant constant;
    uint64_t size = constant_bytes(&chain->constant);
    if (size > f->room)
        return true; /* it stays as it is */
    f->room -= size;
    evaluator_reset(&f->evaluator);
    if (!evaluate(&f->evaluator, value, &constant))
        return f->err->status == STATUS_OK; /* it takes too many steps */
    bool ok = add_tensor(f, value, &constant);
    constant_free(&constant);
    f->changed = true;
    edit_of_value(&f->edits, value)->moved_uses = value->use_count;
    return ok && note_folded(f, value, chain->constant.data_type) &&
           edit_drop_node(&f->edits, value);
}

/* Gives the consumers of an Identity the constant itself. */
static bool bypass_identity(struct folder *f, struct value *value, struct value *from)
{
    bool constant = !from->is_ambiguous;
    for (const struct use *use = value->uses; constant && use; use = use->next)
        constant = use->node != NULL && scope_find(use->scope, from->name) == from;
    if (!constant)
        return true;
    for (const struct use *use = value->uses; use; use = use->next)
        if (!node_set_input(f->model, use->node, use->input, from->name))
            return error_memory(f->err);
    /* The source gains these uses and loses one. */
    from->use_count += value->use_count;
    edit_of_value(&f->edits, value)->moved_uses = value->use_count;
    edit_of_value(&f->edits, value)->is_gone = f->changed = true;
    return edit_drop_node(&f->edits, value);
}

static bool fold_values(struct folder *f)
{
    for (struct value *value = f->index->values; value; value = value->next) {
        if (value->kind != VALUE_NODE || value->is_ambiguous || !value->uses ||
            edit_of_value(&f->edits, value)->moved_uses > 0 ||
            !fold_can_pass(value->node) || value_constant(value))
            continue;
        struct value *from =
            node_is(value->node, "Identity") ? direct_source(value) : NULL;
        if (from ? !bypass_identity(f, value, from)
                 : !is_plain_transpose(value) && !find_chain(f, value))
            return false;
    }
    if (arena_exhausted(f->index->arena))
        return error_memory(f->err);
    keep_closed(f);
    keep_wanted(f);
    for (struct constant_chain *chain = f->chains; chain; chain = chain->next)
        if (!fold_chain(f, chain))
            return false;
    return !f->changed || edits_apply(&f->edits);
}

bool fold_constants(struct model *model, const struct graph_index *index,
                    const struct plan_options *options, struct plan_findings *findings,
                    bool *changed, struct error *err)
{
    struct folder f = {.model = model,
                       .index = index,
                       .options = options,
                       .findings = findings,
                       .room = ROOM_BASE + 2 * model->bytes,
                       .memberships =
                           calloc(index->value_count + 1, sizeof *f.memberships),
                       .err = err};
    if (findings)
        findings->codes = 0;
    bool ok = edits_begin(&f.edits, model, index, err) &&
              evaluator_begin(&f.evaluator, model, index, err) &&
              (f.memberships || error_memory(err)) &&
              fold_shapes(&f.edits, &f.evaluator, options->min_elements, &f.changed) &&
              fold_values(&f);
    *changed = f.changed;
    evaluator_end(&f.evaluator);
    edits_end(&f.edits);
    free(f.memberships);
    return ok;
}

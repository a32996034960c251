/* Uses of weights. The table of operators is in weight_operators.c. */
#include "plan/uses.h"
#include "onnx/node.h"
#include "plan/forms.h"
#include "plan/shape.h"

/* ---- collecting ----------------------------------------------------- */

/* The output of a Transpose that swaps the two axes of a matrix, else NULL. */
static struct value *swapped_value(const struct use *use, size_t rank)
{
    if (rank != 2 || !use->node || !node_is(use->node, "Transpose"))
        return NULL;
    const Onnx__AttributeProto *perm = node_attribute(use->node, "perm");
    if (perm && (perm->n_ints != 2 || perm->ints[0] != 1 || perm->ints[1] != 0))
        return NULL;
    struct value *value = scope_find(use->scope, node_output(use->node, 0));
    return value && value->uses && !value->is_ambiguous ? value : NULL;
}

static const char *add_weight_use(struct arena *arena, const struct graph_index *index,
                                  const struct plan_item *item, const struct use *use,
                                  struct value *through, struct weight_uses *uses)
{
    const int64_t *dims = item->tensor->dims;
    int64_t swapped[2] = {0};
    struct weight_use *one = &uses->items[uses->count++];
    if (through) {
        swapped[0] = dims[1];
        swapped[1] = dims[0];
    }
    one->use = *use;
    one->use.next = NULL;
    const char *reason = operator_layout(arena, index, use, through ? swapped : dims,
                                         item->tensor->n_dims, &one->layout);
    one->transposed = through || one->layout.transposed;
    one->turned = through && one->layout.consumer == CONSUMER_LOOKUP;
    if (!reason && through) {
        one->layout.channel = 1 - one->layout.channel;
        one->layout.reduction = 1 - one->layout.reduction;
    }
    return reason;
}

/* Operators that are not known take what is decoded for another one. False if there is
 * no other. */
static bool serve_foreign(struct weight_uses *uses)
{
    const struct weight_use *known = NULL;
    for (size_t i = 0; i < uses->count && !known; i++)
        known = uses->items[i].layout.foreign ? NULL : &uses->items[i];
    for (size_t i = 0; known && i < uses->count; i++) {
        struct layout *layout = &uses->items[i].layout;
        if (!layout->foreign)
            continue;
        *layout = known->layout;
        layout->consumer = CONSUMER_PLAIN;
    }
    return known != NULL;
}

const char *weight_uses_collect(struct arena *arena, const struct graph_index *index,
                                const struct plan_item *item, struct weight_uses *uses)
{
    size_t count = 0, rank = item->tensor->n_dims;
    for (const struct use *use = item->value->uses; use; use = use->next) {
        struct value *through = swapped_value(use, rank);
        count += through ? through->use_count : 1;
    }
    uses->count = 0;
    uses->no_weight = false;
    uses->items = arena_array(arena, count, sizeof *uses->items);
    uses->heads = arena_array(arena, count + 1, sizeof *uses->heads);
    if (!uses->items || !uses->heads)
        return "out of memory";
    const char *foreign = NULL;
    for (const struct use *use = item->value->uses; use; use = use->next) {
        struct value *through = swapped_value(use, rank);
        for (const struct use *one = through ? through->uses : use; one;
             one = through ? one->next : NULL) {
            const char *reason = add_weight_use(arena, index, item, one, through, uses);
            const struct layout *layout = &uses->items[uses->count - 1].layout;
            uses->no_weight = reason && layout->no_weight;
            if (reason && !layout->foreign)
                return reason;
            foreign = reason ? reason : foreign;
        }
    }
    return foreign && !serve_foreign(uses) ? foreign : NULL;
}

void weight_uses_decode(struct weight_uses *uses)
{
    for (size_t i = 0; i < uses->count; i++)
        if (uses->items[i].layout.consumer == CONSUMER_EXPERTS)
            uses->items[i].layout.consumer = CONSUMER_PLAIN;
}

/* ---- grouping ------------------------------------------------------- */

/* The uses of one list share an item. In LIST_OWN each use has its own item. */
enum use_list {
    LIST_PLAIN,
    LIST_OWN,  /* fused with a DequantizeLinear that has codes of its own */
    LIST_ROWS, /* rows of the weight are gathered */
    LIST_COLUMNS,
    LIST_NBITS, /* operators share codes. Channels are on axis 0 here and on axis 1 in the
                   next list */
    LISTS = LIST_NBITS + 2,
};

static enum use_list list_of(const struct weight_use *one)
{
    if (one->layout.consumer == CONSUMER_PLAIN)
        return LIST_PLAIN;
    if (one->layout.consumer == CONSUMER_LOOKUP)
        return one->turned ? LIST_COLUMNS : LIST_ROWS;
    return one->shares ? LIST_NBITS + (one->layout.channel != 0) : LIST_OWN;
}

/* Links the uses of several lists, which are given as bits. Returns the first use. */
static struct weight_use *link(struct weight_uses *uses, unsigned lists)
{
    struct weight_use *first = NULL, *last = NULL;
    for (size_t i = 0; i < uses->count; i++) {
        struct weight_use *one = &uses->items[i];
        if (!(lists >> list_of(one) & 1))
            continue;
        if (last)
            last->use.next = &one->use;
        else
            first = one;
        first->transposed |= one->transposed;
        layout_join(&first->layout, &one->layout);
        last = one;
    }
    return first;
}

static bool is_everywhere(const struct plan_options *options)
{
    return options->target == TARGET_GENERIC || options->decode == DECODE_LOAD ||
           options->decode == DECODE_PORTABLE;
}

/* A consumer whose form can't hold the weight is treated as a plain one. */
void weight_uses_settle(const struct plan_options *options, const struct plan_item *item,
                        struct weight_uses *uses)
{
    bool stored = false; /* whether a set of codes is stored anyway */
    uses->own = 0;
    uses->copy_bytes = 0;
    for (size_t i = 0; i < uses->count; i++) {
        struct weight_use *one = &uses->items[i];
        struct plan_item shaped = *item;
        shaped.use = &one->use;
        choose_form(options, &one->layout, &shaped);
        const struct form_info *info = form_info(shaped.form);
        one->shares = info->fusion == FUSION_SHARED;
        bool own = shaped.fused || info->replaces_consumers;
        if (!own)
            one->layout.consumer = CONSUMER_PLAIN;
        one->bytes = plan_bytes(&shaped);
        stored |= list_of(one) == LIST_PLAIN;
    }
    for (size_t i = 0; !is_everywhere(options) && i < uses->count; i++) {
        const struct weight_use *one = &uses->items[i];
        if (list_of(one) != LIST_OWN)
            continue;
        uses->own++;
        if (stored && uses->copy_bytes <= UINT64_MAX - one->bytes)
            uses->copy_bytes += one->bytes;
        stored = true;
    }
}

/* Finds the first use of each future item, in order. */
static size_t list_heads(enum use_grouping grouping, struct weight_uses *uses)
{
    struct weight_use **heads = uses->heads;
    bool copies = grouping == GROUP_COPIES;
    unsigned shared = 1u << LIST_PLAIN | (copies ? 0 : 1u << LIST_OWN);
    size_t count = 0;
    if ((heads[count] = link(uses, shared))) {
        if (uses->own > 0 && !copies)
            heads[count]->layout.consumer = CONSUMER_PLAIN;
        count++;
    }
    for (unsigned list = LIST_ROWS; list < LISTS; list++)
        if ((heads[count] = link(uses, 1u << list)))
            count++;
    for (size_t i = 0; copies && i < uses->count; i++)
        if (list_of(&uses->items[i]) == LIST_OWN)
            heads[count++] = &uses->items[i];
    return count;
}

/* Makes one list of all uses. */
static size_t list_all(const struct plan_options *options, struct weight_uses *uses)
{
    uses->heads[0] = link(uses, ~0u);
    if (!is_everywhere(options))
        uses->heads[0]->layout.consumer = CONSUMER_PLAIN;
    return 1;
}

bool weight_uses_group(const struct plan_options *options, enum use_grouping grouping,
                       struct weight_uses *uses, weight_uses_fn *fn, void *context)
{
    bool one = grouping == GROUP_ONE || is_everywhere(options);
    size_t count = one ? list_all(options, uses) : list_heads(grouping, uses);
    for (size_t i = 0; i < count; i++) {
        struct weight_use *head = uses->heads[i];
        if (!fn(context, head, count == 1, i > 0))
            return false;
    }
    return true;
}

struct value *use_through(const struct plan_item *item, const struct use *use)
{
    struct value *value = scope_find(use->scope, node_input(use->node, use->input));
    return value == item->value ? NULL : value;
}

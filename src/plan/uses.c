/* Uses of weights. Which operators take a weight is weight_operators.c's to say. */
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

static const char *add_leaf(struct arena *arena, const struct graph_index *index,
                            const struct plan_item *item, const struct use *use,
                            struct value *through, struct leaves *leaves)
{
    const int64_t *dims = item->tensor->dims;
    int64_t swapped[2] = {0};
    struct leaf *leaf = &leaves->items[leaves->count++];
    if (through) {
        swapped[0] = dims[1];
        swapped[1] = dims[0];
    }
    leaf->use = *use;
    leaf->use.next = NULL;
    const char *reason = operator_layout(arena, index, use, through ? swapped : dims,
                                         item->tensor->n_dims, &leaf->layout);
    leaf->transposed = through || leaf->layout.transposed;
    if (!reason && through) {
        /* A lookup of columns is none of rows. */
        if (leaf->layout.consumer == CONSUMER_LOOKUP)
            leaf->layout.consumer = CONSUMER_PLAIN;
        leaf->layout.channel = 1 - leaf->layout.channel;
        leaf->layout.reduction = 1 - leaf->layout.reduction;
    }
    return reason;
}

const char *leaves_collect(struct arena *arena, const struct graph_index *index,
                           const struct plan_item *item, struct leaves *leaves)
{
    size_t count = 0, rank = item->tensor->n_dims;
    for (const struct use *use = item->value->uses; use; use = use->next) {
        struct value *through = swapped_value(use, rank);
        count += through ? through->use_count : 1;
    }
    leaves->count = 0;
    leaves->items = arena_array(arena, count, sizeof *leaves->items);
    leaves->heads = arena_array(arena, count + 1, sizeof *leaves->heads);
    if (!leaves->items || !leaves->heads)
        return "out of memory";
    for (const struct use *use = item->value->uses; use; use = use->next) {
        struct value *through = swapped_value(use, rank);
        for (const struct use *leaf = through ? through->uses : use; leaf;
             leaf = through ? leaf->next : NULL) {
            const char *reason = add_leaf(arena, index, item, leaf, through, leaves);
            if (reason)
                return reason;
        }
    }
    return NULL;
}

/* ---- grouping ------------------------------------------------------- */

/* Leaves of one list are served by one item, but for LIST_OWN: an item for each. */
enum use_list {
    LIST_PLAIN,
    LIST_OWN,   /* fused with DequantizeLinear, which wants codes of its own */
    LIST_ROWS,  /* of which rows are gathered */
    LIST_NBITS, /* of codes that operators share, channels on axis 0; then on axis 1 */
    LISTS = LIST_NBITS + 2,
};

static enum use_list list_of(const struct leaf *leaf)
{
    if (leaf->layout.consumer == CONSUMER_PLAIN)
        return LIST_PLAIN;
    if (leaf->layout.consumer == CONSUMER_LOOKUP)
        return LIST_ROWS;
    return leaf->shares ? LIST_NBITS + (leaf->layout.channel != 0) : LIST_OWN;
}

/* Links the leaves of the lists in a set of bits; returns the first. */
static struct leaf *link(struct leaves *leaves, unsigned lists)
{
    struct leaf *first = NULL, *last = NULL;
    for (size_t i = 0; i < leaves->count; i++) {
        struct leaf *leaf = &leaves->items[i];
        if (!(lists >> list_of(leaf) & 1))
            continue;
        if (last)
            last->use.next = &leaf->use;
        else
            first = leaf;
        first->transposed |= leaf->transposed;
        layout_join(&first->layout, &leaf->layout);
        last = leaf;
    }
    return first;
}

static bool is_everywhere(const struct plan_options *options)
{
    return options->target == TARGET_GENERIC || options->decode == DECODE_LOAD ||
           options->decode == DECODE_PORTABLE;
}

/* Consumers whose own form can't hold the weight as it is asked for are like any
 * other. */
void leaves_settle(const struct plan_options *options, const struct plan_item *item,
                   struct leaves *leaves)
{
    bool stored = false; /* a set of codes that is no copy */
    leaves->own = 0;
    leaves->copy_bytes = 0;
    for (size_t i = 0; i < leaves->count; i++) {
        struct leaf *leaf = &leaves->items[i];
        struct plan_item shaped = *item;
        shaped.use = &leaf->use;
        shape_item(options, &leaf->layout, &shaped);
        const struct form_info *info = form_info(shaped.form);
        leaf->shares = info->fusion == FUSION_SHARED;
        bool own = shaped.fused || info->replaces_consumers;
        if (!own)
            leaf->layout.consumer = CONSUMER_PLAIN;
        leaf->bytes = plan_bytes(&shaped);
        stored |= list_of(leaf) == LIST_PLAIN;
    }
    for (size_t i = 0; !is_everywhere(options) && i < leaves->count; i++) {
        const struct leaf *leaf = &leaves->items[i];
        if (list_of(leaf) != LIST_OWN)
            continue;
        leaves->own++;
        if (stored && leaves->copy_bytes <= UINT64_MAX - leaf->bytes)
            leaves->copy_bytes += leaf->bytes;
        stored = true;
    }
}

/* The first leaves of all items-to-be, in order; at most as many as there are leaves. */
static size_t list_heads(enum use_grouping grouping, struct leaves *leaves)
{
    struct leaf **heads = leaves->heads;
    bool copies = grouping == GROUP_COPIES;
    unsigned shared = 1u << LIST_PLAIN | (copies ? 0 : 1u << LIST_OWN);
    size_t count = 0;
    if ((heads[count] = link(leaves, shared))) {
        if (leaves->own > 0 && !copies)
            heads[count]->layout.consumer = CONSUMER_PLAIN;
        count++;
    }
    for (unsigned list = LIST_ROWS; list < LISTS; list++)
        if ((heads[count] = link(leaves, 1u << list)))
            count++;
    for (size_t i = 0; copies && i < leaves->count; i++)
        if (list_of(&leaves->items[i]) == LIST_OWN)
            heads[count++] = &leaves->items[i];
    return count;
}

/* One list of all leaves. */
static size_t list_all(const struct plan_options *options, struct leaves *leaves)
{
    leaves->heads[0] = link(leaves, ~0u);
    if (!is_everywhere(options))
        leaves->heads[0]->layout.consumer = CONSUMER_PLAIN;
    return 1;
}

bool leaves_group(const struct plan_options *options, enum use_grouping grouping,
                  struct leaves *leaves, leaves_fn *fn, void *context)
{
    bool one = grouping == GROUP_ONE || is_everywhere(options);
    size_t count = one ? list_all(options, leaves) : list_heads(grouping, leaves);
    for (size_t i = 0; i < count; i++) {
        struct leaf *head = leaves->heads[i];
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

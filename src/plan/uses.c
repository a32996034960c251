/* Uses of weights. Which operators take a weight is operators.c's to say. */
#include "plan/uses.h"
#include "onnx/node.h"
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
    leaf->use.through = through;
    leaf->use.next = NULL;
    const char *reason = operator_layout(arena, index, use, through ? swapped : dims,
                                         item->tensor->n_dims, &leaf->layout);
    leaf->use.turned = !reason && leaf->layout.turned;
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
    if (!leaves->items)
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

static bool is_fused(const struct leaf *leaf)
{
    return leaf->layout.consumer == CONSUMER_FUSED;
}

/* Links the leaves for which `take` has their consumer; returns the first. */
static struct leaf *link(struct leaves *leaves, unsigned take)
{
    struct leaf *first = NULL, *last = NULL;
    for (size_t i = 0; i < leaves->count; i++) {
        struct leaf *leaf = &leaves->items[i];
        if (!(take >> leaf->layout.consumer & 1))
            continue;
        if (last)
            last->use.next = &leaf->use;
        else
            first = leaf;
        last = leaf;
    }
    return first;
}

/* Consumers whose own form can't hold the weight as it is asked for are like any
 * other. */
static void settle(const struct plan_options *options, const struct plan_item *item,
                   struct leaves *leaves)
{
    for (size_t i = 0; i < leaves->count; i++) {
        struct leaf *leaf = &leaves->items[i];
        struct plan_item shaped = *item;
        shaped.use = &leaf->use;
        shape_item(options, &leaf->layout, &shaped);
        bool own = shaped.fused || shaped.form == FORM_ROWS || shaped.form == FORM_LOOKUP;
        if (!own)
            leaf->layout.consumer = CONSUMER_PLAIN;
    }
}

bool leaves_group(const struct plan_options *options, const struct plan_item *item,
                  struct leaves *leaves, leaves_fn *fn, void *context)
{
    const unsigned plain = 1u << CONSUMER_PLAIN, fused = 1u << CONSUMER_FUSED,
                   lookup = 1u << CONSUMER_LOOKUP;
    bool everywhere = options->target == TARGET_GENERIC ||
                      options->decode == DECODE_LOAD ||
                      options->decode == DECODE_PORTABLE;
    size_t fusing = 0;
    settle(options, item, leaves);
    for (size_t i = 0; i < leaves->count; i++)
        fusing += is_fused(&leaves->items[i]);
    /* Every fused consumer wants codes of its own; large ones share all the same. */
    bool copies = fusing == 1 || item->elements / 2 <= options->copy_bytes;
    unsigned shared = everywhere ? plain | fused | lookup
                      : copies   ? plain
                                 : plain | fused;
    size_t own = everywhere ? 0 : (copies ? fusing : 0);
    struct leaf *rest = link(leaves, shared);
    struct leaf *rows = everywhere ? NULL : link(leaves, lookup);
    size_t total = own + (rest != NULL) + (rows != NULL), made = 0;
    if (rest && fusing > 1 && !everywhere && !copies)
        rest->layout.consumer = CONSUMER_PLAIN;
    if (rest && !fn(context, &rest->use, &rest->layout, total == 1, made++ > 0))
        return false;
    if (rows && !fn(context, &rows->use, &rows->layout, total == 1, made++ > 0))
        return false;
    for (size_t i = 0; own && i < leaves->count; i++) {
        struct leaf *leaf = &leaves->items[i];
        if (is_fused(leaf) &&
            !fn(context, &leaf->use, &leaf->layout, total == 1, made++ > 0))
            return false;
    }
    return true;
}

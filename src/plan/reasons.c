/* Reasons to stay float: a list of questions about each constant. */
#include "onnx/node.h"
#include "plan/already.h"
#include "plan/fixed.h"
#include "plan/fold.h"
#include "plan/planner.h"

static char *say(struct planner *p, char *message)
{
    if (!message)
        error_memory(p->err);
    return message;
}

/* Looks a weight up in a map by its key. NULL if there is no entry, or no map. */
static void *look_up(struct planner *p, const struct map *map, const struct value *value)
{
    if (!map || map->count == 0)
        return NULL;
    const char *key = plan_key(p->plan->arena, value);
    if (!key)
        error_memory(p->err);
    return key ? map_get(map, key) : NULL;
}

/* Whether the selector means the weight. Counts those that it means. */
static bool is_meant(const struct planner *p, const struct plan_item *item,
                     const struct selector *selector, size_t *count)
{
    bool meant = selector && selector_matches(selector, p->index, item->value);
    *count += meant;
    return meant;
}

/* Asks all patterns, so that each is counted. Sets the rule: the first one counts. */
static void ask_patterns(struct planner *p, struct plan_item *item)
{
    const struct plan_options *o = p->options;
    struct plan_matched *matched = &p->plan->matched;
    item->left_out = o->include && !is_meant(p, item, o->include, &matched->include);
    item->excluded = is_meant(p, item, o->exclude, &matched->exclude);
    for (size_t i = 0; i < o->rule_count; i++)
        if (is_meant(p, item, &o->rules[i].selector, &matched->rules[i]) && !item->rule)
            item->rule = &o->rules[i];
}

/* Each question returns a reason or NULL. */

static const char *reason_kind(struct planner *p, const struct plan_item *item)
{
    (void)p;
    if (item->value->kind == VALUE_SPARSE)
        return "sparse initializers stay as they are";
    return item->tensor && item->tensor->n_dims >= 2
               ? NULL
               : "biases and other vectors stay float";
}

static const char *reason_small(struct planner *p, const struct plan_item *item)
{
    uint64_t least = p->options->min_elements;
    if (item->elements == 0)
        return "it has no elements";
    if (item->elements >= least)
        return NULL;
    return say(p,
               arena_printf(p->plan->arena, "fewer than %llu elements (--min-elements)",
                            (unsigned long long)least));
}

static const char *reason_rules(struct planner *p, const struct plan_item *item)
{
    if (item->left_out)
        return "not among those asked for (--include)";
    if (item->excluded)
        return "excluded (--exclude)";
    if (item->rule && item->rule->keep)
        return say(p, arena_printf(p->plan->arena, "kept float (--rule '%s')",
                                   item->rule->text));
    return item->value->uses ? NULL : "nothing uses it";
}

/* There is no option to quantize these. */
static const char *reason_parameter(struct planner *p, const struct plan_item *item)
{
    (void)p;
    return already_is_parameter(item->value)
               ? "a scale or zero point of what is quantized already"
               : NULL;
}

static const char *reason_role(struct planner *p, const struct plan_item *item)
{
    const struct value *value = item->value;
    bool overridable = value->is_input && p->model->proto->ir_version >= 4;
    if (value->is_ambiguous)
        return "its name is defined more than once";
    if (value->is_trained)
        return "a training step updates it";
    if (p->shown[value->number])
        return "an output of the model is made of it, and of constants only";
    if (overridable && !p->options->freeze)
        return "it is a graph input that a caller may override (--freeze)";
    return NULL;
}

/* Also sets the source. Constants that --include names are quantized all the same. */
static const char *reason_fixed(struct planner *p, struct plan_item *item,
                                const struct weight_uses *uses)
{
    const char *reason;
    item->source = tensor_values(p->model, item->tensor, p->err);
    if (!item->source || p->options->include)
        return NULL;
    if (p->options->fixed) {
        reason = look_up(p, p->options->fixed, item->value);
    } else {
        pages_read(&p->sampled, item->source->file, item->source->data,
                   item->source->size);
        reason = fixed_reason(item, uses);
    }
    item->fixed = reason != NULL;
    item->requested = !item->fixed;
    return reason;
}

/* Looks at what earlier passes found out about its values. */
static const char *reason_values(struct planner *p, struct plan_item *item)
{
    const char *reason = look_up(p, p->options->unfit, item->value);
    item->warning = reason != NULL;
    item->wide_scales = look_up(p, p->options->wide_scales, item->value) != NULL;
    return reason;
}

static void apply_rule(const struct plan_rule *rule, struct plan_options *options)
{
    const enum quant_type type = options->scheme.type;
    options->scheme = rule->scheme;
    options->decode = rule->decode;
    options->half_scales = rule->half_scales;
    if (rule->decides) {
        options->granularity = rule->granularity;
        options->block_size = rule->block_size;
        options->wide_tables = false;
    } else {
        options->scheme.type = type;
    }
}

/* Also sets the options for this weight. */
static const char *reason_choice(struct planner *p, struct plan_item *item)
{
    bool decided = item->rule && item->rule->decides;
    const struct plan_choice *choice =
        decided ? NULL : look_up(p, p->options->choices, item->value);
    p->own = *p->options;
    p->own.opset_max = p->opset_max;
    if (item->rule)
        apply_rule(item->rule, &p->own);
    item->chosen = choice != NULL;
    if (!choice)
        return NULL;
    item->requested = !choice->reason || choice->missed;
    p->own.scheme.type = choice->type;
    p->own.granularity = choice->granularity;
    p->own.block_size = choice->block_size;
    p->own.wide_tables = false;
    return choice->reason;
}

/* What is known about the weight that chains of constants make from a value. */
static const struct plan_unfolded *find_unfolded(struct planner *p,
                                                 const struct value *value, int *left)
{
    const struct map *map = p->options->unfolded;
    const struct plan_unfolded *found = NULL;
    for (const struct use *use = value->uses; map && map->count > 0 && use && !found;
         use = use->next) {
        if (!use->node || !fold_can_pass(use->node) || (*left)-- <= 0)
            continue;
        for (size_t i = 0; i < use->node->n_output && !found; i++) {
            const struct value *output = output_value(use->scope, use->node, i);
            if (output && !(found = look_up(p, map, output)))
                found = find_unfolded(p, output, left);
        }
    }
    return found;
}

/* A part of a chain stays float for the same reason as the weight at its end. */
static const char *reason_unfolded(struct planner *p, struct plan_item *item)
{
    enum { WALK_MAX = 256 }; /* the most nodes that are looked at */
    int left = WALK_MAX;
    const struct plan_unfolded *found = find_unfolded(p, item->value, &left);
    if (!found)
        return NULL;
    item->requested = found->asked;
    item->warning = found->warning;
    item->chosen = found->chosen;
    return found->reason;
}

/* Whether the operator has constants only, and so makes a constant. */
static bool is_computed(struct evaluator *e, const struct use *use)
{
    struct constant constant;
    bool all = true;
    for (size_t i = 0; all && i < use->node->n_input; i++) {
        const struct value *input = input_value(use->scope, use->node, i);
        evaluator_reset(e);
        all = !*node_input(use->node, i) ||
              (input && evaluate_shape_of(e, input, &constant));
    }
    return all;
}

/* The first operator behind a value that has constants only, and that folding knows
 * nothing of. */
static const Onnx__NodeProto *find_barrier(struct evaluator *e, const struct value *value,
                                           int *left)
{
    const Onnx__NodeProto *found = NULL;
    for (const struct use *use = value->uses; use && !found; use = use->next) {
        if (!use->node || (*left)-- <= 0 || !is_computed(e, use))
            continue;
        const struct value *output = output_value(use->scope, use->node, 0);
        if (!fold_can_pass(use->node))
            found = use->node;
        else if (output)
            found = find_barrier(e, output, left);
    }
    return found;
}

/* A better answer for a constant that no operator uses as a weight: a weight may be
 * computed from it. */
static const char *reason_computed(struct planner *p, const struct plan_item *item,
                                   const char *reason)
{
    enum { BARRIER_STEPS = 64 };
    int left = BARRIER_STEPS;
    if (!p->evaluator.known &&
        !evaluator_begin(&p->evaluator, p->model, p->index, p->err))
        return reason;
    const Onnx__NodeProto *barrier = find_barrier(&p->evaluator, item->value, &left);
    return barrier ? say(p, arena_printf(p->plan->arena,
                                         "%s computes something from it and other "
                                         "constants, which nibble can't",
                                         or_empty(barrier->op_type)))
                   : reason;
}

/* The first answer counts. From reason_role on, the user could have expected the weight
 * to be quantized. */
const char *planner_reason(struct planner *p, struct plan_item *item,
                           struct weight_uses *uses)
{
    const char *reason;
    ask_patterns(p, item);
    if ((reason = reason_unfolded(p, item)) || (reason = reason_kind(p, item)) ||
        (reason = reason_small(p, item)) || (reason = reason_rules(p, item)) ||
        (reason = reason_parameter(p, item)))
        return reason;
    item->requested = true;
    if ((reason = reason_role(p, item)))
        return reason;
    if ((reason = weight_uses_collect(p->plan->arena, p->index, item, uses))) {
        item->requested = !uses->no_weight;
        return reason_computed(p, item, reason);
    }
    if ((reason = reason_fixed(p, item, uses)) || (reason = reason_values(p, item)))
        return reason;
    return reason_choice(p, item);
}

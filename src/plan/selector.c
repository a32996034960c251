/* Selectors. This file knows where the nodes are that use a weight, but not what becomes
 * of the weight. */
#include "plan/selector.h"
#include "core/sizes.h"
#include "onnx/node.h"
#include "plan/bodies.h"
#include "plan/pattern.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- reading ---------------------------------------------------------- */

static bool compile(struct selector *selector, const char *option, const char *pattern,
                    struct error *err)
{
    char message[200];
    if (!pattern_check(option, pattern, err))
        return false;
    int code = regcomp(&selector->regex, pattern, REG_EXTENDED | REG_NOSUB);
    if (code == 0)
        return true;
    if (code == REG_ESPACE)
        return error_memory(err);
    regerror(code, &selector->regex, message, sizeof message);
    return error_set(err, STATUS_INVALID, "%s: '%s' is not a regular expression: %s",
                     option, selector->text, message);
}

/* Operators are compared in full: MatMul does not mean MatMulNBits. */
static bool compile_whole(struct selector *selector, const char *option,
                          const char *pattern, struct error *err)
{
    size_t size = strlen(pattern) + sizeof "^()$";
    char *whole = malloc(size);
    if (!whole)
        return error_memory(err);
    snprintf(whole, size, "^(%s)$", pattern);
    bool ok = compile(selector, option, whole, err);
    free(whole);
    return ok;
}

bool selector_make(struct selector *selector, const char *option, const char *text,
                   struct error *err)
{
    static const char role[] = "role=", head[] = "role=head";
    *selector = (struct selector){.text = text};
    if (strncmp(text, "op=", 3) == 0) {
        selector->kind = SELECT_OPERATOR;
        return compile_whole(selector, option, text + 3, err);
    }
    if (strncmp(text, "graph=", 6) == 0) {
        selector->kind = SELECT_GRAPH;
        return compile(selector, option, text + 6, err);
    }
    if (strncmp(text, role, sizeof role - 1) == 0) {
        selector->kind = SELECT_HEAD;
        return strcmp(text, head) == 0 ||
               error_set(err, STATUS_INVALID, "%s: '%s' is unknown: there is %s only",
                         option, text, head);
    }
    return compile(selector, option, text, err);
}

void selector_free(struct selector *selector)
{
    if (selector->kind != SELECT_HEAD)
        regfree(&selector->regex);
}

/* ---- kinds of operators ----------------------------------------------- */

/* Operators that pass a weight on to the one that computes with it. */
static bool is_moving(const Onnx__NodeProto *node)
{
    static const char *const operators[] = {
        "Cast",      "CastLike", "Concat",  "Expand",    "Identity", "Reshape",
        "Transpose", "Split",    "Squeeze", "Unsqueeze", "Slice",    NULL,
    };
    return node_is_one_of(node, operators);
}

/* Operators that stand between the last weight and an output of the model. */
static bool is_finishing(const Onnx__NodeProto *node)
{
    static const char *const operators[] = {
        "Add",     "Sub",       "Mul",     "Div",        "Cast",    "Identity", "Reshape",
        "Flatten", "Transpose", "Squeeze", "Unsqueeze",  "Softmax", "Sigmoid",  "Tanh",
        "Clip",    "Slice",     "ArgMax",  "LogSoftmax", NULL,
    };
    return node_is_one_of(node, operators);
}

/* ---- heads ------------------------------------------------------------ */

/* Whether what the node computes becomes an output of the model and nothing else. */
static bool makes_output(const struct use *use)
{
    enum { FINISHING_MAX = 8 };
    for (int i = 0; i < FINISHING_MAX; i++) {
        const struct value *value = output_value(use->scope, use->node, 0);
        if (!value || value->use_count != 1)
            return false;
        use = value->uses;
        if (!use->node)
            return !use->scope->parent && !use->scope->function;
        if (!is_finishing(use->node))
            return false;
    }
    return false;
}

/* ---- nodes that use a weight ------------------------------------------ */

struct search {
    const struct selector *selector;
    const struct graph_index *index;
    int left; /* how many nodes may still be looked at */
};

static bool matches_text(const struct selector *selector, const char *text)
{
    return regexec(&selector->regex, text, 0, NULL, 0) == 0;
}

static bool matches_use(const struct selector *selector, const struct use *use)
{
    if (selector->kind == SELECT_HEAD)
        return makes_output(use);
    const char *text =
        selector->kind == SELECT_OPERATOR ? use->node->op_type : use->node->name;
    return text && *text && matches_text(selector, text);
}

static bool search_use(struct search *search, const struct use *use);

/* A chain of constants may be folded in one pass and not in the next one. So the names of
 * its results count, too. */
static bool search_outputs(struct search *search, const struct use *use)
{
    const struct selector *selector = search->selector;
    for (size_t i = 0; i < use->node->n_output; i++) {
        const char *name = node_output(use->node, i);
        if (selector->kind == SELECT_NAME && *name && matches_text(selector, name))
            return true;
        const struct value *value = output_value(use->scope, use->node, i);
        for (const struct use *next = value ? value->uses : NULL; next; next = next->next)
            if (search_use(search, next))
                return true;
    }
    return false;
}

static bool search_use(struct search *search, const struct use *use)
{
    if (!use->node || search->left-- <= 0)
        return false;
    if (matches_use(search->selector, use))
        return true;
    if (is_moving(use->node))
        return search_outputs(search, use);
    const struct use *inner = body_use(search->index, use);
    for (; inner; inner = body_next(inner))
        if (search_use(search, inner))
            return true;
    return false;
}

bool selector_matches(const struct selector *selector, const struct graph_index *index,
                      const struct value *value)
{
    enum { NODES_MAX = 256 };
    struct search search = {selector, index, NODES_MAX};
    if (selector->kind == SELECT_GRAPH)
        return matches_text(selector, value->scope->path);
    if (selector->kind == SELECT_NAME && matches_text(selector, value->name))
        return true;
    for (const struct use *use = value->uses; use; use = use->next)
        if (search_use(&search, use))
            return true;
    return false;
}

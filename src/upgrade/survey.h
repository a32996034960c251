/* Facts about the whole model that a single node does not show: which nodes call local
 * functions, and which names are used. */
#ifndef NIBBLE_UPGRADE_SURVEY_H
#define NIBBLE_UPGRADE_SURVEY_H

#include "onnx/model.h"

struct survey {
    struct model *model;
    size_t nodes;         /* the number of nodes in the whole model */
    struct callee *first; /* all local functions */
    struct map callees;   /* the local functions by name */
    struct map used;      /* names that something refers to; built on first use */
    bool has_used;
};

/* Counts the nodes, and finds the local functions and all their calls. Returns false if
 * out of memory. */
bool survey_open(struct survey *survey, struct model *model);
void survey_close(struct survey *survey);

/* Whether the node calls a local function. */
bool survey_is_call(const struct survey *survey, const Onnx__NodeProto *node);

/* Whether an attribute of the function has a value in all calls. */
bool survey_is_given(const struct survey *survey, const Onnx__FunctionProto *function,
                     const char *attribute);

/* Sets *used: whether a node, a graph output or a function output anywhere in the model
 * refers to the name. Does not distinguish scopes, so true may be wrong, but false never
 * is. */
bool survey_is_used(struct survey *survey, const char *name, bool *used);

#endif

/* What one node can't tell: who calls the model's local functions, and which
 * names are used at all. */
#ifndef NIBBLE_UPGRADE_SURVEY_H
#define NIBBLE_UPGRADE_SURVEY_H

#include "onnx/model.h"

struct survey {
    struct model *model;
    size_t nodes;         /* in the whole model */
    struct callee *first; /* all local functions */
    struct map callees;   /* the same by name */
    struct map used;      /* names that anything refers to; built when first asked for */
    bool has_used;
};

/* Counts the nodes, and finds the local functions and all their calls. False: out of
 * memory. */
bool survey_open(struct survey *survey, struct model *model);
void survey_close(struct survey *survey);

/* True for a node that calls a local function. */
bool survey_is_call(const struct survey *survey, const Onnx__NodeProto *node);

/* True where an attribute of the function has a value whoever calls it. */
bool survey_is_given(const struct survey *survey, const Onnx__FunctionProto *function,
                     const char *attribute);

/* Sets *used: a node, a graph output or a function output somewhere in the model
 * bears that name. Scopes are not told apart: true is the careful answer. */
bool survey_is_used(struct survey *survey, const char *name, bool *used);

#endif

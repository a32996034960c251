/* Selectors: which weights a pattern of the user means. */
#ifndef NIBBLE_PLAN_SELECTOR_H
#define NIBBLE_PLAN_SELECTOR_H

#include "onnx/graph.h"

#include <regex.h>

/* What a pattern is compared with. */
enum selector_kind {
    SELECT_NAME,     /* the weight's name, and the names of nodes that use it */
    SELECT_OPERATOR, /* "op=": the operators of these nodes, in full */
    SELECT_GRAPH,    /* "graph=": the path of the weight's graph */
    SELECT_HEAD,     /* "role=head": these nodes make an output of the model */
};

struct selector {
    enum selector_kind kind;
    const char *text; /* as the user wrote it */
    regex_t regex;    /* not compiled for SELECT_HEAD */
};

/* Reads a pattern. `text` must outlive the selector. `option` is for the message of an
 * error. End with selector_free, but only after a success. */
bool selector_make(struct selector *selector, const char *option, const char *text,
                   struct error *err);
void selector_free(struct selector *selector);

/* Whether the selector means the weight. Nodes that use it through Transpose, Cast and
 * the like, or inside a body or a function, count, too. */
bool selector_matches(const struct selector *selector, const struct graph_index *index,
                      const struct value *value);

#endif

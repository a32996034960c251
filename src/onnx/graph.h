/* The graph index: where each value is defined and used. It covers the main graph, bodies
 * of If, Loop and Scan (which see the scopes around them) and local functions (which
 * don't). Nodes may come in any order. */
#ifndef NIBBLE_ONNX_GRAPH_H
#define NIBBLE_ONNX_GRAPH_H

#include "onnx/model.h"

enum value_kind {
    VALUE_INPUT,       /* a graph's or function's input, without an initializer */
    VALUE_INITIALIZER, /* it may be an input, too: is_input */
    VALUE_SPARSE,      /* a sparse initializer */
    VALUE_NODE,        /* an output of a node, Constant nodes included */
};

/* A place where names are defined. */
struct scope {
    struct scope *parent;    /* the scope whose names are visible here; NULL: none */
    Onnx__GraphProto *graph; /* the graph of the scope; NULL for a function */
    Onnx__FunctionProto *function; /* the local function; NULL for a graph */
    struct scope *next;            /* all scopes, the newest first */
    size_t number;    /* its number among all scopes, in the order of the file */
    const char *path; /* unique: "" main graph; "If_12.then_branch"; "function f" */
    struct map values;
};

/* One use of a value. */
struct use {
    struct use *next;      /* in the order of the file */
    Onnx__NodeProto *node; /* NULL: it is an output of scope's graph */
    size_t input;          /* of the node */
    struct scope *scope;   /* where the use is */
};

/* Stages keep what they find out in arrays of their own, by number. A model has as many
 * values as names, so every byte counts. */
struct value {
    const char *name;
    struct value *next;        /* in the order of definition */
    struct scope *scope;       /* the scope that defines it */
    Onnx__TensorProto *tensor; /* VALUE_INITIALIZER, VALUE_SPARSE (its values) */
    Onnx__NodeProto *node;     /* VALUE_NODE */
    struct use *uses;
    uint32_t use_count;
    uint32_t number;   /* its number among all values, in the order of definition */
    bool is_input;     /* a graph input: a caller may override an initializer */
    bool is_trained;   /* training_info refers to it by name */
    bool is_ambiguous; /* defined more than once in its scope */
    enum value_kind kind : 8;
};

struct graph_index {
    struct arena *arena;         /* holds the whole index */
    struct value *values, *last; /* all, in the order of scopes and of the file */
    struct scope *scopes, *main;
    size_t value_count, scope_count, function_count;
    bool quantizes; /* some value that is not constant is quantized or dequantized */
};

/* Builds the index. It refers to the message: rebuild it after changes. */
bool graph_index(struct model *model, struct graph_index *index, struct error *err);
void graph_index_free(struct graph_index *index);

/* The tensor of an initializer or of a Constant node. NULL if the value is neither, or if
 * the node holds something else. */
Onnx__TensorProto *value_constant(const struct value *value);

/* The value that a name means in a scope. NULL if nothing defines it. */
struct value *scope_find(const struct scope *scope, const char *name);

/* An input or output of a node in this scope. NULL if it is left out. */
struct value *input_value(const struct scope *scope, const Onnx__NodeProto *node,
                          size_t index);
struct value *output_value(const struct scope *scope, const Onnx__NodeProto *node,
                           size_t index);

#endif

/* The graph index: which value is defined where and used by whom, in the main
 * graph, in If, Loop and Scan bodies (which see the scopes around them) and in
 * local functions (which don't). Nodes may stand in any order. */
#ifndef NIBBLE_ONNX_GRAPH_H
#define NIBBLE_ONNX_GRAPH_H

#include "onnx/model.h"

enum value_kind {
    VALUE_INPUT,       /* a graph's or function's input, without an initializer */
    VALUE_INITIALIZER, /* perhaps an input, too: is_input */
    VALUE_SPARSE,      /* a sparse initializer */
    VALUE_NODE,        /* an output of a node, Constant nodes included */
};

/* A place where names are defined. */
struct scope {
    struct scope *parent;    /* whose names are seen here; NULL: none */
    Onnx__GraphProto *graph; /* one of these two */
    Onnx__FunctionProto *function;
    struct scope *next; /* all scopes, the newest first */
    size_t number;      /* of all scopes, in the order of the file */
    const char *path;   /* unique: "" main graph; "If_12.then_branch"; "function f" */
    struct map values;
};

/* One use of a value. */
struct use {
    struct use *next;      /* in the order of the file */
    Onnx__NodeProto *node; /* NULL: it is an output of scope's graph */
    size_t input;          /* of the node */
    struct scope *scope;   /* where the use stands */
};

/* Stages keep what they find out in arrays of their own, by number. There are as many
 * values as a model has names: every byte counts. */
struct value {
    const char *name;
    struct value *next;        /* in the order of definition */
    struct scope *scope;       /* that defines it */
    Onnx__TensorProto *tensor; /* VALUE_INITIALIZER, VALUE_SPARSE (its values) */
    Onnx__NodeProto *node;     /* VALUE_NODE */
    struct use *uses;
    uint32_t use_count;
    uint32_t number;   /* of all values, in the order of definition */
    bool is_input;     /* a graph input: a caller may override an initializer */
    bool is_trained;   /* training_info refers to it by name */
    bool is_ambiguous; /* defined more than once in its scope */
    enum value_kind kind : 8;
};

struct graph_index {
    struct arena *arena;         /* of all that the index consists of */
    struct value *values, *last; /* all, in the order of scopes and of the file */
    struct scope *scopes, *main;
    size_t value_count, scope_count, function_count;
    bool quantizes; /* something that is no constant comes or goes as codes */
};

/* Builds the index. It refers to the message: rebuild it after changes. */
bool graph_index(struct model *model, struct graph_index *index, struct error *err);
void graph_index_free(struct graph_index *index);

/* The tensor of an initializer or of a Constant node; NULL where it is neither, or the
 * node holds something else. */
Onnx__TensorProto *value_constant(const struct value *value);

/* The value that a name means in a scope; NULL where nothing defines it. */
struct value *scope_find(const struct scope *scope, const char *name);

#endif

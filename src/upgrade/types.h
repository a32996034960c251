/* What is known of values while a graph is walked: element type, rank, and the
 * tensor where the value is constant. Never guessed: what isn't sure is unknown. */
#ifndef NIBBLE_UPGRADE_TYPES_H
#define NIBBLE_UPGRADE_TYPES_H

#include "onnx/model.h"

struct value_type {
    int element; /* a TensorProto.DataType; 0: unknown, or no tensor */
    int rank;    /* -1: unknown */
    const Onnx__TensorProto *constant; /* its value, if it always has the same one */
};

/* The values of one scope. */
struct types {
    const struct types *outer; /* whose values are seen here; NULL: none */
    struct map map;
};

/* All that a graph or a function declares. */
bool types_of_graph(struct types *types, struct arena *arena,
                    const Onnx__GraphProto *graph);
bool types_of_function(struct types *types, struct arena *arena,
                       const Onnx__FunctionProto *function);

/* The outputs of a node, by those of its inputs that are known. */
bool types_of_node(struct types *types, struct arena *arena, const Onnx__NodeProto *node);

/* A constant that was added to the scope. */
bool types_of_constant(struct types *types, struct arena *arena,
                       const Onnx__TensorProto *tensor);

/* What is known of a value; of "" and of names never met, nothing. */
struct value_type type_of(const struct types *types, const char *name);

void types_free(struct types *types);

#endif

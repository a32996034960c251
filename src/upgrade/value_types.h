/* What is known about values during an upgrade: element type, rank, and the tensor if the
 * value is constant. Never guesses: anything uncertain is unknown. */
#ifndef NIBBLE_UPGRADE_VALUE_TYPES_H
#define NIBBLE_UPGRADE_VALUE_TYPES_H

#include "onnx/model.h"

struct value_type {
    int element; /* a TensorProto.DataType; 0: unknown, or no tensor */
    int rank;    /* -1: unknown */
    const Onnx__TensorProto *constant; /* its value if it is constant; else NULL */
};

/* The values of one scope. */
struct types {
    const struct types
        *outer; /* the scope around this one, whose values are visible here; NULL: none */
    struct map map;
};

/* Learns what a graph or a function declares. */
bool types_of_graph(struct types *types, struct arena *arena,
                    const Onnx__GraphProto *graph);
bool types_of_function(struct types *types, struct arena *arena,
                       const Onnx__FunctionProto *function);

/* Learns about the outputs of a node from what is known about its inputs. */
bool types_of_node(struct types *types, struct arena *arena, const Onnx__NodeProto *node);

/* Learns about a constant that was added to the scope. */
bool types_of_constant(struct types *types, struct arena *arena,
                       const Onnx__TensorProto *tensor);

/* What is known about a value. Nothing is known about "" and unknown names. */
struct value_type type_of(const struct types *types, const char *name);

void types_free(struct types *types);

#endif

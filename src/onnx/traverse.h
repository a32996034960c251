/* The one traversal of a model's nodes. Every pass over all of them is a visitor: it says
 * what to do at a region and at a node, and nothing about where those are. */
#ifndef NIBBLE_ONNX_TRAVERSE_H
#define NIBBLE_ONNX_TRAVERSE_H

#include "onnx/model.h"

/* A list of nodes with the names that they see: a graph, the body of a node, or a local
 * function. */
struct region {
    struct region *outer;                  /* the region around a body; else NULL */
    Onnx__GraphProto *graph;               /* either this, */
    Onnx__FunctionProto *function;         /* or this */
    const Onnx__NodeProto *owner;          /* the node that has the body; else NULL */
    const Onnx__AttributeProto *attribute; /* the attribute that holds the body */
    void *data;                            /* for the visitor; NULL until it sets it */
};

typedef bool region_fn(void *context, struct region *region);
typedef bool node_fn(void *context, struct region *region, Onnx__NodeProto *node);

/* Each function may be NULL. One that returns false ends the traversal. */
struct visitor {
    region_fn *enter; /* before the nodes of a region */
    node_fn *node;    /* before the bodies of a node */
    node_fn *after;   /* behind them */
    region_fn *leave; /* after the nodes. It may give the region another list of nodes */
    /* At the end of each region that was entered, even if the traversal was ended. */
    void (*release)(void *context, struct region *region);
};

/* Visits a graph or a function, and all bodies in it. False if the visitor ended the
 * traversal. Bodies can't be nested deeply: the scan has bounded that. */
bool traverse_graph(Onnx__GraphProto *graph, const struct visitor *visitor,
                    void *context);
bool traverse_function(Onnx__FunctionProto *function, const struct visitor *visitor,
                       void *context);

/* The graphs of training, then the main graph. */
bool traverse_graphs(const Onnx__ModelProto *proto, const struct visitor *visitor,
                     void *context);

/* All local functions, then all graphs. */
bool traverse_model(const Onnx__ModelProto *proto, const struct visitor *visitor,
                    void *context);

#endif

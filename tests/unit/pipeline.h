/* A model taken through the stages, for tests of the later ones. */
#ifndef NIBBLE_TESTS_PIPELINE_H
#define NIBBLE_TESTS_PIPELINE_H

#include "core/output.h"
#include "fill/fill.h"
#include "support.h"

struct pipeline {
    struct model *model;
    struct graph_index index;
    struct plan plan;
    struct item_tensors *tensors; /* of the items, once they are emitted, */
    struct fill_result *results;  /* and filled */
};

/* int4, symmetric, default granularity, weights of any size. */
struct plan_options plan_defaults(void);

/* Reads and plans; must succeed. */
struct pipeline *pipeline_plan(const Onnx__ModelProto *proto,
                               const struct plan_options *options);

/* The item of that name; there must be one. */
struct plan_item *item_named(struct pipeline *pipeline, const char *name);

/* Emits what was planned, and gives the graph as a file would have it: packed by
 * protobuf-c, with zeroes for reserved values, and read by it. */
Onnx__ModelProto *pipeline_emit(struct pipeline *pipeline);

/* The same without emitting anything. The model is of no use afterwards. */
Onnx__ModelProto *pipeline_bytes(struct pipeline *pipeline);

/* Emits and writes the skeleton into an output that ends with the test. */
struct output *pipeline_write(struct pipeline *pipeline, const char *path);

#endif

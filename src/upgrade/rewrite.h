/* Building blocks of rewrites: the current node, new nodes before and after it,
 * constants, and attributes that become inputs. */
#ifndef NIBBLE_UPGRADE_REWRITE_H
#define NIBBLE_UPGRADE_REWRITE_H

#include "onnx/node.h"
#include "onnx/tensor.h"
#include "upgrade/survey.h"
#include "upgrade/value_types.h"

/* A list that grows in the arena. Appending is cheap. */
struct list {
    void **items;
    size_t count, capacity;
};

bool list_append(struct model *model, struct list *list, void *item);
bool list_reserve(struct model *model, struct list *list, size_t capacity);

/* The nodes that can't be raised, with one line for each. An error message holds only
 * some of the lines. */
struct refusals {
    size_t count, listed, length;
    char lines[3200];
};

/* One upgrade of one model. */
struct upgrade {
    struct model *model;
    struct arena *arena; /* freed at the end of the upgrade */
    struct error *err;
    int64_t target;
    struct survey survey;
    struct refusals refusals;
    struct map dropped; /* names of outputs that were removed */
};

/* A graph or a function while its nodes are being raised. */
struct upgrade_scope {
    struct upgrade *upgrade;
    const struct upgrade_scope *outer; /* the scope around this one; NULL: none */
    Onnx__FunctionProto *function;     /* the function that holds the nodes; NULL: none */
    bool is_graph;  /* new constants: initializers, or Constant nodes */
    int64_t source; /* the opset of the nodes */
    struct types types;
    struct list nodes;        /* nodes that are raised already */
    struct list initializers; /* new initializers */
    struct map constants;     /* names of new constants, by type and value */
};

/* One change, applied to one node. */
struct rewrite {
    struct upgrade_scope *scope;
    struct model *model;
    int64_t version;           /* the opset of the node and of all new nodes afterwards */
    struct list before, after; /* new nodes */
    bool is_refused;
};

/* Turns the node into the form of r->version. Returns false if out of memory, or with an
 * error. */
typedef bool rewrite_fn(struct rewrite *r, Onnx__NodeProto *node);

/* ---- refusing ------------------------------------------------------- */

/* Notes that the node can't be raised. Returns true, so that the other nodes are checked,
 * too. */
bool refuse(struct rewrite *r, const Onnx__NodeProto *node, const char *reason);

/* The same outside of a rewrite. */
void refuse_node(const struct upgrade_scope *scope, const Onnx__NodeProto *node,
                 const char *reason);

/* Whether the attribute refers to an attribute of the function, which callers set. */
bool is_reference(const Onnx__AttributeProto *attribute);

/* ---- new nodes ------------------------------------------------------ */

/* Makes a node with one output, and puts it before or after the current node. The output
 * gets a fresh name or, in node_after, the name `output`. Inputs are not copied. Returns
 * NULL if out of memory. */
Onnx__NodeProto *node_before(struct rewrite *r, const Onnx__NodeProto *node,
                             const char *op_type, const char *const *inputs,
                             size_t count);
Onnx__NodeProto *node_after(struct rewrite *r, const char *op_type,
                            const char *const *inputs, size_t count, const char *output);

/* Gives output 0 a fresh name, so that another node can take the old name. Returns the
 * old name. Returns NULL if out of memory, or if the node was refused because it has no
 * outputs. */
const char *node_detach(struct rewrite *r, Onnx__NodeProto *node);

/* Keeps only the first `count` outputs. */
bool node_cut_outputs(struct rewrite *r, Onnx__NodeProto *node, size_t count);

/* ---- constants ------------------------------------------------------ */

/* These return the name of a constant, or NULL if out of memory. */
const char *constant_ints(struct rewrite *r, const Onnx__NodeProto *node,
                          const char *suffix, const int64_t *values, size_t count);
const char *constant_int(struct rewrite *r, const Onnx__NodeProto *node,
                         const char *suffix, int64_t value);
const char *constant_floats(struct rewrite *r, const Onnx__NodeProto *node,
                            const char *suffix, const float *values, size_t count);

/* A scalar with the type of the value `like`. */
const char *constant_like(struct rewrite *r, const Onnx__NodeProto *node,
                          const char *suffix, float value, const char *like);

/* ---- attributes that become inputs ----------------------------------- */

enum attribute_kind {
    ATTRIBUTE_INTS,    /* a list of int64 */
    ATTRIBUTE_FLOATS,  /* a list of float */
    ATTRIBUTE_INT,     /* an int64 scalar */
    ATTRIBUTE_ONE_INT, /* a list with one int64 */
};

/* Removes the attribute from the node. Sets *value to the name of a constant with its
 * value, or to "" if it is absent or an empty list. Returns false if out of memory, or if
 * the node was refused (r->is_refused). */
bool attribute_to_value(struct rewrite *r, Onnx__NodeProto *node, const char *name,
                        enum attribute_kind kind, const char **value);

/* The same for one float, as a scalar with the type of the value `like`. */
bool attribute_to_scalar(struct rewrite *r, Onnx__NodeProto *node, const char *name,
                         const char *like, const char **value);

#endif

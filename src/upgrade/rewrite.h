/* What rewrites are made of: the node at hand, nodes put before and behind it,
 * constants, and attributes that become inputs. */
#ifndef NIBBLE_UPGRADE_REWRITE_H
#define NIBBLE_UPGRADE_REWRITE_H

#include "onnx/node.h"
#include "onnx/tensor.h"
#include "upgrade/survey.h"
#include "upgrade/types.h"

/* A list that grows in the arena; cheap to append to. */
struct list {
    void **items;
    size_t count, capacity;
};

bool list_append(struct model *model, struct list *list, void *item);
bool list_reserve(struct model *model, struct list *list, size_t capacity);

/* Nodes that can't be raised: a line for each, as many as a message holds. */
struct refusals {
    size_t count, listed, length;
    char lines[3200];
};

/* One upgrade of one model. */
struct upgrade {
    struct model *model;
    struct arena *arena; /* of what is gone when it is done */
    struct error *err;
    int64_t target;
    struct survey survey;
    struct refusals refusals;
    struct map dropped; /* names that no node makes any more */
};

/* A graph or a function whose nodes are being raised. */
struct place {
    struct upgrade *upgrade;
    const struct place *outer; /* whose constants may be used here; NULL: none */
    Onnx__FunctionProto
        *function;  /* that the nodes belong to, bodies in it included; or NULL */
    bool is_graph;  /* new constants are initializers; else Constant nodes */
    int64_t source; /* opset of the nodes */
    struct types types;
    struct list nodes;        /* the raised ones */
    struct list initializers; /* new ones */
    struct map constants;     /* their names, by type and value */
};

/* One change applied to one node. */
struct rewrite {
    struct place *place;
    struct model *model;
    int64_t version;           /* whose form the node and all new ones have afterwards */
    struct list before, after; /* new nodes */
    bool is_refused;
};

/* Turns the node into the form of r->version. False: out of memory, or an error
 * that has been set. */
typedef bool rewrite_fn(struct rewrite *r, Onnx__NodeProto *node);

/* ---- refusing ------------------------------------------------------- */

/* Says that the node can't be raised. Returns true: the other nodes are looked at, too.
 */
bool refuse(struct rewrite *r, const Onnx__NodeProto *node, const char *reason);

/* The same outside of a rewrite. */
void refuse_node(const struct place *place, const Onnx__NodeProto *node,
                 const char *reason);

/* True for an attribute whose value the function's caller gives. */
bool is_reference(const Onnx__AttributeProto *attribute);

/* ---- new nodes ------------------------------------------------------ */

/* A node with one output, put before the node or behind it; NULL: out of memory. Its
 * output gets a fresh name or, in node_after, the name `output`. Inputs are referred
 * to, not copied. */
Onnx__NodeProto *node_before(struct rewrite *r, const Onnx__NodeProto *node,
                             const char *op_type, const char *const *inputs,
                             size_t count);
Onnx__NodeProto *node_after(struct rewrite *r, const char *op_type,
                            const char *const *inputs, size_t count, const char *output);

/* Gives output 0 a fresh name for another node to take in; returns the old name. NULL:
 * out of memory, or refused because there are no outputs. */
const char *node_detach(struct rewrite *r, Onnx__NodeProto *node);

/* Keeps the first `count` outputs; what is known of the others is dropped with them. */
bool node_cut_outputs(struct rewrite *r, Onnx__NodeProto *node, size_t count);

/* ---- constants: the name of a value, NULL when out of memory ---------- */

const char *constant_ints(struct rewrite *r, const Onnx__NodeProto *node,
                          const char *suffix, const int64_t *values, size_t count);
const char *constant_int(struct rewrite *r, const Onnx__NodeProto *node,
                         const char *suffix, int64_t value);
const char *constant_floats(struct rewrite *r, const Onnx__NodeProto *node,
                            const char *suffix, const float *values, size_t count);

/* A scalar of the type that the value `like` has. */
const char *constant_like(struct rewrite *r, const Onnx__NodeProto *node,
                          const char *suffix, float value, const char *like);

/* ---- attributes that become inputs ----------------------------------- */

enum attribute_form {
    FORM_INTS,   /* a list of int64 */
    FORM_FLOATS, /* a list of float */
    FORM_INT,    /* an int64 scalar */
    FORM_ONE,    /* a list that holds one int64 */
};

/* Takes the attribute off the node and sets *value to the name of a value that holds
 * it: "" where it is absent or an empty list. False: out of memory, or refused
 * (r->is_refused). */
bool attribute_to_value(struct rewrite *r, Onnx__NodeProto *node, const char *name,
                        enum attribute_form form, const char **value);

/* The same for one float, as a scalar of the type of the value `like`. */
bool attribute_to_scalar(struct rewrite *r, Onnx__NodeProto *node, const char *name,
                         const char *like, const char **value);

#endif

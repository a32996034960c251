/* Nodes and attributes: looking at them and making new ones. Everything made is
 * in the model's arena; NULL or false means out of memory. */
#ifndef NIBBLE_ONNX_NODE_H
#define NIBBLE_ONNX_NODE_H

#include "onnx/model.h"

#include <string.h>

/* Whether two names are equal. Most differ in their first letter, so a search in a table
 * needs few calls. */
static inline bool name_is(const char *a, const char *b)
{
    return *a == *b && strcmp(a, b) == 0;
}

/* Domains of operators. "" and "ai.onnx" are the same one. */
#define STANDARD  ""
#define MICROSOFT "com.microsoft"
bool domain_is_standard(const char *domain);
bool domain_same(const char *a, const char *b);

/* Whether the node is that operator of the standard domain. */
bool node_is(const Onnx__NodeProto *node, const char *op_type);

/* Whether the node is one of those operators of the standard domain. NULL ends the list.
 */
bool node_is_one_of(const Onnx__NodeProto *node, const char *const *op_types);

/* Whether the node is that operator of that domain. "" is the standard one. */
bool node_is_in(const Onnx__NodeProto *node, const char *domain, const char *op_type);

/* The name of an input or output. "" if it is absent or left out. */
const char *node_input(const Onnx__NodeProto *node, size_t index);
const char *node_output(const Onnx__NodeProto *node, size_t index);

/* The node in messages: its name, or "(unnamed)" with its first output. */
const char *node_label(struct model *model, const Onnx__NodeProto *node);

/* ---- attributes ----------------------------------------------------- */

Onnx__AttributeProto *node_attribute(const Onnx__NodeProto *node, const char *name);
int64_t node_int(const Onnx__NodeProto *node, const char *name, int64_t absent);
float node_float(const Onnx__NodeProto *node, const char *name, float absent);

/* Whether a string attribute equals `value`. An absent attribute counts as `absent`. */
bool node_string_is(const Onnx__NodeProto *node, const char *name, const char *value,
                    const char *absent);

/* Sets an attribute, replacing one of that name. */
bool node_set_int(struct model *model, Onnx__NodeProto *node, const char *name,
                  int64_t value);
bool node_set_ints(struct model *model, Onnx__NodeProto *node, const char *name,
                   const int64_t *values, size_t count);
bool node_set_string(struct model *model, Onnx__NodeProto *node, const char *name,
                     const char *value);
bool node_set_tensor(struct model *model, Onnx__NodeProto *node, const char *name,
                     Onnx__TensorProto *value);

/* Removes an attribute. True if there was one. */
bool node_remove(Onnx__NodeProto *node, const char *name);

/* The same, but returns the attribute. NULL if there was none. */
Onnx__AttributeProto *node_take(Onnx__NodeProto *node, const char *name);

/* ---- nodes ---------------------------------------------------------- */

/* Makes a node of the standard domain. Strings are not copied. */
Onnx__NodeProto *node_new(struct model *model, const char *op_type, const char *name,
                          const char *const *inputs, size_t input_count,
                          const char *const *outputs, size_t output_count);

/* Sets input `index`, extending the list with "" as needed. */
bool node_set_input(struct model *model, Onnx__NodeProto *node, size_t index,
                    const char *name);

/* ---- lists of protobuf-c's form, T **items and size_t n ---------------- */

/* Puts `count` items before item `at`. Costs a copy of the list. */
bool list_insert(struct model *model, void *items, size_t *n, size_t at,
                 void *const *added, size_t count);

/* Keeps the items for which keep(context, item) is true, in their order. */
void list_filter(void *items, size_t *n, bool (*keep)(void *, const void *),
                 void *context);

#endif

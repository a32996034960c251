/* The weights of a model as its operators see them: float constants, whatever they are
 * made of, and where they are used. */
#ifndef NIBBLE_COMPARE_FOUND_H
#define NIBBLE_COMPARE_FOUND_H

#include "compare/coded.h"

/* One use of a weight. */
struct found {
    const struct value *value;
    const struct use *use;
    const struct coded_operator *coded; /* NULL: the value itself is the weight */
    const char *op_type;       /* of its consumer; "Gather" for rows of a table */
    const char *key;           /* what the consumer gives, by name */
    const char *node;          /* the consumer's name, "" if it has none */
    struct source codes, real; /* "" where it is made of none */
    bool is_used;              /* has been matched */
};

struct found_weights {
    struct model *model;
    struct graph_index index;
    struct evaluator evaluator;
    struct found *items;
    size_t count;
};

/* Finds the weights of the model in `file`. Free them also after a failure. */
bool found_read(struct found_weights *found, const struct file *file, struct error *err);
void found_free(struct found_weights *found);

/* A weight's values. False where they can't be computed. */
bool found_values(struct found_weights *found, const struct found *item,
                  struct array *out);

#endif

/* What each choice of type and granularity costs each weight: bytes and error. */
#ifndef NIBBLE_CHOICE_TABLE_H
#define NIBBLE_CHOICE_TABLE_H

#include "choose.h"
#include "core/map.h"

enum { FLOAT_CHOICE = BUDGET_CHOICES - 1 };

/* A weight. It stands for all items with its key. */
struct choice_entry {
    const char *key;
    uint64_t elements;
    bool out;      /* its values can't be quantized at all */
    bool fused;    /* with the first choice ONNX Runtime computes on its codes */
    size_t leader; /* the entry with equal values whose choice it shares, or itself */
    size_t slot;   /* for choose.c: the index of its weight among those to choose for */
};

struct choice_table {
    /* The options that it was made with. Their strings are copies in `strings`. */
    struct nibble_options options;
    char *strings;
    struct arena *arena; /* holds the keys */
    struct plan_choice rows[BUDGET_CHOICES];
    /* The number of rows without FLOAT_CHOICE. */
    size_t row_count;
    struct choice_entry *entries;
    struct budget_weight *weights; /* have the entries' indices */
    struct choice_layout *layouts; /* of each weight by row; NULL without calibration */
    size_t count;
    struct map index; /* by key: the index of the entry, plus 1 */
    bool again;       /* some weights need wider scales: all must be measured again */
};

/* The entry whose choice the entry `index` shares. */
size_t choice_table_leader(const struct choice_table *table, size_t index);

/* Measures all choices. NULL with an error. With calibration the table belongs to the
 * handle, and is made only if that has none for these options. */
struct choice_table *choice_table_make(const struct choose_input *input,
                                       struct progress_share *share, struct error *err);
void choice_table_free(struct choice_table *table); /* NULL is fine */

#endif

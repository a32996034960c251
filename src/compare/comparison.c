/* Making a comparison. All of it lies in one arena. comparison_text.c formats it. */
#include "compare/comparison.h"
#include "compare/match.h"
#include "onnx/node.h"
#include "report/report_files.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Smaller weights, and vectors, are no loss where a tool has folded them away. */
enum { MISSING_ELEMENTS = 1024, MISSING_RANK = 2 };

struct owned_comparison {
    struct nibble_comparison comparison; /* first: what the caller holds */
    struct arena *arena;
};

static double snr_db(const struct match *match)
{
    if (match->noise <= 0)
        return (double)INFINITY;
    return match->signal > 0 ? 10 * log10(match->signal / match->noise)
                             : -(double)INFINITY;
}

/* The operator that takes the codes. */
static const char *form_of(const struct found *item)
{
    const struct value *value = item->value;
    const char *form = item->coded ? or_empty(item->use->node->op_type) : "";
    while (!item->coded && value && !value_constant(value)) {
        form = or_empty(value->node->op_type);
        value = input_value(value->scope, value->node, 0);
    }
    return form;
}

static const char *type_of(const struct match *match)
{
    const struct found *item = match->counterpart;
    int64_t bits = item->coded ? coded_bits(item->use->node) : 0;
    if (!*item->codes.name)
        return item->real.type;
    if (bits == 0)
        return packed_type(&item->codes, match->elements);
    return bits == 2 ? "uint2" : bits == 4 ? "uint4" : "uint8";
}

static bool is_listed(const struct match *match)
{
    if (!match->counterpart)
        return match->elements >= MISSING_ELEMENTS && match->rank >= MISSING_RANK;
    return *match->counterpart->codes.name || match->noise > 0;
}

static bool describe(struct arena *arena, const struct match *match,
                     struct nibble_weight_error *out)
{
    const struct found *item = match->counterpart;
    int64_t *dims = arena_array(arena, match->rank, sizeof *dims);
    if (dims && match->rank > 0)
        memcpy(dims, match->dims, match->rank * sizeof *dims);
    *out = (struct nibble_weight_error){
        .name =
            arena_string(arena, *match->weight->real.name ? match->weight->real.name
                                                          : match->weight->value->name),
        .op_type = arena_string(arena, match->weight->op_type),
        .graph = arena_string(arena, match->weight->value->scope->path),
        .dims = dims,
        .rank = match->rank,
        .elements = match->elements,
        .found = item != NULL,
        .counterpart = "",
        .type = "",
        .form = "",
        .snr_db = item ? snr_db(match) : (double)NAN,
    };
    if (item) {
        out->counterpart =
            arena_string(arena, *item->codes.name ? item->codes.name : item->real.name);
        out->type = type_of(match);
        out->form = arena_string(arena, form_of(item));
    }
    return !arena_exhausted(arena) && dims && out->name && out->op_type && out->graph &&
           out->counterpart && out->form;
}

/* The least SNR first, those not found last; among equals, the order of the model. */
static int by_snr(const void *a, const void *b)
{
    const struct nibble_weight_error *x = *(const struct nibble_weight_error *const *)a;
    const struct nibble_weight_error *y = *(const struct nibble_weight_error *const *)b;
    if (x->found != y->found)
        return x->found ? -1 : 1;
    if (x->found && x->snr_db < y->snr_db)
        return -1;
    if (x->found && x->snr_db > y->snr_db)
        return 1;
    return x < y ? -1 : x > y; /* they lie in one array */
}

static bool fill(struct owned_comparison *made, const struct matches *matches)
{
    struct nibble_comparison *c = &made->comparison;
    size_t n = 0;
    struct nibble_weight_error *rows =
        arena_array(made->arena, matches->count, sizeof *rows);
    const struct nibble_weight_error **pointers =
        arena_array(made->arena, matches->count, sizeof *pointers);
    if (!rows || !pointers)
        return false;
    for (size_t i = 0; i < matches->count; i++) {
        const struct match *match = &matches->items[i];
        if (!is_listed(match)) {
            c->unchanged += match->counterpart != NULL;
            continue;
        }
        if (!describe(made->arena, match, &rows[n]))
            return false;
        c->missing += !match->counterpart;
        pointers[n] = &rows[n];
        n++;
    }
    if (n > 1)
        qsort(pointers, n, sizeof *pointers, by_snr);
    c->weights = pointers;
    c->weight_count = n;
    return true;
}

static struct nibble_comparison *make(const char *model, const char *quantized,
                                      const struct matches *matches)
{
    struct arena *arena = arena_create(ARENA_NO_CAP);
    struct owned_comparison *made = arena ? arena_alloc(arena, sizeof *made) : NULL;
    if (!made) {
        arena_destroy(arena);
        return NULL;
    }
    made->arena = arena;
    made->comparison.model = arena_string(arena, model);
    made->comparison.quantized = arena_string(arena, quantized);
    if (fill(made, matches) && made->comparison.model && made->comparison.quantized)
        return &made->comparison;
    arena_destroy(arena);
    return NULL;
}

/* Writes the reports that the options ask for. */
static bool write_reports(const struct nibble_comparison *made,
                          struct output *const reports[STORE_REPORTS],
                          const struct model *first, const struct model *second,
                          struct error *err)
{
    const struct store nothing = {0};
    if (!report_files_any(reports))
        return true;
    char *text = nibble_comparison_json(made);
    bool ok = report_files_prepare(reports, text, err) &&
              store_check_reports(&nothing, first, reports, err) &&
              store_publish_reports(&nothing, second, reports, err);
    free(text);
    return ok;
}

static struct nibble_comparison *compare(struct found_weights *left,
                                         struct found_weights *right,
                                         const char *const names[2],
                                         const volatile int *cancel, struct error *err)
{
    struct matches matches = {0};
    struct nibble_comparison *made = NULL;
    if (match_weights(left, right, cancel, &matches, err) &&
        model_check_files(left->model, err) && model_check_files(right->model, err)) {
        made = make(names[0], names[1], &matches);
        if (!made)
            error_memory(err);
    }
    matches_free(&matches);
    return made;
}

struct nibble_comparison *comparison_make(const char *const names[2],
                                          struct file *const files[2],
                                          struct output *const reports[STORE_REPORTS],
                                          const volatile int *cancel, struct error *err)
{
    struct found_weights left = {0}, right = {0};
    struct nibble_comparison *made = NULL;
    if (found_read(&left, files[0], err) && found_read(&right, files[1], err))
        made = compare(&left, &right, names, cancel, err);
    if (made && !write_reports(made, reports, left.model, right.model, err)) {
        nibble_comparison_free(made);
        made = NULL;
    }
    found_free(&left);
    found_free(&right);
    return made;
}

void nibble_comparison_free(struct nibble_comparison *comparison)
{
    if (comparison)
        arena_destroy(((struct owned_comparison *)(void *)comparison)->arena);
}

/* Matching by place, by name and by values, in this order: names differ from tool to
 * tool, places are lost where operators are replaced. Every match is measured, so that
 * among several candidates the nearest is taken. */
#include "compare/match.h"
#include "compare/noise.h"
#include "core/map.h"
#include "core/set.h"
#include "onnx/node.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Matching by values: weights of fewer elements say too little, and a counterpart has at
 * least that much signal for its noise, as a power ratio. */
enum { MATCH_SAMPLES = 1024, LEAST_ELEMENTS = 256, LEAST_RATIO = 4 };

/* A float tensor of another name is the same weight only if it has nearly its values. */
enum { LEAST_RATIO_OF_FLOATS = 100 };

/* Items of the second model under one name. */
struct chain {
    struct found *item;
    struct chain *next;
};

struct matcher {
    struct found_weights *left, *right;
    const volatile int *cancel;
    struct arena *arena;
    struct map by_key, by_tensor, by_node; /* of struct chain */
    struct set named;                      /* pairs of tensors that are in `out` */
    struct matches *out;
    size_t room;
    struct error *err;
};

/* ---- names ------------------------------------------------------------ */

static bool put(struct matcher *m, struct map *map, const char *name, struct found *item)
{
    struct chain *link = arena_alloc(m->arena, sizeof *link);
    if (!link)
        return error_memory(m->err);
    *link = (struct chain){item, map_get(map, name)};
    return map_put(map, name, link) || error_memory(m->err);
}

/* "y" of "y_quantized" and the like, which stand between an operator's codes and y. */
static const char *plain_key(struct matcher *m, const char *key)
{
    static const char *const ends[] = {"_output_quantized", "_quantized",
                                       "_QuantizeLinear_Input"};
    size_t length = strlen(key);
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        size_t end = strlen(ends[i]);
        if (length > end && strcmp(key + length - end, ends[i]) == 0)
            return arena_printf(m->arena, "%.*s", (int)(length - end), key);
    }
    return key;
}

/* The longest name in `known` that `name` is, or begins with before a separator:
 * "layer.weight" of "layer.weight_Q4". */
static const char *stem(struct matcher *m, const struct map *known, const char *name)
{
    char *copy = arena_string(m->arena, name);
    for (size_t length = copy ? strlen(copy) : 0; length > 0; length--) {
        bool ends = copy[length] == '\0' || !isalnum((unsigned char)copy[length]);
        copy[length] = '\0';
        if (ends && map_get(known, copy))
            return copy;
    }
    return NULL;
}

static bool know(const struct found_weights *found, struct map *tensors,
                 struct map *nodes)
{
    for (size_t i = 0; i < found->count; i++) {
        struct found *item = &found->items[i];
        if (*item->real.name && !map_put(tensors, item->real.name, item))
            return false;
        if (*item->node && !map_put(nodes, item->node, item))
            return false;
    }
    return true;
}

static const char *source_name(const struct found *item)
{
    return *item->codes.name ? item->codes.name : item->real.name;
}

static bool index_one(struct matcher *m, const struct map *tensors,
                      const struct map *nodes, struct found *item)
{
    const char *key = plain_key(m, item->key);
    const char *tensor = stem(m, tensors, source_name(item));
    const char *node = *item->node ? stem(m, nodes, item->node) : NULL;
    if (arena_exhausted(m->arena))
        return error_memory(m->err);
    return put(m, &m->by_key, key, item) &&
           (!tensor || put(m, &m->by_tensor, tensor, item)) &&
           (!node || put(m, &m->by_node, node, item));
}

static bool index_right(struct matcher *m)
{
    struct map tensors = {0}, nodes = {0};
    bool ok = know(m->left, &tensors, &nodes) || error_memory(m->err);
    for (size_t i = m->right->count; ok && i-- > 0;)
        ok = index_one(m, &tensors, &nodes, &m->right->items[i]);
    map_free(&tensors);
    map_free(&nodes);
    return ok;
}

/* ---- results ---------------------------------------------------------- */

/* Adds a match unless the same two tensors are in one already. */
static bool add(struct matcher *m, const struct found *weight, struct found *counterpart,
                const struct array *values, double noise)
{
    const char *name =
        arena_printf(m->arena, "%s\n%s\n%s", weight->value->scope->path,
                     source_name(weight), counterpart ? source_name(counterpart) : "");
    if (!name)
        return error_memory(m->err);
    if (counterpart)
        counterpart->is_used = true;
    if (set_has(&m->named, name))
        return true;
    if (!set_add(&m->named, name))
        return error_memory(m->err);
    if (m->out->count == m->room) {
        size_t larger = m->room ? 2 * m->room : 64;
        struct match *items = realloc(m->out->items, larger * sizeof *items);
        if (!items)
            return error_memory(m->err);
        m->out->items = items;
        m->room = larger;
    }
    struct match *match = &m->out->items[m->out->count++];
    *match = (struct match){.weight = weight,
                            .counterpart = counterpart,
                            .rank = values->rank,
                            .elements = values->count,
                            .signal = signal_of(values),
                            .noise = noise};
    for (size_t i = 0; i < values->rank; i++)
        match->dims[i] = (int64_t)values->dims[i];
    return true;
}

/* Whether the tensor goes into an operator of some tool's own instead of the weight's.
 * What that makes of it is not known: Quark rounds float weights so when the model runs.
 */
static bool is_hidden(const struct found *weight, const struct found *item)
{
    const Onnx__NodeProto *node = item->coded ? NULL : item->use->node;
    return node && strcmp(item->op_type, weight->op_type) != 0 &&
           !domain_is_standard(node->domain) &&
           strcmp(or_empty(node->domain), MICROSOFT) != 0;
}

/* Whether so much noise may be between a weight and this counterpart. */
static bool is_plausible(const struct found *weight, const struct found *item,
                         const struct array *values, double noise)
{
    bool is_known = *item->codes.name || strcmp(weight->real.name, item->real.name) == 0;
    return is_known ? !isinf(noise) : noise * LEAST_RATIO_OF_FLOATS <= signal_of(values);
}

/* The nearest of a chain. */
static struct found *nearest(struct matcher *m, const struct found *weight,
                             const struct chain *chain, const struct array *values,
                             double *noise)
{
    struct found *best = NULL;
    for (; chain; chain = chain->next) {
        struct array other;
        if (is_hidden(weight, chain->item) ||
            !found_values(m->right, chain->item, &other))
            continue;
        double found = noise_of(values, &other);
        if ((!best || found < *noise) &&
            is_plausible(weight, chain->item, values, found)) {
            best = chain->item;
            *noise = found;
        }
        array_free(&other);
        if (best && *noise == 0)
            break;
    }
    return best;
}

static bool match_one(struct matcher *m, const struct found *weight, bool *matched)
{
    const struct chain *chains[] = {
        map_get(&m->by_key, weight->key),
        map_get(&m->by_tensor, weight->real.name),
        *weight->node ? map_get(&m->by_node, weight->node) : NULL,
    };
    struct array values;
    *matched = false;
    if (!found_values(m->left, weight, &values))
        return m->err->status == STATUS_OK;
    bool ok = true;
    for (size_t i = 0; ok && !*matched && i < sizeof chains / sizeof *chains; i++) {
        double noise = 0;
        struct found *best = nearest(m, weight, chains[i], &values, &noise);
        ok = m->err->status == STATUS_OK &&
             (!best || add(m, weight, best, &values, noise));
        *matched = best != NULL;
    }
    array_free(&values);
    return ok && !cancelled(m->cancel, m->err);
}

/* ---- by values -------------------------------------------------------- */

/* Values at places spread over a weight, as it lies and with its last axes exchanged. */
struct sample {
    struct found *item;
    uint64_t count;
    float straight[MATCH_SAMPLES], transposed[MATCH_SAMPLES];
};

static uint64_t exchanged(uint64_t index, uint64_t rows, uint64_t columns)
{
    uint64_t each = rows * columns, inside = index % each;
    return index - inside + inside % columns * rows + inside / columns;
}

static void take_sample(const struct array *array, struct sample *sample)
{
    uint64_t dims[ARRAY_RANK_MAX];
    size_t rank = array_squeezed(array, dims);
    uint64_t columns = rank > 1 ? dims[rank - 2] : 1; /* of the other one's rows */
    uint64_t rows = rank > 1 ? dims[rank - 1] : 1;
    sample->count = array->count;
    for (uint64_t i = 0; i < MATCH_SAMPLES; i++) {
        uint64_t at = (uint64_t)((double)array->count * (double)i / MATCH_SAMPLES);
        sample->straight[i] = array->values[at];
        sample->transposed[i] =
            rank > 1 ? array->values[exchanged(at, rows, columns)] : array->values[at];
    }
}

static double sampled_noise(const float *a, const float *b)
{
    double sum = 0;
    for (size_t i = 0; i < MATCH_SAMPLES; i++)
        sum += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
    return isnan(sum) ? (double)INFINITY : sum;
}

static bool sample_codes(struct matcher *m, struct sample **samples, size_t *count)
{
    for (size_t i = 0; i < m->right->count; i++) {
        struct found *item = &m->right->items[i];
        struct array values;
        if (item->is_used || !*item->codes.name || !found_values(m->right, item, &values))
            continue;
        if (values.count >= LEAST_ELEMENTS) {
            struct sample *larger = realloc(*samples, (*count + 1) * sizeof *larger);
            if (!larger) {
                array_free(&values);
                return error_memory(m->err);
            }
            *samples = larger;
            larger[*count] = (struct sample){.item = item};
            take_sample(&values, &larger[(*count)++]);
        }
        array_free(&values);
        if (cancelled(m->cancel, m->err))
            return false;
    }
    return m->err->status == STATUS_OK;
}

/* The sample nearest to the values, if it is near. */
static struct found *resembling(const struct sample *samples, size_t count,
                                const struct array *values)
{
    struct sample own = {0};
    double signal = 0, least = 0;
    struct found *best = NULL;
    take_sample(values, &own);
    for (size_t i = 0; i < MATCH_SAMPLES; i++)
        signal += (double)own.straight[i] * (double)own.straight[i];
    for (size_t i = 0; i < count; i++) {
        if (samples[i].count != own.count)
            continue;
        double noise = fmin(sampled_noise(own.straight, samples[i].straight),
                            sampled_noise(own.straight, samples[i].transposed));
        if (noise * LEAST_RATIO < signal && (!best || noise < least)) {
            best = samples[i].item;
            least = noise;
        }
    }
    return best;
}

static bool match_by_values(struct matcher *m, const struct found *weight,
                            const struct sample *samples, size_t count)
{
    struct array values;
    if (!found_values(m->left, weight, &values))
        return m->err->status == STATUS_OK;
    struct found *best =
        values.count >= LEAST_ELEMENTS ? resembling(samples, count, &values) : NULL;
    struct chain link = {best, NULL};
    double noise = 0;
    if (best)
        best = nearest(m, weight, &link, &values, &noise);
    bool ok = m->err->status == STATUS_OK && add(m, weight, best, &values, noise);
    array_free(&values);
    return ok;
}

static bool match_rest(struct matcher *m, const struct found **rest, size_t rest_count)
{
    struct sample *samples = NULL;
    size_t count = 0;
    bool ok = rest_count == 0 || sample_codes(m, &samples, &count);
    for (size_t i = 0; ok && i < rest_count; i++)
        ok = match_by_values(m, rest[i], samples, count) && !cancelled(m->cancel, m->err);
    free(samples);
    return ok;
}

/* ---- all --------------------------------------------------------------- */

static bool match_all(struct matcher *m)
{
    size_t rest_count = 0;
    const struct found **rest = calloc(m->left->count + 1, sizeof *rest);
    bool ok = rest ? index_right(m) : error_memory(m->err);
    for (size_t i = 0; ok && i < m->left->count; i++) {
        bool matched;
        ok = match_one(m, &m->left->items[i], &matched);
        if (!matched)
            rest[rest_count++] = &m->left->items[i];
    }
    ok = ok && match_rest(m, rest, rest_count);
    free(rest);
    return ok;
}

bool match_weights(struct found_weights *left, struct found_weights *right,
                   const volatile int *cancel, struct matches *matches, struct error *err)
{
    struct matcher m = {.left = left,
                        .right = right,
                        .cancel = cancel,
                        .arena = arena_create(ARENA_NO_CAP),
                        .out = matches,
                        .err = err};
    *matches = (struct matches){0};
    bool ok = m.arena ? match_all(&m) : error_memory(err);
    map_free(&m.by_key);
    map_free(&m.by_tensor);
    map_free(&m.by_node);
    set_free(&m.named);
    arena_destroy(m.arena);
    return ok;
}

void matches_free(struct matches *matches)
{
    free(matches->items);
    *matches = (struct matches){0};
}

/* The conversion: types, choice, changes. And the values of constants in float16. */
#include "compute/compute_graph.h"
#include "core/pages.h"
#include "onnx/external.h"
#include "onnx/imports.h"
#include "quant/half.h"
#include "upgrade/upgrade.h"

#include <string.h>

enum { SCRATCH_MIN = 1 << 20 }; /* fewer bytes need no temporary file */

static uint8_t *half_room(struct compute *c, uint64_t size, const struct file **file)
{
    if (size >= SCRATCH_MIN) {
        *file = external_scratch(c->model, size, c->err);
        return *file ? (uint8_t *)(uintptr_t)(*file)->data : NULL;
    }
    arena_extend(c->model->arena, (size_t)size + 64);
    uint8_t *room = arena_alloc(c->model->arena, (size_t)size + 1);
    if (!room)
        error_memory(c->err);
    return room;
}

const struct payload *compute_halve(struct compute *c, const struct payload *payload)
{
    enum { PIECE = 1 << 10 };
    struct pages pages = {0};
    const struct file *file = NULL;
    const uint64_t count = payload->size / sizeof(float);
    uint8_t *room = half_room(c, count * sizeof(uint16_t), &file);
    float values[PIECE];
    uint16_t halves[PIECE];
    for (uint64_t at = 0; room && at < count; at += PIECE) {
        size_t n = count - at < PIECE ? (size_t)(count - at) : PIECE;
        const uint8_t *data = payload->data + at * sizeof *values;
        pages_read(&pages, payload->file, data, n * sizeof *values);
        memcpy(values, data, n * sizeof *values);
        for (size_t i = 0; i < n; i++)
            halves[i] = half_narrow(values[i]);
        memcpy(room + at * sizeof *halves, halves, n * sizeof *halves);
    }
    pages_end(&pages);
    const struct payload *made =
        room ? payload_add(&c->model->payloads, room, count * sizeof(uint16_t), file)
             : NULL;
    if (!made)
        error_memory(c->err);
    return made;
}

/* Whether the node has a float32 value, before the change. */
static bool is_float(const struct compute *c, const struct node_state *n)
{
    for (size_t i = 0; i < n->node->n_output; i++) {
        const struct value *value = output_value(n->scope, n->node, i);
        if (value && state_of(c, value)->element == DATA_FLOAT)
            return !node_is(n->node, "Constant");
    }
    return false;
}

static void count_nodes(const struct compute *c, struct compute_counts *counts)
{
    for (size_t i = 0; i < c->node_count; i++) {
        counts->float16 += c->nodes[i].converts;
        counts->float32 += !c->nodes[i].converts && is_float(c, &c->nodes[i]);
    }
}

bool compute_float16(struct model *model, bool io, struct compute_counts *counts,
                     struct error *err)
{
    enum {
        OPSET_MIN = 7,         /* before, Add and the like broadcast in another way */
        IR_OPTIONAL_INPUTS = 4 /* since then, initializers need not be inputs */
    };
    struct compute c = {
        .model = model, .err = err, .io = io, .opset = model_opset(model)};
    *counts = (struct compute_counts){0};
    if (c.opset < OPSET_MIN)
        return error_set(
            err, STATUS_UNSUPPORTED,
            "%s: opset %lld is too low for --compute float16, which needs %d",
            model->file->path, (long long)c.opset, OPSET_MIN);
    bool ok = model_raise_ir(model, IR_OPTIONAL_INPUTS, err) &&
              graph_index(model, &c.index, err) && compute_list(&c) && compute_choose(&c);
    if (ok)
        count_nodes(&c, counts);
    ok = ok && compute_rewrite(&c);
    graph_index_free(&c.index);
    return ok;
}

/* A program for tests in Python: evaluates the outputs of a model that has constants
 * only. Prints for each output "NAME TYPE DIM...", and in the next line its bytes in hex,
 * or "not constant". */
#include "constants/evaluate.h"

#include <stdio.h>
#include <stdlib.h>

static void print_constant(const struct constant *constant)
{
    uint64_t size = constant_elements(constant) * constant_width(constant->data_type);
    printf(" %d", constant->data_type);
    for (size_t i = 0; i < constant->rank; i++)
        printf(" %llu", (unsigned long long)constant->dims[i]);
    puts("");
    for (uint64_t i = 0; i < size; i++)
        printf("%02x", constant->data[i]);
    puts("");
}

/* The dims and the type must be the same without values. */
static bool is_same(const struct constant *a, const struct constant *b)
{
    bool same = a->rank == b->rank && a->data_type == b->data_type;
    for (size_t i = 0; same && i < a->rank; i++)
        same = a->dims[i] == b->dims[i];
    return same;
}

static bool print_output(struct evaluator *e, const char *name, struct error *err)
{
    const struct value *value = scope_find(e->index->main, name);
    struct constant dry, made;
    printf("%s", name);
    evaluator_reset(e);
    bool known = value && evaluate_shape_of(e, value, &dry);
    evaluator_reset(e);
    if (!known || !evaluate(e, value, &made)) {
        puts(" not constant");
        return err->status == STATUS_OK;
    }
    bool ok = is_same(&dry, &made) && constant_pack(&made, false, err);
    if (ok)
        print_constant(&made);
    constant_free(&made);
    return ok;
}

int main(int argc, char **argv)
{
    struct error err = {0};
    struct graph_index index = {0};
    struct evaluator e = {0};
    struct file *file = argc == 2 ? file_open(argv[1], NULL, &err) : NULL;
    struct model *model = file ? model_load(file, &err) : NULL;
    bool ok = model && graph_index(model, &index, &err) &&
              evaluator_begin(&e, model, &index, &err);
    const Onnx__GraphProto *graph = ok ? model->proto->graph : NULL;
    for (size_t i = 0; ok && i < graph->n_output; i++)
        ok = print_output(&e, or_empty(graph->output[i]->name), &err);
    if (!ok)
        fprintf(stderr, "%s\n", err.message);
    evaluator_end(&e);
    graph_index_free(&index);
    model_free(model);
    file_close(file);
    return !ok;
}

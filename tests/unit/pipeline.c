/* The stages up to the skeleton, without nibble.c. */
#include "pipeline.h"
#include "onnx/write.h"

#include <string.h>

struct plan_options plan_defaults(void)
{
    return (struct plan_options){
        .scheme = {.type = QUANT_INT4, .symmetric = true, .method = QUANT_RTN},
        .granularity = GRANULARITY_DEFAULT,
        .min_elements = 1,
    };
}

static void free_index(void *index)
{
    graph_index_free(index);
}

static void free_plan(void *plan)
{
    plan_free(plan);
}

static void free_output(void *output)
{
    output_free(output);
}

struct pipeline *pipeline_plan(const Onnx__ModelProto *proto,
                               const struct plan_options *options)
{
    struct error err = {0};
    struct pipeline *pipeline = hold(sizeof *pipeline);
    pipeline->model = read_proto(proto);
    at_end(free_index, &pipeline->index);
    assert_true(graph_index(pipeline->model, &pipeline->index, &err));
    at_end(free_plan, &pipeline->plan);
    bool ok =
        plan_make(pipeline->model, &pipeline->index, options, &pipeline->plan, &err);
    assert_fine(&err);
    assert_true(ok);
    return pipeline;
}

struct plan_item *item_named(struct pipeline *pipeline, const char *name)
{
    for (size_t i = 0; i < pipeline->plan.count; i++)
        if (strcmp(pipeline->plan.items[i].value->name, name) == 0)
            return &pipeline->plan.items[i];
    fail_msg("the plan has no item '%s'", name);
    return NULL;
}

/* Bytes in place of the payload, as protobuf-c wants them. */
static bool give_bytes(void *context, Onnx__TensorProto *tensor)
{
    (void)context;
    if (!tensor->has_raw_data)
        return true;
    const struct payload *payload = tensor_payload(tensor);
    tensor->raw_data.data = (uint8_t *)(uintptr_t)payload->data;
    if (!payload->data)
        tensor->raw_data.data = hold((size_t)payload->size + 1);
    return true;
}

Onnx__ModelProto *pipeline_bytes(struct pipeline *pipeline)
{
    assert_true(model_tensors(pipeline->model, give_bytes, NULL));
    return unpack(pack(pipeline->model->proto));
}

Onnx__ModelProto *pipeline_emit(struct pipeline *pipeline)
{
    struct error err = {0};
    assert_true(emit_plan(pipeline->model, &pipeline->index, &pipeline->plan,
                          &pipeline->tensors, &err));
    assert_fine(&err);
    return pipeline_bytes(pipeline);
}

struct output *pipeline_write(struct pipeline *pipeline, const char *path)
{
    struct error err = {0};
    assert_true(emit_plan(pipeline->model, &pipeline->index, &pipeline->plan,
                          &pipeline->tensors, &err));
    struct output *output = output_create(path, NULL, &err);
    assert_fine(&err);
    at_end(free_output, output);
    assert_true(model_write(pipeline->model, model_size(pipeline->model), output, &err));
    assert_true(model_write_payloads(pipeline->model, &err));
    assert_fine(&err);
    return output;
}

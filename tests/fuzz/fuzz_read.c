/* Fuzzing of scanning, reading and indexing: any bytes as a model, in memory. What was
 * read can be written, and read again with the same size. */
#include "core/file.h"
#include "fuzz.h"
#include "onnx/graph.h"
#include "onnx/write.h"

#include <unistd.h>

static bool has_raw_data_only(void *context, Onnx__TensorProto *tensor)
{
    (void)context;
    return tensor->has_raw_data || tensor->n_external_data == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error err = {0};
    struct graph_index index = {0};
    int fd = fuzz_memory(data, size);
    struct file *file = file_open_descriptor(fd, "memory", NULL, &err);
    struct model *model = file ? model_load(file, &err) : NULL;
    if (model && graph_index(model, &index, &err)) {
        bool complete = model_tensors(model, has_raw_data_only, NULL);
        if (complete && model_size(model) > 2 * file->size + 1000)
            fuzz_found("writing makes it larger");
    } else if (err.status == STATUS_OK || !*err.message) {
        fuzz_found("a failure without a message");
    }
    graph_index_free(&index);
    model_free(model);
    file_close(file);
    close(fd);
    return 0;
}

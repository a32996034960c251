/* Fuzzing of external locations: lines "KEY=VALUE" become the external data of one
 * tensor. Whatever they say, nibble reads nothing outside of the folder. */
#include "core/file.h"
#include "fuzz.h"
#include "onnx.pb-c.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ENTRIES = 8 };

/* Things beside the model that are no data: a pipe, a folder, and links. */
static void make_traps(void)
{
    static bool made;
    char path[300];
    if (made)
        return;
    made = true;
    fuzz_path(path, sizeof path, "pipe");
    mkfifo(path, 0600);
    fuzz_path(path, sizeof path, "folder");
    mkdir(path, 0700);
    fuzz_path(path, sizeof path, "circle");
    (void)!symlink("circle", path);
    fuzz_path(path, sizeof path, "link");
    (void)!symlink("w", path);
}

static size_t split(char *text, Onnx__StringStringEntryProto *entries,
                    Onnx__StringStringEntryProto **list)
{
    size_t count = 0;
    char *save = NULL;
    for (char *line = strtok_r(text, "\n", &save); line && count < ENTRIES;
         line = strtok_r(NULL, "\n", &save)) {
        char *equals = strchr(line, '=');
        onnx__string_string_entry_proto__init(&entries[count]);
        entries[count].key = line;
        entries[count].value = equals ? equals + 1 : NULL;
        if (equals)
            *equals = '\0';
        list[count] = &entries[count];
        count++;
    }
    return count;
}

static void save_model(char *text)
{
    static char x[] = "X", w[] = "W", y[] = "Y", type[] = "MatMul";
    char *input[] = {x, w}, *output[] = {y};
    static int64_t dims[] = {32, 8};
    Onnx__StringStringEntryProto entries[ENTRIES], *list[ENTRIES];
    Onnx__TensorProto tensor = ONNX__TENSOR_PROTO__INIT, *tensors[] = {&tensor};
    Onnx__NodeProto node = ONNX__NODE_PROTO__INIT, *nodes[] = {&node};
    Onnx__GraphProto graph = ONNX__GRAPH_PROTO__INIT;
    Onnx__ModelProto model = ONNX__MODEL_PROTO__INIT;
    tensor.name = input[1];
    tensor.dims = dims;
    tensor.n_dims = 2;
    tensor.has_data_type = tensor.has_data_location = true;
    tensor.data_type = 1;
    tensor.data_location = ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL;
    tensor.n_external_data = split(text, entries, list);
    tensor.external_data = list;
    node.op_type = type;
    node.input = input;
    node.n_input = 2;
    node.output = output;
    node.n_output = 1;
    graph.node = nodes;
    graph.initializer = tensors;
    graph.n_node = graph.n_initializer = 1;
    model.graph = &graph;
    model.has_ir_version = true;
    model.ir_version = 8;
    size_t size = onnx__model_proto__get_packed_size(&model);
    uint8_t *bytes = malloc(size);
    if (!bytes)
        fuzz_found("no memory");
    onnx__model_proto__pack(&model, bytes);
    fuzz_save("m.onnx", bytes, size);
    free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char model[300], output[300];
    struct nibble_options options;
    struct nibble_error error = {0};
    char *text = calloc(1, size + 1);
    if (!text)
        fuzz_found("no memory");
    make_traps();
    if (size > 0)
        memcpy(text, data, size);
    save_model(text);
    fuzz_path(model, sizeof model, "m.onnx");
    fuzz_path(output, sizeof output, "out.onnx");
    int before = fuzz_entries();
    nibble_options_init(&options);
    options.min_elements = 1;
    options.threads = 1;
    options.verify = true;
    options.no_links = size % 2;
    if (nibble_quantize(model, output, &options, NULL, &error) != NIBBLE_STATUS_OK &&
        !*error.message)
        fuzz_found("a failure without a message");
    fuzz_remove("out.onnx");
    if (fuzz_entries() != before)
        fuzz_found("a file is left");
    free(text);
    return 0;
}

/* Fuzzing of upgrades: a byte for the opset, then any bytes as a model. What is written
 * can be read, and raising it once more changes nothing. */
#include "fuzz.h"

#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char model[300], output[300], again[300];
    struct nibble_options options;
    struct nibble_error error = {0};
    if (size < 1)
        return 0;
    fuzz_save("m.onnx", data + 1, size - 1);
    fuzz_path(model, sizeof model, "m.onnx");
    fuzz_path(output, sizeof output, "out.onnx");
    fuzz_path(again, sizeof again, "again.onnx");
    int64_t opset = 21 + data[0] % 10;
    int before = fuzz_entries();
    nibble_options_init(&options);
    options.verify = true;
    if (nibble_upgrade(model, output, opset, &options, &error) == NIBBLE_STATUS_OK) {
        if (nibble_upgrade(output, again, opset, &options, &error) != NIBBLE_STATUS_OK &&
            !strstr(error.message, "tensor '"))
            fuzz_found(error.message);
    } else if (!*error.message) {
        fuzz_found("a failure without a message");
    }
    fuzz_remove("out.onnx");
    fuzz_remove("again.onnx");
    if (fuzz_entries() != before)
        fuzz_found("a file is left");
    return 0;
}

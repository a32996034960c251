/* Fuzzing of statistics: any bytes as a file of safetensors for a small model. A file
 * that is refused adds nothing. Without OpenBLAS there is nothing to do. */
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static struct nibble_calibration *handle(void)
{
    static struct nibble_calibration *made;
    static bool tried;
    struct nibble_options options;
    char model[300];
    if (tried)
        return made;
    tried = true;
    fuzz_save_small("m.onnx");
    fuzz_path(model, sizeof model, "m.onnx");
    nibble_options_init(&options);
    options.min_elements = 1;
    if (nibble_calibration_create(model, &options, &made, NULL) != NIBBLE_STATUS_OK)
        fprintf(stderr, "no OpenBLAS: nothing is fuzzed\n");
    return made;
}

/* A file as nibble writes it, as a seed. */
static void save_seed(struct nibble_calibration *calibration)
{
    static float values[64 * 32];
    static const int64_t dims[] = {64, 32};
    const char *path = getenv("NIBBLE_SEED_FILE");
    const struct nibble_array array = {"X", 1, dims, 2, values};
    if (!path)
        return;
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        values[i] = (float)(i * 37 % 101) / 50 - 1;
    struct nibble_error error = {0};
    if (nibble_calibration_observe(calibration, &array, 1, &error) ||
        nibble_calibration_save(calibration, path, &error))
        fuzz_found(error.message);
    exit(0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[300];
    struct nibble_error error = {0};
    struct nibble_calibration *calibration = handle();
    if (!calibration)
        return 0;
    save_seed(calibration);
    fuzz_save("s.safetensors", data, size);
    fuzz_path(path, sizeof path, "s.safetensors");
    uint64_t before = nibble_calibration_runs(calibration);
    enum nibble_status status = nibble_calibration_load(calibration, path, &error);
    if (status != NIBBLE_STATUS_OK && nibble_calibration_runs(calibration) != before)
        fuzz_found("a failure has added runs");
    if ((status == NIBBLE_STATUS_OK) != !*error.message)
        fuzz_found("a status that is not the message");
    return 0;
}

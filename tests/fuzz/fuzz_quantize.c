/* Fuzzing of the whole pipeline: any bytes as a model, with any options. Nothing
 * may crash, leak or hang, no temporary file may stay, and what nibble writes
 * nibble can read. */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- one input: a few bytes of options, then the model ---------------- */

static const char *const outputs[] = {NULL, "out.onnx", "out.onnx.gz"};

/* Types for each weight, by a limit or by an SNR; 3: both, which is a mistake. */
static void choose(struct nibble_options *options, int how)
{
    if (how == 0)
        return;
    options->type = NIBBLE_TYPE_INT4;
    options->granularity = NIBBLE_GRANULARITY_DEFAULT;
    options->bits_per_weight = how & 1 ? 9.5 : 0;
    options->min_snr = how & 2 ? 20 : 0;
}

static struct nibble_options options_of(const uint8_t *bytes)
{
    static const char *const patterns[] = {NULL, "", "W", "^[a-z_]*$", "(a|b)*c"};
    static const size_t blocks[] = {0, 1, 2, 3, 16, 17, 32, 256, 1 << 20, SIZE_MAX};
    enum { PATTERNS = sizeof patterns / sizeof *patterns };
    enum { BLOCKS = sizeof blocks / sizeof *blocks };
    struct nibble_options options;
    nibble_options_init(&options);
    options.type = (enum nibble_type)(bytes[0] % 5); /* one too many, as others are */
    options.symmetry = (enum nibble_symmetry)(bytes[0] / 5 % 4);
    options.granularity = (enum nibble_granularity)(bytes[1] % 5);
    options.block_size = blocks[bytes[1] / 5 % BLOCKS];
    options.include = patterns[bytes[2] % PATTERNS];
    options.exclude = patterns[bytes[2] / PATTERNS % PATTERNS];
    options.min_elements = (size_t)(bytes[3] % 16) * 8;
    options.threads = bytes[3] / 16 % 4 == 3 ? 2 : 1;
    options.freeze = bytes[4] & 1;
    options.no_upgrade = bytes[4] & 2;
    options.external_data = bytes[4] & 4;
    options.force = bytes[4] & 8;
    options.cpu = bytes[4] & 16 ? "scalar" : NULL;
    options.wide_embeddings = bytes[4] & 32;
    options.copy_bytes = bytes[4] & 64 ? 64 : 1 << 20;
    options.decode = (enum nibble_decode)(bytes[6] % 5);
    options.format = (enum nibble_format)(bytes[6] / 5 % 3);
    options.target = (enum nibble_target)(bytes[6] / 15 % 3);
    options.verify = bytes[4] & 128;
    choose(&options, bytes[5] / 64);
    return options;
}

/* What was written is a model. Its tensors may be as malformed as they were. */
static void read_back(const char *path)
{
    struct nibble_options options;
    struct nibble_report *report = NULL;
    struct nibble_error error = {0};
    nibble_options_init(&options);
    options.min_elements = NIBBLE_MIN_ELEMENTS_DEFAULT - 1; /* nothing is quantized */
    if (nibble_quantize(path, NULL, &options, &report, &error) &&
        !strstr(error.message, "tensor '")) {
        fuzz_found(error.message);
    }
    nibble_report_free(report);
}

static void print_reports(const struct nibble_report *report)
{
    free(nibble_report_text(report, 80, true));
    free(nibble_report_json(report));
}

enum nibble_status fuzz_quantize(const uint8_t *data, size_t size)
{
    if (size < FUZZ_OPTION_BYTES)
        return NIBBLE_STATUS_INVALID;
    char model[300], output[300];
    struct nibble_options options = options_of(data);
    struct nibble_report *report = NULL;
    struct nibble_error error = {0};
    const char *name = outputs[data[5] % (sizeof outputs / sizeof *outputs)];
    bool upgrade = data[5] / 16 % 4 == 3;
    fuzz_save("m.onnx", data + FUZZ_OPTION_BYTES, size - FUZZ_OPTION_BYTES);
    fuzz_path(model, sizeof model, "m.onnx");
    fuzz_path(output, sizeof output, name ? name : "out.onnx");
    const char *target = name || upgrade ? output : NULL;
    int before = fuzz_entries();
    enum nibble_status status =
        upgrade ? nibble_upgrade(model, target, 21 + data[0] % 10, &options, &error)
                : nibble_quantize(model, target, &options, &report, &error);
    if (status != NIBBLE_STATUS_OK && (!*error.message || report))
        fuzz_found("a failure without a message, or with a report");
    if (report)
        print_reports(report);
    nibble_report_free(report);
    if (access(output, F_OK) == 0)
        read_back(output);
    fuzz_remove(name ? name : "out.onnx");
    if (fuzz_entries() != before)
        fuzz_found("a file is left");
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    (void)fuzz_quantize(data, size);
    return 0;
}

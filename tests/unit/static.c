/* The static library in a program that has functions of the same names as some inside
 * it: the program links, and each of the two calls its own. */
#include "nibble.h"

#include <stdio.h>

int map_put(void);
int arena_create(void);
int onnx__model_proto__unpack(void);
int quant_kernels(void);

static int calls;

int map_put(void)
{
    return ++calls;
}

int arena_create(void)
{
    return ++calls;
}

int onnx__model_proto__unpack(void)
{
    return ++calls;
}

int quant_kernels(void)
{
    return ++calls;
}

int main(int argc, char **argv)
{
    struct nibble_options options;
    struct nibble_report *report = NULL;
    struct nibble_error error;
    nibble_options_init(&options);
    if (argc != 2 || nibble_quantize(argv[1], NULL, &options, &report, &error)) {
        fprintf(stderr, "%s\n", argc == 2 ? error.message : "which model?");
        return 1;
    }
    size_t quantized = report->quantized;
    nibble_report_free(report);
    if (quantized == 0 || calls != 0) {
        fprintf(stderr, "%zu weights, and %d calls of the wrong functions\n", quantized,
                calls);
        return 1;
    }
    return map_put() + arena_create() + onnx__model_proto__unpack() + quant_kernels() !=
           1 + 2 + 3 + 4;
}

/* Presets: configs for loaders that want certain operators and layouts. */
#include "core/sizes.h"
#include "nibble.h"

#include <string.h>

/* Both loaders run MatMulNBits on blocks of 32 with activations in int8 (accuracy level
 * 4), on CPUs and on GPUs. Some of their kernels take no zero points, so codes are
 * symmetric. Other operators, such as Conv, get codes that need neither a type nor an
 * opset that a loader may lack. */
#define LOADER(rules)                                                             \
    "{\"format\": \"nbits-int8\", \"block-size\": 32, \"symmetric\": true, "      \
    "\"rules\": [\"?op=Conv|ConvTranspose|DeformConv|Einsum: decode=portable\", " \
    "\"?op=LSTM|GRU|RNN: decode=portable\", " rules                               \
    "\"?op=MatMul|Gemm|Gather: default\", \"?.*: decode=portable\"]"
#define MIXED_TYPES "\"?op=Gather: type=int8\", \"?role=head: type=int8\""

static const struct preset {
    const char *name, *config;
} presets[] = {
    {"transformers.js-q4", LOADER("") "}"},
    {"transformers.js-q4-mixed", LOADER(MIXED_TYPES ", ") "}"},
    {"transformers.js-q4f16", LOADER("") ", \"float16\": true}"},
    {"genai-int4", LOADER("") "}"},
    {"genai-int4-mixed", LOADER(MIXED_TYPES ", ") "}"},
    {"mixed", "{\"rules\": [" MIXED_TYPES "]}"},
};

const char *nibble_preset_name(size_t index)
{
    return index < COUNT_OF(presets) ? presets[index].name : NULL;
}

const char *nibble_preset_config(const char *name)
{
    for (size_t i = 0; i < COUNT_OF(presets); i++)
        if (strcmp(presets[i].name, name) == 0)
            return presets[i].config;
    return NULL;
}

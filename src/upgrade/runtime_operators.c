/* Operators that ONNX Runtime has in the standard domain beside those of ONNX. Its
 * optimizer, its model builder and its saved models contain them. The rows are the
 * schemas that ONNX Runtime registers. Operators that it gives up at opset 10 are left
 * out. */
#include "upgrade/operator_versions.h"

#include <string.h>

/* clang-format off */
static const struct operator_row rows[] = {
    {"DisentangledAttention_TRT", 1, 0, "0"},
    {"EfficientNMS_TRT", 1, 0, "?00?"},
    {"LayerNormalization", 1, 17, "1??"}, /* from 17 on it is an operator of ONNX */
    {"MemcpyFromHost", 1, 0, "0"},
    {"MemcpyToHost", 1, 0, "0"},
    {"MultilevelCropAndResize_TRT", 1, 0, "0"},
    {"PyramidROIAlign_TRT", 1, 0, "0"},
    {"SimplifiedLayerNormalization", 1, 0, "1?"},
    {"ThresholdedRelu", 1, 10, "0"}, /* from 10 on, likewise */
};
/* clang-format on */

const struct operator_row *runtime_operator_find(const char *name, int64_t opset)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strcmp(rows[i].name, name) == 0)
            return operator_exists(&rows[i], opset) ? &rows[i] : NULL;
    return NULL;
}

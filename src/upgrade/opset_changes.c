/* Every change of an operator of the standard domain, from opset 8 to 28, that removes
 * something or looks as if it did. Operators that only got new types, clearer words, or
 * new attributes that keep the old meaning by default are not listed. */
#include "upgrade/opset_changes.h"
#include "upgrade/families.h"

#include <string.h>

#define NOTHING NULL, NULL

const struct change changes[] = {
    {"BatchNormalization", 9, upgrade_batch_normalization_9, NULL,
     "spatial was removed: 1 is dropped, 0 becomes Flatten and Reshape around the node"},
    {"Scan", 9, NULL, "Scan of opset 8 has a batch axis that no later Scan has",
     "refused: the batch axis and sequence_lens were removed"},
    {"Upsample", 9, upgrade_upsample_9, NULL, "scales becomes input 1"},

    {"Dropout", 10, upgrade_dropout_10, NULL,
     "the mask became bool: an unused mask is dropped, a used one is refused"},
    {"Slice", 10, upgrade_slice_10, NULL,
     "starts, ends and axes become inputs; absent axes are written out"},
    {"TopK", 10, upgrade_topk_10, NULL, "k becomes input 1, a list of one"},
    {"Upsample", 10, upgrade_upsample_10, NULL,
     "was removed: becomes Resize, asymmetric, nearest_mode floor"},

    {"Clip", 11, upgrade_clip_11, NULL,
     "min and max become inputs 1 and 2, scalars of the data's type"},
    {"ConvTranspose", 11, NOTHING,
     "nothing: only the specification had swapped SAME_UPPER and SAME_LOWER"},
    {"Loop", 11, NOTHING, "nothing: it may now do without loop-carried values"},
    {"OneHot", 11, NOTHING,
     "nothing: runtimes already counted negative indices from the end"},
    {"Pad", 11, upgrade_pad_11, NULL,
     "pads becomes input 1; value becomes input 2, a scalar of the data's type, left out "
     "if it is 0 or the mode doesn't use it"},
    {"Resize", 11, upgrade_resize_11, NULL,
     "becomes asymmetric; nearest: floor if it enlarges, ceil if it shrinks, two nodes "
     "if it does both or scales aren't constant"},
    {"Scatter", 11, upgrade_scatter_11, NULL, "was removed: becomes ScatterElements"},

    {"Constant", 12, NOTHING, "nothing: exactly one value attribute, as before"},
    {"Dropout", 12, upgrade_dropout_12, NULL,
     "ratio is dropped; an unused mask is dropped, a used one is refused"},

    {"Cast", 13, NOTHING, "nothing: the specification now says what runtimes did"},
    {"DequantizeLinear", 13, NOTHING, "nothing: axis is for more than one scale"},
    {"Erf", 13, upgrade_erf_13, NULL,
     "integer types were removed: Cast to float and back"},
    {"Hardmax", 13, upgrade_softmax_13, NULL, "one axis: as Softmax"},
    {"LogSoftmax", 13, upgrade_softmax_13, NULL, "one axis: as Softmax"},
    {"MeanVarianceNormalization", 13, upgrade_mean_variance_13, NULL,
     "absent axes are written out; the default is the same"},
    {"QuantizeLinear", 13, NOTHING, "nothing: axis is for more than one scale"},
    {"ReduceSum", 13, upgrade_reduce, NULL, "axes becomes input 1"},
    {"Resize", 13, upgrade_resize_13, NULL,
     "tf_half_pixel_for_nn becomes half_pixel with the other rounding, or is refused; "
     "empty scales or sizes are left out"},
    {"Softmax", 13, upgrade_softmax_13, NULL,
     "one axis: axis = -1 if the cut was before the last axis, else Flatten before and "
     "Reshape after the node"},
    {"Split", 13, upgrade_split_13, NULL, "split becomes input 1"},
    {"Squeeze", 13, upgrade_squeeze_13, NULL, "axes becomes input 1"},
    {"Unsqueeze", 13, upgrade_unsqueeze_13, NULL, "axes becomes input 1"},

    {"BatchNormalization", 14, upgrade_batch_normalization_14, NULL,
     "five outputs meant training: training_mode = 1 and three outputs; refused if "
     "saved_mean or saved_var is used"},
    {"GRU", 14, NOTHING, "nothing: layout is 0 by default"},
    {"LSTM", 14, NOTHING, "nothing: layout is 0 by default"},
    {"RNN", 14, NOTHING, "nothing: layout is 0 by default"},
    {"Reshape", 14, NOTHING, "nothing: allowzero is 0 by default"},

    {"RoiAlign", 16, upgrade_roi_align_16, NULL,
     "coordinate_transformation_mode output_half_pixel is written out"},

    {"LayerNormalization", 17, upgrade_layer_normalization_17, NULL,
     "ONNX Runtime's own one, from before there was one: data and scale of different "
     "types "
     "are cast to the wider one"},

    {"OptionalHasElement", 18, NOTHING, "nothing: it accepts more than before"},
    {"ReduceL1", 18, upgrade_reduce, NULL, "axes becomes input 1"},
    {"ReduceL2", 18, upgrade_reduce, NULL, "axes becomes input 1"},
    {"ReduceLogSum", 18, upgrade_reduce, NULL, "axes becomes input 1"},
    {"ReduceLogSumExp", 18, upgrade_reduce, NULL, "axes becomes input 1"},
    {"ReduceMax", 18, upgrade_reduce, NULL, "axes becomes input 1"},
    {"ReduceMean", 18, upgrade_reduce, NULL, "axes becomes input 1"},
    {"ReduceMin", 18, upgrade_reduce, NULL, "axes becomes input 1"},
    {"ReduceProd", 18, upgrade_reduce, NULL, "axes becomes input 1"},
    {"ReduceSumSquare", 18, upgrade_reduce, NULL, "axes becomes input 1"},
    {"Split", 18, upgrade_split_18, NULL,
     "num_outputs is written out if input 1 is absent"},

    {"AveragePool", 19, NOTHING, "nothing: dilations are 1 by default"},

    {"DFT", 20, upgrade_dft_20, NULL, "axis becomes input 2, and is always written out"},
    {"GridSample", 20, upgrade_grid_sample_20, NULL,
     "mode bilinear becomes linear, bicubic becomes cubic"},

    {"GroupNormalization", 21, upgrade_group_normalization_21, NULL,
     "scale and bias are repeated, from one entry for each group to one for each "
     "channel; stash_type double for double data"},

    {"AveragePool", 22, NOTHING,
     "nothing: runtimes already left out windows that begin in the padding"},
    {"MaxPool", 22, NOTHING,
     "nothing: runtimes already left out windows that begin in the padding"},

    {"Attention", 24, NOTHING, "nothing: nonpad_kv_seqlen may be absent"},
    {"Cast", 24, NOTHING, "nothing: infinity saturates in float8 types, as before"},

    {"Range", 27, NOTHING, "nothing: stash_type concerns new types only"},

    {"Mod", 28, NOTHING, "nothing: fmod = 0 now takes floats, too"},
    {"ReduceLogSum", 28, upgrade_reduce_log_28, NULL,
     "integer types were removed: Cast to double and back"},
    {"ReduceLogSumExp", 28, upgrade_reduce_log_28, NULL,
     "integer types were removed: Cast to double and back"},
};

const size_t change_count = sizeof changes / sizeof *changes;

const struct change *change_next(const char *op_type, int64_t source, int64_t target)
{
    for (size_t i = 0; i < change_count; i++) {
        const struct change *row = &changes[i];
        if (row->version > source && row->version <= target &&
            (row->rewrite || row->refusal) && name_is(row->op_type, op_type))
            return row;
    }
    return NULL;
}

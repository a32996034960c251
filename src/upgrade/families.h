/* The rewrites, with one file for each family. Each takes a node in the form of the opset
 * before the change, and turns it into the form of r->version. opset_changes.c lists
 * them. */
#ifndef NIBBLE_UPGRADE_FAMILIES_H
#define NIBBLE_UPGRADE_FAMILIES_H

#include "upgrade/rewrite.h"

/* inputs.c: attributes that became inputs. */
rewrite_fn upgrade_slice_10, upgrade_topk_10, upgrade_squeeze_13, upgrade_unsqueeze_13,
    upgrade_reduce, upgrade_split_13, upgrade_split_18, upgrade_dft_20;

/* bounds.c: attributes that became inputs with the type of the data. */
rewrite_fn upgrade_clip_11, upgrade_pad_11;

/* softmax.c: operators that flattened their input, and now work along one axis. */
rewrite_fn upgrade_softmax_13;

/* resize.c: Upsample and Resize. */
rewrite_fn upgrade_upsample_9, upgrade_upsample_10, upgrade_resize_11, upgrade_resize_13;

/* normalize.c: normalizations and Dropout. */
rewrite_fn upgrade_batch_normalization_9, upgrade_batch_normalization_14,
    upgrade_group_normalization_21, upgrade_dropout_10, upgrade_dropout_12;

/* renames.c: new names and new defaults. */
rewrite_fn upgrade_scatter_11, upgrade_mean_variance_13, upgrade_roi_align_16,
    upgrade_grid_sample_20;

/* casts.c: types that are no longer supported. */
rewrite_fn upgrade_erf_13, upgrade_layer_normalization_17, upgrade_reduce_log_28;

#endif

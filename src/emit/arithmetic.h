/* Decoding by arithmetic: pieces that the forms load, portable and rows share. */
#ifndef NIBBLE_EMIT_ARITHMETIC_H
#define NIBBLE_EMIT_ARITHMETIC_H

#include "emit/emitter.h"

/* The dims of scales that broadcast against a decoded tensor of the weight's own
 * shape, or with blocks split as [.., blocks, 1, ..]. Zero points have the same. */
void broadcast_dims(const struct plan_item *item, struct parameter_dims *dims);

/* Scales (or zero points) as floats that broadcast against the weight. */
const char *emit_spread(struct emitter *e, const char *name, int type);

/* (codes - zero point) * scale, in float, then cast to the weight's type. `zeros`
 * and `scales` are floats that broadcast against `codes`; zeros NULL: none. */
const char *emit_decode(struct emitter *e, const char *codes, const char *zeros,
                        const char *scales, const char *out);

/* The zero point that a form takes for granted: the middle of an unsigned range;
 * NULL for 0, and where zero points are stored. */
const char *emit_middle(struct emitter *e);

/* The zero point as a float: spread, the middle of the range, or NULL for 0. */
const char *emit_zero(struct emitter *e);

/* Floats of codes from nibbles of PACK_HALVES, split along `axis`; a row has
 * `row` codes. */
const char *emit_unpack(struct emitter *e, const char *packed, int64_t axis, size_t row,
                        const char *out);

#endif

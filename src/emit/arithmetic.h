/* Decoding by arithmetic: what the forms load, portable and rows share. */
#ifndef NIBBLE_EMIT_ARITHMETIC_H
#define NIBBLE_EMIT_ARITHMETIC_H

#include "emit/emitter.h"

/* Sets dims of scales and zero points that broadcast against the decoded weight. With
 * blocks, the axis is split: [.., blocks, 1, ..]. */
void broadcast_dims(const struct plan_item *item, struct parameter_dims *dims);

/* Makes floats of scales or zero points, which broadcast against the weight. */
const char *emit_spread(struct emitter *e, const char *name, int type);

/* Computes (codes - zeros) * scales in float, and casts the result to the weight's type.
 * All three are floats; zeros and scales broadcast against codes. zeros may be NULL. */
const char *emit_decode(struct emitter *e, const char *codes, const char *zeros,
                        const char *scales, const char *out);

/* The zero point of unsigned codes that have none stored: the middle of their range. NULL
 * if it is 0 or if zero points are stored. */
const char *emit_middle(struct emitter *e);

/* The zero point as floats: the stored ones, or the middle of the range. NULL if it is 0.
 */
const char *emit_zero(struct emitter *e);

/* Makes floats of codes that are packed as PACK_HALVES along `axis`. A row has `row`
 * codes. */
const char *emit_unpack(struct emitter *e, const char *packed, int64_t axis, size_t row,
                        const char *out);

#endif

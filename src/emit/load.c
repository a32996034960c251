/* The forms `load` and `portable`: Cast, Sub, Mul over constants, which runtimes
 * fold to float once, when they load the model. `portable` keeps nibbles in uint8
 * and takes them apart by arithmetic, so it needs no INT4 type. */
#include "emit/arithmetic.h"
#include "emit/forms.h"

#include <string.h>

static int scale_type(const struct plan_item *item)
{
    return item->scheme.scale_type == REAL_FLOAT32 ? DATA_FLOAT : item->data_type;
}

static bool decode(struct emitter *e, const char *codes, const char *output)
{
    const char *zeros = emit_zero(e);
    const char *scales = emit_spread(e, e->scales, scale_type(e->item));
    return emit_decode(e, codes, zeros, scales, output) != NULL;
}

static void own_dims(const struct plan_item *item, struct parameter_dims *dims)
{
    dims->codes_rank = item->tensor->n_dims;
    memcpy(dims->codes, item->tensor->dims, dims->codes_rank * sizeof *dims->codes);
    dims->code_type = dims->zero_type = code_data_type(item->scheme.type);
    broadcast_dims(item, dims);
}

bool emit_load(struct emitter *e, const char *output)
{
    struct parameter_dims dims = {.scales_rank = 0};
    own_dims(e->item, &dims);
    return emit_parameters(e, &dims) &&
           decode(e, emit_cast(e, e->codes, DATA_FLOAT, NULL), output);
}

bool emit_portable(struct emitter *e, const char *output)
{
    struct plan_item *item = e->item;
    struct parameter_dims dims = {.scales_rank = 0};
    own_dims(item, &dims);
    if (item->packing == PACK_BYTES)
        return emit_parameters(e, &dims) &&
               decode(e, emit_cast(e, e->codes, DATA_FLOAT, NULL), output);
    size_t row = item->row;
    dims.codes_rank = 2;
    dims.codes[0] = (int64_t)(item->elements / row);
    dims.codes[1] = (int64_t)(row + 1) / 2;
    dims.code_type = dims.zero_type = DATA_UINT8;
    if (!emit_parameters(e, &dims))
        return false;
    const char *codes = emit_unpack(e, e->codes, 1, row, NULL);
    codes = emit_reshape(e, codes, item->tensor->dims, item->tensor->n_dims, NULL);
    return decode(e, codes, output);
}

/* Constants that are stored as float16, piece by piece. They are a small part of a model,
 * so one thread does it. */
#include "fill/narrowed.h"
#include "core/output.h"
#include "core/sizes.h"
#include "fill/read.h"

#include <stdlib.h>

enum { PIECE = 64 << 10 }; /* elements */

static bool write_item(const struct plan_item *item, const struct payload *payload,
                       struct reader *reader, const struct fill_options *options,
                       uint8_t *buffer, struct error *err)
{
    const size_t half = real_size(REAL_FLOAT16), length = (size_t)item->elements;
    struct quant_source source;
    for (size_t at = 0, n; at < length; at += n) {
        n = size_min(length - at, PIECE);
        if (cancelled(options->cancel, err) ||
            !read_elements(reader, item, at, at + n, &source, err))
            return false;
        for (size_t i = 0, some; i < n; i += some) {
            enum { SOME = 1 << 10 };
            float values[SOME];
            some = size_min(n - i, SOME);
            real_load(source.type,
                      (const uint8_t *)source.data + (at + i) * real_size(source.type),
                      some, values);
            quant_store(options->kernels, REAL_FLOAT16, values, some, buffer + i * half);
        }
        if (!output_write(payload->output, payload->offset + at * half, buffer, n * half,
                          err))
            return false;
    }
    return true;
}

bool fill_narrowed(const struct plan *plan, const struct item_tensors *tensors,
                   const struct fill_options *options, struct error *err)
{
    struct reader reader = {.buffer = NULL};
    uint8_t *buffer = plan->as_float16 ? malloc(PIECE * 2) : NULL;
    bool ok = plan->as_float16 == 0 || buffer || error_memory(err);
    for (size_t i = 0; ok && buffer && i < plan->count; i++)
        if (plan->items[i].as_float16 && tensors[i].codes)
            ok = write_item(&plan->items[i], tensors[i].codes, &reader, options, buffer,
                            err);
    reader_free(&reader);
    free(buffer);
    return ok;
}

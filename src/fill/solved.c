/* Items that are solved already are copied; quant does the others. */
#include "fill/solved.h"
#include "fill/chunks.h"
#include "solve/solve.h"

#include <string.h>

enum quant_fit item_fit(const struct kernels *kernels, const struct plan_item *item,
                        struct quant_source source, size_t first, size_t count,
                        float *scales, uint8_t *zeros)
{
    const struct solution *solution = item->solution;
    size_t width = item_row_width(item);
    if (!solution)
        return quant_fit(kernels, &item->scheme, source, &item->shape, first, count,
                         scales, zeros);
    if (solution->fit != QUANT_FIT_OK)
        return solution->fit;
    memcpy(scales, solution->scales + first * width, count * width * sizeof *scales);
    memcpy(zeros, solution->zeros + first * width, count * width);
    return QUANT_FIT_OK;
}

/* What the codes of elements [begin, end) cost. */
static void measure(const struct plan_item *item, struct quant_source source,
                    size_t begin, size_t end, struct quant_error *error)
{
    enum { MEASURED = 256 };
    const struct solution *s = item->solution;
    const struct quant_type_info *type = quant_type_info(item->scheme.type);
    const size_t size = real_size(source.type);
    float values[MEASURED];
    for (size_t at = begin, n; at < end; at += n) {
        n = end - at < MEASURED ? end - at : MEASURED;
        real_load(source.type, (const uint8_t *)source.data + at * size, n, values);
        for (size_t i = 0; i < n; i++) {
            size_t group = quant_group_of(&item->shape, at + i);
            int code = s->codes[at + i], zero = s->zeros[group];
            if (type->lo < 0) {
                code = (int8_t)code;
                zero = (int8_t)zero;
            }
            double x = (double)values[i],
                   d = x - (code - zero) * (double)s->scales[group];
            error->signal += x * x;
            error->noise += d * d;
        }
    }
}

void item_encode(const struct kernels *kernels, const struct plan_item *item,
                 struct quant_source source, size_t begin, size_t end, size_t first_group,
                 const float *scales, const uint8_t *zeros, uint8_t *codes,
                 struct quant_error *error)
{
    if (!item->solution) {
        quant_encode(kernels, &item->scheme, source, &item->shape, begin, end,
                     first_group, scales, zeros, codes, error);
        return;
    }
    memcpy(codes, item->solution->codes + begin, end - begin);
    if (error)
        measure(item, source, begin, end, error);
}

/* The table of runtimes: which forms load and are fast there. bench/runtimes.py runs it.
 */
#include "targets.h"

#define ONLY_ONNXRUNTIME "only ONNX Runtime has MatMulNBits"

/* What a runtime gets where no other option says more. */
static const struct target_row {
    enum target layout;
    enum nibble_decode decode;
    bool nbits;
    const char *no_nbits;  /* why it can't have operators of com.microsoft */
    const char *no_decode; /* why it has one way to decode */
} rows[] = {
    [NIBBLE_TARGET_ONNXRUNTIME] = {.layout = TARGET_ONNXRUNTIME},
    [NIBBLE_TARGET_GENERIC] = {.layout = TARGET_GENERIC,
                               .no_nbits = ONLY_ONNXRUNTIME,
                               .no_decode =
                                   "a generic target gets DequantizeLinear only"},
    [NIBBLE_TARGET_ONNXRUNTIME_WEB] = {.layout = TARGET_ONNXRUNTIME,
                                       .decode = NIBBLE_DECODE_AUTO,
                                       .nbits = true},
    [NIBBLE_TARGET_OPENVINO] = {.layout = TARGET_OPENVINO,
                                .decode = NIBBLE_DECODE_AUTO,
                                .no_nbits = ONLY_ONNXRUNTIME},
    [NIBBLE_TARGET_PORTABLE] = {.layout = TARGET_ONNXRUNTIME,
                                .decode = NIBBLE_DECODE_PORTABLE,
                                .no_nbits = ONLY_ONNXRUNTIME,
                                .no_decode =
                                    "a portable target gets the form portable only"},
};

static bool is_folded(enum decode decode)
{
    return decode == DECODE_LOAD || decode == DECODE_PORTABLE;
}

enum decode target_decode(const struct nibble_options *options)
{
    bool asked = options->decode != NIBBLE_DECODE_RUN;
    return (enum decode)(asked ? options->decode : rows[options->target].decode);
}

enum target target_layout(const struct nibble_options *options)
{
    return rows[options->target].layout;
}

bool target_takes_nbits(const struct nibble_options *options)
{
    return options->format != NIBBLE_FORMAT_QDQ ||
           (rows[options->target].nbits && !is_folded(target_decode(options)));
}

const char *target_refuses_nbits(const struct nibble_options *options)
{
    return rows[options->target].no_nbits;
}

const char *target_refuses_decode(const struct nibble_options *options)
{
    const struct target_row *row = &rows[options->target];
    bool other = target_decode(options) != (enum decode)row->decode;
    /* For a generic target there is nothing for auto to choose. */
    bool folded =
        is_folded(target_decode(options)) || is_folded((enum decode)row->decode);
    return other && folded ? row->no_decode : NULL;
}

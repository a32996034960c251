/* The table of options: it drives parsing and help. Setters check a value alone;
 * what options say about each other is checked in settings.c. */
#include "cli/settings.h"

#include <ctype.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* ---- values ----------------------------------------------------------- */

static bool parse_number(const char *option, const char *text, uint64_t least,
                         uint64_t most, uint64_t *out, struct usage *usage)
{
    uint64_t value = 0;
    bool ok = *text != '\0';
    for (const char *c = text; *c && ok; c++) {
        ok = isdigit((unsigned char)*c) && value <= (UINT64_MAX - 9) / 10;
        value = ok ? 10 * value + (uint64_t)(*c - '0') : value;
    }
    if (ok && value >= least && value <= most) {
        *out = value;
        return true;
    }
    return usage_set(usage, "%s takes a whole number from %llu to %llu, not '%s'", option,
                     (unsigned long long)least, (unsigned long long)most, text);
}

/* A decimal number above 0, of not too many digits. */
static bool parse_decimal(const char *option, const char *text, double most, double *out,
                          struct usage *usage)
{
    enum { DIGITS_MAX = 18 };
    double value = 0, unit = 1;
    int digits = 0, points = 0;
    bool ok = true;
    for (const char *c = text; *c && ok; c++) {
        if (*c == '.') {
            ok = points++ == 0;
            continue;
        }
        ok = isdigit((unsigned char)*c) && digits++ < DIGITS_MAX;
        value = 10 * value + (*c - '0');
        unit = points ? 10 * unit : unit;
    }
    *out = value / unit;
    if (ok && digits > 0 && *out > 0 && *out <= most)
        return true;
    return usage_set(usage,
                     "%s takes a number above 0 and up to %g, such as 4.5, not '%s'",
                     option, most, text);
}

static bool parse_text(const char *option, const char *text, const char **out,
                       struct usage *usage)
{
    *out = text;
    return *text || usage_set(usage, "%s takes a name, not an empty string", option);
}

/* ---- setters ---------------------------------------------------------- */

static bool set_output(struct settings *s, const char *value, struct usage *usage)
{
    return parse_text("--output", value, &s->output, usage);
}

static bool set_type(struct settings *s, const char *value, struct usage *usage)
{
    return nibble_type_parse(value, &s->options.type) ||
           usage_set(usage, "--type takes int4, uint4, int8 or uint8, not '%s'", value);
}

static bool set_symmetric(struct settings *s, const char *value, struct usage *usage)
{
    (void)value, (void)usage;
    s->options.symmetry = NIBBLE_SYMMETRY_SYMMETRIC;
    return true;
}

static bool set_asymmetric(struct settings *s, const char *value, struct usage *usage)
{
    (void)value, (void)usage;
    s->options.symmetry = NIBBLE_SYMMETRY_ASYMMETRIC;
    return true;
}

static bool set_per_channel(struct settings *s, const char *value, struct usage *usage)
{
    (void)value, (void)usage;
    s->options.granularity = NIBBLE_GRANULARITY_PER_CHANNEL;
    return true;
}

static bool set_per_tensor(struct settings *s, const char *value, struct usage *usage)
{
    (void)value, (void)usage;
    s->options.granularity = NIBBLE_GRANULARITY_PER_TENSOR;
    return true;
}

static bool set_block_size(struct settings *s, const char *value, struct usage *usage)
{
    uint64_t size = 0;
    if (!parse_number("--block-size", value, 2, INT32_MAX, &size, usage))
        return false;
    s->options.granularity = NIBBLE_GRANULARITY_BLOCKS;
    s->options.block_size = (size_t)size;
    return true;
}

static bool set_method(struct settings *s, const char *value, struct usage *usage)
{
    return nibble_method_parse(value, &s->options.method) ||
           usage_set(usage, "--method takes rtn, search or exact, not '%s'", value);
}

static bool set_scale_type(struct settings *s, const char *value, struct usage *usage)
{
    return nibble_scale_type_parse(value, &s->options.scale_type) ||
           usage_set(usage, "--scale-type takes float32 or float16, not '%s'", value);
}

static bool set_bits(struct settings *s, const char *value, struct usage *usage)
{
    return parse_decimal("--bits-per-weight", value, 64, &s->options.bits_per_weight,
                         usage);
}

static bool set_min_snr(struct settings *s, const char *value, struct usage *usage)
{
    return parse_decimal("--min-snr", value, 200, &s->options.min_snr, usage);
}

static bool set_decode(struct settings *s, const char *value, struct usage *usage)
{
    return nibble_decode_parse(value, &s->options.decode) ||
           usage_set(usage, "--decode takes run, load, portable or auto, not '%s'",
                     value);
}

static bool set_format(struct settings *s, const char *value, struct usage *usage)
{
    return nibble_format_parse(value, &s->options.format) ||
           usage_set(usage, "--format takes qdq, nbits or nbits-int8, not '%s'", value);
}

static bool set_target(struct settings *s, const char *value, struct usage *usage)
{
    return nibble_target_parse(value, &s->options.target) ||
           usage_set(usage, "--target takes onnxruntime or generic, not '%s'", value);
}

static bool set_embedding_type(struct settings *s, const char *value, struct usage *usage)
{
    s->options.wide_embeddings = strcmp(value, "int8") == 0;
    return s->options.wide_embeddings || strcmp(value, "int4") == 0 ||
           usage_set(usage, "--embedding-type takes int4 or int8, not '%s'", value);
}

static bool set_copy_below(struct settings *s, const char *value, struct usage *usage)
{
    return parse_number("--copy-below", value, 0, INT64_MAX, &s->options.copy_bytes,
                        usage);
}

static bool set_include(struct settings *s, const char *value, struct usage *usage)
{
    return parse_text("--include", value, &s->options.include, usage);
}

static bool set_exclude(struct settings *s, const char *value, struct usage *usage)
{
    return parse_text("--exclude", value, &s->options.exclude, usage);
}

static bool set_min_elements(struct settings *s, const char *value, struct usage *usage)
{
    uint64_t count = 0;
    if (!parse_number("--min-elements", value, 0, INT64_MAX, &count, usage))
        return false;
    s->options.min_elements = (size_t)count;
    return true;
}

static bool set_freeze(struct settings *s, const char *value, struct usage *usage)
{
    (void)value, (void)usage;
    return s->options.freeze = true;
}

static bool set_no_upgrade(struct settings *s, const char *value, struct usage *usage)
{
    (void)value, (void)usage;
    return s->options.no_upgrade = true;
}

static bool set_opset(struct settings *s, const char *value, struct usage *usage)
{
    uint64_t opset = 0;
    if (!parse_number("--opset", value, 21, (uint64_t)nibble_opset_max(), &opset, usage))
        return false;
    s->opset = (int64_t)opset;
    return true;
}

static bool set_dry_run(struct settings *s, const char *value, struct usage *usage)
{
    (void)value, (void)usage;
    return s->dry_run = true;
}

static bool set_json(struct settings *s, const char *value, struct usage *usage)
{
    return parse_text("--json", value, &s->json, usage);
}

static bool set_strict(struct settings *s, const char *value, struct usage *usage)
{
    (void)value, (void)usage;
    return s->strict = true;
}

static bool set_external_data(struct settings *s, const char *value, struct usage *usage)
{
    (void)value, (void)usage;
    return s->options.external_data = true;
}

static bool set_force(struct settings *s, const char *value, struct usage *usage)
{
    (void)value, (void)usage;
    return s->options.force = true;
}

static bool set_threads(struct settings *s, const char *value, struct usage *usage)
{
    uint64_t threads = 0;
    if (!parse_number("--threads", value, 0, 1024, &threads, usage))
        return false;
    s->options.threads = (int)threads;
    return true;
}

static bool set_cpu(struct settings *s, const char *value, struct usage *usage)
{
    return parse_text("--cpu", value, &s->options.cpu, usage);
}

static bool set_quiet(struct settings *s, const char *value, struct usage *usage)
{
    (void)value, (void)usage;
    return s->quiet = true;
}

static bool set_verbose(struct settings *s, const char *value, struct usage *usage)
{
    (void)value, (void)usage;
    return s->verbose = true;
}

static bool set_help(struct settings *s, const char *value, struct usage *usage)
{
    (void)value, (void)usage;
    return s->help = true;
}

static bool set_version(struct settings *s, const char *value, struct usage *usage)
{
    (void)value, (void)usage;
    return s->version = true;
}

/* ---- the table -------------------------------------------------------- */

/* Rivals, as bits. What chooses type and granularity is a rival of both. */
enum { SYMMETRY = 1, GRANULARITY = 2, LOUDNESS = 4, TYPE = 8 };
#define PLANNING (QUANTIZE | INSPECT)
#define WRITING  (QUANTIZE | UPGRADE)
#define HEADING(bits, text)                           \
    {                                                 \
        (bits), 0, NULL, NULL, 0, false, NULL, (text) \
    }

/* clang-format off */
const struct option_row option_rows[] = {
    HEADING(PLANNING, "Numbers"),
    {PLANNING, 0, "type", "TYPE", TYPE, false, set_type,
     "int4, uint4, int8 or uint8 (int4)"},
    {PLANNING, 0, "symmetric", NULL, SYMMETRY, false, set_symmetric,
     "no zero points"},
    {PLANNING, 0, "asymmetric", NULL, SYMMETRY, false, set_asymmetric,
     "fitted zero points (what uint4 and uint8 do)"},
    {PLANNING, 0, "per-channel", NULL, GRANULARITY, false, set_per_channel,
     "one scale for each output channel"},
    {PLANNING, 0, "per-tensor", NULL, GRANULARITY, false, set_per_tensor,
     "one scale for each weight"},
    {PLANNING, 0, "block-size", "N", GRANULARITY, false, set_block_size,
     "one scale for every N values of a channel (MatMul,\n"
     "Gemm: 256; others: one scale for each channel)"},
    {PLANNING, 0, "method", "NAME", 0, false, set_method,
     "search, rtn (more error) or exact (slow) (search)"},
    {PLANNING, 0, "scale-type", "TYPE", 0, false, set_scale_type,
     "of stored scales: float32, or half: float16"},
    {PLANNING, 0, "bits-per-weight", "X", TYPE | GRANULARITY, false, set_bits,
     "types and blocks of least error in X bits a weight"},
    {PLANNING, 0, "min-snr", "DB", TYPE | GRANULARITY, false, set_min_snr,
     "types and blocks of least size that reach DB"},

    HEADING(PLANNING, "Form (what stands in the graph for a weight)"),
    {PLANNING, 0, "decode", "HOW", 0, false, set_decode,
     "run, load (to float), portable (no INT4) or auto"},
    {PLANNING, 0, "format", "NAME", 0, false, set_format,
     "qdq, or MatMulNBits: nbits, nbits-int8 (qdq)"},
    {PLANNING, 0, "target", "NAME", 0, false, set_target,
     "onnxruntime, or generic: DequantizeLinear only"},
    {PLANNING, 0, "embedding-type", "TYPE", 0, false, set_embedding_type,
     "int8: 8-bit embedding rows, though --type has 4"},
    {PLANNING, 0, "copy-below", "BYTES", 0, false, set_copy_below,
     "in all, for codes once more where MatMuls share them"},

    HEADING(PLANNING, "Choice of weights"),
    {PLANNING, 0, "include", "RE", 0, true, set_include,
     "only weights whose names match (extended regexp)"},
    {PLANNING, 0, "exclude", "RE", 0, true, set_exclude,
     "no weights whose names match"},
    {PLANNING, 0, "min-elements", "N", 0, false, set_min_elements,
     "leave smaller weights float (1024)"},
    {PLANNING, 0, "freeze", NULL, 0, false, set_freeze,
     "quantize weights that callers could override, too"},
    {PLANNING, 0, "no-upgrade", NULL, 0, false, set_no_upgrade,
     "refuse a model whose opset would have to be raised"},

    HEADING(WRITING, "Output"),
    {WRITING, 'o', "output", "OUT", 0, false, set_output,
     "where the model goes; .gz compresses, - is stdout"},
    {UPGRADE, 0, "opset", "N", 0, false, set_opset,
     "the opset to raise the model to (21)"},
    {WRITING, 'f', "force", NULL, 0, false, set_force,
     "let OUT be MODEL itself"},
    {WRITING, 0, "external-data", NULL, 0, false, set_external_data,
     "put tensors into OUT.data, whatever the size"},
    {QUANTIZE, 0, "dry-run", NULL, 0, false, set_dry_run,
     "only report (reads weights where types are chosen)"},

    HEADING(PLANNING, "Report"),
    {PLANNING, 0, "json", "FILE", 0, false, set_json,
     "write the report as JSON (-: stdout, no text then)"},
    {PLANNING, 0, "strict", NULL, 0, false, set_strict,
     "exit with 3 if a weight asked for stays float"},
    {PLANNING, 'v', "verbose", NULL, LOUDNESS, false, set_verbose,
     "list the constants that stay float one by one"},
    {QUANTIZE, 'q', "quiet", NULL, LOUDNESS, false, set_quiet,
     "print warnings and errors only"},

    HEADING(EVERY, "Other"),
    {QUANTIZE, 0, "threads", "N", 0, false, set_threads,
     "number of threads (0: one for each CPU)"},
    {QUANTIZE, 0, "cpu", "NAME", 0, false, set_cpu,
     "kernels: scalar, avx2, avx512 (the fastest here)"},
    {EVERY, 'h', "help", NULL, 0, false, set_help,
     "print this page"},
    {EVERY, 0, "version", NULL, 0, false, set_version,
     "print the version"},
};
/* clang-format on */
const size_t option_count = sizeof option_rows / sizeof *option_rows;

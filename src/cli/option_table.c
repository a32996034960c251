/* The table of options. It drives parsing and help. settings.c checks options against
 * each other. */
#include "cli/settings.h"

#include <stddef.h>
#include <string.h>

/* ---- words ------------------------------------------------------------
 * The library knows them. A list ends at the first index without a name. */

#define WORD_LIST(thing)                                          \
    static const char *thing##_word(size_t index)                 \
    {                                                             \
        return nibble_##thing##_name((enum nibble_##thing)index); \
    }

WORD_LIST(type)
WORD_LIST(method)
WORD_LIST(scale_type)
WORD_LIST(compute)
WORD_LIST(io)
WORD_LIST(decode)
WORD_LIST(format)
WORD_LIST(target)

/* The field is a bool: true if rows have 8 bits although the type has 4. */
static const char *embedding_type_word(size_t index)
{
    static const enum nibble_type types[] = {NIBBLE_TYPE_INT4, NIBBLE_TYPE_INT8};
    return index < sizeof types / sizeof *types ? nibble_type_name(types[index]) : NULL;
}

static const char *preset_word(size_t index)
{
    return index == 0 ? "none" : nibble_preset_name(index - 1);
}

/* ---- the table -------------------------------------------------------- */

/* Rivals, as bits. An option that chooses type and granularity is a rival of both. */
enum { SYMMETRY = 1, GRANULARITY = 2, LOUDNESS = 4, TYPE = 8 };
#define PLANNING (QUANTIZE | INSPECT)
#define WRITING  (QUANTIZE | UPGRADE)
#define FIELD(path) \
    .offset = offsetof(struct settings, path), .size = sizeof((struct settings *)0)->path

/* clang-format off */
const struct option_row option_rows[] = {
    {OPTION_HEADING, PLANNING, .help = "Numbers"},
    {OPTION_WORD, PLANNING, 0, "type", "TYPE", TYPE, FIELD(options.type),
     .words = type_word, .help = "integer type"},
    {OPTION_FLAG, PLANNING, 0, "symmetric", NULL, SYMMETRY, FIELD(options.symmetry),
     .value = NIBBLE_SYMMETRY_SYMMETRIC, .rare = true, .help = "no zero points"},
    {OPTION_FLAG, PLANNING, 0, "asymmetric", NULL, SYMMETRY, FIELD(options.symmetry),
     .value = NIBBLE_SYMMETRY_ASYMMETRIC,
     .rare = true, .help = "fit zero points, as uint4 and uint8 do"},
    {OPTION_FLAG, PLANNING, 0, "per-channel", NULL, GRANULARITY,
     FIELD(options.granularity), .value = NIBBLE_GRANULARITY_PER_CHANNEL,
     .help = "one scale for each output channel"},
    {OPTION_FLAG, PLANNING, 0, "per-tensor", NULL, GRANULARITY,
     FIELD(options.granularity), .value = NIBBLE_GRANULARITY_PER_TENSOR,
     .rare = true, .help = "one scale for each weight"},
    {OPTION_NUMBER, PLANNING, 0, "block-size", "N", GRANULARITY,
     FIELD(options.block_size), .least = 2, .most = INT32_MAX,
     .help = "one scale for every N values of a channel"},
    {OPTION_WORD, PLANNING, 0, "method", "NAME", FIELD(options.method),
     .words = method_word, .rare = true, .help = "how scales are found"},
    {OPTION_WORD, PLANNING, 0, "scale-type", "TYPE", FIELD(options.scale_type),
     .words = scale_type_word, .rare = true, .help = "type of scales"},
    {OPTION_FLAG, PLANNING, 0, "float16", NULL, FIELD(options.float16), .value = true,
     .help = "store as float16 what stays float, and scales"},
    {OPTION_WORD, PLANNING, 0, "compute", "TYPE", FIELD(options.compute),
     .words = compute_word, .help = "type that operators compute in"},
    {OPTION_WORD, PLANNING, 0, "io", "TYPE", FIELD(options.io),
     .words = io_word, .rare = true, .help = "type of inputs and outputs, with --compute float16"},
    {OPTION_DECIMAL, PLANNING, 0, "bits-per-weight", "X", TYPE | GRANULARITY,
     FIELD(options.bits_per_weight), .most = 64,
     .help = "choose types and block sizes for the least error within X bits per "
             "weight"},
    {OPTION_DECIMAL, PLANNING, 0, "min-snr", "DB", TYPE | GRANULARITY,
     FIELD(options.min_snr), .most = 200,
     .rare = true, .help = "choose the smallest types that reach this SNR"},

    {OPTION_HEADING, PLANNING, .help = "Form (how a weight is stored in the model)"},
    {OPTION_WORD, PLANNING, 0, "decode", "HOW", FIELD(options.decode),
     .words = decode_word, .help = "when codes become float"},
    {OPTION_WORD, PLANNING, 0, "format", "NAME", FIELD(options.format),
     .words = format_word, .rare = true, .help = "operators that decode"},
    {OPTION_WORD, PLANNING, 0, "target", "NAME", FIELD(options.target),
     .words = target_word, .help = "the runtime that the model is for"},
    {OPTION_WORD, PLANNING, 0, "embedding-type", "TYPE", FIELD(options.wide_embeddings),
     .words = embedding_type_word, .rare = true, .help = "type of embedding rows"},
    {OPTION_NUMBER, PLANNING, 0, "copy-below", "BYTES", FIELD(options.copy_bytes),
     .most = INT64_MAX, .rare = true, .help = "bytes of copies of codes that MatMuls share"},

    {OPTION_HEADING, PLANNING, .help = "Choice of weights"},
    {OPTION_TEXT, PLANNING, 0, "include", "RE", .once = true, FIELD(options.include),
     .help = "quantize only weights whose name or node matches"},
    {OPTION_TEXT, PLANNING, 0, "exclude", "RE", .once = true, FIELD(options.exclude),
     .help = "leave weights float whose name or node matches"},
    {OPTION_LIST, PLANNING, 0, "rule", "RULE", FIELD(rules), .key = "rules",
     .help = "settings for some weights: 'op=Gather: type=int8', 'RE: keep'"},
    {OPTION_NUMBER, PLANNING, 0, "min-elements", "N", FIELD(options.min_elements),
     .most = INT64_MAX,
     .rare = true, .help = "leave smaller weights float (1024, less in small models)"},
    {OPTION_FLAG, PLANNING, 0, "freeze", NULL, FIELD(options.freeze), .value = true,
     .rare = true, .help = "also quantize weights that callers could override"},
    {OPTION_FLAG, PLANNING, 0, "no-upgrade", NULL, FIELD(options.no_upgrade),
     .value = true, .rare = true, .help = "refuse a model whose opset would have to be raised"},

    {OPTION_HEADING, PLANNING, .help = "Sets of options"},
    {OPTION_WORD, PLANNING, 0, "preset", "NAME", FIELD(preset), .passing = true,
     .words = preset_word, .help = "options for a loader"},
    {OPTION_TEXT, PLANNING, 0, "config", "FILE", FIELD(config), .passing = true,
     .rare = true, .help = "options from a JSON file"},
    {OPTION_FLAG, PLANNING, 0, "print-config", NULL, FIELD(print_config), .value = true,
     .passing = true, .rare = true, .help = "print the options as such a file, and stop"},

    {OPTION_HEADING, WRITING | REPORT, .help = "Output"},
    {OPTION_TEXT, WRITING | REPORT, 'o', "output", "OUT", FIELD(output), .passing = true,
     .help = "write the result here; .gz compresses, - is stdout"},
    {OPTION_NUMBER, UPGRADE, 0, "opset", "N", FIELD(opset), .least = 21,
     .highest = nibble_opset_max, .help = "the opset to raise the model to"},
    {OPTION_FLAG, WRITING, 'f', "force", NULL, FIELD(options.force), .value = true,
     .help = "let OUT be MODEL itself"},
    {OPTION_TEXT, WRITING, 0, "external-data", "NAME", .optional = true,
     FIELD(external_data), .rare = true, .help = "put tensors into a file beside OUT"},
    {OPTION_FLAG, WRITING, 0, "verify", NULL, FIELD(options.verify), .value = true,
     .rare = true, .help = "read the output again and check every weight before OUT is replaced"},
    {OPTION_FLAG, QUANTIZE, 0, "dry-run", NULL, FIELD(dry_run), .value = true, .passing = true,
     .help = "only report, write no model"},

    {OPTION_HEADING, QUANTIZE | COMPARE, .help = "Data (needs the Python package)"},
    {OPTION_TEXT, QUANTIZE | COMPARE, 0, "data", "DATA", FIELD(data),
     .makes_codes = true,
     .help = "inputs of the model: a folder of .npz, or random"},
    {OPTION_LIST, QUANTIZE, 0, "stats", "FILE", FIELD(stats),
     .makes_codes = true,
     .rare = true, .help = "use statistics that --save-stats wrote"},
    {OPTION_TEXT, QUANTIZE, 0, "save-stats", "FILE", FIELD(save_stats),
     .rare = true, .help = "write statistics of the data"},
    {OPTION_TEXT, QUANTIZE, 0, "until", "GOAL", FIELD(until),
     .makes_codes = true,
     .help = "find the fewest bits that reach it, as 'snr>=30'"},
    {OPTION_FLAG, QUANTIZE, 0, "sequential", NULL, FIELD(sequential), .value = true,
     .rare = true, .help = "layer by layer, each makes up for those before"},
    {OPTION_FLAG, COMPARE, 0, "layers", NULL, FIELD(layers), .value = true,
     .help = "show where in the graph the SNR drops first"},
    {OPTION_DECIMAL, COMPARE, 0, "min-top1", "X", FIELD(gate_top1), .most = 1,
     .help = "exit with 3 if the largest value is at the same place in "
             "less than this share of an output's rows (0 to 1)"},
    {OPTION_TEXT, COMPARE, 0, "seed", "N", FIELD(seed),
     .rare = true, .help = "seed of random inputs"},

    {OPTION_HEADING, PLANNING | COMPARE, .help = "Report"},
    {OPTION_DECIMAL, COMPARE, 0, "min-snr", "DB", FIELD(gate_snr), .most = 200,
     .help = "exit with 3 if a weight has a lower SNR; with --data, if "
             "an output has"},
    {OPTION_TEXT, PLANNING | COMPARE, 0, "json", "FILE", FIELD(json),
     .help = "write the report as JSON; - replaces the text"},
    {OPTION_TEXT, PLANNING | COMPARE, 0, "report", "FILE", FIELD(page),
     .help = "write the report as an HTML page"},
    {OPTION_FLAG, PLANNING, 0, "strict", NULL, FIELD(strict), .value = true,
     .help = "exit with 3 if a requested weight stays float"},
    {OPTION_NUMBER, PLANNING, 0, "top", "N", FIELD(options.top), .least = 1,
     .most = INT32_MAX,
     .help = "list the N worst weights; in a dry run the largest"},
    {OPTION_FLAG, PLANNING, 0, "hints", NULL, TYPE | GRANULARITY, FIELD(options.hints),
     .value = true, .help = "also say what other types and block sizes would give"},
    {OPTION_FLAG, PLANNING, 'v', "verbose", NULL, LOUDNESS, FIELD(verbose),
     .value = true, .help = "print full names, and all constants that stay float"},
    {OPTION_FLAG, QUANTIZE | COMPARE, 'q', "quiet", NULL, LOUDNESS, FIELD(quiet), .value = true,
     .help = "print warnings and errors only"},

    {OPTION_HEADING, EVERY, .help = "Other"},
    {OPTION_FLAG, EVERY, 0, "no-links", NULL, FIELD(options.no_links), .value = true,
     .rare = true, .help = "refuse external data behind symbolic links"},
    {OPTION_NUMBER, EVERY, 0, "max-size", "BYTES", FIELD(options.max_size), .least = 1,
     .most = INT64_MAX, .rare = true, .help = "refuse a compressed or piped model beyond this size"},
    {OPTION_NUMBER, QUANTIZE | COMPARE, 0, "threads", "N", FIELD(options.threads), .most = 1024,
     .rare = true, .help = "number of threads (0: one for each CPU)"},
    {OPTION_TEXT, QUANTIZE, 0, "cpu", "NAME", FIELD(options.cpu),
     .rare = true, .help = "kernels: scalar, avx2, avx512 (default: the fastest)"},
    {OPTION_FLAG, EVERY, 'h', "help", NULL, FIELD(help), .value = HELP_COMMON,
     .passing = true, .help = "print this page"},
    {OPTION_FLAG, EVERY, 0, "help-all", NULL, FIELD(help), .value = HELP_ALL,
     .passing = true, .help = "print this page with all options"},
    {OPTION_FLAG, EVERY, 0, "version", NULL, FIELD(version), .value = true, .passing = true,
     .help = "print the version"},
};
/* clang-format on */
const size_t option_count = sizeof option_rows / sizeof *option_rows;
_Static_assert(sizeof option_rows / sizeof *option_rows <= OPTIONS_MAX, "OPTIONS_MAX");

/* ---- finding a row ---------------------------------------------------- */

size_t option_find(const struct command *command, const char *name)
{
    size_t other = option_count;
    for (size_t i = 0; i < option_count; i++) {
        const struct option_row *row = &option_rows[i];
        if (!row->name || strcmp(row->name, name) != 0)
            continue;
        if (row->commands & command->bit)
            return i;
        other = i;
    }
    return other;
}

const char *option_name(size_t index, const void *context)
{
    const struct command *command = context;
    const struct option_row *row = &option_rows[index];
    return row->name && (row->commands & command->bit) ? row->name : NULL;
}

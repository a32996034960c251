/* Options: defaults, names and checks. The names of nibble.h's enumerators are here and
 * nowhere else. */
#include "options.h"
#include "core/sizes.h"
#include "core/truncation.h"
#include "plan/threshold.h"
#include "rules.h"
#include "targets.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

static const char *const method_names[] = {[NIBBLE_METHOD_RTN] = "rtn",
                                           [NIBBLE_METHOD_SEARCH] = "search",
                                           [NIBBLE_METHOD_EXACT] = "exact"};
static const char *const scale_type_names[] = {
    [NIBBLE_SCALE_TYPE_FLOAT32] = "float32", [NIBBLE_SCALE_TYPE_FLOAT16] = "float16"};
static const char *const compute_names[] = {
    [NIBBLE_COMPUTE_MODEL] = "model", [NIBBLE_COMPUTE_FLOAT16] = "float16"};
static const char *const io_names[] = {
    [NIBBLE_IO_FLOAT32] = "float32", [NIBBLE_IO_FLOAT16] = "float16"};
static const char *const decode_names[] = {[NIBBLE_DECODE_RUN] = "run",
                                           [NIBBLE_DECODE_LOAD] = "load",
                                           [NIBBLE_DECODE_PORTABLE] = "portable",
                                           [NIBBLE_DECODE_AUTO] = "auto"};
static const char *const format_names[] = {[NIBBLE_FORMAT_QDQ] = "qdq",
                                           [NIBBLE_FORMAT_NBITS] = "nbits",
                                           [NIBBLE_FORMAT_NBITS_INT8] = "nbits-int8"};
static const char *const target_names[] = {[NIBBLE_TARGET_ONNXRUNTIME] = "onnxruntime",
                                           [NIBBLE_TARGET_GENERIC] = "generic",
                                           [NIBBLE_TARGET_ONNXRUNTIME_WEB] =
                                               "onnxruntime-web",
                                           [NIBBLE_TARGET_OPENVINO] = "openvino",
                                           [NIBBLE_TARGET_PORTABLE] = "portable"};

/* ---- defaults, and structs of other sizes ---------------------------- */

static const struct nibble_options defaults = {
    .size = sizeof defaults,
    .type = NIBBLE_TYPE_INT4,
    .method = NIBBLE_METHOD_SEARCH,
    .min_elements = NIBBLE_MIN_ELEMENTS_DEFAULT,
    .copy_bytes = NIBBLE_COPY_DEFAULT,
};

/* A new field goes to the end. It must begin where the struct ended before, because
 * nobody sets padding. Zero must mean the behaviour before the field existed, because an
 * older library leaves zero in fields that it doesn't know. */
_Static_assert(sizeof defaults ==
                   offsetof(struct nibble_options, io) + sizeof defaults.io,
               "padding at the end of nibble_options");

enum { PAGE_HISTOGRAMS = 10 };

/* No struct will ever be larger. The limit keeps us from reading far behind the struct if
 * the size is garbage. */
enum { STRUCT_SIZE_LIMIT = 4096 };

void nibble_options_init_sized(struct nibble_options *options, size_t size)
{
    memset(options, 0, size);
    memcpy(options, &defaults, size_min(size, sizeof defaults));
    options->size = size;
}

static bool is_size(size_t size)
{
    return size > sizeof size && size <= STRUCT_SIZE_LIMIT &&
           size % _Alignof(struct nibble_options) == 0;
}

/* True if the caller set no field that only a newer nibble.h has. */
static bool unknown_is_zero(const struct nibble_options *given)
{
    const unsigned char *bytes = (const unsigned char *)given;
    for (size_t i = sizeof *given; i < given->size; i++)
        if (bytes[i] != 0)
            return false;
    return true;
}

/* True if the string names a file in a given folder. */
static bool is_file_name(const char *name)
{
    return !name || (*name && !strchr(name, '/') && strcmp(name, ".") != 0 &&
                     strcmp(name, "..") != 0);
}

bool options_read(const struct nibble_options *given, struct nibble_options *options,
                  struct error *err)
{
    *options = defaults;
    if (!given)
        return true;
    if (!is_size(given->size))
        return error_set(err, STATUS_INVALID,
                         "the size of the options is %zu: call nibble_options_init first",
                         given->size);
    if (!unknown_is_zero(given))
        return error_set(err, STATUS_INVALID,
                         "an option is set that nibble %s does not know: the program "
                         "needs a newer nibble",
                         NIBBLE_VERSION);
    memcpy(options, given, size_min(given->size, sizeof *options));
    options->size = sizeof *options;
    if (options->page && options->histograms == 0)
        options->histograms = PAGE_HISTOGRAMS;
    return is_file_name(options->data_name) ||
           error_set(err, STATUS_INVALID,
                     "'%s': the data file needs a name without a folder",
                     options->data_name);
}

/* ---- names ---------------------------------------------------------- */

/* The public types are the types of quant, in the same order. */
_Static_assert((int)NIBBLE_TYPE_INT4 == QUANT_INT4 &&
                   (int)NIBBLE_TYPE_UINT4 == QUANT_UINT4 &&
                   (int)NIBBLE_TYPE_INT8 == QUANT_INT8 &&
                   (int)NIBBLE_TYPE_UINT8 == QUANT_UINT8,
               "types");
_Static_assert((int)NIBBLE_METHOD_RTN == QUANT_RTN &&
                   (int)NIBBLE_METHOD_EXACT == QUANT_EXACT,
               "methods");
_Static_assert((int)NIBBLE_GRANULARITY_DEFAULT == GRANULARITY_DEFAULT &&
                   (int)NIBBLE_GRANULARITY_PER_CHANNEL == GRANULARITY_CHANNEL &&
                   (int)NIBBLE_GRANULARITY_PER_TENSOR == GRANULARITY_TENSOR &&
                   (int)NIBBLE_GRANULARITY_BLOCKS == GRANULARITY_BLOCKS,
               "granularities");
_Static_assert((int)NIBBLE_DECODE_AUTO == DECODE_AUTO &&
                   (int)NIBBLE_TARGET_GENERIC == TARGET_GENERIC,
               "forms");
_Static_assert(NIBBLE_COPY_DEFAULT == COPY_BYTES_DEFAULT, "copies");
_Static_assert(NIBBLE_MIN_ELEMENTS_DEFAULT == MIN_ELEMENTS_DEFAULT, "elements");
_Static_assert((int)NIBBLE_STATUS_MALFORMED == STATUS_MALFORMED &&
                   (int)NIBBLE_STATUS_CANCELLED == STATUS_CANCELLED,
               "statuses");

const char *nibble_type_name(enum nibble_type type)
{
    return (unsigned)type < QUANT_TYPES ? quant_type_info((enum quant_type)type)->name
                                        : NULL;
}

/* The index of a name, or -1 if it is not in the list. */
static int index_of(const char *const *names, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(names[i], name) == 0)
            return (int)i;
    return -1;
}

bool nibble_type_parse(const char *name, enum nibble_type *type)
{
    for (int i = 0; i < QUANT_TYPES; i++) {
        if (strcmp(quant_type_info((enum quant_type)i)->name, name) == 0) {
            *type = (enum nibble_type)i;
            return true;
        }
    }
    return false;
}

/* Defines the _name and the _parse function of one enumeration. */
#define NAMES(thing)                                                                    \
    const char *nibble_##thing##_name(enum nibble_##thing value)                        \
    {                                                                                   \
        return (unsigned)value < COUNT_OF(thing##_names) ? thing##_names[value] : NULL; \
    }                                                                                   \
    bool nibble_##thing##_parse(const char *name, enum nibble_##thing *value)           \
    {                                                                                   \
        int index = index_of(thing##_names, COUNT_OF(thing##_names), name);             \
        if (index >= 0)                                                                 \
            *value = (enum nibble_##thing)index;                                        \
        return index >= 0;                                                              \
    }

NAMES(method)
NAMES(scale_type)
NAMES(compute)
NAMES(io)
NAMES(decode)
NAMES(format)
NAMES(target)

/* ---- checks --------------------------------------------------------- */

static bool invalid(struct error *err, const char *message)
{
    return error_set(err, STATUS_INVALID, "%s", message);
}

/* Refuses forms that one option asks for and another one rules out. */
static bool check_decoding(const struct nibble_options *options, struct error *err)
{
    const char *target = target_names[options->target];
    const char *no_nbits = target_refuses_nbits(options);
    const char *no_decode = target_refuses_decode(options);
    bool nbits = options->format != NIBBLE_FORMAT_QDQ;
    bool folded = options->decode == NIBBLE_DECODE_LOAD ||
                  options->decode == NIBBLE_DECODE_PORTABLE;
    if (nbits && no_nbits)
        return error_set(err, STATUS_INVALID,
                         "--format nbits and --target %s exclude each other: %s", target,
                         no_nbits);
    if (nbits && folded)
        return invalid(err, "--format nbits and --decode load or portable exclude each "
                            "other: MatMulNBits computes on the codes, so they can't be "
                            "decoded when the model is loaded");
    return !no_decode || error_set(err, STATUS_INVALID,
                                   "--target %s and --decode %s exclude each other: %s",
                                   target, decode_names[options->decode], no_decode);
}

/* Options that choose for each weight exclude options that decide for all weights. */
static const char *contradiction(const struct nibble_options *options)
{
    const double bits = options->bits_per_weight, snr = options->min_snr;
    if (!(bits >= 0 && bits <= 64) || !(snr >= 0 && snr <= 200))
        return "bits per weight must be from 0 to 64, and the minimum SNR from 0 to 200 "
               "dB";
    if (bits > 0 && snr > 0)
        return "bits per weight and the minimum SNR exclude each other: set one of them";
    if ((bits > 0 || snr > 0) && (options->type != NIBBLE_TYPE_INT4 ||
                                  options->granularity != NIBBLE_GRANULARITY_DEFAULT))
        return "bits per weight and the minimum SNR choose type and granularity "
               "themselves: "
               "leave these options at their defaults";
    if (options->io != NIBBLE_IO_FLOAT32 && options->compute == NIBBLE_COMPUTE_MODEL)
        return "--io changes the type of inputs and outputs only with --compute float16";
    if (options->hints &&
        (bits > 0 || snr > 0 || options->type != NIBBLE_TYPE_INT4 ||
         options->granularity != NIBBLE_GRANULARITY_DEFAULT || options->calibration))
        return "hints compare the default type and granularity with others: leave these "
               "options at their defaults, and give no data";
    return NULL;
}

static bool compile(const char *pattern, const char *option, const struct selector **out,
                    struct error *err)
{
    *out = NULL;
    if (!pattern)
        return true;
    struct selector *selector = malloc(sizeof *selector);
    if (!selector)
        return error_memory(err);
    if (!selector_make(selector, option, pattern, err)) {
        free(selector);
        return false;
    }
    *out = selector;
    return true;
}

static void release(const struct selector **selector)
{
    struct selector *owned = (struct selector *)(uintptr_t)*selector;
    if (owned)
        selector_free(owned);
    free(owned);
    *selector = NULL;
}

/* The casts to unsigned catch negative values, which other languages or careless casts
 * may give. */
static bool enumerators_known(const struct nibble_options *options)
{
    return (unsigned)options->type < QUANT_TYPES &&
           (unsigned)options->symmetry <= NIBBLE_SYMMETRY_ASYMMETRIC &&
           (unsigned)options->granularity <= NIBBLE_GRANULARITY_BLOCKS &&
           (unsigned)options->method < COUNT_OF(method_names) &&
           (unsigned)options->scale_type < COUNT_OF(scale_type_names) &&
           (unsigned)options->compute < COUNT_OF(compute_names) &&
           (unsigned)options->io < COUNT_OF(io_names) &&
           (unsigned)options->decode < COUNT_OF(decode_names) &&
           (unsigned)options->format < COUNT_OF(format_names) &&
           (unsigned)options->target < COUNT_OF(target_names);
}

struct quant_scheme options_scheme(const struct nibble_options *options)
{
    const bool by_type = options->symmetry == NIBBLE_SYMMETRY_BY_TYPE;
    const enum quant_type type = (enum quant_type)options->type;
    return (struct quant_scheme){
        .type = type,
        .method = (enum quant_method)options->method,
        .symmetric = by_type ? quant_type_info(type)->symmetric
                             : options->symmetry == NIBBLE_SYMMETRY_SYMMETRIC,
        /* Round to nearest is never mirrored: users expect the common definition. */
        .mirrored = by_type && options->method != NIBBLE_METHOD_RTN,
        .stop = options->cancel,
    };
}

/* A bound on bits asks for a small file, so the default is no copies then. */
static uint64_t copy_bytes(const struct nibble_options *options)
{
    bool unsaid = options->copy_bytes == NIBBLE_COPY_DEFAULT;
    return unsaid && options->bits_per_weight > 0 ? 0 : options->copy_bytes;
}

bool options_planning(const struct nibble_options *options, struct plan_options *planning,
                      struct error *err)
{
    *planning = (struct plan_options){
        .granularity = (enum granularity)options->granularity,
        .block_size = options->block_size,
        .min_elements = options->min_elements,
        .freeze = options->freeze,
        .int8_activations = options->format == NIBBLE_FORMAT_NBITS_INT8,
        .wide_embeddings = options->wide_embeddings,
        .wide_tables = true,
        .free_zeros = options->calibration != NULL,
        .copy_bytes = copy_bytes(options),
        .half_scales = options->scale_type == NIBBLE_SCALE_TYPE_FLOAT16,
        .float16 = options->float16 != 0,
    };
    if (!enumerators_known(options))
        return invalid(err, "an option has a value that nibble.h does not define");
    if (options->granularity == NIBBLE_GRANULARITY_BLOCKS &&
        (options->block_size < 2 || options->block_size > INT32_MAX))
        return invalid(err, "the block size must be 2 or more");
    const char *contradicts = contradiction(options);
    if (contradicts)
        return invalid(err, contradicts);
    if (!check_decoding(options, err))
        return false;
    planning->decode = target_decode(options);
    planning->target = target_layout(options);
    planning->nbits = target_takes_nbits(options);
    planning->scheme = options_scheme(options);
    return compile(options->include, "--include", &planning->include, err) &&
           compile(options->exclude, "--exclude", &planning->exclude, err) &&
           rules_make(options, planning, err);
}

void options_free(struct plan_options *planning)
{
    release(&planning->include);
    release(&planning->exclude);
    rules_free(planning);
}

bool options_filling(const struct nibble_options *options, struct fill_options *filling,
                     struct error *err)
{
    *filling = (struct fill_options){
        .kernels = quant_kernels(options->cpu),
        .threads = options->threads,
        .count = options->histograms > 0,
        .cancel = options->cancel,
        .progress = options->progress,
        .progress_data = options->progress_data,
    };
    if (!filling->kernels)
        return error_set(
            err, STATUS_INVALID,
            "there are no kernels '%s' for this CPU in this build: leave the choice to "
            "nibble, or take scalar",
            options->cpu);
    if (options->threads < 0 || options->threads > 1024)
        return invalid(err, "the number of threads must be from 0 to 1024");
    return true;
}

struct store_options options_storing(const struct nibble_options *options)
{
    return (struct store_options){.external = options->external_data,
                                  .data_name = options->data_name,
                                  .force = options->force,
                                  .cancel = options->cancel};
}

struct file *options_open_model(const struct nibble_options *options, const char *path,
                                struct error *err)
{
    struct file *file = NULL;
    if (!path)
        error_set(err, STATUS_INVALID, "no model is named");
    else
        file = file_open_within(path, options->max_size, options->cancel, err);
    if (!file)
        return NULL;
    file->no_links = options->no_links != 0;
    if (options->guard)
        truncation_watch(&options->guard->files, file);
    return file;
}

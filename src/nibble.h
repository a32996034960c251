/* nibble: int4 post-training quantization of ONNX models.
 *
 * This header is the manual of the library. One call reads a model with float weights,
 * stores the weights with 4 or 8 bits each, and writes a smaller model that answers
 * nearly the same:
 *
 *     struct nibble_options options;
 *     struct nibble_report *report = NULL;
 *     struct nibble_error error = {0};
 *
 *     nibble_options_init(&options);
 *     if (nibble_quantize("model.onnx", "model.int4.onnx", &options, &report, &error))
 *         fprintf(stderr, "%s\n", error.message);
 *     nibble_report_free(report);
 *
 * Words that this header uses:
 * - A weight is a float constant of the model.
 * - A code is the small integer that replaces an element of a weight.
 * - A scale and a zero point turn codes back into numbers:
 *   x = (code - zero point) * scale.
 * - SNR, the signal-to-noise ratio, measures the error in dB. Higher is better:
 *   10 log10(sum x^2 / sum (x - x')^2), where x are the weight's elements and x' are the
 *   numbers that its codes stand for.
 *
 * The library never prints, never exits and keeps no global state. It works with 128 KiB
 * of stack, and with fewer threads if the system refuses them. Writing beyond a limit on
 * the size of files is an error if the program ignores SIGXFSZ. Several threads may
 * call it at once. Memory stays bounded whatever the size of the model: the library maps
 * the file and reads weights piece by piece. The output depends on the model and the
 * options only. It does not depend on the CPU or on the number of threads.
 *
 * Ownership: the library's own _free functions free what the library returns. Strings
 * inside a report live as long as the report. The library never writes to options.
 *
 * A program may meet a newer library with the same soname. It may then rely on this:
 * - Functions keep their names and parameters.
 * - Structs grow at the end only. Fields keep their place and meaning.
 * - The caller owns `struct nibble_options`, and the struct states its own size. A
 * smaller struct comes from an older header. Fields that it lacks have their defaults.
 * - The library owns `struct nibble_report` and `struct nibble_weight`. Read their fields
 *   through the pointers that you are given. Never copy such a struct, never take its
 *   sizeof, and never make one yourself.
 * - `struct nibble_error` never changes.
 * - Enumerators keep their values, and new ones get new values. Expect a status that you
 *   don't know.
 *
 * Bindings for other languages need no C compiler. This header defines one function, the
 * inline nibble_options_init, and it only calls nibble_options_init_sized. */
#ifndef NIBBLE_H
#define NIBBLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define NIBBLE_API __attribute__((visibility("default")))
#else
#define NIBBLE_API
#endif

/* ---- status --------------------------------------------------------- */

enum nibble_status {
    NIBBLE_STATUS_OK = 0,
    /* Options contradict each other or make no sense. */
    NIBBLE_STATUS_INVALID,
    /* A file can't be opened or read. */
    NIBBLE_STATUS_READ,
    /* A file can't be written. */
    NIBBLE_STATUS_WRITE,
    /* The bytes of the model break the format. */
    NIBBLE_STATUS_MALFORMED,
    /* The model is sound, but it can't be converted with its meaning kept. */
    NIBBLE_STATUS_UNSUPPORTED,
    /* Memory ran out, or the model asks for an absurd amount of it. */
    NIBBLE_STATUS_MEMORY,
    /* options.cancel became nonzero. */
    NIBBLE_STATUS_CANCELLED,
};

/* What went wrong. A call sets the whole struct. Every function that takes a pointer to
 * it accepts NULL, and then the returned status is all that the caller learns. */
struct nibble_error {
    enum nibble_status status;
    /* Says what happened, to which file, tensor or node, and what to do. One or more
     * lines without a final newline. "" after a success. */
    char message[4096];
};

/* Returns the version of the library, "MAJOR.MINOR.PATCH". The string is static. */
NIBBLE_API const char *nibble_version(void);

/* Makes text safe on a terminal, since names come from models of strangers. '?' takes the
 * place of what a terminal acts on: controls, marks that change the direction of text,
 * and bytes that are not UTF-8. Works in place; the length stays. `kept` lists controls
 * that stay, such as "\n\t". NULL: none. */
NIBBLE_API void nibble_defuse(char *text, const char *kept);

/* ---- options -------------------------------------------------------- */

/* The integer type of the codes. A byte holds two codes of 4 bits. */
enum nibble_type {
    NIBBLE_TYPE_INT4,
    NIBBLE_TYPE_UINT4,
    NIBBLE_TYPE_INT8,
    NIBBLE_TYPE_UINT8,
};

/* Whether the library fits zero points. */
enum nibble_symmetry {
    /* Types uint4 and uint8 have fitted zero points, and int4 and int8 have none. There
     * is one exception: methods other than RTN may mirror a grid of 4 bits. A zero point
     * of -1 then makes the range -7..8 out of -8..7. */
    NIBBLE_SYMMETRY_BY_TYPE,
    /* The zero point is the middle of the range. */
    NIBBLE_SYMMETRY_SYMMETRIC,
    /* The zero point is fitted. */
    NIBBLE_SYMMETRY_ASYMMETRIC,
};

/* How scales of float and double weights are stored. Other weights have scales of their
 * own type. FLOAT16 halves the bytes of the scales. A runtime widens them when it loads
 * the model. A weight keeps FLOAT32 if float16 can't hold its scales. */
enum nibble_scale_type { NIBBLE_SCALE_TYPE_FLOAT32, NIBBLE_SCALE_TYPE_FLOAT16 };

/* In which type the operators compute. MODEL: as in the model. FLOAT16: what is float32
 * becomes float16, except for operators whose range or meaning float16 breaks, and those
 * that use constants which float16 can't hold. Casts stand where the two meet. Local
 * functions stay as they are. */
enum nibble_compute { NIBBLE_COMPUTE_MODEL, NIBBLE_COMPUTE_FLOAT16 };

/* The type of inputs and outputs that are float32, where operators compute in float16. */
enum nibble_io { NIBBLE_IO_FLOAT32, NIBBLE_IO_FLOAT16 };

/* Which elements share a scale. */
enum nibble_granularity {
    /* One scale for each output channel, with one exception: channels of MatMul and Gemm
     * are cut into blocks. A block has 256 elements if 256 divides the channel's length.
     * Otherwise it has the largest power of two from 32 on that divides the length. If no
     * such power divides it, the last block is a partial one: blocks have 256 elements,
     * or the next power of two from 16 on if the channel is shorter than that. Every
     * ONNX Runtime fuses this layout and runs it fast. OpenVINO wants blocks that divide
     * the length. */
    NIBBLE_GRANULARITY_DEFAULT,
    /* One scale for each output channel. */
    NIBBLE_GRANULARITY_PER_CHANNEL,
    /* One scale for the whole weight. */
    NIBBLE_GRANULARITY_PER_TENSOR,
    /* One scale for every options.block_size elements along the reduction axis. */
    NIBBLE_GRANULARITY_BLOCKS,
};

/* How the library finds scales and zero points. */
enum nibble_method {
    /* Round to nearest: scale = max|x| / 7, or (max - min) / 15. */
    NIBBLE_METHOD_RTN,
    /* Finds scales with nearly the least squared error. The error is never larger than
     * the error of RTN. */
    NIBBLE_METHOD_SEARCH,
    /* Finds the least squared error. It is slow: use it to measure the other methods. */
    NIBBLE_METHOD_EXACT,
};

/* The operators that replace a quantized weight in the graph (docs/forms.md). */
enum nibble_decode {
    /* DequantizeLinear. The weights stay int4 in memory. A runtime that does not fuse
     * DequantizeLinear decodes them on every run. Rows of an embedding are gathered first
     * and decoded after that. */
    NIBBLE_DECODE_RUN,
    /* Cast and Mul. The weights are small on disk and float once the model is loaded. */
    NIBBLE_DECODE_LOAD,
    /* The same as LOAD, but with two codes in each uint8. This needs neither the INT4
     * type nor a higher opset, so any runtime loads the model. */
    NIBBLE_DECODE_PORTABLE,
    /* RUN where ONNX Runtime fuses the weight and is faster for it. LOAD elsewhere. */
    NIBBLE_DECODE_AUTO,
};

/* Which operators RUN uses. */
enum nibble_format {
    /* DequantizeLinear, a standard operator. */
    NIBBLE_FORMAT_QDQ,
    /* MatMulNBits and GatherBlockQuantized of the domain com.microsoft, where they can
     * hold the weight. MatMulNBits computes in float32. */
    NIBBLE_FORMAT_NBITS,
    /* The same, but MatMulNBits rounds activations to int8, as ONNX Runtime does where it
     * fuses QDQ. This is faster. The error is about 0.5 % of the largest output. */
    NIBBLE_FORMAT_NBITS_INT8,
};

/* The runtime that the model is for. The model loads there, and gets the forms that are
 * fast there. A target decides what options.decode and options.format leave at their
 * defaults (docs/forms.md). */
enum nibble_target {
    /* ONNX Runtime 1.22 and later. */
    NIBBLE_TARGET_ONNXRUNTIME,
    /* No runtime in particular: plain DequantizeLinear and nothing else. */
    NIBBLE_TARGET_GENERIC,
    /* ONNX Runtime in browsers and JavaScript: MatMulNBits and GatherBlockQuantized where
     * they can hold the weight, LOAD elsewhere. */
    NIBBLE_TARGET_ONNXRUNTIME_WEB,
    /* OpenVINO: LOAD, whose weights it keeps compressed, and rows of embeddings. Default
     * blocks divide the axis. */
    NIBBLE_TARGET_OPENVINO,
    /* Any runtime since opset 9: the same as NIBBLE_DECODE_PORTABLE. */
    NIBBLE_TARGET_PORTABLE,
};

/* What is known about a model's activations. See "calibration" below. */
struct nibble_calibration;

/* Reports progress. `data` is options.progress_data. `done` and `total` are bytes of
 * weights. The function may be called from a worker thread, never concurrently. `done`
 * grows from call to call and ends at `total`. It may start again from the beginning,
 * since some options need several passes. */
typedef void nibble_progress_fn(void *data, uint64_t done, uint64_t total);

/* The default of options.copy_bytes. The copies of one weight then take at most a quarter
 * of its float values, and all copies together at most a tenth of the model. With
 * bits_per_weight there are no copies. */
#define NIBBLE_COPY_DEFAULT UINT64_MAX

/* The default of options.min_elements. The number then depends on the model. It is the
 * largest one from 256 to 1024 that keeps at most 1 % of the values of all weights float.
 * If there is none, it is 256. Weights of 16 bits below 1024 elements don't count. */
#define NIBBLE_MIN_ELEMENTS_DEFAULT SIZE_MAX

/* Guards a program against files that are truncated. The library maps its input files. If
 * another program truncates a file during a call, the next access to the missing part
 * raises SIGBUS, and SIGBUS ends the process. The library installs no signal handlers.
 * A program that wants an error instead installs its own handler with SA_SIGINFO:
 *
 *     static struct nibble_guard guard;
 *
 *     static void handle(int number, siginfo_t *info, void *context)
 *     {
 *         if (!nibble_guard_handle(&guard, info->si_addr)) {
 *             signal(number, SIG_DFL);
 *             raise(number);
 *         }
 *     }
 *
 * The program then sets options.guard to &guard. Calls that run at the same time need a
 * guard each. */
struct nibble_guard {
    /* Set it to NULL before the first call. It belongs to the library. */
    void *volatile files;
};

/* Call this in a handler of SIGBUS. If a call with this guard reads a file that `address`
 * lies in, the function puts zeros in place of the missing part and returns true. The
 * call then fails with NIBBLE_STATUS_READ. Returns false for any other address. */
NIBBLE_API bool nibble_guard_handle(const struct nibble_guard *guard,
                                    const void *address);

/* The options of every call. Initialize them with nibble_options_init. */
struct nibble_options {
    /* The size of this struct in the caller's nibble.h. nibble_options_init sets it. */
    size_t size;
    /* The type of the codes. Default: INT4. */
    enum nibble_type type;
    /* Default: BY_TYPE. */
    enum nibble_symmetry symmetry;
    /* Which elements share a scale. Default: DEFAULT. */
    enum nibble_granularity granularity;
    /* The number of elements in a block, 2 or more, for NIBBLE_GRANULARITY_BLOCKS. Other
     * granularities ignore it. */
    size_t block_size;
    /* 0, or an upper bound on the average bits per weight, at most 64. The library then
     * chooses type and granularity for each weight: 4 bits in the default granularity or
     * in blocks of 128, 64 or 32, 8 bits, or float. With calibration there are two more
     * kinds: one scale per channel, where that makes no weight slower, and blocks of 64
     * or 32 with zero points. Among all choices within the bound it takes one with nearly
     * the least sum, over the weights, of noise / signal.
     *
     * The average counts codes, scales and zero points. It also counts the values of
     * weights that stay float by choice. It is taken over the weights that at least one
     * choice can hold. The call fails with NIBBLE_STATUS_INVALID if no choice is within
     * the bound.
     *
     * Leave `type` and `granularity` as nibble_options_init sets them, and `min_snr` 0.
     * With NIBBLE_SYMMETRY_ASYMMETRIC the types are uint4 and uint8. Before the work
     * begins the library reads the weights once for each of five choices. It does so in a
     * dry run, too. */
    double bits_per_weight;
    /* 0, or a signal-to-noise ratio in dB, at most 200. For each weight the library takes
     * the smallest of the same choices that reaches this SNR. A weight stays float if no
     * choice reaches it. The rules for other options are those of bits_per_weight, and
     * bits_per_weight must be 0. */
    double min_snr;
    /* How scales and zero points are found. Default: SEARCH. */
    enum nibble_method method;
    /* How scales are stored. Default: FLOAT32. */
    enum nibble_scale_type scale_type;
    /* A pattern. Only the weights that it means are quantized. NULL means all weights. A
     * pattern is a POSIX extended regular expression. It means the weights whose names it
     * matches, and those that are used by a node whose name it matches. There are three
     * more kinds: "op=RE" means weights that are used by an operator with a name that RE
     * matches in full, such as "op=Gather". "graph=RE" means weights in bodies and
     * functions with such a path. "role=head" means weights of the last layer: only
     * element-wise operators stand between it and an output of the model. */
    const char *include;
    /* A pattern. The weights that it means stay float. NULL means none. */
    const char *exclude;
    /* Which operators replace a weight. Default: RUN. */
    enum nibble_decode decode;
    /* Which operators RUN uses. Default: QDQ. */
    enum nibble_format format;
    /* The runtime that the model is for. Default: ONNXRUNTIME. */
    enum nibble_target target;
    /* Use 8 bits for the rows of embeddings although `type` has 4 bits. */
    bool wide_embeddings;
    /* An upper bound, in bytes, on all copies of codes together. ONNX Runtime computes on
     * codes only if a MatMul has them for itself. So a weight of several MatMuls gets a
     * copy of its codes for each of them. Beyond the bound the MatMuls share one decoder,
     * which is slower. Whatever the bound, the codes of a weight and their copies take
     * less than its float values. Default: NIBBLE_COPY_DEFAULT. */
    uint64_t copy_bytes;
    /* Weights with fewer elements stay float. Default: NIBBLE_MIN_ELEMENTS_DEFAULT. */
    size_t min_elements;
    /* Also quantize initializers that are graph inputs. Callers of the model could give
     * such an input another value. The input is removed, so they no longer can. */
    bool freeze;
    /* Refuse a model if its opset would have to be raised. */
    bool no_upgrade;
    /* Put tensors into a data file beside the output even below 2 GiB. It is called
     * OUT.HASH.data, where HASH depends on its contents. */
    bool external_data;
    /* Allow the output to be the input file itself. */
    bool force;
    /* Leave the errors of weights out of the report. This is faster: only an eighth of
     * large weights is measured, for estimated_snr_db. */
    bool unmeasured;
    /* The number of threads, at most 1024. 0 means one for each CPU. */
    int threads;
    /* The kernels to use: "scalar", "avx2" or "avx512". NULL means the fastest on this
     * CPU. The call fails with NIBBLE_STATUS_INVALID if the CPU lacks them. */
    const char *cpu;
    /* Called with the progress of the work. May be NULL. */
    nibble_progress_fn *progress;
    /* Passed to `progress`. */
    void *progress_data;
    /* May be NULL. When *cancel becomes nonzero, the work stops, the temporary file is
     * removed, and the call returns NIBBLE_STATUS_CANCELLED. A signal handler may set
     * it. The call looks at it for the last time right before the output gets its name.
     */
    const volatile int *cancel;
    /* May be NULL. See struct nibble_guard. */
    struct nibble_guard *guard;
    /* NULL, or what is known about the model's activations. The library then finds codes
     * that fit these activations. */
    struct nibble_calibration *calibration;
    /* NULL, or the name of the data file, without a folder. The default name depends on
     * the contents: OUT.HASH.data. With a fixed name two files must be replaced. If the
     * process is killed in between, new data stay beside the old OUT. Only matters where
     * there is a data file: see external_data. */
    const char *data_name;
    /* NULL, or the path of a file that the report is written to as JSON, or "-" for
     * standard output. It is replaced in one rename, after the output. If it can't be
     * written, the call fails, and the old output stays. */
    const char *json;
    /* Refuse external data behind symbolic links. By default links are followed, as those
     * of a hub's cache. They can't be part of a model's file, but an archive can hold
     * links. Set this for archives that you don't trust: a link in one could lead to any
     * file, whose bytes would then be in the output. A location that is absolute or has
     * ".." in it is always refused. Zero or not, with 8 bytes, so that the struct ends
     * without padding. */
    uint64_t no_links;
    /* NULL, or a list of rules that ends with NULL. A rule gives some weights settings of
     * their own: "PATTERN: SETTINGS". The first rule that means a weight counts. PATTERN
     * is like `include`. SETTINGS is "keep" (the weight stays float), "default" (as the
     * options say), or some of these, joined by commas: "type=NAME", "symmetric",
     * "asymmetric", "per-channel", "per-tensor", "block-size=N", "method=NAME",
     * "scale-type=NAME", "decode=NAME". "float32" is "keep", even with float16. Values
     * have their names on the command line. "?" before a pattern says that it may mean no
     * weight:
     *
     *     static const char *const rules[] = {"op=Gather: type=int8",
     *                                         "/lm_head/: type=int8", NULL};
     *
     * A rule about type or granularity wins over bits_per_weight and min_snr, which then
     * don't count the weight. */
    const char *const *rules;
    /* 0, or an upper bound, in bytes, on a model that is compressed or comes from a pipe.
     * Such a model is copied to $TMPDIR. 0 means 64 GiB, and 1000 times the size of a
     * compressed file. */
    uint64_t max_size;
    /* NULL, or the path of a file that the report is written to as an HTML page, or "-".
     * The same rules as for `json`. The page has histograms of the ten worst weights. */
    const char *page;
    /* NULL, or the command that the report names as its origin. */
    const char *command;
    /* The number of weights that get a histogram, those with the least SNR. `page` adds
     * histograms of ten weights if this is 0. */
    size_t histograms;
    /* Zero or not: read the finished output again before it gets its name. Each quantized
     * weight is decoded, and no element may be further from the float weight than half a
     * step of its scale, unless it is beyond the lowest or the highest code. With
     * `calibration` it must be what the solution says. All other tensors must be equal
     * byte for byte. The call fails with NIBBLE_STATUS_WRITE if something differs. */
    uint64_t verify;
    /* Nonzero: store as float16 what stays float32, such as biases, norms, tables and
     * small weights. A Cast makes it float32 again, which runtimes compute once, when
     * they load the model. So the model is smaller, and as fast as before. Constants stay
     * float32 if float16 does not suit their values, or if a Cast takes more room than it
     * saves. Scales have an option of their own: scale_type. */
    uint64_t float16;
    /* 0, or the number of weights that nibble_report_text lists: those with the least
     * SNR, or the largest if errors were not measured. One line sums up the others. */
    size_t top;
    /* Nonzero: measure other block sizes, 8 bits, and mixtures of them, too, and say in
     * the report what they would give. The weights are read once for each of five
     * choices, in a dry run, too. Leave `type`, `granularity`, bits_per_weight and
     * min_snr as nibble_options_init sets them, and `calibration` NULL. */
    uint64_t hints;
    /* FLOAT16: compute in float16 what can be computed so. */
    enum nibble_compute compute;
    /* With `compute` FLOAT16: the type of the model's inputs and outputs. */
    enum nibble_io io;
};

/* Sets every option to its default. `size` is the size of the struct that `options`
 * points to. If the struct is larger than this library's, the bytes of unknown fields
 * become zero. Use nibble_options_init, which passes the right size.
 *
 * A function that takes options fails with NIBBLE_STATUS_INVALID if `size` can't be the
 * size of such a struct. So it detects options that nobody initialized. It also fails if
 * the struct comes from a newer nibble.h and a field is set that this library doesn't
 * know. No option is ignored. */
NIBBLE_API void nibble_options_init_sized(struct nibble_options *options, size_t size);

static inline void nibble_options_init(struct nibble_options *options)
{
    nibble_options_init_sized(options, sizeof *options);
}

/* Presets are named sets of options for certain loaders (docs/rules.md). Returns the name
 * of a preset, or NULL behind the last one. The string is static. */
NIBBLE_API const char *nibble_preset_name(size_t index);

/* Returns a preset as JSON, as --config reads it. NULL if there is no such preset. */
NIBBLE_API const char *nibble_preset_config(const char *name);

/* The _name functions return an enumerator's name on the command line, such as "int4" or
 * "rtn". The string is static. They return NULL for a value that is no enumerator. The
 * _parse functions do the reverse. They return false if there is no such name. */
NIBBLE_API const char *nibble_type_name(enum nibble_type type);
NIBBLE_API bool nibble_type_parse(const char *name, enum nibble_type *type);
NIBBLE_API const char *nibble_decode_name(enum nibble_decode decode);
NIBBLE_API bool nibble_decode_parse(const char *name, enum nibble_decode *decode);
NIBBLE_API const char *nibble_format_name(enum nibble_format format);
NIBBLE_API bool nibble_format_parse(const char *name, enum nibble_format *format);
NIBBLE_API const char *nibble_target_name(enum nibble_target target);
NIBBLE_API bool nibble_target_parse(const char *name, enum nibble_target *target);
NIBBLE_API const char *nibble_scale_type_name(enum nibble_scale_type type);
NIBBLE_API bool nibble_scale_type_parse(const char *name, enum nibble_scale_type *type);
NIBBLE_API const char *nibble_compute_name(enum nibble_compute type);
NIBBLE_API bool nibble_compute_parse(const char *name, enum nibble_compute *type);
NIBBLE_API const char *nibble_io_name(enum nibble_io type);
NIBBLE_API bool nibble_io_parse(const char *name, enum nibble_io *type);
NIBBLE_API const char *nibble_method_name(enum nibble_method method);
NIBBLE_API bool nibble_method_parse(const char *name, enum nibble_method *method);

/* ---- report --------------------------------------------------------- */

/* How the values of a weight lie on its grid. The place of a value is value / scale +
 * zero point, so codes are whole numbers. */
struct nibble_histogram {
    /* The lowest and the highest code. */
    int lowest, highest;
    /* The place where the first bar begins. */
    double first;
    /* The width of a bar. */
    double step;
    /* The number of values in each bar. Values beyond the bars count in the first or the
     * last one. */
    const uint64_t *counts;
    /* The number of bars. */
    size_t count;
};

/* One weight: what it became, or why it stays float. No pointer but `histogram` is NULL.
 * A text that does not apply is "". */
struct nibble_weight {
    /* The name of the tensor. */
    const char *name;
    /* The operator of its first consumer, such as "MatMul". "" if it has none. */
    const char *op_type;
    /* "" in the main graph. Otherwise the path to the body of an If, Loop or Scan, or to
     * the local function, that the weight belongs to. */
    const char *graph;
    /* "float", "float16", "bfloat16" or "double". */
    const char *element_type;
    /* The shape: `rank` dimensions. */
    const int64_t *dims;
    /* The number of dimensions. 0 for a scalar. */
    size_t rank;
    /* The product of the dimensions. */
    uint64_t elements;
    /* True if the weight is quantized, false if it stays float. */
    bool quantized;
    /* Quantized: "int4", "uint4", "int8" or "uint8". Float: the type that it is stored
     * as. This is element_type, or "float16" with options.float16. */
    const char *type;
    /* Quantized: which elements share a scale, as "channel, axis 0", "block 32, axis 1"
     * or "tensor". */
    const char *granularity;
    /* Quantized: the type of the stored scales, "float", "float16" or "bfloat16". */
    const char *scale_type;
    /* Quantized: what replaces it in the graph: "DequantizeLinear", "Gather",
     * "MatMulNBits", "GatherBlockQuantized", "load" or "portable" (docs/forms.md). */
    const char *form;
    /* Quantized: what the form means when the model runs, in plain words. */
    const char *why;
    /* Quantized: an operator decodes it on every run, which takes time. */
    bool slow;
    /* This is a further form of the weight before it in the list, because other consumers
     * want another layout. Its bytes_before is 0. */
    bool copy;
    /* Float: why it stays float, in plain words. */
    const char *reason;
    /* The options ask for this weight to be quantized: it is large enough and not
     * excluded. False if it stays float because bits_per_weight has room for that. */
    bool requested;
    /* Float: it stays float because of its values. They hold NaN or infinity, or they
     * need scales that the scale type can't hold. */
    bool warning;
    /* Bytes of the float values. */
    uint64_t bytes_before;
    /* Quantized: bytes of codes, scales and zero points. Float: bytes of the values as
     * they are stored. */
    uint64_t bytes_after;
    /* Quantized: the SNR in dB. Infinity if nothing was lost. NaN with
     * options.unmeasured, and in a dry run that reads no values. */
    double snr_db;
    /* Quantized: it repeats codes that are stored already, so that it can be fused. */
    bool again;
    /* How many consumers share these codes although each would be fused if it had a copy.
     * 0 if there are none. */
    size_t sharing;
    /* Bytes that copies for these consumers would take. */
    uint64_t sharing_bytes;
    /* Quantized: its codes were found with options.calibration. */
    bool calibrated;
    /* Calibrated: the SNR of the layer's output in dB on the observed data, with the
     * input of the float model. Otherwise NaN. */
    double output_snr_db;
    /* The name of the first node that uses it. "" if the node has no name. */
    const char *node;
    /* The rule that counts for it, as options.rules has it. "" if there is none. */
    const char *rule;
    /* One of the worst weights that options.histograms asks for: where its values lie on
     * its grid. Otherwise NULL. */
    const struct nibble_histogram *histogram;
    /* Float, with options.float16: why it is not stored as float16. Otherwise "". */
    const char *float32_reason;
};

/* A pattern of the options, and how many weights it means. */
struct nibble_pattern {
    /* "--include", "--exclude" or "--rule". */
    const char *option;
    /* The pattern, or the whole rule. */
    const char *text;
    /* The number of weights that it means, whatever becomes of them. */
    size_t weights;
    /* If it means none: up to three names that are most like it, in quotes and joined by
     * commas. "" if no name is like it. */
    const char *nearest;
};

/* What other options would give. */
struct nibble_hint {
    /* The options, as on the command line. */
    const char *options;
    /* By how many dB the SNR of the outputs is expected to rise. */
    double snr_db;
    /* By how many bits a weight the quantized weights would grow. */
    double bits_per_weight;
};

/* Weights of one kind that an earlier run or another tool had quantized already. */
struct nibble_already {
    /* "int4" or "int8": the bits of a code, whether it is signed or not. */
    const char *type;
    /* The operator that reads the codes, such as "DequantizeLinear" or "MatMulNBits", or
     * one of the forms "load" and "portable". */
    const char *form;
    /* The number of such weights. */
    size_t weights;
};

/* What was done to a model. Sizes are in bytes. */
struct nibble_report {
    /* The name of the input, as it was given. */
    const char *model;
    /* The name of the output, as it was given. "" in a dry run. */
    const char *output;
    /* The IR version of the input. */
    int64_t ir_before;
    /* The IR version of the output. */
    int64_t ir_after;
    /* The opset of the standard domain in the input. */
    int64_t opset_before;
    /* The opset of the standard domain in the output. */
    int64_t opset_after;
    /* The size of the input: the model and its external data. */
    uint64_t bytes_before;
    /* The size of the output: the model and its external data. 0 in a dry run. */
    uint64_t bytes_after;
    /* The sum of bytes_before over `weights`. */
    uint64_t weight_bytes_before;
    /* The sum of bytes_after over `weights`. */
    uint64_t weight_bytes_after;
    /* The number of elements of all weights. */
    uint64_t elements;
    /* The number of elements of the quantized weights. */
    uint64_t elements_quantized;
    /* 8 * bytes_after / elements of the quantized weights. It counts scales and zero
     * points, but not the weights with `again`. 0 if nothing is quantized. */
    double bits_per_weight;
    /* The same over all weights that the library chose type and granularity for. It
     * includes weights that stay float by choice. options.bits_per_weight bounds this
     * value. 0 if nothing was chosen. */
    double bits_chosen;
    /* The number of elements of these weights. */
    uint64_t elements_chosen;
    /* The number of quantized weights. */
    size_t quantized;
    /* The number of weights that stay float. */
    size_t kept_float;
    /* How many of these are `requested`. */
    size_t requested_but_float;
    /* How many of these have a `warning`. */
    size_t warnings;
    /* The number of quantized weights that are `slow`. */
    size_t slow;
    /* The kernels that were used: "scalar", "avx2" or "avx512". */
    const char *cpu;
    /* One pointer for each weight: weights[i]->name. A pointer rather than a struct, so
     * that struct nibble_weight can grow. */
    const struct nibble_weight *const *weights;
    /* The number of entries in `weights`. */
    size_t weight_count;
    /* The number of weights with `again`. */
    size_t copies;
    /* The bytes of these weights. */
    uint64_t copy_bytes;
    /* The sum of `sharing` over `weights`. */
    size_t sharing;
    /* The sum of `sharing_bytes` over `weights`. */
    uint64_t sharing_bytes;
    /* What was quantized before. None of it is in `weights`. */
    const struct nibble_already *const *already;
    /* The number of entries in `already`. */
    size_t already_count;
    /* An estimate of the SNR of the model's outputs in dB, from the errors of the weights
     * and the depth of the model (docs/accuracy.md). NaN if errors were not measured, if
     * nothing is quantized, and with options.calibration. */
    double estimated_snr_db;
    /* A warning in plain words if this estimate is so low that the model is likely to be
     * ruined. It says what helps. Otherwise "". */
    const char *note;
    /* The number of float weights whose QuantizeLinear the library has computed. The
     * output has these codes instead, and `already` counts them. */
    size_t codes_stored;
    /* The patterns of the options. */
    const struct nibble_pattern *const *patterns;
    /* The number of entries in `patterns`. */
    size_t pattern_count;
    /* options.command, or "". */
    const char *command;
    /* The number of weights that stay float32, but are stored as float16. */
    size_t stored_float16;
    /* options.top. */
    size_t top;
    /* With options.hints: what other options would give. */
    const struct nibble_hint *const *hints;
    /* The number of entries in `hints`. */
    size_t hint_count;
    /* With options.compute: the number of nodes that compute in float16, and of those
     * that stay float32. */
    size_t float16_nodes, float32_nodes;
};

/* Returns the report as text for a terminal. `columns` is the width of the terminal. Long
 * names are shortened to fit, but no two different names are shortened to the same text.
 * With 0 columns or with `all` names appear in full. `all` also lists constants that stay
 * float one by one. The caller frees the string with free(). NULL if memory ran out. */
NIBBLE_API char *nibble_report_text(const struct nibble_report *report, int columns,
                                    bool all);

/* Returns the report as JSON (docs/report.md). The caller frees the string with free().
 * NULL if memory ran out. */
NIBBLE_API char *nibble_report_json(const struct nibble_report *report);

/* Makes an HTML page of a report or a comparison. It is one file that loads nothing.
 *
 * report: what nibble_report_json or nibble_comparison_json returned, or what a program
 *   has made of that (docs/report.md).
 * other: NULL, or a second one, which the page shows side by side with the first.
 * output: NULL, or the path of a file that the page is written to, or "-" for standard
 *   output. A file is replaced in one rename.
 * page: may be NULL. Otherwise it is set to the page after a success, and to NULL after a
 *   failure. The caller frees it with free().
 * error: may be NULL.
 *
 * Returns the status. */
NIBBLE_API enum nibble_status nibble_page(const char *report, const char *other,
                                          const char *output, char **page,
                                          struct nibble_error *error);

/* Frees a report and all that it points to. NULL is allowed. */
NIBBLE_API void nibble_report_free(struct nibble_report *report);

/* ---- the work ------------------------------------------------------- */

/* Quantizes the weights of a model and writes the result.
 *
 * model: the path of a .onnx file (with external data beside it) or a .onnx.gz file, or
 *   "-" for standard input. The library never changes it.
 * output: the path of the output, or "-" for standard output. A file is replaced in one
 *   rename when all is done. Data files of the old output are removed after that. The
 * output is compressed if the path ends in .gz. NULL means a dry run: it plans and
 * reports, but writes nothing. A dry run reads only a few values of each weight, unless
 * bits_per_weight or min_snr is set. options: NULL means the defaults. report: may be
 * NULL. Otherwise it is set to a new report after a success and to NULL after a failure.
 * The caller frees it with nibble_report_free. error: may be NULL.
 *
 * A model with nothing to quantize is a success, too, and report->quantized is 0. The
 * output is then a copy of the model, byte for byte, with copies of its external data
 * beside it. A stream or a .gz file can't have files beside it, so the external data go
 * into the model there.
 *
 * Returns the status. After a failure there is no output, and an old file with the name
 * of the output is unchanged. There is one exception, since reports get their names after
 * the output: if that fails, the message names the report, and the output is complete. */
NIBBLE_API enum nibble_status nibble_quantize(const char *model, const char *output,
                                              const struct nibble_options *options,
                                              struct nibble_report **report,
                                              struct nibble_error *error);

/* Raises the opset of a model, keeps its meaning, and writes it. Weights stay as they
 * are.
 *
 * model, output, error: as for nibble_quantize, but `output` must not be NULL.
 * opset: the new opset of the standard domain, 21 to nibble_opset_max().
 * options: NULL means the defaults. Only external_data, data_name, force, verify,
 *   cancel and guard matter.
 *
 * Returns the status. A model that can't be raised is refused, and the message names
 * every node that prevents it. After a failure there is no output. */
NIBBLE_API enum nibble_status nibble_upgrade(const char *model, const char *output,
                                             int64_t opset,
                                             const struct nibble_options *options,
                                             struct nibble_error *error);

/* Gives a finished model its place, in one commit with its data files, as nibble_quantize
 * does. A program can so choose among several outputs, which it has in a folder of its
 * own.
 *
 * made: a model that an earlier call has written. It stays where it is.
 * model: the model that it was made from. `output` must not replace its files, unless
 *   options->force is set.
 * output: the name that the made model was written with, in another folder. Data files
 *   are named after it.
 * options: NULL means the defaults. Only force, cancel and guard matter.
 * error: may be NULL.
 *
 * Returns the status. After a failure an old file with the name of the output is
 * unchanged. */
NIBBLE_API enum nibble_status nibble_publish(const char *made, const char *model,
                                             const char *output,
                                             const struct nibble_options *options,
                                             struct nibble_error *error);

/* Returns the highest opset that nibble_upgrade can raise a model to. */
NIBBLE_API int64_t nibble_opset_max(void);

/* ---- comparing ------------------------------------------------------ */

/* One weight of a float model, and its counterpart in a quantized model. No pointer is
 * NULL. */
struct nibble_weight_error {
    /* The name of the float tensor. */
    const char *name;
    /* The operator that takes it, such as "MatMul". */
    const char *op_type;
    /* "" in the main graph. Otherwise the path to the body or the local function. */
    const char *graph;
    /* The shape that the operator sees: `rank` dimensions. */
    const int64_t *dims;
    /* The number of dimensions. */
    size_t rank;
    /* The product of the dimensions. */
    uint64_t elements;
    /* The quantized model has a counterpart. */
    bool found;
    /* The tensor of codes, or of floats, in the quantized model. "" if not found. */
    const char *counterpart;
    /* The type of this tensor, such as "int4". "" if not found. */
    const char *type;
    /* The operator that takes this tensor, such as "DequantizeLinear" or "Cast". "" if
     * not found. */
    const char *form;
    /* The SNR in dB. Infinity if nothing was lost. NaN if not found. */
    double snr_db;
};

/* How far two models are apart. The library owns this struct and the one above. Both may
 * grow, as those of reports do. */
struct nibble_comparison {
    /* The name of the float model, as it was given. */
    const char *model;
    /* The name of the quantized model, as it was given. */
    const char *quantized;
    /* Quantized weights, weights that changed in another way, and matrices of 1024 or
     * more elements that were not found. The least SNR comes first. Weights that were not
     * found come last. */
    const struct nibble_weight_error *const *weights;
    /* The number of entries in `weights`. */
    size_t weight_count;
    /* The number of weights that did not change. They are not in `weights`. */
    size_t unchanged;
    /* The number of weights in `weights` that were not found. */
    size_t missing;
};

/* Finds out how far the weights of a quantized model are from those of its float model.
 * Any tool may have made the quantized model. The library computes constants as both
 * models do, one weight at a time. It runs neither model.
 *
 * model, quantized: as `model` of nibble_quantize.
 * options: NULL means the defaults. Only cancel, guard and json matter.
 * comparison: set to a new comparison after a success, and to NULL after a failure. The
 *   caller frees it with nibble_comparison_free.
 * error: may be NULL.
 *
 * Returns the status. */
NIBBLE_API enum nibble_status nibble_compare(const char *model, const char *quantized,
                                             const struct nibble_options *options,
                                             struct nibble_comparison **comparison,
                                             struct nibble_error *error);

/* Returns a comparison as text for a terminal of `columns` characters. The caller frees
 * the string with free(). NULL if memory ran out. */
NIBBLE_API char *nibble_comparison_text(const struct nibble_comparison *comparison,
                                        int columns);

/* Returns a comparison as JSON (docs/compare.md). The caller frees the string with
 * free(). NULL if memory ran out. */
NIBBLE_API char *nibble_comparison_json(const struct nibble_comparison *comparison);

/* Frees a comparison and all that it points to. NULL is allowed. */
NIBBLE_API void nibble_comparison_free(struct nibble_comparison *comparison);

/* ---- calibration ---------------------------------------------------- */

/* The weights alone do not say which errors matter. Some runs of the model on real inputs
 * do. The caller runs the model, in any runtime. nibble says which tensors it wants to
 * see, and finds codes that fit them (docs/calibration.md).
 *
 *     struct nibble_calibration *c;
 *
 *     nibble_calibration_create(model, &options, &c, &error);
 *     nibble_calibration_instrument(c, "observed.onnx", &error);
 *     for each of some dozen inputs:
 *         run observed.onnx
 *         nibble_calibration_observe(c, arrays, count, &error);
 *     options.calibration = c;
 *     nibble_quantize(model, output, &options, &report, &error);
 *     nibble_calibration_free(c);
 *
 * Only one thread at a time may use a handle. Calibration loads OpenBLAS when it begins.
 * Without OpenBLAS nibble_calibration_create fails with NIBBLE_STATUS_UNSUPPORTED, and
 * the message says what to install. The output never depends on the number of threads. It
 * may differ between CPUs, because OpenBLAS may round differently there. */

/* One array of a run. It is row-major, in the byte order of the host. The library keeps
 * no pointer to it. */
struct nibble_array {
    /* The name of the tensor. */
    const char *name;
    /* As in TensorProto.DataType: 1 float, 10 float16, 11 double, 16 bfloat16. */
    int type;
    /* The shape: `rank` dimensions. */
    const int64_t *dims;
    /* The number of dimensions. */
    size_t rank;
    /* The elements. May be NULL if there are none. */
    const void *data;
};

/* Finds out what to observe for the weights of `model` that these options quantize. Sets
 * *calibration to a new handle after a success, and to NULL after a failure. The caller
 * frees it with nibble_calibration_free. Later calls read the file again, so it must not
 * change. If there is nothing to observe, the call succeeds, too. */
NIBBLE_API enum nibble_status nibble_calibration_create(
    const char *model, const struct nibble_options *options,
    struct nibble_calibration **calibration, struct nibble_error *error);

/* Frees a handle. NULL is allowed. */
NIBBLE_API void nibble_calibration_free(struct nibble_calibration *calibration);

/* Returns the number of tensors to observe. */
NIBBLE_API size_t nibble_calibration_count(const struct nibble_calibration *calibration);

/* Returns the name of a tensor to observe. `index` is below nibble_calibration_count;
 * otherwise the result is NULL. The name lives as long as the handle. */
NIBBLE_API const char *nibble_calibration_tensor(
    const struct nibble_calibration *calibration, size_t index);

/* Returns true if this tensor is an input of the model. Otherwise it is an output of the
 * instrumented model. */
NIBBLE_API bool nibble_calibration_is_input(const struct nibble_calibration *calibration,
                                            size_t index);

/* Writes the float model to `output` with the tensors to observe as further outputs after
 * its own. A tensor in a branch of an If is empty if the branch is not taken. A tensor in
 * a Loop has the values of all iterations, one after the other. */
NIBBLE_API enum nibble_status nibble_calibration_instrument(
    const struct nibble_calibration *calibration, const char *output,
    struct nibble_error *error);

/* Adds one run. `arrays` must contain all tensors to observe, in any order. Others are
 * ignored. The call fails if a tensor is missing, has a shape that its weight can't take,
 * or holds NaN or infinity. After a failure nothing of the run counts. */
NIBBLE_API enum nibble_status nibble_calibration_observe(
    struct nibble_calibration *calibration, const struct nibble_array *arrays,
    size_t count, struct nibble_error *error);

/* Returns the number of runs that were added, including those of loaded files. */
NIBBLE_API uint64_t nibble_calibration_runs(const struct nibble_calibration *calibration);

/* Writes what is known so far to a safetensors file (docs/calibration.md). */
NIBBLE_API enum nibble_status nibble_calibration_save(
    const struct nibble_calibration *calibration, const char *path,
    struct nibble_error *error);

/* Adds what such a file says to what is known. The call fails if the file is damaged,
 * belongs to another model, or was not written by nibble. After a failure nothing has
 * been added. */
NIBBLE_API enum nibble_status nibble_calibration_load(
    struct nibble_calibration *calibration, const char *path, struct nibble_error *error);

/* Returns what to warn of if outputs have this SNR: that the model is likely to be
 * ruined, and what helps. An empty string if the SNR is high enough. `measured`: on data
 * of the caller; otherwise it is an estimate, as in struct nibble_report. `narrow`: some
 * weights have 4 bits. The caller frees it with free(). NULL if memory ran out. */
NIBBLE_API char *nibble_snr_warning(double snr_db, bool measured, bool narrow);

/* ---- trials --------------------------------------------------------- */

/* Trials show what becomes of the model's output if some weights are quantized, and let
 * later layers make up for the errors of earlier ones. A runtime runs a float model in
 * which weights and biases are inputs. The float values are the defaults of these inputs,
 * so a run needs values only for the weights on trial. There are two ways to use them:
 *
 * - By output. For each trial, run the model with the values of nibble_calibration_try
 * for this trial alone, and give the noise of the outputs to nibble_calibration_weigh.
 * The option bits_per_weight then chooses the least sum of this noise.
 * - Layer by layer. For each step, run some inputs through the float model, and through
 *   the model with everything that was kept so far. Give both to
 *   nibble_calibration_observe_step, and then try the trials of the step with `keep`.
 *   nibble_quantize writes what was kept, if its options lead to the same types and
 *   blocks. */

/* One weight on trial. The library owns this struct, and it may grow. */
struct nibble_trial {
    /* The name of the input for the weight's values. */
    const char *name;
    /* The shape of the weight: `rank` dimensions. */
    const int64_t *dims;
    /* The number of the weight's dimensions. */
    size_t rank;
    /* The number of the weight's elements. */
    uint64_t elements;
    /* The name of the input for the bias. "" if there is none. */
    const char *bias_name;
    /* The shape of the bias: `bias_rank` dimensions. */
    const int64_t *bias_dims;
    /* The number of the bias's dimensions. */
    size_t bias_rank;
    /* The number of the bias's elements. */
    uint64_t bias_elements;
    /* The step that the trial belongs to. Trials of one step share their input. Steps are
     * in the order of the model. */
    size_t step;
    /* The tensors to observe for the step. NULL means no further one. */
    const char *tensors[2];
    /* Set by nibble_calibration_try: the noise relative to the signal. It is measured at
     * the layer's output if that is known, and otherwise at the weight's values. */
    double noise;
};

/* Begins trials of the model, quantized with these options. Writes the model for them to
 * `output`: the instrumented model with weights and biases as inputs. Forgets what was
 * kept before. */
NIBBLE_API enum nibble_status nibble_calibration_begin_trials(
    struct nibble_calibration *calibration, const struct nibble_options *options,
    const char *output, struct nibble_error *error);

/* Returns the number of trials. */
NIBBLE_API size_t
nibble_calibration_trial_count(const struct nibble_calibration *calibration);

/* Returns a trial. `index` is below nibble_calibration_trial_count; otherwise the result
 * is NULL. */
NIBBLE_API const struct nibble_trial *nibble_calibration_trial(
    const struct nibble_calibration *calibration, size_t index);

/* Quantizes a weight and returns it as floats. The caller owns both arrays: `values` has
 * room for trial->elements, and `bias` for trial->bias_elements. `keep` makes the result
 * part of the model for later steps. If several trials share a bias, as in an LSTM, the
 * bias includes what was kept of the others. */
NIBBLE_API enum nibble_status nibble_calibration_try(
    struct nibble_calibration *calibration, size_t index, bool keep, float *values,
    float *bias, struct nibble_error *error);

/* Tells the library the noise of the model's output, relative to its signal, in a run
 * where only this weight has the values of nibble_calibration_try. */
NIBBLE_API enum nibble_status nibble_calibration_weigh(
    struct nibble_calibration *calibration, size_t index, double noise,
    struct nibble_error *error);

/* Adds one run of a step. `float_arrays` has the step's tensors in the float model.
 * `arrays` has them in the model with everything that was kept so far. A call for another
 * step than before forgets the runs of that step. */
NIBBLE_API enum nibble_status nibble_calibration_observe_step(
    struct nibble_calibration *calibration, size_t step,
    const struct nibble_array *float_arrays, size_t float_count,
    const struct nibble_array *arrays, size_t count, struct nibble_error *error);

#ifdef __cplusplus
}
#endif
#endif

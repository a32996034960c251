/* nibble: int4 post-training quantization of ONNX models.
 *
 * This header is the manual of the library. One call reads a float model,
 * quantizes its weights and writes a smaller model that answers nearly the same:
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
 * The library never prints, never exits, keeps no global state and may be used
 * from several threads at once. Memory stays bounded whatever the model's size:
 * weights are read from the mapped file piece by piece. The output depends on
 * the input and the options only: not on the CPU, not on the number of threads.
 *
 * Ownership: what the library returns is freed by its own _free function;
 * strings inside a report live as long as the report. Options are only read.
 *
 * What a program may rely on when it meets a newer library of the same soname:
 * - Functions keep their names and parameters.
 * - Structs grow at the end only. Fields keep their place and meaning.
 * - `struct nibble_options` belongs to the caller and says its own size. A smaller one
 *   is an older one: the fields that it lacks have their defaults.
 * - `struct nibble_report` and `struct nibble_weight` belong to the library. Read their
 *   fields through the pointers you are given; never copy such a struct, never take its
 *   sizeof, never make one yourself.
 * - `struct nibble_error` never changes.
 * - Enumerators keep their values, and new ones get new values. So expect a status that
 *   you don't know.
 *
 * Bindings for other languages need no C compiler: all that this header defines beside
 * declarations is nibble_options_init, one call of nibble_options_init_sized. */
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
    /* The model's bytes break the format. */
    NIBBLE_STATUS_MALFORMED,
    /* The model is sound, but can't be converted with its meaning kept. */
    NIBBLE_STATUS_UNSUPPORTED,
    /* Out of memory, or the model wants absurdly much of it. */
    NIBBLE_STATUS_MEMORY,
    /* options.cancel became nonzero. */
    NIBBLE_STATUS_CANCELLED,
};

/* What went wrong: which file, which tensor or node, why, and what to do.
 * One or more lines without a final newline, "" after a success. A call sets the whole
 * struct. Pass NULL if the status is enough. */
struct nibble_error {
    enum nibble_status status;
    char message[4096];
};

/* The library's version, "MAJOR.MINOR.PATCH". */
NIBBLE_API const char *nibble_version(void);

/* ---- options -------------------------------------------------------- */

/* The integer type of the codes: 4-bit codes are packed two a byte. */
enum nibble_type {
    NIBBLE_TYPE_INT4,
    NIBBLE_TYPE_UINT4,
    NIBBLE_TYPE_INT8,
    NIBBLE_TYPE_UINT8,
};

/* Whether zero points are used: x = (code - zero point) * scale. */
enum nibble_symmetry {
    /* uint types have zero points, int types have none. But methods other than RTN may
     * turn a 4-bit grid round: a zero point of -1 makes -7..8 of -8..7. */
    NIBBLE_SYMMETRY_BY_TYPE,
    /* The zero point is the middle of the range. */
    NIBBLE_SYMMETRY_SYMMETRIC,
    /* The zero point is fitted. */
    NIBBLE_SYMMETRY_ASYMMETRIC,
};

/* How scales are stored, for weights of float and double; others have scales of their
 * own type. FLOAT16 halves what scales take. They are widened when the model is
 * loaded. A weight whose scales float16 can't hold keeps FLOAT32. */
enum nibble_scale_type { NIBBLE_SCALE_TYPE_FLOAT32, NIBBLE_SCALE_TYPE_FLOAT16 };

/* Which elements share a scale. */
enum nibble_granularity {
    /* One scale for each output channel. Channels of MatMul and Gemm are cut into blocks
     * of 256, or of the largest power of two from 32 on that divides their length. Where
     * none does, the last block is a partial one: blocks of 256, or of the next power of
     * two from 16 on if they are shorter. Every ONNX Runtime fuses this layout and runs
     * it fast; OpenVINO wants blocks that divide. */
    NIBBLE_GRANULARITY_DEFAULT,
    /* One scale for each output channel. */
    NIBBLE_GRANULARITY_PER_CHANNEL,
    /* One scale for the whole weight. */
    NIBBLE_GRANULARITY_PER_TENSOR,
    /* One scale for each block of options.block_size along the reduction axis. */
    NIBBLE_GRANULARITY_BLOCKS,
};

/* How scales and zero points are found. */
enum nibble_method {
    /* Round to nearest: scale = max|x| / 7, or (max - min) / 15. */
    NIBBLE_METHOD_RTN,
    /* Scales of nearly the least squared error, never worse than RTN. */
    NIBBLE_METHOD_SEARCH,
    /* The least squared error. Slow: use it to measure the other methods. */
    NIBBLE_METHOD_EXACT,
};

/* What stands in the graph for a quantized weight (docs/forms.md). */
enum nibble_decode {
    NIBBLE_DECODE_RUN,      /* DequantizeLinear: int4 in memory; runtimes that do not fuse
                               it decode on every run. Embedding rows are gathered first */
    NIBBLE_DECODE_LOAD,     /* Cast and Mul: small on disk, float once loaded */
    NIBBLE_DECODE_PORTABLE, /* the same with nibbles in uint8: no INT4 type, no opset
                               upgrade, any runtime */
    NIBBLE_DECODE_AUTO,     /* RUN where ONNX Runtime fuses it and is the
                               faster for it, LOAD elsewhere */
};

/* Operators for RUN: standard ones, or com.microsoft MatMulNBits and
 * GatherBlockQuantized where they can hold the weight. NBITS computes in float32;
 * NBITS_INT8 has activations rounded to int8, as ONNX Runtime has where it fuses QDQ:
 * faster, with an error of some 0.5 % of the largest output. */
enum nibble_format { NIBBLE_FORMAT_QDQ, NIBBLE_FORMAT_NBITS, NIBBLE_FORMAT_NBITS_INT8 };

/* Whose ways the layout suits. GENERIC: plain DequantizeLinear and nothing else. */
enum nibble_target { NIBBLE_TARGET_ONNXRUNTIME, NIBBLE_TARGET_GENERIC };

/* What is known of a model's activations (below). */
struct nibble_calibration;

/* How far the work has come; called from the calling thread's process, by one
 * thread at a time. done and total are bytes of weights. */
typedef void nibble_progress_fn(void *data, uint64_t done, uint64_t total);

/* The default of options.copy_bytes. ONNX Runtime computes on codes only where a MatMul
 * has them for itself, so a weight of several gets copies of its codes: at most a quarter
 * of its float values, and a tenth of the model for all of them; with bits_per_weight
 * none. Past that the MatMuls share one decoder, which is slower. Whatever the option
 * says, a weight's codes and copies take less than its float values. */
#define NIBBLE_COPY_DEFAULT UINT64_MAX

/* Guards against files that are truncated. The library maps its input files. If another
 * program truncates one during a call, the next access to what is gone raises SIGBUS,
 * which ends the process. The library installs no signal handlers. A program that wants
 * an error instead installs one of its own, with SA_SIGINFO:
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
 * and sets options.guard to &guard. Calls that run at the same time need a guard each. */
struct nibble_guard {
    void *volatile files; /* NULL to begin with; the library's own */
};

/* If the address lies in a file that a call with this guard reads, puts zeros in place of
 * what the file has lost and returns true. The call then fails with NIBBLE_STATUS_READ.
 */
NIBBLE_API bool nibble_guard_handle(const struct nibble_guard *guard,
                                    const void *address);

struct nibble_options {
    /* The size of this struct in the caller's nibble.h. nibble_options_init sets it. */
    size_t size;
    enum nibble_type type;
    enum nibble_symmetry symmetry;
    enum nibble_granularity granularity;
    size_t block_size; /* for NIBBLE_GRANULARITY_BLOCKS: 2 or more */
    /* Either of these chooses type and granularity for each weight: 4 bits in the
     * default granularity or in blocks of 128, 64 or 32, 8 bits, or float. `type` and
     * `granularity` must be as nibble_options_init leaves them; with
     * NIBBLE_SYMMETRY_ASYMMETRIC the types are uint4 and uint8. The weights' values are
     * read once for each of five choices before the work begins, in a dry run, too.
     *
     * bits_per_weight: 0, or at most so many bits in the mean: codes, scales, zero
     * points, and the values of those that stay float by choice, over the weights that
     * some choice can hold. Among all such choices one of (nearly) the least sum, over
     * weights, of noise / signal. NIBBLE_STATUS_INVALID where there is none.
     * min_snr: 0, or in dB: for each weight the smallest choice that has at least this
     * SNR; float where none has. */
    double bits_per_weight;
    double min_snr;
    enum nibble_method method;
    enum nibble_scale_type scale_type;
    const char *include; /* POSIX extended regular expression over weight names:
                            only these are quantized; NULL for all */
    const char *exclude; /* these stay float; NULL for none */
    enum nibble_decode decode;
    enum nibble_format format;
    enum nibble_target target;
    bool wide_embeddings; /* 8-bit embedding rows though the type has 4 bits */
    uint64_t copy_bytes;  /* what copies of codes may take in all: see above */
    size_t min_elements;  /* smaller weights stay float (1024) */
    bool freeze;          /* treat initializers that a caller may override as
                             constants: their graph inputs are removed */
    bool no_upgrade;      /* refuse a model whose opset would have to be raised */
    bool external_data;   /* put tensors into OUT.data even below 2 GiB */
    bool force;           /* allow the output to be the input file itself */
    bool unmeasured;      /* leave the errors of weights out of the report: faster */
    int threads;          /* 0: one for each CPU */
    const char *cpu;      /* "scalar", "avx2", ...; NULL: the fastest one here */
    nibble_progress_fn *progress; /* may be NULL */
    void *progress_data;
    const volatile int *cancel; /* may be NULL; nonzero stops the work: the temporary
                                   file is removed and NIBBLE_STATUS_CANCELLED returned.
                                   A signal handler may set it. */
    struct nibble_guard *guard; /* may be NULL: see struct nibble_guard */
    struct nibble_calibration *calibration; /* NULL, or what is known of the model's
                                               activations: codes that fit these */
};

/* Sets every option to its default: int4, default granularity, SEARCH. `size` is the
 * size of the struct that `options` points to. Bytes that this library knows no field
 * for become zero.
 *
 * The functions that take options refuse them (NIBBLE_STATUS_INVALID) if `size` is no
 * size that such a struct can have, so options that nobody initialized are found out.
 * They also refuse a struct of a newer nibble.h if one of the fields that this library
 * doesn't know is set: no option is ignored. */
NIBBLE_API void nibble_options_init_sized(struct nibble_options *options, size_t size);

static inline void nibble_options_init(struct nibble_options *options)
{
    nibble_options_init_sized(options, sizeof *options);
}

/* The names of enumerators as the command line spells them ("int4", "rtn"); NULL for
 * a value that has none. And back: false where there is no such name. */
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
NIBBLE_API const char *nibble_method_name(enum nibble_method method);
NIBBLE_API bool nibble_method_parse(const char *name, enum nibble_method *method);

/* ---- report --------------------------------------------------------- */

/* One float constant of the model: what was done to it, or why it stays float. */
struct nibble_weight {
    const char *name;         /* of the tensor; "" inside nothing is ever NULL */
    const char *op_type;      /* operator of its first consumer: "MatMul"; "" for none */
    const char *graph;        /* "" main graph; else the path to the If/Loop body or
                                 function it belongs to */
    const char *element_type; /* "float", "float16", "bfloat16", "double" */
    const int64_t *dims;
    size_t rank;
    uint64_t elements;
    bool quantized;
    const char *type; /* quantized: "int4" ..., otherwise element_type */
    const char
        *granularity; /* quantized: "channel, axis 0", "block 32, axis 1", "tensor" */
    const char *scale_type; /* quantized: "float", "float16", "bfloat16" */
    const char *form;   /* quantized: "DequantizeLinear", "MatMulNBits", "load", ... */
    const char *why;    /* quantized: what the form means at run time, in plain words */
    bool slow;          /* decoded on every run by an operator that takes its time */
    bool copy;          /* a further form of the weight before it: other consumers
                           want other layouts; its bytes_before is 0 */
    const char *reason; /* left float: why, in plain words; otherwise "" */
    bool asked;         /* the options ask for it: large enough, not excluded, and not
                           float because bits_per_weight allows for that */
    bool warning;       /* left float because of its values: NaN, infinity, or
                           scales that its type can't hold */
    uint64_t bytes_before,
        bytes_after; /* of the values; after: codes, scales, zero points */
    double snr_db;   /* quantized: 10 log10(sum x^2 / sum (x - x')^2); infinity where
                        exact; NaN with options.unmeasured, and in a dry run that
                        reads no values */
    bool again;      /* a copy of codes that are stored already, so that it is fused */
    /* Consumers that share codes and would be fused with copies, which would take: */
    size_t sharing;
    uint64_t sharing_bytes;
    bool calibrated;      /* codes were found with options.calibration */
    double output_snr_db; /* calibrated: the same of the layer's output on that data, with
                             the input as it is in the float model; else NaN */
};

/* Weights that were quantized before, all of one kind. */
struct nibble_already {
    const char *type; /* "int4": of so many bits, signed or not */
    const char *form; /* "DequantizeLinear", "MatMulNBits", "load", ... */
    size_t weights;
};

struct nibble_report {
    const char *model;
    const char *output; /* "" in a dry run */
    int64_t ir_before, ir_after;
    int64_t opset_before, opset_after; /* of the standard domain */
    uint64_t bytes_before,
        bytes_after; /* model and external data; after: 0 in a dry run */
    uint64_t weight_bytes_before, weight_bytes_after; /* sums over weights */
    uint64_t elements, elements_quantized;
    double bits_per_weight;   /* 8 * bytes / elements of those, copies left out */
    double bits_chosen;       /* the same over those that type and granularity were chosen
                                 for, the ones that stay float by choice included: what
                                 options.bits_per_weight bounds; 0 where there are none */
    uint64_t elements_chosen; /* of these */
    size_t quantized, left;   /* counts of weights; left: of those that stay float, */
    size_t missed, warnings;  /* how many are asked, how many are warning */
    size_t slow;              /* of the quantized ones */
    const char *cpu;          /* kernels used: "avx2" */
    /* One pointer for each weight, so that a weight may grow: weights[i]->name. */
    const struct nibble_weight *const *weights;
    size_t weight_count;
    size_t copies; /* how many weights are `again`, */
    uint64_t copy_bytes;
    size_t sharing; /* and the sums of these over weights */
    uint64_t sharing_bytes;
    /* What other runs or tools have quantized; these are none of `weights`. */
    const struct nibble_already *const *already;
    size_t already_count;
};

/* The report as text for a terminal of `columns` characters, or as JSON
 * (docs/report.md). Long names are shortened for it, but no two of them to the same one.
 * With 0 columns or `all` they stand in full. `all` lists small constants too. The caller frees the string
 * with free(); NULL when out of memory. */
NIBBLE_API char *nibble_report_text(const struct nibble_report *report, int columns,
                                    bool all);
NIBBLE_API char *nibble_report_json(const struct nibble_report *report);
NIBBLE_API void nibble_report_free(struct nibble_report *report); /* NULL is fine */

/* ---- the work ------------------------------------------------------- */

/* Quantizes MODEL into OUTPUT.
 *
 * model: path of a .onnx (external data beside it), of a .onnx.gz, or "-" for
 *   standard input. Never changed.
 * output: path, replaced in one rename when all is done; compressed where it
 *   ends in .gz; "-" for standard output; NULL for a dry run, which plans and
 *   reports, reads a few of each weight's values only, unless bits_per_weight or
 *   min_snr are asked for, and writes nothing.
 * A model with nothing to quantize is a success, too: OUTPUT is then the model as it
 * was, byte for byte, with copies of its external data beside it. The report's
 * `quantized` is 0. Where OUTPUT is a stream or a .gz, which can't have files beside it,
 * external data go into the model.
 * options: NULL for the defaults.
 * report: may be NULL; otherwise set on success, freed by the caller.
 * error: may be NULL.
 * Returns error->status. On failure there is no output, and an old file of that
 * name is as it was. */
NIBBLE_API enum nibble_status nibble_quantize(const char *model, const char *output,
                                              const struct nibble_options *options,
                                              struct nibble_report **report,
                                              struct nibble_error *error);

/* Raises MODEL's opset to `opset` (of the standard domain, 21 to
 * nibble_opset_max()) with its meaning kept, and writes it to OUTPUT. Weights
 * stay as they are. Of the options only external_data, force, progress,
 * cancel and guard are looked at. Refuses, naming every node that can't be raised. */
NIBBLE_API enum nibble_status nibble_upgrade(const char *model, const char *output,
                                             int64_t opset,
                                             const struct nibble_options *options,
                                             struct nibble_error *error);
NIBBLE_API int64_t nibble_opset_max(void);

/* ---- comparing ------------------------------------------------------ */

/* One weight of a float model, and what stands for it in a quantized one. */
struct nibble_weight_error {
    const char *name;    /* of the float tensor */
    const char *op_type; /* operator that takes it: "MatMul" */
    const char *graph;   /* "" main graph; else the path to the body or function */
    const int64_t *dims; /* as its operator sees it */
    size_t rank;
    uint64_t elements;
    bool found;              /* the quantized model has a counterpart */
    const char *counterpart; /* its tensor of codes, or of floats; "" if not found */
    const char *type;        /* of these: "int4"; "" if not found */
    const char *form;        /* operator that takes them: "DequantizeLinear", "Cast" */
    double snr_db;           /* 10 log10(sum x^2 / sum (x - x')^2); infinity if nothing
                                was lost, NaN if not found */
};

/* Structs grow as those of reports do. */
struct nibble_comparison {
    const char *model, *quantized;
    /* Quantized weights, weights that changed in another way, and matrices of 1024
     * elements and more that were not found: the least SNR first, these last. */
    const struct nibble_weight_error *const *weights;
    size_t weight_count;
    size_t unchanged; /* number of weights that are as they were, and not listed */
    size_t missing;   /* number of those not found */
};

/* Finds out how far the weights of QUANTIZED are from those of MODEL, for whatever tool
 * has made it. Computes constants as both models do, one weight at a time, and runs
 * neither.
 *
 * model, quantized: as for nibble_quantize.
 * options: NULL for the defaults; only cancel is looked at.
 * comparison: set on success, freed by the caller. error: may be NULL. */
NIBBLE_API enum nibble_status nibble_compare(const char *model, const char *quantized,
                                             const struct nibble_options *options,
                                             struct nibble_comparison **comparison,
                                             struct nibble_error *error);

/* As text for people, or as JSON (docs/compare.md); freed with free(). NULL when out of
 * memory. */
NIBBLE_API char *nibble_comparison_text(const struct nibble_comparison *comparison,
                                        int columns);
NIBBLE_API char *nibble_comparison_json(const struct nibble_comparison *comparison);
NIBBLE_API void nibble_comparison_free(struct nibble_comparison *comparison);

/* ---- calibration ---------------------------------------------------- */

/* Weights alone do not say which errors matter: some runs of the model on real inputs do.
 * The caller runs the model, in any runtime; nibble says which tensors it wants to see,
 * and finds the codes.
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
 * One thread at a time may use a handle. Calibration loads OpenBLAS when it begins;
 * where there is none, _create fails with NIBBLE_STATUS_UNSUPPORTED and says what to
 * install. The output depends on the threads' number no more than without data, but
 * OpenBLAS may round differently on another CPU. docs/calibration.md */

/* An array of one run: row-major, in the host's byte order. It is not kept. */
struct nibble_array {
    const char *name;
    int type; /* as TensorProto.DataType: 1 float, 10 float16, 11 double, 16 bfloat16 */
    const int64_t *dims;
    size_t rank;
    const void *data; /* may be NULL if it has no elements */
};

/* Finds out what to observe for the weights of MODEL that these options quantize. The
 * file is read again by later calls and must not change. Having nothing to observe is a
 * success, too. */
NIBBLE_API enum nibble_status nibble_calibration_create(
    const char *model, const struct nibble_options *options,
    struct nibble_calibration **calibration, struct nibble_error *error);
NIBBLE_API void nibble_calibration_free(struct nibble_calibration *calibration);

/* The tensors to observe. Each is an input of the model, or else an output of the
 * instrumented one. Names live as long as the handle; NULL where index is too large. */
NIBBLE_API size_t nibble_calibration_count(const struct nibble_calibration *calibration);
NIBBLE_API const char *nibble_calibration_tensor(
    const struct nibble_calibration *calibration, size_t index);
NIBBLE_API bool nibble_calibration_is_input(const struct nibble_calibration *calibration,
                                            size_t index);

/* Writes the float model with these tensors as further outputs behind its own. A branch
 * of an If that is not taken hands out empty ones; a Loop, one behind the other, those of
 * all iterations. */
NIBBLE_API enum nibble_status nibble_calibration_instrument(
    const struct nibble_calibration *calibration, const char *output,
    struct nibble_error *error);

/* Takes one run in. `arrays` has all tensors to observe; others in it are ignored. With
 * an error (one is missing, has another shape than its weight wants, holds NaN or
 * infinity), nothing of the run is counted. */
NIBBLE_API enum nibble_status nibble_calibration_observe(
    struct nibble_calibration *calibration, const struct nibble_array *arrays,
    size_t count, struct nibble_error *error);

/* Runs that were taken in, those of files included. */
NIBBLE_API uint64_t nibble_calibration_runs(const struct nibble_calibration *calibration);

/* What is known so far as a safetensors file (docs/calibration.md), and back: _load adds
 * what a file says to what is there. Files that are damaged, of another model, or not of
 * nibble are errors, after which nothing has been added. */
NIBBLE_API enum nibble_status
nibble_calibration_save(const struct nibble_calibration *calibration, const char *path,
                        struct nibble_error *error);
NIBBLE_API enum nibble_status
nibble_calibration_load(struct nibble_calibration *calibration, const char *path,
                        struct nibble_error *error);

#ifdef __cplusplus
}
#endif
#endif

/* Out of memory: every single allocation of a run fails in its turn. The run must
 * say so, leave no file, no open descriptor and no memory behind; or, where that
 * allocation was no loss, make the same output as ever. */
#include "nibble.h"
#include "support.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#if defined(__SANITIZE_ADDRESS__) || !defined(__GLIBC__)
#define CAN_REPLACE_MALLOC 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define CAN_REPLACE_MALLOC 0
#endif
#endif
#ifndef CAN_REPLACE_MALLOC
#define CAN_REPLACE_MALLOC 1
#endif

/* ---- allocations that fail -------------------------------------------- */

static struct {
    bool armed;
    bool for_good; /* fail from that one on, not just once */
    long fail_at;  /* 1: the first; 0: none */
    long count;    /* since armed */
    long live;     /* allocated less freed, since armed */
} heap;

#if CAN_REPLACE_MALLOC

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);
void __libc_free(void *pointer);

#define EXPORTED __attribute__((visibility("default")))

static bool refuse(void)
{
    if (!heap.armed)
        return false;
    heap.count++;
    if (heap.fail_at == 0 || heap.count < heap.fail_at ||
        (heap.count > heap.fail_at && !heap.for_good))
        return false;
    errno = ENOMEM;
    return true;
}

static void *counted(void *pointer)
{
    if (heap.armed && pointer)
        heap.live++;
    return pointer;
}

EXPORTED void *malloc(size_t size)
{
    return refuse() ? NULL : counted(__libc_malloc(size));
}

EXPORTED void *calloc(size_t count, size_t size)
{
    return refuse() ? NULL : counted(__libc_calloc(count, size));
}

EXPORTED void *realloc(void *old, size_t size)
{
    if (refuse())
        return NULL;
    void *pointer = __libc_realloc(old, size);
    return old ? pointer : counted(pointer);
}

EXPORTED void free(void *pointer)
{
    if (heap.armed && pointer)
        heap.live--;
    __libc_free(pointer);
}

#endif

/* ---- one run ---------------------------------------------------------- */

struct job {
    const char *name, *input, *output;
    struct nibble_options options;
    bool regcomp; /* glibc's leaks when an allocation in it fails */
};

/* Returns the status; `live` allocations remain and `count` were made. */
static enum nibble_status run(const struct job *job, long fail_at, bool for_good,
                              struct nibble_error *error)
{
    struct nibble_report *report = NULL;
    heap.fail_at = fail_at;
    heap.for_good = for_good;
    heap.count = heap.live = 0;
    heap.armed = true;
    enum nibble_status status =
        nibble_quantize(job->input, job->output, &job->options, &report, error);
    nibble_report_free(report);
    heap.armed = false;
    return status;
}

static bool tells_of_memory(const struct nibble_error *error)
{
    return error->status == NIBBLE_STATUS_MEMORY ||
           strstr(error->message, "annot allocate memory");
}

/* What is wrong after a run in which an allocation failed; NULL: nothing. */
static const char *problem_of(const struct job *job, enum nibble_status status,
                              const struct nibble_error *error, struct bytes wanted)
{
    if (status != NIBBLE_STATUS_OK)
        return !tells_of_memory(error) ? "the error speaks of something else"
               : exists(job->output)   ? "an output in spite of the error"
                                       : NULL;
    struct bytes got = exists(job->output) ? load(job->output) : (struct bytes){0};
    bool same = got.size == wanted.size && memcmp(got.data, wanted.data, got.size) == 0;
    return same ? NULL : "success, but another output";
}

static void fail_each(const struct job *job)
{
    enum { SHOWN = 10 };
    struct nibble_error error = {0};
    assert_int_equal(run(job, 0, false, &error),
                     NIBBLE_STATUS_OK); /* whatever libc keeps, it has */
    struct bytes wanted = load(job->output);
    assert_int_equal(remove(job->output), 0);
    size_t files = entries_of(temp_folder());
    int descriptors = open_files(), problems = 0;
    assert_int_equal(run(job, 0, false, &error), NIBBLE_STATUS_OK);
    assert_int_equal(heap.live, 0);
    long total = heap.count;
    for (int for_good = 0; for_good < 2; for_good++) {
        for (long n = 1; n <= total; n++) {
            remove(job->output);
            enum nibble_status status = run(job, n, for_good, &error);
            const char *problem = problem_of(job, status, &error, wanted);
            remove(job->output);
            if (!problem && heap.live != 0 && !job->regcomp)
                problem = "memory leaked";
            if (!problem && open_files() != descriptors)
                problem = "a file is still open";
            if (!problem && entries_of(temp_folder()) != files)
                problem = "a temporary file is left";
            if (!problem)
                continue;
            if (++problems > SHOWN)
                continue;
            print_error("%s: allocation %ld of %ld: %s (%d: %s)\n", job->name, n, total,
                        problem, (int)status, error.message);
        }
    }
    assert_int_equal(problems, 0);
}

/* ---- the models ------------------------------------------------------- */

/* A bit of everything: a body, a function, a Constant node, typed values. */
static Onnx__ModelProto *rich_model(void)
{
    Onnx__ModelProto *proto =
        make_one("MatMul", make_weight("W", DATA_FLOAT, DIMS(64, 32)));
    Onnx__GraphProto *graph = proto->graph, *body = make_graph("body");
    put_initializer(body, make_weight("V", DATA_FLOAT16, DIMS(64, 32)));
    put_node(body, make_node("MatMul", "X V", "t"));
    put_output(body, "t", DATA_FLOAT16);
    put_graph(put_node(graph, make_node("If", "c", "z")), "then_branch", body);
    put_tensor(put_node(graph, make_node("Constant", "", "C")), "value",
               make_weight("", DATA_DOUBLE, DIMS(32, 64)));
    put_node(graph, make_node("MatMul", "Y C", "Z"));
    Onnx__TensorProto *typed = make_tensor("T", DATA_FLOAT16, DIMS(64, 32), NULL, 0);
    typed->n_int32_data = 2048;
    typed->int32_data = hold(2048 * sizeof(int32_t));
    for (size_t i = 0; i < 2048; i++)
        typed->int32_data[i] = (int32_t)(0x3000 + random_below(0x0fff));
    put_initializer(graph, typed);
    put_node(graph, make_node("Gemm", "X T", "G"));
    return proto;
}

static struct job job_for(const char *name, const Onnx__ModelProto *proto)
{
    struct bytes bytes = pack(proto);
    struct job job = {.name = name,
                      .input = save(hold_printf("%s.onnx", name), bytes.data, bytes.size),
                      .output = temp_path(hold_printf("%s.int4.onnx", name))};
    nibble_options_init(&job.options);
    job.options.threads = 1;
    job.options.min_elements = 1;
    return job;
}

static void test_plain(void **state)
{
    (void)state;
    struct job job = job_for("plain", rich_model());
    fail_each(&job);
}

static void test_upgrade(void **state)
{
    (void)state;
    Onnx__ModelProto *proto = rich_model();
    proto->ir_version = 7;
    proto->opset_import[0]->version = 12;
    Onnx__NodeProto *squeeze = put_node(proto->graph, make_node("Squeeze", "Z", "S"));
    Onnx__AttributeProto *axes = put_attribute(squeeze, "axes", 7);
    axes->n_ints = 1;
    axes->ints = hold(sizeof(int64_t));
    struct job job = job_for("upgrade", proto);
    fail_each(&job);
}

static Onnx__ModelProto *model_with_nan(void)
{
    Onnx__ModelProto *proto = rich_model();
    Onnx__TensorProto *bad =
        put_initializer(proto->graph, make_weight("N", DATA_FLOAT, DIMS(64, 32)));
    put_node(proto->graph, make_node("MatMul", "X N", "Q"));
    const float nan = NAN;
    memcpy(bad->raw_data.data, &nan, sizeof nan);
    return proto;
}

/* A weight with a NaN: everything happens twice. */
static void test_two_passes(void **state)
{
    (void)state;
    struct job job = job_for("nan", model_with_nan());
    fail_each(&job);
}

static void test_options(void **state)
{
    (void)state;
    static const char *const rules[] = {"op=MatMul: type=int8", "none: keep", NULL};
    struct job job = job_for("options", rich_model());
    job.regcomp = true;
    job.options.include = "^[A-Z]$";
    job.options.exclude = "Q|V";
    job.options.rules = rules;
    job.options.type = NIBBLE_TYPE_UINT4;
    job.options.granularity = NIBBLE_GRANULARITY_PER_TENSOR;
    fail_each(&job);
}

/* Measured before it is planned; one of them is unfit. */
static void test_chosen(void **state)
{
    (void)state;
    struct job job = job_for("chosen", model_with_nan());
    job.options.bits_per_weight = 5;
    fail_each(&job);
}

/* Compressed on both sides: zlib asks for memory, too. */
static void test_compressed(void **state)
{
    (void)state;
    struct job job = job_for("gz", rich_model());
    struct bytes bytes = load(job.input);
    job.input = temp_path("in.onnx.gz");
    gzFile file = gzopen(job.input, "wb");
    assert_non_null(file);
    assert_int_equal(gzwrite(file, bytes.data, (unsigned)bytes.size), bytes.size);
    assert_int_equal(gzclose(file), Z_OK);
    fail_each(&job);
    job.output = temp_path("out.onnx.gz");
    fail_each(&job);
}

static void test_external(void **state)
{
    (void)state;
    Onnx__ModelProto *proto = rich_model();
    Onnx__TensorProto *w = proto->graph->initializer[0];
    Onnx__StringStringEntryProto *entry = hold(sizeof *entry);
    onnx__string_string_entry_proto__init(entry);
    entry->key = hold_printf("location");
    entry->value = hold_printf("w.bin");
    put(&w->external_data, &w->n_external_data, entry);
    save("w.bin", w->raw_data.data, w->raw_data.len);
    w->has_raw_data = false;
    w->has_data_location = true;
    w->data_location = ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL;
    struct job job = job_for("external", proto);
    fail_each(&job);
}

enum text_kind { TEXT_TABLE, TEXT_JSON, TEXT_PAGE, TEXT_KINDS };

/* A text in which allocation `fail_at` failed. */
static char *text_of(const struct nibble_report *report, const char *json,
                     enum text_kind kind, long fail_at)
{
    char *text = NULL;
    heap.fail_at = fail_at;
    heap.for_good = false;
    heap.count = heap.live = 0;
    heap.armed = true;
    if (kind == TEXT_PAGE)
        nibble_page(json, NULL, NULL, &text, NULL);
    else
        text = kind == TEXT_JSON ? nibble_report_json(report)
                                 : nibble_report_text(report, 80, true);
    heap.armed = false;
    assert_int_equal(heap.live, text ? 1 : 0);
    return text;
}

/* Texts are complete, or there are none. */
static void test_texts(void **state)
{
    (void)state;
    struct job job = job_for("texts", rich_model());
    struct nibble_report *report = NULL;
    job.options.histograms = 3;
    assert_int_equal(nibble_quantize(job.input, NULL, &job.options, &report, NULL),
                     NIBBLE_STATUS_OK);
    char *json = nibble_report_json(report);
    for (int kind = 0; kind < TEXT_KINDS; kind++) {
        char *wanted = text_of(report, json, (enum text_kind)kind, 0);
        long total = heap.count, incomplete = 0;
        assert_true(wanted && total > 0);
        for (long n = 1; n <= total; n++) {
            char *text = text_of(report, json, (enum text_kind)kind, n);
            incomplete += text && strcmp(text, wanted) != 0;
            free(text);
        }
        assert_int_equal(incomplete, 0);
        free(wanted);
    }
    free(json);
    nibble_report_free(report);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_plain),   TEST(test_upgrade),    TEST(test_two_passes),
        TEST(test_options), TEST(test_compressed), TEST(test_external),
        TEST(test_chosen),  TEST(test_texts),
    };
    enum { SKIPPED = 77 }; /* as meson and automake understand it */
    return CAN_REPLACE_MALLOC ? RUN(tests) : SKIPPED;
}

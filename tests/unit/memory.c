/* Out of memory: every single allocation of a run fails in its turn. The run must
 * say so, leave no file, no open descriptor and no memory behind; or, where that
 * allocation was no loss, make the same output as ever.
 *
 *     test-memory [[--upgrade] MODEL...]
 *
 * With names of files it does the same to these models, in many ways, or only upgrades
 * them. */
#include "failing_heap.h"
#include "nibble.h"
#include "support.h"

#include <dirent.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

/* ---- one run ---------------------------------------------------------- */

struct job {
    const char *name, *input;
    const char *output; /* in a folder with nothing else */
    struct nibble_options options;
    enum nibble_status (*call)(const struct job *, struct nibble_error *);
    bool regcomp; /* glibc's leaks when an allocation in it fails */
};

/* What came of a run. */
struct result {
    enum nibble_status status;
    struct nibble_error error;
    size_t files; /* in the output's folder */
    struct bytes output;
};

static const char *out_folder(void)
{
    return temp_path("out");
}

static void clear(void)
{
    const char *path = out_folder();
    DIR *dir = opendir(path);
    for (struct dirent *entry; dir && (entry = readdir(dir));)
        remove(hold_printf("%s/%s", path, entry->d_name));
    if (dir)
        closedir(dir);
    rmdir(path);
    assert_int_equal(mkdir(path, 0700), 0);
}

static enum nibble_status quantize(const struct job *job, struct nibble_error *error)
{
    struct nibble_report *report = NULL;
    enum nibble_status status =
        nibble_quantize(job->input, job->output, &job->options, &report, error);
    nibble_report_free(report);
    return status;
}

/* The heap is armed. */
static struct result finish(const struct job *job)
{
    struct result result = {0};
    result.status = job->call(job, &result.error);
    heap_disarm();
    result.files = entries_of(out_folder());
    if (exists(job->output))
        result.output = load(job->output);
    return result;
}

static struct result run(const struct job *job, long fail_at, bool for_good)
{
    clear();
    heap_arm(fail_at, for_good);
    return finish(job);
}

static bool tells_of_memory(const struct nibble_error *error)
{
    return error->status == NIBBLE_STATUS_MEMORY ||
           strstr(error->message, "annot allocate memory");
}

static bool is_same(const struct result *a, const struct result *b)
{
    return a->status == b->status && a->files == b->files &&
           strcmp(a->error.message, b->error.message) == 0 &&
           a->output.size == b->output.size &&
           memcmp(a->output.data, b->output.data, a->output.size) == 0;
}

/* What is wrong after a run in which an allocation failed; NULL: nothing. */
static const char *problem_of(const struct result *result, const struct result *usual)
{
    if (is_same(result, usual))
        return NULL;
    if (result->status == NIBBLE_STATUS_OK)
        return "success, but another output";
    return !tells_of_memory(&result->error) ? "the error speaks of something else"
           : result->files > 0              ? "an output in spite of the error"
                                            : NULL;
}

/* What every run must find and leave as it was. */
struct around {
    size_t files;
    int descriptor; /* the next one: a file that stays open takes it */
};

static int next_descriptor(void)
{
    int fd = open("/", O_RDONLY);
    close(fd);
    return fd;
}

static bool fail_one(const struct job *job, long n, bool for_good,
                     const struct result *usual, const struct around *around)
{
    struct result result = run(job, n, for_good);
    const char *problem = problem_of(&result, usual);
    if (!problem && heap_live() != 0 && !job->regcomp)
        problem = "memory leaked";
    if (!problem && next_descriptor() != around->descriptor)
        problem = "a file is still open";
    if (!problem && entries_of(temp_folder()) != around->files)
        problem = "a temporary file is left";
    if (problem)
        print_error("%s: allocation %ld%s: %s (%d: %s)\n", job->name, n,
                    for_good ? " and all after it" : "", problem, (int)result.status,
                    result.error.message);
    if (problem) {
        heap_trace();
        run(job, n, for_good);
    }
    return !problem;
}

/* A run with more allocations than this is tried at each place in the code only. In the
 * coverage build that is enough, and there are many more. */
#ifdef ARENA_LARGEST_BLOCK
enum { EACH_MAX = 0 };
#else
enum { EACH_MAX = 1500 };
#endif

static void fail_each(const struct job *job)
{
    enum { SHOWN = 10 };
    int problems = 0;
    clear();
    run(job, 0, false); /* whatever libc keeps, it has */
    const struct around around = {entries_of(temp_folder()), next_descriptor()};
    clear();
    heap_arm_places();
    struct result usual = finish(job);
    if (!job->regcomp)
        assert_int_equal(heap_live(), 0);
    size_t count;
    const long *places = heap_places(&count);
    bool each = heap_count() <= EACH_MAX;
    if (each)
        count = (size_t)heap_count();
    for (int for_good = 0; for_good < (each ? 2 : 1); for_good++)
        for (size_t i = 0; i < count && problems < SHOWN; i++)
            problems +=
                !fail_one(job, each ? (long)i + 1 : places[i], for_good, &usual, &around);
    clear();
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
                      .output = hold_printf("%s/%s.int4.onnx", out_folder(), name),
                      .call = quantize};
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
    job.output = temp_path("out/out.onnx.gz");
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
    heap_arm(fail_at, false);
    if (kind == TEXT_PAGE)
        nibble_page(json, NULL, NULL, &text, NULL);
    else
        text = kind == TEXT_JSON ? nibble_report_json(report)
                                 : nibble_report_text(report, 80, true);
    heap_disarm();
    assert_int_equal(heap_live(), text ? 1 : 0);
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
        long total = heap_count(), incomplete = 0;
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

/* ---- calls beside nibble_quantize ---------------------------------------- */

static enum nibble_status upgrade(const struct job *job, struct nibble_error *error)
{
    return nibble_upgrade(job->input, job->output, nibble_opset_max(), &job->options,
                          error);
}

/* Saves a text that a call has returned. */
static enum nibble_status keep_text(const struct job *job, char *text)
{
    enum nibble_status status = text ? NIBBLE_STATUS_OK : NIBBLE_STATUS_MEMORY;
    heap_pause();
    FILE *file = text ? fopen(job->output, "w") : NULL;
    if (file) {
        fputs(text, file);
        fclose(file);
    }
    heap_resume();
    free(text);
    return status;
}

static char made[300]; /* the path of a quantized model */

/* Compares the model with the quantized one. */
static enum nibble_status compare(const struct job *job, struct nibble_error *error)
{
    struct nibble_comparison *comparison = NULL;
    enum nibble_status status =
        nibble_compare(job->input, made, &job->options, &comparison, error);
    if (status == NIBBLE_STATUS_OK)
        error->status = status = keep_text(job, nibble_comparison_json(comparison));
    if (status == NIBBLE_STATUS_OK)
        free(nibble_comparison_text(comparison, 80));
    nibble_comparison_free(comparison);
    return status;
}

static void test_compared(void **state)
{
    (void)state;
    struct job job = job_for("compared", rich_model());
    struct nibble_error error = {0};
    snprintf(made, sizeof made, "%s", temp_path("made.onnx"));
    assert_int_equal(nibble_quantize(job.input, made, &job.options, NULL, &error),
                     NIBBLE_STATUS_OK);
    job.call = compare;
    fail_each(&job);
}

/* ---- calibration ----------------------------------------------------------- */

enum { ROWS = 80, WIDE = 64, NARROW = 32 };

static float activations[ROWS * (WIDE + 1)], values[WIDE * WIDE], biases[WIDE];

/* Arrays for all tensors that a rich model is observed at: "Y" is narrower than "X". */
static size_t arrays_of(const struct nibble_calibration *c, struct nibble_array *arrays)
{
    static const int64_t wide[] = {ROWS, WIDE}, narrow[] = {ROWS, NARROW};
    size_t count = nibble_calibration_count(c);
    for (size_t i = 0; i < count; i++) {
        const char *name = nibble_calibration_tensor(c, i);
        arrays[i] = (struct nibble_array){
            name, DATA_FLOAT, strcmp(name, "Y") == 0 ? narrow : wide, 2, activations};
    }
    return count;
}

/* Paths, which are made before the heap is armed. */
static char observed[300], statistics[300];

static enum nibble_status remove_beside(enum nibble_status status)
{
    remove(observed);
    remove(statistics);
    return status;
}

enum { ARRAYS = 8 };

/* A handle that has seen one run, and another from a file. */
static enum nibble_status observe(const struct job *job, struct nibble_calibration **c,
                                  struct nibble_error *error)
{
    struct nibble_array arrays[ARRAYS];
    if (nibble_calibration_create(job->input, &job->options, c, error) ||
        nibble_calibration_instrument(*c, observed, error) ||
        nibble_calibration_observe(*c, arrays, arrays_of(*c, arrays), error) ||
        nibble_calibration_save(*c, statistics, error))
        return error->status;
    return nibble_calibration_load(*c, statistics, error);
}

static enum nibble_status finish_calibrated(const struct job *job,
                                            struct nibble_calibration *c,
                                            struct nibble_error *error)
{
    struct job last = *job;
    last.options.calibration = c;
    return quantize(&last, error);
}

static enum nibble_status calibrate(const struct job *job, struct nibble_error *error)
{
    struct nibble_calibration *c = NULL;
    enum nibble_status status = observe(job, &c, error);
    if (status == NIBBLE_STATUS_OK)
        status = finish_calibrated(job, c, error);
    nibble_calibration_free(c);
    return remove_beside(status);
}

static enum nibble_status try_each(struct nibble_calibration *c,
                                   struct nibble_error *error)
{
    for (size_t i = 0; i < nibble_calibration_trial_count(c); i++)
        if (nibble_calibration_try(c, i, false, values, biases, error) ||
            nibble_calibration_weigh(c, i, 0.01 * (double)(i + 1), error))
            return error->status;
    return NIBBLE_STATUS_OK;
}

static enum nibble_status keep_each(struct nibble_calibration *c,
                                    struct nibble_error *error)
{
    struct nibble_array before[ARRAYS], now[ARRAYS];
    size_t count = arrays_of(c, before);
    arrays_of(c, now);
    for (size_t i = 0; i < count; i++)
        now[i].data = activations + ROWS;
    for (size_t i = 0; i < nibble_calibration_trial_count(c); i++)
        if (nibble_calibration_observe_step(c, nibble_calibration_trial(c, i)->step,
                                            before, count, now, count, error) ||
            nibble_calibration_try(c, i, true, values, biases, error))
            return error->status;
    return NIBBLE_STATUS_OK;
}

/* With trials, by output or layer by layer, as the options ask for. */
static enum nibble_status try_out(const struct job *job, struct nibble_error *error)
{
    struct nibble_calibration *c = NULL;
    enum nibble_status status = observe(job, &c, error);
    if (!status)
        status = nibble_calibration_begin_trials(c, &job->options, observed, error);
    if (!status)
        status =
            job->options.bits_per_weight > 0 ? try_each(c, error) : keep_each(c, error);
    if (!status)
        status = finish_calibrated(job, c, error);
    nibble_calibration_free(c);
    return remove_beside(status);
}

static struct job calibrated(const char *name)
{
    struct job job = job_for(name, rich_model());
    snprintf(observed, sizeof observed, "%s", temp_path("observed.onnx"));
    snprintf(statistics, sizeof statistics, "%s", temp_path("statistics"));
    for (size_t i = 0; i < COUNT(activations); i++)
        activations[i] = random_float();
    job.call = calibrate;
    return job;
}

static void test_calibrated(void **state)
{
    (void)state;
    struct job job = calibrated("calibrated");
    fail_each(&job);
    job.options.bits_per_weight = 5;
    fail_each(&job);
}

static void test_trials(void **state)
{
    (void)state;
    struct job job = calibrated("trials");
    job.call = try_out;
    fail_each(&job);
    job.options.bits_per_weight = 5;
    fail_each(&job);
}

/* ---- models of files ------------------------------------------------------- */

/* Only as far as a model's shapes need not be known. */
static enum nibble_status instrument(const struct job *job, struct nibble_error *error)
{
    struct nibble_calibration *c = NULL;
    enum nibble_status status =
        nibble_calibration_create(job->input, &job->options, &c, error);
    if (!status)
        status = nibble_calibration_instrument(c, observed, error);
    if (!status)
        status = nibble_calibration_begin_trials(c, &job->options, job->output, error);
    nibble_calibration_free(c);
    remove(observed);
    return status;
}

static const char *model_argument; /* of main */

static struct job job_of_file(void)
{
    struct job job = job_for("file", make_model(8, 21));
    job.name = job.input = model_argument;
    return job;
}

static void test_file_forms(void **state)
{
    (void)state;
    struct job job = job_of_file();
    fail_each(&job);
    job.options.freeze = true;
    for (int decode = NIBBLE_DECODE_RUN; nibble_decode_name((enum nibble_decode)decode);
         decode++) {
        job.options.decode = (enum nibble_decode)decode;
        fail_each(&job);
    }
    job.options.decode = NIBBLE_DECODE_RUN;
    for (int format = 0; nibble_format_name((enum nibble_format)format); format++) {
        job.options.format = (enum nibble_format)format;
        job.options.type = NIBBLE_TYPE_UINT4;
        fail_each(&job);
    }
}

static void test_file_options(void **state)
{
    (void)state;
    struct job job = job_of_file();
    job.options.float16 = 1;
    job.options.scale_type = NIBBLE_SCALE_TYPE_FLOAT16;
    job.options.verify = 1;
    fail_each(&job);
    job.options.float16 = 0;
    job.options.compute = NIBBLE_COMPUTE_FLOAT16;
    fail_each(&job);
    job.options.io = NIBBLE_IO_FLOAT16;
    job.options.external_data = true;
    job.options.json = hold_printf("%s/report.json", out_folder());
    job.options.page = hold_printf("%s/report.html", out_folder());
    fail_each(&job);
    job = job_of_file();
    job.options.bits_per_weight = 6;
    fail_each(&job);
    job = job_of_file();
    job.options.hints = 1;
    fail_each(&job);
    job = job_of_file();
    job.options.granularity = NIBBLE_GRANULARITY_BLOCKS;
    job.options.block_size = 32;
    job.options.method = NIBBLE_METHOD_RTN;
    job.options.wide_embeddings = true;
    fail_each(&job);
}

static void test_file_calls(void **state)
{
    (void)state;
    struct job job = job_of_file();
    struct nibble_error error = {0};
    snprintf(observed, sizeof observed, "%s", temp_path("observed.onnx"));
    snprintf(made, sizeof made, "%s", temp_path("made.onnx"));
    job.call = upgrade;
    fail_each(&job);
    job.call = instrument;
    fail_each(&job);
    job.call = compare;
    if (!nibble_quantize(job.input, made, &job.options, NULL, &error))
        fail_each(&job);
    remove(made);
}

static void test_file_upgrade(void **state)
{
    (void)state;
    struct job job = job_of_file();
    job.call = upgrade;
    fail_each(&job);
}

static int run_on_file(const char *path, bool only_upgrade)
{
    const struct CMUnitTest tests[] = {
        TEST(test_file_forms),
        TEST(test_file_options),
        TEST(test_file_calls),
    };
    const struct CMUnitTest upgrades[] = {TEST(test_file_upgrade)};
    model_argument = path;
    return only_upgrade ? cmocka_run_group_tests_name(path, upgrades, NULL, NULL)
                        : cmocka_run_group_tests_name(path, tests, NULL, NULL);
}

int main(int count, char **arguments)
{
    const struct CMUnitTest tests[] = {
        TEST(test_plain),      TEST(test_upgrade),    TEST(test_two_passes),
        TEST(test_options),    TEST(test_compressed), TEST(test_external),
        TEST(test_chosen),     TEST(test_texts),      TEST(test_compared),
        TEST(test_calibrated), TEST(test_trials),
    };
    enum { SKIPPED = 77 }; /* as meson and automake understand it */
    int failed = 0;
    if (!heap_can_fail())
        return SKIPPED;
    if (access("/dev/shm", W_OK) == 0)
        setenv("TMPDIR", "/dev/shm",
               0); /* syncing many small files takes long on a disk */
    bool only_upgrade = count > 1 && strcmp(arguments[1], "--upgrade") == 0;
    for (int i = 1 + only_upgrade; i < count; i++)
        failed += run_on_file(arguments[i], only_upgrade);
    return failed + (count > 1 ? 0 : RUN(tests));
}

/* Out of memory, while models are read, written and compared.
 *
 *     test-memory [[--upgrade] MODEL...]
 *
 * With names of files it does the same to these models, in many ways, or only upgrades
 * them. */
#include "failing_runs.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

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
    heap_disarm();
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

/* ---- models of files ------------------------------------------------------- */

static char observed[300]; /* the path of an instrumented model */

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
    job.options.json = hold_printf("%s/report.json", job_folder());
    job.options.page = hold_printf("%s/report.html", job_folder());
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
        TEST(test_plain),   TEST(test_upgrade),    TEST(test_two_passes),
        TEST(test_options), TEST(test_compressed), TEST(test_external),
        TEST(test_chosen),  TEST(test_texts),      TEST(test_compared),
    };
    int failed = 0;
    if (!failing_runs_begin())
        return SKIPPED;
    bool only_upgrade = count > 1 && strcmp(arguments[1], "--upgrade") == 0;
    for (int i = 1 + only_upgrade; i < count; i++)
        failed += run_on_file(arguments[i], only_upgrade);
    return failed + (count > 1 ? 0 : RUN(tests));
}

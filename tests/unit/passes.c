/* Two passes: a weight that turns out to have a NaN makes nibble plan again. No
 * caller may notice: inputs and outputs that can be opened once only are fine. */
#include "nibble.h"
#include "support.h"

#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* "W" is fine, "N" has a NaN at its end. */
static struct bytes model_with_nan(void)
{
    const float nan = NAN;
    Onnx__ModelProto *proto =
        make_one("MatMul", make_weight("W", DATA_FLOAT, DIMS(64, 64)));
    Onnx__TensorProto *bad =
        put_initializer(proto->graph, make_weight("N", DATA_FLOAT, DIMS(64, 64)));
    memcpy(bad->raw_data.data + bad->raw_data.len - sizeof nan, &nan, sizeof nan);
    put_node(proto->graph, make_node("MatMul", "X N", "Z"));
    return pack(proto);
}

static void quantize(const char *input, const char *output)
{
    struct nibble_options options;
    struct nibble_report *report = NULL;
    struct nibble_error error = {0};
    nibble_options_init(&options);
    if (nibble_quantize(input, output, &options, &report, &error))
        fail_msg("%s", error.message);
    assert_non_null(report);
    assert_int_equal(report->quantized, 1);
    assert_int_equal(report->warnings, 1);
    assert_string_equal(report->output, output);
    for (size_t i = 0; i < report->weight_count; i++) {
        const struct nibble_weight *weight = report->weights[i];
        bool good = strcmp(weight->name, "W") == 0;
        assert_int_equal(weight->quantized, good);
        assert_int_equal(weight->warning, !good);
        assert_int_equal(strstr(weight->reason, "NaN") != NULL, !good);
        assert_true(!good || weight->snr_db > 10);
    }
    nibble_report_free(report);
}

static void assert_is_result(const char *path)
{
    Onnx__GraphProto *graph = unpack(load(path))->graph;
    assert_non_null(find_node(graph->node, graph->n_node, "W"));
    assert_null(find_node(graph->node, graph->n_node, "N"));
    assert_int_equal(find_initializer(graph, "N")->data_type, DATA_FLOAT);
}

static const char *save_model(void)
{
    struct bytes bytes = model_with_nan();
    return save("nan.onnx", bytes.data, bytes.size);
}

/* Copies a file into another, in a process of its own; ends after 20 seconds at
 * the latest, as do the tests: what waits for a pipe may wait for ever. */
static pid_t copy(const char *from, const char *to)
{
    pid_t child = fork();
    assert_true(child >= 0);
    alarm(20);
    if (child > 0)
        return child;
    int in = open(from, O_RDONLY), out = open(to, O_WRONLY | O_CREAT, 0600);
    char buffer[4096];
    for (ssize_t n; (n = read(in, buffer, sizeof buffer)) > 0;)
        if (write(out, buffer, (size_t)n) != n)
            _exit(1);
    _exit(0);
}

static void test_files(void **state)
{
    (void)state;
    const char *path = save_model();
    quantize(path, temp_path("out.onnx"));
    assert_is_result(temp_path("out.onnx"));
    assert_int_equal(entries_of(temp_folder()), 2);
}

static void test_compressed(void **state)
{
    (void)state;
    const char *path = save_model();
    quantize(path, temp_path("out.onnx.gz"));
    assert_int_equal(entries_of(temp_folder()), 2);
}

static void test_input_pipe(void **state)
{
    (void)state;
    const char *path = save_model(), *pipe = temp_path("pipe");
    assert_int_equal(mkfifo(pipe, 0600), 0);
    pid_t child = copy(path, pipe);
    quantize(pipe, temp_path("out.onnx"));
    assert_is_result(temp_path("out.onnx"));
    waitpid(child, NULL, 0);
    alarm(0);
}

static void test_standard_input(void **state)
{
    (void)state;
    int ends[2], saved = dup(STDIN_FILENO);
    const char *path = save_model();
    assert_int_equal(pipe(ends), 0);
    pid_t child = copy(path, hold_printf("/proc/self/fd/%d", ends[1]));
    close(ends[1]);
    dup2(ends[0], STDIN_FILENO);
    close(ends[0]);
    quantize("-", temp_path("out.onnx"));
    dup2(saved, STDIN_FILENO);
    close(saved);
    assert_is_result(temp_path("out.onnx"));
    waitpid(child, NULL, 0);
    alarm(0);
}

static void test_output_pipe(void **state)
{
    (void)state;
    const char *path = save_model(), *pipe = temp_path("pipe");
    assert_int_equal(mkfifo(pipe, 0600), 0);
    pid_t child = copy(pipe, temp_path("result"));
    quantize(path, pipe);
    waitpid(child, NULL, 0);
    alarm(0);
    assert_is_result(temp_path("result"));
}

/* Nothing at all can be quantized: the output is the model, in place of an old one. */
static void test_nothing_left(void **state)
{
    (void)state;
    struct nibble_options options;
    struct nibble_report *report = NULL;
    struct nibble_error error = {0};
    nibble_options_init(&options);
    options.include = "N";
    save("out.onnx", "old", 3);
    const char *path = save_model();
    assert_int_equal(
        nibble_quantize(path, temp_path("out.onnx"), &options, &report, &error),
        NIBBLE_STATUS_OK);
    assert_int_equal(report->quantized, 0);
    assert_string_equal(report->output, temp_path("out.onnx"));
    assert_int_equal(report->bytes_after, load(path).size);
    nibble_report_free(report);
    struct bytes model = load(path), copy = load(temp_path("out.onnx"));
    assert_int_equal(copy.size, model.size);
    assert_memory_equal(copy.data, model.data, model.size);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_files),          TEST(test_compressed),  TEST(test_input_pipe),
        TEST(test_standard_input), TEST(test_output_pipe), TEST(test_nothing_left),
    };
    return RUN(tests);
}

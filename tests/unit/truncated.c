/* Another process truncates a file while it is read: an error that names the file, and no
 * output. */
#include "nibble.h"
#include "support.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WEIGHTS = 6, SIDE = 1024 };

static struct nibble_guard guard;

static void handle(int number, siginfo_t *info, void *context)
{
    (void)context;
    if (!nibble_guard_handle(&guard, info->si_addr)) {
        signal(number, SIG_DFL);
        raise(number);
    }
}

/* The file to truncate, how far, and whether that was done. */
struct damage {
    const char *path;
    off_t size;
    bool done;
};

static void truncate_elsewhere(void *data, uint64_t done, uint64_t total)
{
    struct damage *damage = data;
    int status = 1;
    (void)done;
    (void)total;
    if (damage->done)
        return;
    damage->done = true;
    pid_t child = fork();
    if (child == 0)
        _exit(truncate(damage->path, damage->size) != 0);
    waitpid(child, &status, 0);
    assert_int_equal(status, 0);
}

/* Weights of 4 MB each in m.onnx, or in m.onnx.data beside it. */
static void save_model(bool external)
{
    static struct bytes model, data;
    Onnx__ModelProto *proto = make_model(8, 17);
    size_t size = (size_t)SIDE * SIDE * sizeof(float);
    data = (struct bytes){hold(WEIGHTS * size), WEIGHTS * size};
    put_input(proto->graph, "x0", DATA_FLOAT);
    for (int i = 0; i < WEIGHTS; i++) {
        const char *name = hold_printf("w%d", i);
        Onnx__TensorProto *weight = make_weight(name, DATA_FLOAT, DIMS(SIDE, SIDE));
        memcpy(data.data + (size_t)i * size, weight->raw_data.data, size);
        if (external) {
            const char *pairs[][2] = {{"location", "m.onnx.data"},
                                      {"offset", hold_printf("%zu", (size_t)i * size)},
                                      {"length", hold_printf("%zu", size)}};
            for (size_t j = 0; j < COUNT(pairs); j++) {
                Onnx__StringStringEntryProto *entry = hold(sizeof *entry);
                onnx__string_string_entry_proto__init(entry);
                entry->key = hold_printf("%s", pairs[j][0]);
                entry->value = hold_printf("%s", pairs[j][1]);
                put(&weight->external_data, &weight->n_external_data, entry);
            }
            weight->has_raw_data = false;
            weight->has_data_location = true;
            weight->data_location = ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL;
        }
        put_initializer(proto->graph, weight);
        put_node(proto->graph, make_node("MatMul", hold_printf("x%d w%d", i, i),
                                         hold_printf("x%d", i + 1)));
    }
    put_output(proto->graph, hold_printf("x%d", WEIGHTS), DATA_FLOAT);
    model = pack(proto);
    save("m.onnx", model.data, model.size);
    if (external)
        save("m.onnx.data", data.data, data.size);
}

static void check(bool external, off_t size, enum nibble_granularity granularity,
                  enum nibble_method method, int threads)
{
    struct nibble_options options;
    struct nibble_report *report = NULL;
    struct nibble_error error = {0};
    int before = open_files();
    save_model(external);
    struct damage damage = {.size = size};
    damage.path = temp_path(external ? "m.onnx.data" : "m.onnx");
    int entries = (int)entries_of(temp_folder());
    nibble_options_init(&options);
    options.granularity = granularity;
    options.method = method;
    options.threads = threads;
    options.progress = truncate_elsewhere;
    options.progress_data = &damage;
    options.guard = &guard;
    enum nibble_status status = nibble_quantize(
        temp_path("m.onnx"), temp_path("out.onnx"), &options, &report, &error);
    assert_int_equal(status, NIBBLE_STATUS_READ);
    assert_true(damage.done);
    assert_null(report);
    assert_non_null(strstr(error.message, external ? "m.onnx.data: was truncated"
                                                   : "m.onnx: was truncated"));
    assert_null(guard.files);
    assert_int_equal(entries_of(temp_folder()), entries);
    assert_int_equal(open_files(), before);
}

static void test_truncated(void **state)
{
    (void)state;
    static const enum nibble_granularity granularities[] = {
        NIBBLE_GRANULARITY_DEFAULT, NIBBLE_GRANULARITY_PER_CHANNEL,
        NIBBLE_GRANULARITY_PER_TENSOR};
    struct sigaction action = {.sa_sigaction = handle, .sa_flags = SA_SIGINFO};
    sigemptyset(&action.sa_mask);
    assert_int_equal(sigaction(SIGBUS, &action, NULL), 0);
    for (size_t i = 0; i < COUNT(granularities); i++)
        for (int external = 0; external < 2; external++)
            for (int threads = 1; threads <= 2; threads++) {
                check(external, 0, granularities[i], NIBBLE_METHOD_RTN, threads);
                check(external, 5000, granularities[i], NIBBLE_METHOD_SEARCH, threads);
            }
    /* A few bytes less: no page is missing, and zeros are read in their place. */
    check(true, (off_t)WEIGHTS * SIDE * SIDE * 4 - 8, NIBBLE_GRANULARITY_DEFAULT,
          NIBBLE_METHOD_RTN, 1);
    signal(SIGBUS, SIG_DFL);
}

/* Addresses that are no file's are not the guard's business. */
static void test_elsewhere(void **state)
{
    (void)state;
    int local = 0;
    assert_false(nibble_guard_handle(&guard, &local));
    assert_false(nibble_guard_handle(&guard, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(test_truncated), TEST(test_elsewhere)};
    return RUN(tests);
}

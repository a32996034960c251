#include "failing_runs.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

bool failing_runs_begin(void)
{
    /* Syncing many small files takes long on a disk. */
    if (access("/dev/shm", W_OK) == 0)
        setenv("TMPDIR", "/dev/shm", 0);
    return heap_can_fail();
}

/* What came of a run. */
struct result {
    enum nibble_status status;
    struct nibble_error error;
    size_t files; /* in the output's folder */
    struct bytes output;
};

const char *job_folder(void)
{
    return temp_path("out");
}

static void clear(void)
{
    const char *path = job_folder();
    DIR *dir = opendir(path);
    for (struct dirent *entry; dir && (entry = readdir(dir));)
        remove(hold_printf("%s/%s", path, entry->d_name));
    if (dir)
        closedir(dir);
    rmdir(path);
    assert_int_equal(mkdir(path, 0700), 0);
}

enum nibble_status job_quantize(const struct job *job, struct nibble_error *error)
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
    result.files = entries_of(job_folder());
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

void fail_each(const struct job *job)
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

/* ---- models ----------------------------------------------------------- */

Onnx__ModelProto *rich_model(void)
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

struct job job_for(const char *name, const Onnx__ModelProto *proto)
{
    struct bytes bytes = pack(proto);
    struct job job = {.name = name,
                      .input = save(hold_printf("%s.onnx", name), bytes.data, bytes.size),
                      .output = hold_printf("%s/%s.int4.onnx", job_folder(), name),
                      .call = job_quantize};
    nibble_options_init(&job.options);
    job.options.threads = 1;
    job.options.min_elements = 1;
    return job;
}

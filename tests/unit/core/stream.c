/* Tests of outputs to streams and to compressed files, and of copying into them. */
#include "core/output.h"
#include "support.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static struct output *begin(const char *path)
{
    struct error err = {0};
    struct output *output = output_create(path, NULL, &err);
    assert_fine(&err);
    assert_non_null(output);
    return output;
}

static void fill(struct output *output, const uint8_t *data, size_t size)
{
    struct error err = {0};
    assert_true(output_write(output, size / 2, data + size / 2, size - size / 2, &err));
    assert_true(output_write(output, 0, data, size / 2, &err));
    assert_fine(&err);
}

static uint8_t *noise(size_t size)
{
    uint8_t *data = hold(size + 1);
    for (size_t i = 0; i < size; i++)
        data[i] = (uint8_t)random_below(256);
    return data;
}

static void test_dev_null(void **state)
{
    (void)state;
    struct stat st;
    struct error err = {0};
    const char *path = device("null");
    if (!path)
        skip();
    struct output *output = begin(path);
    assert_false(output_is_plain(output));
    fill(output, noise(1000), 1000);
    assert_true(output_commit(output, &err));
    assert_int_equal(output_size(output), 1000);
    output_free(output);
    assert_int_equal(lstat(path, &st), 0);
    assert_true(S_ISCHR(st.st_mode)); /* the pipe was not replaced */
}

static void test_dev_full(void **state)
{
    (void)state;
    struct error err = {0};
    const char *path = device("full");
    if (!path)
        skip();
    struct output *output = begin(path);
    fill(output, noise(1000), 1000);
    assert_false(output_commit(output, &err));
    assert_failed(&err, STATUS_WRITE, "full: No space left");
    output_free(output);
}

/* In another process, counts the bytes that come through a pipe and adds them up. */
static pid_t drain(const char *path, const char *result)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child > 0)
        return child;
    int in = open(path, O_RDONLY), out = open(result, O_WRONLY | O_CREAT, 0600);
    char buffer[4096];
    for (ssize_t n; (n = read(in, buffer, sizeof buffer)) > 0;)
        if (write(out, buffer, (size_t)n) != n)
            _exit(1);
    _exit(0);
}

static void test_pipe(void **state)
{
    (void)state;
    enum { SIZE = 200001 };
    struct error err = {0};
    struct stat st;
    const char *path = temp_path("pipe"), *result = temp_path("result");
    uint8_t *data = noise(SIZE);
    assert_int_equal(mkfifo(path, 0600), 0);
    pid_t child = drain(path, result);
    struct output *output = begin(path);
    fill(output, data, SIZE);
    assert_true(output_commit(output, &err));
    assert_int_equal(output_size(output), SIZE);
    output_free(output);
    waitpid(child, NULL, 0);
    struct bytes bytes = load(result);
    assert_int_equal(bytes.size, SIZE);
    assert_memory_equal(bytes.data, data, SIZE);
    assert_int_equal(lstat(path, &st), 0);
    assert_true(S_ISFIFO(st.st_mode));
}

/* No byte arrives before the commit. */
static void test_standard_output(void **state)
{
    (void)state;
    struct error err = {0};
    const char *path = save("stdout", "", 0);
    fflush(stdout);
    int saved = dup(STDOUT_FILENO), fd = open(path, O_WRONLY);
    dup2(fd, STDOUT_FILENO);
    close(fd);
    struct output *output = output_create("-", NULL, &err);
    bool ok = output && output_write(output, 0, "model", 5, &err);
    size_t before = load(path).size;
    ok = ok && output_commit(output, &err);
    output_free(output);
    dup2(saved, STDOUT_FILENO);
    close(saved);
    assert_true(ok);
    assert_int_equal(before, 0);
    struct bytes bytes = load(path);
    assert_int_equal(bytes.size, 5);
    assert_memory_equal(bytes.data, "model", 5);
    assert_false(exists("-"));
}

static void test_compressed(void **state)
{
    (void)state;
    enum { SIZE = 100000 };
    uint8_t *data = noise(SIZE);
    memset(data, 7, SIZE / 2);
    struct bytes results[2];
    for (int i = 0; i < 2; i++) {
        struct error err = {0};
        const char *path = temp_path(hold_printf("out-%d.onnx.gz", i));
        struct output *output = begin(path);
        assert_false(output_is_plain(output));
        fill(output, data, SIZE);
        assert_true(output_commit(output, &err));
        results[i] = load(path);
        assert_int_equal(output_size(output), results[i].size);
        output_free(output);
        struct file *file = file_open(path, NULL, &err);
        assert_fine(&err);
        assert_int_equal(file->size, SIZE);
        assert_memory_equal(file->data, data, SIZE);
        file_close(file);
    }
    assert_true(results[0].size < SIZE);
    assert_int_equal(results[0].size, results[1].size);
    assert_memory_equal(results[0].data, results[1].data, results[0].size);
    assert_int_equal(entries_of(temp_folder()), 2);
    output_free(begin(temp_path("left.gz")));
    assert_int_equal(entries_of(temp_folder()), 2);
}

/* ---- copies ---------------------------------------------------------- */

static void test_copy(void **state)
{
    (void)state;
    enum { SIZE = 3 << 20 };
    struct error err = {0};
    uint8_t *data = noise(SIZE);
    struct file *file = file_open(save("in", data, SIZE), NULL, &err);
    static const struct {
        size_t from, size, to;
    } rows[] = {
        {0, SIZE, 0},      {0, SIZE, 12345}, {1, SIZE - 1, 1}, {4095, 4098, 4097},
        {SIZE - 1, 1, 10}, {100, 0, 50},     {SIZE, 0, 7},     {7, (2 << 20) + 1, 3},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        size_t size = rows[i].size, to = rows[i].to;
        const char *path = temp_path("out");
        struct output *output = begin(path);
        assert_true(output_write(output, 0, "x", 1, &err));
        assert_true(output_copy(output, to, file, file->data + rows[i].from, size, &err));
        assert_true(output_write(output, to + size, "end", 3, &err));
        assert_true(output_commit(output, &err));
        output_free(output);
        struct bytes bytes = load(path);
        assert_int_equal(bytes.size, to + size + 3);
        assert_memory_equal(bytes.data + to, data + rows[i].from, size);
        assert_memory_equal(bytes.data + to + size, "end", 3);
        assert_memory_equal(file->data, data, SIZE);
    }
    file_close(file);
}

/* From a compressed file, the mapped bytes are copied, not those on disk. Between file
 * systems the copy goes through memory. */
static void test_copy_elsewhere(void **state)
{
    (void)state;
    enum { SIZE = 2500000 };
    struct error err = {0};
    uint8_t *data = noise(SIZE);
    const char *path = temp_path("in.gz");
    struct output *output = begin(path);
    fill(output, data, SIZE);
    assert_true(output_commit(output, &err));
    output_free(output);
    struct file *file = file_open(path, NULL, &err);
    assert_fine(&err);
    const char *other = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : temp_folder();
    const char *to = hold_printf("%s/nibble-test-%ld", other, (long)getpid());
    output = begin(to);
    assert_true(output_copy(output, 5, file, file->data + 3, SIZE - 3, &err));
    assert_true(output_commit(output, &err));
    output_free(output);
    struct bytes bytes = load(to);
    unlink(to);
    assert_int_equal(bytes.size, SIZE + 2);
    assert_memory_equal(bytes.data + 5, data + 3, SIZE - 3);
    file_close(file);
}

static void test_copy_cancelled(void **state)
{
    (void)state;
    struct error err = {0};
    volatile int cancel = 1;
    struct file *file = file_open(save("in", noise(10000), 10000), NULL, &err);
    struct output *output = output_create(temp_path("out"), &cancel, &err);
    assert_false(output_copy(output, 0, file, file->data, file->size, &err));
    assert_int_equal(err.status, STATUS_CANCELLED);
    output_free(output);
    file_close(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_dev_null),        TEST(test_dev_full),       TEST(test_pipe),
        TEST(test_standard_output), TEST(test_compressed),     TEST(test_copy),
        TEST(test_copy_elsewhere),  TEST(test_copy_cancelled),
    };
    return RUN(tests);
}

/* Opening input files: regular, empty, missing, through a pipe, compressed. */
#include "core/file.h"
#include "core/temporary.h"
#include "support.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static void assert_holds(const struct file *file, const void *data, size_t size)
{
    assert_non_null(file);
    assert_int_equal(file->size, size);
    assert_memory_equal(file->data, data, size);
}

static void test_regular(void **state)
{
    (void)state;
    struct error err = {0};
    int before = open_files();
    const char *path = save("m.onnx", "hello", 5);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    struct file *file = file_open(path, NULL, &err);
    assert_holds(file, "hello", 5);
    assert_string_equal(file->path, path);
    assert_int_equal(file->inode, st.st_ino);
    assert_int_equal(file->device, st.st_dev);
    assert_false(file->is_stdin);
    assert_true(fcntl(file->fd, F_GETFD) & FD_CLOEXEC);
    file_close(file);
    file_close(NULL);
    assert_int_equal(open_files(), before);
}

static void test_empty(void **state)
{
    (void)state;
    struct error err = {0};
    struct file *file = file_open(save("empty", "", 0), NULL, &err);
    assert_fine(&err);
    assert_non_null(file);
    assert_int_equal(file->size, 0);
    assert_non_null(file->data);
    file_close(file);
}

static void test_failures(void **state)
{
    (void)state;
    int before = open_files();
    const struct {
        const char *path, *part;
    } rows[] = {
        {temp_path("missing.onnx"), "missing.onnx: No such file"},
        {temp_folder(), "is a directory"},
        {hold_printf("%s/x", save("plain", "x", 1)), "Not a directory"},
        {"", "No such file"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct error err = {0};
        assert_null(file_open(rows[i].path, NULL, &err));
        assert_failed(&err, STATUS_READ, rows[i].part);
    }
    assert_int_equal(open_files(), before);
}

/* ---- pipes ----------------------------------------------------------- */

/* Writes data into the named pipe from another process. */
static pid_t feed(const char *path, const void *data, size_t size)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child > 0)
        return child;
    int fd = open(path, O_WRONLY);
    for (size_t done = 0; done < size;) {
        ssize_t n = write(fd, (const char *)data + done, size - done);
        if (n <= 0)
            _exit(1);
        done += (size_t)n;
    }
    _exit(0);
}

static void test_pipe(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 70000, 300001};
    for (size_t i = 0; i < COUNT(sizes); i++) {
        struct error err = {0};
        uint8_t *data = hold(sizes[i] + 1);
        for (size_t j = 0; j < sizes[i]; j++)
            data[j] = (uint8_t)random_below(256);
        const char *path = temp_path(hold_printf("pipe-%zu", i));
        assert_int_equal(mkfifo(path, 0600), 0);
        pid_t child = feed(path, data, sizes[i]);
        struct file *file = file_open(path, NULL, &err);
        assert_fine(&err);
        assert_holds(file, data, sizes[i]);
        file_close(file);
        waitpid(child, NULL, 0);
    }
}

/* Standard input: a file is mapped, one read from already is copied. */
static void test_stdin(void **state)
{
    (void)state;
    const char *path = save("in", "0123456789", 10);
    int saved = dup(STDIN_FILENO);
    static const struct {
        off_t at;
        const char *rest;
    } rows[] = {{0, "0123456789"}, {4, "456789"}, {10, ""}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct error err = {0};
        int fd = open(path, O_RDONLY);
        dup2(fd, STDIN_FILENO);
        close(fd);
        assert_int_equal(lseek(STDIN_FILENO, rows[i].at, SEEK_SET), rows[i].at);
        struct file *file = file_open("-", NULL, &err);
        assert_fine(&err);
        assert_holds(file, rows[i].rest, strlen(rows[i].rest));
        assert_true(file->is_stdin);
        assert_string_equal(file->path, "standard input");
        struct stat st;
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(file->inode, st.st_ino); /* of what was named */
        file_close(file);
        assert_true(fcntl(STDIN_FILENO, F_GETFD) >= 0); /* is still open */
    }
    dup2(saved, STDIN_FILENO);
    close(saved);
}

static void test_cancel(void **state)
{
    (void)state;
    volatile int cancel = 1;
    struct error err = {0};
    assert_false(cancelled(NULL, &err));
    assert_fine(&err);
    const char *path = temp_path("pipe");
    assert_int_equal(mkfifo(path, 0600), 0);
    pid_t child = feed(path, "x", 1);
    assert_null(file_open(path, &cancel, &err));
    assert_int_equal(err.status, STATUS_CANCELLED);
    waitpid(child, NULL, 0);
}

/* ---- the rest -------------------------------------------------------- */

/* Reading past the end says that the file was truncated, and so does the check. */
static void test_truncated(void **state)
{
    (void)state;
    struct error err = {0};
    uint8_t out[8];
    const char *path = save("short", "0123456789", 10);
    struct file *file = file_open(path, NULL, &err);
    assert_true(file_read(file, 2, 8, out, &err));
    assert_memory_equal(out, "23456789", 8);
    assert_true(file_check(file, &err));
    assert_fine(&err);
    assert_int_equal(truncate(path, 9), 0);
    assert_true(file_read(file, 2, 7, out, &err));
    assert_false(file_read(file, 2, 8, out, &err));
    assert_failed(&err, STATUS_READ, "short: was truncated");
    err = (struct error){0};
    assert_false(file_check(file, &err));
    assert_failed(&err, STATUS_READ, "short: was truncated");
    file_close(file);
}

/* Other bytes of the same number: known by the time of the change. */
static void test_changed(void **state)
{
    (void)state;
    const struct timespec times[] = {{1000, 0}, {1000, 1}};
    struct error err = {0};
    const char *path = save("new", "01234", 5);
    struct file *file = file_open(path, NULL, &err);
    assert_true(file_check(file, &err));
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
    assert_false(file_check(file, &err));
    assert_failed(&err, STATUS_READ, "new: was changed");
    file_close(file);
}

static void test_temporary(void **state)
{
    (void)state;
    struct error err = {0};
    char *old = getenv("TMPDIR") ? hold_printf("%s", getenv("TMPDIR")) : NULL;
    const char *folder = temp_folder();
    setenv("TMPDIR", folder, 1);
    int fd = temporary_unnamed(&err);
    assert_true(fd >= 0);
    assert_int_equal(entries_of(folder), 0); /* it has no name */
    assert_int_equal(write(fd, "x", 1), 1);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    close(fd);
    setenv("TMPDIR", temp_path("missing"), 1);
    assert_int_equal(temporary_unnamed(&err), -1);
    assert_failed(&err, STATUS_WRITE, "TMPDIR");
    if (old)
        setenv("TMPDIR", old, 1);
    else
        unsetenv("TMPDIR");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_regular),   TEST(test_empty),   TEST(test_failures),
        TEST(test_pipe),      TEST(test_stdin),   TEST(test_cancel),
        TEST(test_truncated), TEST(test_changed), TEST(test_temporary),
    };
    return RUN(tests);
}

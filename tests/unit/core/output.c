/* Tests of outputs: they appear whole or not at all, whatever was there before. */
#include "core/output.h"
#include "support.h"

#include <fcntl.h>
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

static void write_text(struct output *output, uint64_t offset, const char *value)
{
    struct error err = {0};
    assert_true(output_write(output, offset, value, strlen(value), &err));
    assert_fine(&err);
}

static void commit(struct output *output)
{
    struct error err = {0};
    assert_true(output_commit(output, &err));
    assert_fine(&err);
    output_free(output);
}

static void assert_contents(const char *path, const char *value)
{
    struct bytes bytes = load(path);
    assert_int_equal(bytes.size, strlen(value));
    assert_memory_equal(bytes.data, value, bytes.size);
}

/* ---- regular files --------------------------------------------------- */

static void test_new_file(void **state)
{
    (void)state;
    const char *path = temp_path("out.onnx");
    int before = open_files();
    struct output *output = begin(path);
    assert_true(output_is_plain(output));
    assert_false(exists(path));
    write_text(output, 6, "world");
    write_text(output, 0, "hello ");
    assert_false(exists(path));
    struct error err = {0};
    assert_true(output_commit(output, &err));
    assert_int_equal(output_size(output), 11);
    output_free(output);
    assert_contents(path, "hello world");
    assert_int_equal(entries_of(temp_folder()), 1);
    assert_int_equal(open_files(), before);
    mode_t mask = umask(0);
    umask(mask);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777,
                     0666 & ~mask); /* the mode that any program gives a new file */
}

static void test_old_file_stays(void **state)
{
    (void)state;
    const char *path = save("out.onnx", "old", 3);
    struct output *output = begin(path);
    write_text(output, 0, "new contents");
    assert_contents(path, "old");
    output_free(output); /* not committed */
    assert_contents(path, "old");
    assert_int_equal(entries_of(temp_folder()), 1);

    output = begin(path);
    write_text(output, 0, "new contents");
    commit(output);
    assert_contents(path, "new contents");
    assert_int_equal(entries_of(temp_folder()), 1);
}

static void test_mode_preserved(void **state)
{
    (void)state;
    static const mode_t modes[] = {0600, 0640, 0755, 0444};
    for (size_t i = 0; i < COUNT(modes); i++) {
        struct stat st;
        const char *path = save(hold_printf("%zu", i), "old", 3);
        assert_int_equal(chmod(path, modes[i]), 0);
        struct output *output = begin(path);
        write_text(output, 0, "new");
        commit(output);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 07777, modes[i]);
        assert_contents(path, "new");
    }
}

static void test_symbolic_link(void **state)
{
    (void)state;
    struct stat st;
    mkdir(temp_path("store"), 0700);
    const char *target = save("store/real", "old", 3), *link = temp_path("link");
    assert_int_equal(symlink("store/real", link), 0);
    struct output *output = begin(link);
    write_text(output, 0, "new");
    assert_int_equal(entries_of(temp_path("store")), 2); /* the temporary file is there */
    commit(output);
    assert_int_equal(lstat(link, &st), 0);
    assert_true(S_ISLNK(st.st_mode));
    assert_contents(target, "new");
    assert_contents(link, "new");
    assert_int_equal(entries_of(temp_path("store")), 1);
}

static void test_refused(void **state)
{
    (void)state;
    int before = open_files();
    const struct {
        const char *path, *part;
    } rows[] = {
        {temp_folder(), "is a directory"},
        {hold_printf("%s/", temp_folder()), "is a directory"},
        {temp_path("missing/out.onnx"), "missing/out.onnx: No such file"},
        {hold_printf("%s/x", save("plain", "", 0)), "Not a directory"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct error err = {0};
        assert_null(output_create(rows[i].path, NULL, &err));
        assert_failed(&err, STATUS_WRITE, rows[i].part);
    }
    assert_int_equal(open_files(), before);
    assert_int_equal(entries_of(temp_folder()), 1);
}

/* Names as long as the file system allows, and names with unusual bytes. */
static void test_names(void **state)
{
    (void)state;
    char *longest = hold(256);
    memset(longest, 'n', 255);
    const char *const names[] = {longest, ".hidden", "-", "a b'\"c", "%s%n", "\xc3\xa9"};
    for (size_t i = 0; i < COUNT(names); i++) {
        const char *path = temp_path(names[i]);
        struct output *output = begin(path);
        write_text(output, 0, "x");
        commit(output);
        assert_contents(path, "x");
    }
    assert_int_equal(entries_of(temp_folder()), COUNT(names));
}

static void test_two_at_once(void **state)
{
    (void)state;
    const char *path = temp_path("out");
    struct output *a = begin(path), *b = begin(path);
    write_text(a, 0, "first");
    write_text(b, 0, "second");
    commit(a);
    assert_contents(path, "first");
    commit(b);
    assert_contents(path, "second");
    assert_int_equal(entries_of(temp_folder()), 1);
}

static void test_resize(void **state)
{
    (void)state;
    struct error err = {0};
    const char *path = temp_path("out");
    struct output *output = begin(path);
    write_text(output, 0, "abc");
    assert_true(output_resize(output, 10, &err));
    commit(output);
    struct bytes bytes = load(path);
    assert_int_equal(bytes.size, 10);
    assert_memory_equal(bytes.data, "abc\0\0\0\0\0\0\0", 10);
}

static void test_cancel(void **state)
{
    (void)state;
    struct error err = {0};
    volatile int cancel = 0;
    const char *path = save("out", "old", 3);
    struct output *output = output_create(path, &cancel, &err);
    write_text(output, 0, "new");
    cancel = 1;
    assert_false(output_commit(output, &err));
    assert_int_equal(err.status, STATUS_CANCELLED);
    output_free(output);
    assert_contents(path, "old");
    assert_int_equal(entries_of(temp_folder()), 1);
}

static void test_same_file(void **state)
{
    (void)state;
    struct error err = {0};
    const char *path = save("m.onnx", "model", 5), *other = save("n.onnx", "model", 5);
    assert_int_equal(symlink("m.onnx", temp_path("sym")), 0);
    assert_int_equal(link(path, temp_path("hard")), 0);
    struct file *file = file_open(path, NULL, &err);
    const char *null = device("null");
    const struct {
        const char *path;
        bool same;
    } rows[] = {
        {path, true},
        {hold_printf("%s/./m.onnx", temp_folder()), true},
        {temp_path("sym"), true},
        {temp_path("hard"), true},
        {other, false},
        {temp_path("new"), false},
        {null ? null : other, false},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct output *output = begin(rows[i].path);
        assert_int_equal(output_is_file(output, file), rows[i].same);
        output_free(output);
    }
    file_close(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_new_file),      TEST(test_old_file_stays), TEST(test_mode_preserved),
        TEST(test_symbolic_link), TEST(test_refused),        TEST(test_names),
        TEST(test_two_at_once),   TEST(test_resize),         TEST(test_cancel),
        TEST(test_same_file),
    };
    return RUN(tests);
}

/* Tests of external data files: a location stays below the model's folder by its words.
 * Symbolic links are followed, or refused. */
#include "core/file.h"
#include "support.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Makes a folder with files, links and folders in it, and opens a model there. */
static struct file *model_in_folder(void)
{
    struct error err = {0};
    const char *folder = temp_path("models");
    save("outside.bin", "outside", 7);
    mkdir(folder, 0700);
    mkdir(temp_path("models/sub"), 0700);
    mkdir(temp_path("models/sub/deep"), 0700);
    save("models/w.bin", "weights", 7);
    save("models/empty.bin", "", 0);
    save("models/sub/deep/w", "deep", 4);
    save("models/..w", "dots", 4);
    save("models/with space", "blank", 5);
    assert_int_equal(symlink("w.bin", temp_path("models/link")), 0);
    assert_int_equal(symlink("sub", temp_path("models/linked")), 0);
    assert_int_equal(symlink("../outside.bin", temp_path("models/escape")), 0);
    assert_int_equal(symlink("circle", temp_path("models/circle")), 0);
    assert_int_equal(symlink("nowhere", temp_path("models/dangling")), 0);
    assert_int_equal(symlink("pipe", temp_path("models/to_pipe")), 0);
    assert_int_equal(mkfifo(temp_path("models/pipe"), 0600), 0);
    struct file *model = file_open(save("models/m.onnx", "model", 5), NULL, &err);
    assert_fine(&err);
    return model;
}

static void test_found(void **state)
{
    (void)state;
    static const struct {
        const char *location, *contents;
    } rows[] = {
        {"w.bin", "weights"},      {"./w.bin", "weights"},  {"sub/deep/w", "deep"},
        {"sub//deep/./w", "deep"}, {"with space", "blank"}, {"..w", "dots"},
        {"empty.bin", ""},         {"link", "weights"},     {"escape", "outside"},
        {"linked/deep/w", "deep"},
    };
    struct file *model = model_in_folder();
    int before = open_files();
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct error err = {0};
        struct file *file = file_open_beside(model, rows[i].location, &err);
        assert_fine(&err);
        assert_non_null(file);
        assert_int_equal(file->size, strlen(rows[i].contents));
        assert_memory_equal(file->data, rows[i].contents, strlen(rows[i].contents));
        file_close(file);
    }
    assert_int_equal(open_files(), before);
    file_close(model);
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *location;
        enum status status;
        const char *part;
    } rows[] = {
        {"", STATUS_MALFORMED, "not a relative"},
        {"/etc/passwd", STATUS_MALFORMED, "not a relative"},
        {"../outside.bin", STATUS_READ, "leaves the model's folder"},
        {"sub/../w.bin", STATUS_READ, "leaves the model's folder"},
        {"sub/../../outside.bin", STATUS_READ, "leaves the model's folder"},
        {"..", STATUS_READ, "leaves the model's folder"},
        {"linked/../w.bin", STATUS_READ, "leaves the model's folder"},
        {"sub/..", STATUS_READ, "leaves the model's folder"},
        {"circle", STATUS_READ, "in a circle"},
        {"dangling", STATUS_READ, "link to a missing file"},
        {"to_pipe", STATUS_READ, "not a regular file"},
        {"missing", STATUS_READ, "is missing"},
        {"missing/w", STATUS_READ, "is missing"},
        {"w.bin/x", STATUS_READ, "Not a directory"},
        {"sub", STATUS_READ, "not a regular file"},
        {".", STATUS_READ, "not a regular file"},
        {"pipe", STATUS_READ, "not a regular file"},
    };
    struct file *model = model_in_folder();
    int before = open_files();
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct error err = {0};
        assert_null(file_open_beside(model, rows[i].location, &err));
        assert_failed(&err, rows[i].status, rows[i].part);
    }
    assert_int_equal(open_files(), before);
    file_close(model);
}

static void test_links_refused(void **state)
{
    (void)state;
    static const char *const locations[] = {"link",   "escape",   "linked/deep/w",
                                            "circle", "dangling", "../outside.bin"};
    struct error err = {0};
    struct file *model = model_in_folder();
    model->no_links = true;
    int before = open_files();
    for (size_t i = 0; i < COUNT(locations); i++) {
        struct error refused = {0};
        assert_null(file_open_beside(model, locations[i], &refused));
        assert_failed(&refused, STATUS_READ, locations[i]);
    }
    assert_int_equal(open_files(), before);
    struct file *file = file_open_beside(model, "sub/deep/w", &err);
    assert_fine(&err);
    file_close(file);
    file_close(model);
}

/* The folder is that of the model's path as given, which may be relative or "/". */
static void test_relative_model(void **state)
{
    (void)state;
    struct error err = {0};
    char old[4096];
    assert_non_null(getcwd(old, sizeof old));
    file_close(model_in_folder());
    static const struct {
        const char *folder, *model;
    } rows[] = {{"models", "m.onnx"},
                {"models", "./m.onnx"},
                {".", "models/m.onnx"},
                {"models/sub", "../m.onnx"}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        assert_int_equal(chdir(temp_path(rows[i].folder)), 0);
        struct file *model = file_open(rows[i].model, NULL, &err);
        assert_fine(&err);
        struct file *file = file_open_beside(model, "w.bin", &err);
        assert_fine(&err);
        assert_memory_equal(file->data, "weights", 7);
        file_close(file);
        file_close(model);
        assert_int_equal(chdir(old), 0);
    }
}

static void test_stdin_has_no_folder(void **state)
{
    (void)state;
    struct error err = {0};
    struct file model = {.path = "standard input", .is_stdin = true, .fd = -1};
    assert_null(file_open_beside(&model, "w.bin", &err));
    assert_failed(&err, STATUS_READ, "standard input");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_found),
        TEST(test_refused),
        TEST(test_links_refused),
        TEST(test_relative_model),
        TEST(test_stdin_has_no_folder),
    };
    return RUN(tests);
}

/* Tests of errors: the first one wins, the prefix names a file, and nothing overflows. */
#include "core/error.h"
#include "support.h"

#include <string.h>

static void test_first_wins(void **state)
{
    (void)state;
    struct error err = {0};
    assert_false(error_set(&err, STATUS_READ, "%s: %d", "file", 7));
    assert_false(error_set(&err, STATUS_WRITE, "later"));
    assert_false(error_memory(&err));
    assert_int_equal(err.status, STATUS_READ);
    assert_string_equal(err.message, "file: 7");
}

static void test_memory(void **state)
{
    (void)state;
    struct error err = {0};
    assert_false(error_memory(&err));
    assert_failed(&err, STATUS_MEMORY, "memory");
}

static void test_prefix(void **state)
{
    (void)state;
    struct error err = {0};
    error_set(&err, STATUS_READ, "no such thing");
    error_prefix(&err, "dir/model.onnx");
    assert_string_equal(err.message, "dir/model.onnx: no such thing");
    error_prefix(&err, "again");
    assert_string_equal(err.message, "again: dir/model.onnx: no such thing");
    assert_int_equal(err.status, STATUS_READ);
}

/* Names may be longer than a message. They are cut, terminated, and never written
 * beyond. */
static void test_truncation(void **state)
{
    (void)state;
    struct {
        struct error err;
        char guard[64];
    } box;
    memset(&box, 0, sizeof box);
    memset(box.guard, 0x5a, sizeof box.guard);
    char *name = hold(10001);
    memset(name, 'n', 10000);

    error_set(&box.err, STATUS_MALFORMED, "%s ends", name);
    assert_int_equal(strlen(box.err.message), sizeof box.err.message - 1);
    error_prefix(&box.err, "model");
    assert_int_equal(strlen(box.err.message), sizeof box.err.message - 1);
    assert_int_equal(strncmp(box.err.message, "model: nnn", 10), 0);
    error_prefix(&box.err, name);
    assert_int_equal(strlen(box.err.message), sizeof box.err.message - 1);
    assert_int_equal(box.err.message[0], 'n');
    for (size_t i = 0; i < sizeof box.guard; i++)
        assert_int_equal(box.guard[i], 0x5a);
}

/* A message that contains a conversion is not formatted a second time. */
static void test_percent(void **state)
{
    (void)state;
    struct error err = {0};
    error_set(&err, STATUS_READ, "%s", "100%s.onnx");
    error_prefix(&err, "%n%d");
    assert_string_equal(err.message, "%n%d: 100%s.onnx");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_first_wins), TEST(test_memory),  TEST(test_prefix),
        TEST(test_truncation), TEST(test_percent),
    };
    return RUN(tests);
}

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

static bool ends_with(const char *text, const char *end)
{
    return strcmp(text + strlen(text) - strlen(end), end) == 0;
}

/* Names may be longer than a message. Then the middle goes: the begin and the cause stay.
 * Nothing is written beyond. */
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
    assert_true(ends_with(box.err.message, "nnn ends"));
    error_prefix(&box.err, "model");
    assert_int_equal(strlen(box.err.message), sizeof box.err.message - 1);
    assert_int_equal(strncmp(box.err.message, "model: nnn", 10), 0);
    assert_true(ends_with(box.err.message, "nnn ends"));
    error_prefix(&box.err, name);
    assert_int_equal(strlen(box.err.message), sizeof box.err.message - 1);
    assert_int_equal(box.err.message[0], 'n');
    assert_true(ends_with(box.err.message, "nnn ends"));
    error_append(&box.err, name);
    assert_true(ends_with(box.err.message, "nnn"));
    assert_int_equal(strlen(box.err.message), sizeof box.err.message - 1);
    for (size_t i = 0; i < sizeof box.guard; i++)
        assert_int_equal(box.guard[i], 0x5a);
}

/* A name is never cut inside a character. */
static void test_characters(void **state)
{
    (void)state;
    for (size_t shift = 0; shift < 3; shift++) {
        struct error err = {0};
        char *name = hold(9001);
        for (size_t i = 0; i + 3 <= 9000; i += 3)
            memcpy(name + i, "\xE2\x82\xAC", 3);
        error_set(&err, STATUS_READ, "%s%s: gone", &"ab"[shift % 2], name + 3 * shift);
        char *gap = strstr(err.message, " ... ");
        assert_non_null(gap);
        assert_int_equal((unsigned char)gap[-1], 0xAC);
        assert_int_equal((unsigned char)gap[5], 0xE2);
        assert_true(ends_with(err.message, ": gone"));
    }
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
        TEST(test_first_wins), TEST(test_memory),     TEST(test_prefix),
        TEST(test_truncation), TEST(test_characters), TEST(test_percent),
    };
    return RUN(tests);
}

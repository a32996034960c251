/* Sizes, names made printable, names shortened. */
#include "report/format.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_bytes(void **state)
{
    static const struct {
        uint64_t bytes;
        const char *text;
    } cases[] = {
        {0, "0 B"},          {999, "999 B"},          {1000, "1.00 kB"},
        {1234, "1.23 kB"},   {9994, "9.99 kB"},       {9995, "10.0 kB"},
        {99949, "99.9 kB"},  {99950, "100 kB"},       {999499, "999 kB"},
        {999500, "1.00 MB"}, {1500000000, "1.50 GB"}, {UINT64_MAX, "18.4 EB"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char out[FORMAT_SIZE];
        format_bytes(out, cases[i].bytes);
        assert_string_equal(out, cases[i].text);
    }
}

static void test_count(void **state)
{
    char out[FORMAT_SIZE];
    (void)state;
    format_count(out, 512);
    assert_string_equal(out, "512");
    format_count(out, 22700000);
    assert_string_equal(out, "22.7 M");
}

struct pair {
    const char *in, *out;
};

static void test_printable(void **state)
{
    static const struct pair cases[] = {
        {"", ""},
        {"onnx::MatMul_1234", "onnx::MatMul_1234"},
        {"a\nb\tc", "a\\nb\\tc"},
        {"\x1b[31mred\x7f", "\\x1B[31mred\\x7F"},
        {"\xd1\x81\xd0\xbb\xd0\xbe\xd0\xb9", "\xd1\x81\xd0\xbb\xd0\xbe\xd0\xb9"},
        {"\xf0\x9f\x99\x82", "\xf0\x9f\x99\x82"},
        {"\xc2\x9b"
         "31m",
         "\\u009B31m"}, /* a control of 8-bit terminals */
        {"a\xe2\x80\xae"
         "b",
         "a\\u202Eb"},                                /* turns the direction of writing */
        {"\xff\xfe", "\\xFF\\xFE"},                   /* no UTF-8 */
        {"\xc0\xaf", "\\xC0\\xAF"},                   /* not the shortest form */
        {"\xed\xa0\x80", "\\xED\\xA0\\x80"},          /* a surrogate */
        {"\xf4\x90\x80\x80", "\\xF4\\x90\\x80\\x80"}, /* beyond the last one */
        {"cut \xe2\x80", "cut \\xE2\\x80"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *out = format_printable(cases[i].in);
        assert_string_equal(out, cases[i].out);
        free(out);
    }
}

static void test_utf8(void **state)
{
    static const struct pair cases[] = {
        {"\x1b[31m", "\x1b[31m"}, /* JSON escapes controls itself */
        {"\xd0\xbb", "\xd0\xbb"},
        {"a\xff"
         "b",
         "a\xef\xbf\xbd"
         "b"},
        {"\xe2\x80", "\xef\xbf\xbd\xef\xbf\xbd"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *out = format_utf8(cases[i].in);
        assert_string_equal(out, cases[i].out);
        free(out);
    }
}

static void test_shorten(void **state)
{
    static const struct {
        size_t width;
        const char *in, *out;
    } cases[] = {
        {80, "encoder.layer.11.output.dense.weight",
         "encoder.layer.11.output.dense.weight"},
        {28, "encoder.layer.11.attention.output.dense.weight",
         "e.l.11.a.output.dense.weight"},
        {22, "encoder.layer.11.attention.output.dense.weight", "e.l.11.a.o.d.weight"},
        {16, "encoder.layer.11.attention.output.dense.weight", "e.l.1~o.d.weight"},
        {16, "onnx::MatMul_1234", "o::MatMul_1234"},
        {16, "a_name_without_any_part_in_it", "a_nam~part_in_it"},
        {16, "/model/layers.0/attn/q_proj/MatMul", "/m/l.~a/q/MatMul"},
        {8, "\xd1\x81\xd0\xbb\xd0\xbe\xd0\xb9_12345", "\xd1\x81\xd0\xbb~12345"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char name[128];
        strcpy(name, cases[i].in);
        format_shorten(name, cases[i].width);
        assert_string_equal(name, cases[i].out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes),     cmocka_unit_test(test_count),
        cmocka_unit_test(test_printable), cmocka_unit_test(test_utf8),
        cmocka_unit_test(test_shorten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

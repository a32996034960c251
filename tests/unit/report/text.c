/* The report as text: whole pages compared with what they should look like. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sample.h"

#include <stdlib.h>
#include <string.h>

static void check(const struct nibble_report *report, int columns, bool all,
                  const char *expected)
{
    char *text = nibble_report_text(report, columns, all);
    assert_non_null(text);
    assert_string_equal(text, expected);
    free(text);
}

static void test_page(void **state)
{
    (void)state;
    check(&sample_report, 0, false,
          "model.onnx -> out.onnx: opset 17 -> 21, IR 8 -> 10\n"
          "\n"
          "WEIGHT                OP     SHAPE     TYPE            BEFORE ->   AFTER     "
          "SNR\n"
          "e.l.11.i.d.weight     MatMul 384x1536  int4 block 256 2.36 MB ->  304 kB 20.1 "
          "dB\n"
          "If_0/t/conv\\n1\\xFF    Conv   64x32x3x3 uint8 channel  36.9 kB -> 18.6 kB   "
          "exact\n"
          "\n"
          "forms:\n"
          "     2  DequantizeLinear, decoded on every run\n"
          "\n"
          "left float:\n"
          "     1   2.36 MB  warning: it contains NaN or infinity\n"
          "     1   46.9 MB  used by Gather, which keeps float weights\n"
          "     2   1.54 kB  biases stay float\n"
          "\n"
          "quantized  2 of 6 constants, 4.7 % of 12.9 M elements, 4.25 bits per weight\n"
          "constants  51.6 MB -> 49.6 MB\n"
          "model      51.7 MB -> 49.6 MB, 1.04 times smaller\n");
}

static void test_wide(void **state)
{
    (void)state;
    char *text = nibble_report_text(&sample_report, 120, false);
    assert_non_null(strstr(text, "encoder.layer.11.intermediate.dense.weight  MatMul "));
    assert_non_null(strstr(text, "If_0/then_branch/conv\\n1\\xFF "));
    free(text);
}

static void test_all(void **state)
{
    (void)state;
    char *text = nibble_report_text(&sample_report, 80, true);
    assert_non_null(strstr(text, "biases stay float\n"
                                 "          bias.0  Add 384 float 1.54 kB\n"
                                 "          scale  - scalar float 4 B\n"));
    free(text);
}

/* No line is wider than asked for, whatever the names. */
static void test_columns(void **state)
{
    (void)state;
    for (int columns = 80; columns < 130; columns++) {
        char *text = nibble_report_text(&sample_report, columns, true);
        for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
            assert_true((int)strlen(line) <= columns);
        free(text);
    }
}

static void test_dry_run(void **state)
{
    struct nibble_weight weight = sample_weights[0];
    const struct nibble_weight *const pointer = &weight;
    (void)state;
    weight.name = "w";
    weight.snr_db = (double)NAN;
    const struct nibble_report report = {.model = "m\x1b.onnx",
                                         .output = "",
                                         .ir_before = 10,
                                         .ir_after = 10,
                                         .opset_before = 21,
                                         .opset_after = 21,
                                         .bytes_before = 2359400,
                                         .weight_bytes_before = 2359296,
                                         .weight_bytes_after = 304128,
                                         .elements = 589824,
                                         .elements_quantized = 589824,
                                         .bits_per_weight = 4.125,
                                         .quantized = 1,
                                         .cpu = "scalar",
                                         .weights = &pointer,
                                         .weight_count = 1};
    check(&report, 80, false,
          "m\\x1B.onnx: opset 21, IR 10\n"
          "\n"
          "WEIGHT  OP     SHAPE    TYPE            BEFORE ->  AFTER SNR\n"
          "w       MatMul 384x1536 int4 block 256 2.36 MB -> 304 kB   -\n"
          "\n"
          "forms:\n"
          "     1  DequantizeLinear, decoded on every run\n"
          "\n"
          "quantized  1 of 1 constants, 100.0 % of 590 k elements, 4.12 bits per weight\n"
          "constants  2.36 MB -> 304 kB\n"
          "model      2.36 MB (nothing written)\n");
}

static void test_chosen(void **state)
{
    (void)state;
    struct nibble_report report = sample_report;
    report.bits_chosen = 4.4996;
    report.elements_chosen = 608256;
    char *text = nibble_report_text(&report, 80, false);
    assert_non_null(strstr(text, ", 4.25 bits per weight\n"
                                 "chosen     4.500 bits per weight for 608 k elements, "
                                 "float included\n"
                                 "constants  51.6 MB"));
    free(text);
}

static void test_empty(void **state)
{
    (void)state;
    const struct nibble_report report = {.model = "m",
                                         .output = "",
                                         .cpu = "scalar",
                                         .opset_before = 21,
                                         .opset_after = 21,
                                         .ir_before = 10,
                                         .ir_after = 10};
    check(&report, 80, true,
          "m: opset 21, IR 10\n"
          "\n"
          "quantized  0 of 0 constants, 0.0 % of 0 elements\n"
          "constants  0 B -> 0 B\n"
          "model      0 B (nothing written)\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_page),    cmocka_unit_test(test_wide),
        cmocka_unit_test(test_all),     cmocka_unit_test(test_columns),
        cmocka_unit_test(test_dry_run), cmocka_unit_test(test_chosen),
        cmocka_unit_test(test_empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

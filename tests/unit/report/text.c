/* The report as text: whole pages compared with what they should look like. */
#include "sample.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

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
    check(&sample_report, 80, false,
          "model.onnx -> out.onnx: opset 17 -> 21, IR 8 -> 10\n"
          "\n"
          "WEIGHT                OP     SHAPE     TYPE            BEFORE ->   AFTER     "
          "SNR\n"
          "e.l.11.i.d.weight     MatMul 384x1536  int4 block 256 2.36 MB ->  304 kB 20.1 "
          "dB\n"
          "I0/t/conv\\n1\\xFF      Conv   64x32x3x3 uint8 channel  36.9 kB -> 18.6 kB   "
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

/* Names stand in full where no width is asked for, and with `all`. */
static void test_whole_names(void **state)
{
    (void)state;
    for (int all = 0; all < 2; all++) {
        char *text = nibble_report_text(&sample_report, all ? 80 : 0, all);
        assert_non_null(strstr(text, "encoder.layer.11.intermediate.dense.weight "));
        free(text);
    }
}

/* More groups than a form has reasons: none is dropped, and weights that are stored with
 * others are one group. */
static void test_many_forms(void **state)
{
    (void)state;
    enum { WEIGHTS = 40 };
    static struct nibble_weight weights[WEIGHTS];
    static const struct nibble_weight *list[WEIGHTS];
    static char whys[WEIGHTS][40], names[WEIGHTS][16];
    struct nibble_report report = sample_report;
    for (int i = 0; i < WEIGHTS; i++) {
        weights[i] = *sample_report.weights[0];
        weights[i].quantized = true;
        sprintf(names[i], "w%d", i);
        sprintf(whys[i], i % 2 ? "stored once, with w%d" : "reason %d", i);
        weights[i].name = names[i];
        weights[i].why = whys[i];
        list[i] = &weights[i];
    }
    report.weights = list;
    report.weight_count = report.quantized = WEIGHTS;
    char *text = nibble_report_text(&report, 80, false);
    assert_non_null(strstr(text, "    20  "));
    assert_non_null(strstr(text, ", stored once, with an equal weight\n"));
    for (int i = 0; i < WEIGHTS; i += 2) {
        char line[50];
        sprintf(line, ", reason %d\n", i);
        assert_non_null(strstr(text, line));
    }
    free(text);
}

/* Names that only their middle tells apart. */
static void test_no_rows_alike(void **state)
{
    (void)state;
    enum { WEIGHTS = 60 };
    static struct nibble_weight weights[WEIGHTS];
    static const struct nibble_weight *list[WEIGHTS];
    static char names[WEIGHTS][80];
    struct nibble_report report = sample_report;
    for (int i = 0; i < WEIGHTS; i++) {
        weights[i] = *sample_report.weights[0];
        weights[i].quantized = true;
        if (i % 2)
            sprintf(names[i], "features.denseblock%d.denselayer%d.conv2.weight", i / 20,
                    i);
        else
            sprintf(names[i], "a_long_beginning_%c_a_long_end_without_any_parts", 48 + i);
        weights[i].name = names[i];
        list[i] = &weights[i];
    }
    report.weights = list;
    report.weight_count = report.quantized = WEIGHTS;
    char *text = nibble_report_text(&report, 80, false), *rows[WEIGHTS] = {NULL};
    char *line = strtok(strstr(text, "WEIGHT"), "\n");
    for (int i = 0; i < WEIGHTS; i++) {
        rows[i] = line = strtok(NULL, "\n");
        for (int j = 0; j < i; j++)
            assert_string_not_equal(rows[i], rows[j]);
    }
    free(text);
}

/* No line is wider than asked for, whatever the names. */
static void test_columns(void **state)
{
    (void)state;
    for (int columns = 80; columns < 130; columns++) {
        char *text = nibble_report_text(&sample_report, columns, false);
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
        cmocka_unit_test(test_page),          cmocka_unit_test(test_wide),
        cmocka_unit_test(test_all),           cmocka_unit_test(test_columns),
        cmocka_unit_test(test_whole_names),   cmocka_unit_test(test_many_forms),
        cmocka_unit_test(test_no_rows_alike), cmocka_unit_test(test_dry_run),
        cmocka_unit_test(test_chosen),        cmocka_unit_test(test_empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

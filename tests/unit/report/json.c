/* The report as JSON: parsed again, and compared field by field. */
#include "sample.h"

#include <cjson/cJSON.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static cJSON *parsed(const struct nibble_report *report)
{
    char *text = nibble_report_json(report);
    assert_non_null(text);
    cJSON *root = cJSON_Parse(text);
    free(text);
    assert_non_null(root);
    return root;
}

static const cJSON *get(const cJSON *object, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    if (!item)
        print_message("no field %s\n", key);
    assert_non_null(item);
    return item;
}

static void assert_number(const cJSON *object, const char *key, double value)
{
    assert_true(cJSON_IsNumber(get(object, key)));
    assert_true(get(object, key)->valuedouble == value);
}

static void assert_text(const cJSON *object, const char *key, const char *value)
{
    assert_true(cJSON_IsString(get(object, key)));
    assert_string_equal(get(object, key)->valuestring, value);
}

static void test_report(void **state)
{
    (void)state;
    cJSON *root = parsed(&sample_report);
    assert_text(root, "nibble", nibble_version());
    assert_text(root, "model", "model.onnx");
    assert_text(root, "output", "out.onnx");
    assert_number(get(root, "opset"), "before", 17);
    assert_number(get(root, "opset"), "after", 21);
    assert_number(get(root, "ir_version"), "after", 10);
    assert_number(get(root, "bytes"), "before", 51700000);
    assert_number(get(root, "bytes"), "after", 49600000);
    assert_number(get(root, "weight_bytes"), "after", 49565380);
    assert_number(root, "elements_quantized", 608256);
    assert_number(root, "bits_per_weight", 4.245);
    assert_number(root, "bits_chosen", 0);
    assert_number(root, "elements_chosen", 0);
    assert_number(root, "quantized", 2);
    assert_number(root, "left", 4);
    assert_number(root, "missed", 2);
    assert_number(root, "warnings", 1);
    assert_text(root, "cpu", "avx2");
    assert_number(root, "estimated_snr_db", 17.25);
    assert_int_equal(cJSON_GetArraySize(get(root, "notes")), 0);
    assert_int_equal(cJSON_GetArraySize(get(root, "weights")), 6);
    cJSON_Delete(root);
}

static void test_weights(void **state)
{
    (void)state;
    cJSON *root = parsed(&sample_report);
    const cJSON *weights = get(root, "weights");

    const cJSON *first = cJSON_GetArrayItem(weights, 0);
    assert_text(first, "name", "encoder.layer.11.intermediate.dense.weight");
    assert_text(first, "type", "int4");
    assert_text(first, "granularity", "block 256, axis 0");
    assert_text(first, "scale_type", "float");
    assert_text(first, "form", "DequantizeLinear");
    assert_number(first, "snr_db", 20.125);
    assert_true(cJSON_IsFalse(get(first, "exact")));
    assert_int_equal(cJSON_GetArraySize(get(first, "dims")), 2);
    assert_number(get(first, "bytes"), "after", 304128);

    const cJSON *exact = cJSON_GetArrayItem(weights, 1);
    assert_text(exact, "name", "conv\n1\xef\xbf\xbd");
    assert_text(exact, "graph", "If_0/then_branch");
    assert_true(cJSON_IsNull(get(exact, "snr_db")));
    assert_true(cJSON_IsTrue(get(exact, "exact")));

    const cJSON *broken = cJSON_GetArrayItem(weights, 3);
    assert_true(cJSON_IsFalse(get(broken, "quantized")));
    assert_true(cJSON_IsTrue(get(broken, "warning")));
    assert_true(cJSON_IsTrue(get(broken, "asked")));
    assert_text(broken, "reason", "it contains NaN or infinity");
    assert_null(cJSON_GetObjectItemCaseSensitive(broken, "type"));
    cJSON_Delete(root);
}

/* Integers keep all their digits, which a double would not hold. */
static void test_large(void **state)
{
    struct nibble_report report = sample_report;
    (void)state;
    report.bytes_before = UINT64_MAX;
    char *text = nibble_report_json(&report);
    assert_non_null(strstr(text, "18446744073709551615"));
    free(text);
}

static void test_dry_run(void **state)
{
    struct nibble_report report = sample_report;
    (void)state;
    report.output = "";
    cJSON *root = parsed(&report);
    assert_true(cJSON_IsNull(get(root, "output")));
    assert_true(cJSON_IsNull(get(get(root, "bytes"), "after")));
    cJSON_Delete(root);
}

static void test_note(void **state)
{
    struct nibble_report report = sample_report;
    (void)state;
    report.estimated_snr_db = (double)NAN;
    report.note = "beware";
    cJSON *root = parsed(&report);
    assert_true(cJSON_IsNull(get(root, "estimated_snr_db")));
    assert_int_equal(cJSON_GetArraySize(get(root, "notes")), 1);
    assert_string_equal(cJSON_GetArrayItem(get(root, "notes"), 0)->valuestring, "beware");
    cJSON_Delete(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_report), cmocka_unit_test(test_weights),
        cmocka_unit_test(test_large),  cmocka_unit_test(test_dry_run),
        cmocka_unit_test(test_note),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

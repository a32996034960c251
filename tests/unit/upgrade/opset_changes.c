/* The tables of the upgrade: their order, each other, and docs/upgrading.md. */
#include "support.h"
#include "upgrade/operator_versions.h"
#include "upgrade/opset_changes.h"
#include "upgrade/upgrade.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The folder that holds tests/ and docs/, by this file's own path. */
static const char *root(void)
{
    static const char here[] = "tests/unit/upgrade/opset_changes.c";
    char *path = hold_printf("%s", __FILE__);
    size_t length = strlen(path);
    assert_true(length >= sizeof here - 1);
    path[length - (sizeof here - 1)] = '\0';
    return path;
}

static void test_operators_are_sorted(void **state)
{
    (void)state;
    const struct operator_row *rows = operator_rows;
    assert_true(operator_count > 200);
    for (size_t i = 0; i < operator_count; i++) {
        assert_true(i == 0 || strcmp(rows[i - 1].name, rows[i].name) < 0);
        assert_ptr_equal(operator_find(rows[i].name), &rows[i]);
        assert_true(*rows[i].outputs != '\0');
        assert_true(rows[i].since >= 1 && rows[i].since <= UPGRADE_TARGET_MAX);
    }
    assert_null(operator_find("ATen"));
    assert_null(operator_find(""));
    assert_null(operator_find("softmax"));
}

static void test_operators_of_the_runtime(void **state)
{
    static const struct {
        const char *name;
        int64_t opset;
        bool exists;
    } cases[] = {
        {"SimplifiedLayerNormalization", 7, true},
        {"SimplifiedLayerNormalization", UPGRADE_TARGET_MAX, true},
        {"LayerNormalization", 16, true},
        {"LayerNormalization", 17, false}, /* ONNX's own */
        {"ThresholdedRelu", 9, true},
        {"ThresholdedRelu", 10, false},
        {"EfficientNMS_TRT", 11, true},
        {"ScaledTanh", 9, false},
        {"", 9, false},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct operator_row *row =
            runtime_operator_find(cases[i].name, cases[i].opset);
        assert_int_equal(row != NULL, cases[i].exists);
    }
}

static void test_changes_are_sorted(void **state)
{
    (void)state;
    const struct change *rows = changes;
    for (size_t i = 0; i < change_count; i++) {
        const struct operator_row *row = operator_find(rows[i].op_type);
        assert_non_null(row);
        assert_true(row->since < rows[i].version ||
                    runtime_operator_find(rows[i].op_type, rows[i].version - 1));
        assert_true(rows[i].version > UPGRADE_SOURCE_MIN);
        assert_true(rows[i].version <= UPGRADE_TARGET_MAX);
        assert_true(i == 0 || rows[i - 1].version <= rows[i].version);
        assert_false(rows[i].rewrite && rows[i].refusal);
        for (size_t j = 0; j < i; j++)
            assert_false(rows[j].version == rows[i].version &&
                         strcmp(rows[j].op_type, rows[i].op_type) == 0);
    }
}

static void test_what_went_is_replaced(void **state)
{
    (void)state;
    const struct operator_row *rows = operator_rows;
    for (size_t i = 0; i < operator_count; i++) {
        if (rows[i].gone <= UPGRADE_SOURCE_MIN)
            continue;
        const struct change *change =
            change_next(rows[i].name, rows[i].gone - 1, UPGRADE_TARGET_MAX);
        assert_non_null(change);
        assert_int_equal(change->version, rows[i].gone);
    }
}

static void test_next_change(void **state)
{
    (void)state;
    assert_int_equal(change_next("Dropout", 7, 21)->version, 10);
    assert_int_equal(change_next("Dropout", 9, 21)->version, 10);
    assert_int_equal(change_next("Dropout", 10, 21)->version, 12);
    assert_null(change_next("Dropout", 12, 28));
    assert_null(change_next("ReduceLogSum", 18, 27));
    assert_int_equal(change_next("ReduceLogSum", 18, 28)->version, 28);
    assert_null(change_next("LSTM", 7, 28)); /* a row that says "nothing" */
    assert_null(change_next("Relu", 7, 28));
}

/* The lines of the page's table are those of the rows, in their order. */
static void test_page(void **state)
{
    (void)state;
    const struct change *rows = changes;
    struct bytes page = load(hold_printf("%sdocs/upgrading.md", root()));
    char *text = hold_printf("%.*s", (int)page.size, (const char *)page.data);
    char *at = strstr(text, "|---|---|---|\n");
    assert_non_null(at);
    at = strchr(at, '\n') + 1;
    for (size_t i = 0; i < change_count; i++) {
        char *line = hold_printf("| %s | %lld | %s |\n", rows[i].op_type,
                                 (long long)rows[i].version, rows[i].text);
        if (strncmp(at, line, strlen(line)) != 0) {
            printf("docs/upgrading.md lacks, or has elsewhere:\n%s", line);
            fail();
        }
        at += strlen(line);
    }
    assert_int_equal(*at, '\n');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_operators_are_sorted), TEST(test_operators_of_the_runtime),
        TEST(test_changes_are_sorted),   TEST(test_what_went_is_replaced),
        TEST(test_next_change),          TEST(test_page),
    };
    return RUN(tests);
}

/* The options as a caller of another version, or a careless one, gives them: structs of
 * other sizes, values that are no enumerators, NULL. */
#include "nibble.h"
#include "support.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { BEHIND = 64 };

/* Options as a newer nibble.h may have them. */
struct newer {
    struct nibble_options options;
    unsigned char unknown[BEHIND];
};

static const char *save_model(void)
{
    struct bytes bytes =
        pack(make_one("MatMul", make_weight("W", DATA_FLOAT, DIMS(64, 64))));
    return save("in.onnx", bytes.data, bytes.size);
}

static void refuse(const struct nibble_options *options, const char *part)
{
    struct nibble_error error;
    const char *model = save_model();
    assert_int_equal(nibble_quantize(model, NULL, options, NULL, &error),
                     NIBBLE_STATUS_INVALID);
    assert_int_equal(error.status, NIBBLE_STATUS_INVALID);
    if (!strstr(error.message, part))
        fail_msg("%s", error.message);
    assert_int_equal(nibble_upgrade(model, temp_path("out.onnx"), 21, options, &error) ==
                         NIBBLE_STATUS_OK,
                     options->size == sizeof *options);
}

/* ---- sizes ------------------------------------------------------------ */

/* Runs with options of `size` bytes, which end where memory of others begins. */
static struct nibble_report *run_sized(size_t size)
{
    struct nibble_options *options = malloc(size);
    struct nibble_report *report = NULL;
    struct nibble_error error;
    assert_non_null(options);
    nibble_options_init_sized(options, size);
    assert_int_equal(options->size, size);
    options->type = NIBBLE_TYPE_UINT8;
    if (nibble_quantize(save_model(), NULL, options, &report, &error))
        fail_msg("size %zu: %s", size, error.message);
    free(options);
    return report;
}

/* An older struct ends before this one; what it lacks has its default. The least of all
 * has neither method nor min_elements, whose defaults aren't zero. */
static void test_older(void **state)
{
    (void)state;
    const size_t sizes[] = {16,
                            offsetof(struct nibble_options, bits_per_weight),
                            offsetof(struct nibble_options, progress),
                            offsetof(struct nibble_options, cancel),
                            offsetof(struct nibble_options, guard),
                            offsetof(struct nibble_options, rules)};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct nibble_report *report = run_sized(sizes[i]);
        assert_int_equal(report->quantized, 1);
        assert_string_equal(report->weights[0]->type, "uint8");
        nibble_report_free(report);
    }
}

/* What is behind an older struct is never read, whatever is there. */
static void test_behind(void **state)
{
    (void)state;
    struct nibble_options options;
    struct nibble_report *report = NULL;
    nibble_options_init(&options);
    options.size = offsetof(struct nibble_options, decode);
    memset((unsigned char *)&options + options.size, 0xff, sizeof options - options.size);
    assert_int_equal(nibble_quantize(save_model(), NULL, &options, &report, NULL),
                     NIBBLE_STATUS_OK);
    assert_int_equal(report->quantized, 1);
    nibble_report_free(report);
}

static void test_newer(void **state)
{
    (void)state;
    struct newer newer;
    struct nibble_error error;
    memset(&newer, 0xff, sizeof newer);
    nibble_options_init_sized(&newer.options, sizeof newer);
    assert_int_equal(newer.options.size, sizeof newer);
    const char *model = save_model();
    assert_int_equal(nibble_quantize(model, NULL, &newer.options, NULL, &error),
                     NIBBLE_STATUS_OK);
    newer.unknown[BEHIND - 1] = 1;
    refuse(&newer.options, "newer");
}

static void test_garbage_sizes(void **state)
{
    (void)state;
    struct nibble_options options;
    const size_t sizes[] = {
        0,
        1,
        sizeof(size_t),
        sizeof options - 1,
        4104,
        1 << 20,
        SIZE_MAX,
        SIZE_MAX - 7,
        SIZE_MAX / 2 + 1,
        0xaaaaaaaaU,
        (size_t)&options,
    };
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        nibble_options_init(&options);
        options.size = sizes[i];
        refuse(&options, "nibble_options_init");
    }
}

/* ---- values ----------------------------------------------------------- */

#define REFUSE(field, value)                                           \
    do {                                                               \
        struct nibble_options options_;                                \
        nibble_options_init(&options_);                                \
        memcpy(&options_.field, &(int){value}, sizeof options_.field); \
        refuse(&options_, "value that nibble.h does not define");      \
    } while (0)

static void test_enumerators(void **state)
{
    (void)state;
    const int values[] = {-1, 5, INT32_MIN, INT32_MAX};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        REFUSE(type, values[i]);
        REFUSE(symmetry, values[i]);
        REFUSE(granularity, values[i]);
        REFUSE(method, values[i]);
        REFUSE(scale_type, values[i]);
        REFUSE(compute, values[i]);
        REFUSE(io, values[i]);
        REFUSE(decode, values[i]);
        REFUSE(format, values[i]);
        REFUSE(target, values[i]);
    }
}

static void test_names(void **state)
{
    (void)state;
    for (int value = -2; value < 10; value += value < 0 ? 1 : 5) {
        const bool known = value == 0;
        assert_int_equal(nibble_type_name((enum nibble_type)value) != NULL, known);
        assert_int_equal(nibble_method_name((enum nibble_method)value) != NULL, known);
        assert_int_equal(nibble_scale_type_name((enum nibble_scale_type)value) != NULL,
                         known);
        assert_int_equal(nibble_compute_name((enum nibble_compute)value) != NULL, known);
        assert_int_equal(nibble_io_name((enum nibble_io)value) != NULL, known);
        assert_int_equal(nibble_decode_name((enum nibble_decode)value) != NULL, known);
        assert_int_equal(nibble_format_name((enum nibble_format)value) != NULL, known);
        assert_int_equal(nibble_target_name((enum nibble_target)value) != NULL, known);
    }
}

/* ---- NULL ------------------------------------------------------------- */

static void test_null(void **state)
{
    (void)state;
    struct nibble_error error;
    const char *model = save_model(), *out = temp_path("out.onnx");
    assert_int_equal(nibble_quantize(model, out, NULL, NULL, NULL), NIBBLE_STATUS_OK);
    assert_int_equal(nibble_upgrade(model, out, 22, NULL, NULL), NIBBLE_STATUS_OK);
    const char *missing = temp_path("missing");
    assert_int_equal(nibble_quantize(missing, out, NULL, NULL, NULL), NIBBLE_STATUS_READ);
    assert_int_equal(nibble_upgrade(missing, out, 22, NULL, NULL), NIBBLE_STATUS_READ);
    assert_int_equal(nibble_quantize(NULL, out, NULL, NULL, &error),
                     NIBBLE_STATUS_INVALID);
    assert_int_equal(nibble_upgrade(NULL, out, 22, NULL, &error), NIBBLE_STATUS_INVALID);
    assert_int_equal(nibble_upgrade(model, NULL, 22, NULL, &error),
                     NIBBLE_STATUS_INVALID);
}

/* The struct is set as a whole, whatever was in it. */
static void test_error_is_set(void **state)
{
    (void)state;
    struct nibble_error error;
    memset(&error, 0xff, sizeof error);
    assert_int_equal(nibble_quantize(save_model(), NULL, NULL, NULL, &error),
                     NIBBLE_STATUS_OK);
    assert_int_equal(error.status, NIBBLE_STATUS_OK);
    assert_string_equal(error.message, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_older),         TEST(test_behind),       TEST(test_newer),
        TEST(test_garbage_sizes), TEST(test_enumerators),  TEST(test_names),
        TEST(test_null),          TEST(test_error_is_set),
    };
    return RUN(tests);
}

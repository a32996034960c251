/* Choosing as a whole, through the library: what counts, what is refused, weights that
 * can't be quantized, weights of several forms. */
#include "nibble.h"
#include "support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static struct nibble_options defaults(void)
{
    struct nibble_options options;
    nibble_options_init(&options);
    options.method = NIBBLE_METHOD_RTN;
    return options;
}

static struct bytes two_weights(int type_a, int type_b)
{
    Onnx__ModelProto *proto = make_one("MatMul", make_weight("A", type_a, DIMS(512, 96)));
    put_initializer(proto->graph, make_weight("B", type_b, DIMS(64, 32)));
    put_node(proto->graph, make_node("MatMul", "X B", "Z"));
    return pack(proto);
}

static void free_report(void *report)
{
    nibble_report_free(report);
}

static const struct nibble_report *run(struct bytes model, const char *output,
                                       const struct nibble_options *options)
{
    struct nibble_report *report = NULL;
    struct nibble_error error = {0};
    const char *path = save("in.onnx", model.data, model.size);
    if (nibble_quantize(path, output, options, &report, &error))
        fail_msg("%s", error.message);
    at_end(free_report, report);
    return report;
}

static const struct nibble_weight *weight_of(const struct nibble_report *report,
                                             const char *name)
{
    for (size_t i = 0; i < report->weight_count; i++)
        if (strcmp(report->weights[i]->name, name) == 0)
            return report->weights[i];
    fail_msg("the report has no '%s'", name);
    return NULL;
}

/* ---- options ------------------------------------------------------------- */

static void refuse(const struct nibble_options *options, const char *part)
{
    struct bytes model = two_weights(DATA_FLOAT, DATA_FLOAT);
    const char *path = save("in.onnx", model.data, model.size);
    struct nibble_error error = {0};
    assert_int_equal(nibble_quantize(path, NULL, options, NULL, &error),
                     NIBBLE_STATUS_INVALID);
    if (!strstr(error.message, part))
        fail_msg("%s", error.message);
}

static void test_contradictions(void **state)
{
    (void)state;
    struct nibble_options options = defaults();
    options.bits_per_weight = 5;
    options.min_snr = 20;
    refuse(&options, "exclude each other");
    options.min_snr = 0;
    options.type = NIBBLE_TYPE_INT8;
    refuse(&options, "choose type and granularity");
    options = defaults();
    options.min_snr = 20;
    options.granularity = NIBBLE_GRANULARITY_PER_CHANNEL;
    refuse(&options, "choose type and granularity");
    const double wrong[] = {-1, 65, (double)NAN, (double)INFINITY};
    for (size_t i = 0; i < COUNT(wrong); i++) {
        options = defaults();
        options.bits_per_weight = wrong[i];
        refuse(&options, "0 to 64");
    }
    options = defaults();
    options.min_snr = 201;
    refuse(&options, "0 to 200");
}

/* The error says the least that can be; that is enough. */
static void test_too_little(void **state)
{
    (void)state;
    struct bytes model = two_weights(DATA_FLOAT, DATA_FLOAT);
    const char *path = save("in.onnx", model.data, model.size);
    struct nibble_options options = defaults();
    struct nibble_error error = {0};
    options.bits_per_weight = 4;
    assert_int_equal(nibble_quantize(path, temp_path("out"), &options, NULL, &error),
                     NIBBLE_STATUS_INVALID);
    assert_false(exists(temp_path("out")));
    const char *least = strstr(error.message, "take ");
    assert_non_null(strstr(error.message, "in.onnx"));
    assert_non_null(least);
    options.bits_per_weight = strtod(least + strlen("take "), NULL);
    assert_true(options.bits_per_weight > 4);
    const struct nibble_report *report = run(model, temp_path("out"), &options);
    assert_true(report->bits_chosen <= options.bits_per_weight);
    assert_int_equal(report->quantized, 2);
    options.bits_per_weight -= 0.002;
    assert_int_equal(nibble_quantize(path, NULL, &options, NULL, &error),
                     NIBBLE_STATUS_INVALID);
}

/* ---- what counts --------------------------------------------------------- */

static void test_what_counts(void **state)
{
    (void)state;
    struct bytes model = two_weights(DATA_FLOAT, DATA_FLOAT16);
    struct nibble_options options = defaults();
    for (double bits = 4.5; bits < 40; bits *= 1.3) {
        options.bits_per_weight = bits;
        const struct nibble_report *report = run(model, NULL, &options);
        uint64_t bytes =
            weight_of(report, "A")->bytes_after + weight_of(report, "B")->bytes_after;
        assert_int_equal(report->elements_chosen, 512 * 96 + 64 * 32);
        assert_true(report->bits_chosen ==
                    8 * (double)bytes / (double)report->elements_chosen);
        assert_true(report->bits_chosen <= bits);
    }
    options.bits_per_weight = 8;
    options.exclude = "A"; /* leaves B alone, which does not fit */
    const struct nibble_report *report = run(model, NULL, &options);
    assert_int_equal(report->elements_chosen, 64 * 32);
    assert_true(weight_of(report, "B")->quantized);
    options.exclude = ".";
    assert_int_equal(run(model, NULL, &options)->elements_chosen, 0);
}

/* Enough for all: nothing is quantized, nothing is missed, and the model is copied. */
static void test_all_float(void **state)
{
    (void)state;
    struct bytes model = two_weights(DATA_FLOAT, DATA_FLOAT);
    struct nibble_options options = defaults();
    options.bits_per_weight = 32;
    const struct nibble_report *report = run(model, temp_path("out"), &options);
    assert_int_equal(report->quantized, 0);
    assert_int_equal(report->requested_but_float, 0);
    assert_true(report->bits_chosen == 32);
    struct bytes copy = load(temp_path("out"));
    assert_int_equal(copy.size, model.size);
    assert_memory_equal(copy.data, model.data, model.size);
    options.bits_per_weight = 0;
    options.min_snr = 150; /* nothing reaches that, and that is a miss */
    report = run(model, NULL, &options);
    assert_int_equal(report->quantized, 0);
    assert_int_equal(report->requested_but_float, 2);
    assert_non_null(strstr(weight_of(report, "A")->reason, "--min-snr"));
}

/* ---- values that can't be quantized ---------------------------------------- */

static void test_not_finite(void **state)
{
    (void)state;
    Onnx__ModelProto *proto = unpack(two_weights(DATA_FLOAT, DATA_FLOAT));
    const float infinity = INFINITY;
    Onnx__TensorProto *bad = find_initializer(proto->graph, "B");
    memcpy(bad->raw_data.data + 4000, &infinity, sizeof infinity);
    struct nibble_options options = defaults();
    options.bits_per_weight = 4.4; /* the room of B would do for smaller blocks */
    for (int dry = 0; dry < 2; dry++) {
        const struct nibble_report *report =
            run(pack(proto), dry ? NULL : temp_path("out"), &options);
        assert_int_equal(report->warnings, 1);
        assert_true(weight_of(report, "B")->warning);
        assert_non_null(strstr(weight_of(report, "B")->reason, "NaN or infinity"));
        assert_int_equal(report->elements_chosen, 512 * 96);
        assert_true(weight_of(report, "A")->snr_db > 15);
        assert_true(report->bits_chosen <= 4.4);
    }
}

static const struct nibble_weight *tiny_weight(uint16_t half, double min_snr)
{
    Onnx__ModelProto *proto = unpack(two_weights(DATA_FLOAT, DATA_FLOAT16));
    Onnx__TensorProto *tiny = find_initializer(proto->graph, "B");
    struct nibble_options options = defaults();
    options.min_snr = min_snr;
    for (size_t i = 0; i < tiny->raw_data.len / 2; i++) {
        bool largest = i / 32 % 2 == 0; /* every other one of each column */
        uint16_t value = (uint16_t)(largest ? half : random_below(half));
        memcpy(tiny->raw_data.data + 2 * i, &value, sizeof value);
    }
    return weight_of(run(pack(proto), NULL, &options), "B");
}

/* Of 6e-7 in float16 a seventh is no number that float16 has, and of 8e-5 a 127th is not.
 * Scales are then the next larger number. */
static void test_scale_range(void **state)
{
    (void)state;
    const struct nibble_weight *weight = tiny_weight(0x000a, 10);
    assert_true(weight->quantized && weight->snr_db >= 10);
    assert_string_equal(weight->type, "int4");
    weight = tiny_weight(0x0536, 10);
    assert_true(weight->quantized && weight->snr_db >= 10);
    assert_string_equal(weight->type, "int4");
    assert_string_equal(tiny_weight(0x3c00, 35)->type, "int8");
    weight = tiny_weight(0x0536, 35);
    assert_true(weight->quantized && weight->snr_db >= 35);
    assert_string_equal(weight->type, "int8");
}

/* Scales that float16 can't hold are float32 in every choice, so that bytes are those
 * that were reckoned with; other weights keep theirs. */
static void test_wide_scales(void **state)
{
    (void)state;
    Onnx__ModelProto *proto = unpack(two_weights(DATA_FLOAT, DATA_FLOAT));
    Onnx__TensorProto *huge = find_initializer(proto->graph, "A");
    float *values = (float *)(void *)huge->raw_data.data;
    struct nibble_options options = defaults();
    options.scale_type = NIBBLE_SCALE_TYPE_FLOAT16;
    for (size_t i = 0; i < huge->raw_data.len / sizeof *values; i++)
        values[i] *= 3e6f; /* /7 is beyond 65504, /127 is not */
    for (int dry = 0; dry < 2; dry++) {
        options.bits_per_weight = 4.2; /* without float16 in the default layout, too */
        const struct nibble_report *report =
            run(pack(proto), dry ? NULL : temp_path("out"), &options);
        assert_int_equal(report->quantized, 2);
        assert_int_equal(report->warnings, 0);
        assert_string_equal(weight_of(report, "A")->scale_type, "float");
        assert_string_equal(weight_of(report, "B")->scale_type, "float16");
        assert_true(report->bits_chosen <= 4.2);
    }
}

/* ---- several forms of one weight -------------------------------------------- */

/* A table of rows that is also a matrix: both forms get what was chosen, and both
 * take their bytes from what is allowed. */
static void test_several_forms(void **state)
{
    (void)state;
    Onnx__ModelProto *proto =
        make_one("MatMul", make_weight("A", DATA_FLOAT, DIMS(512, 96)));
    put_node(proto->graph, make_node("Gather", "A I", "R"));
    put_initializer(proto->graph, make_weight("B", DATA_FLOAT, DIMS(512, 96)));
    put_node(proto->graph, make_node("MatMul", "X B", "Z"));
    struct nibble_options options = defaults();
    for (double bits = 7; bits < 20; bits += 0.5) {
        options.bits_per_weight = bits;
        const struct nibble_report *report = run(pack(proto), NULL, &options);
        const struct nibble_weight *forms[2];
        uint64_t bytes = 0;
        size_t count = 0;
        for (size_t i = 0; i < report->weight_count; i++) {
            bytes += report->weights[i]->bytes_after;
            if (strcmp(report->weights[i]->name, "A") == 0 && count < 2)
                forms[count++] = report->weights[i];
        }
        assert_int_equal(report->elements_chosen, 2 * 512 * 96);
        assert_true(8 * (double)bytes / (2 * 512 * 96) == report->bits_chosen);
        assert_true(report->bits_chosen <= bits);
        if (count == 2) /* int4 or uint4, int8 or uint8 */
            assert_int_equal(strchr(forms[0]->type, '4') != NULL,
                             strchr(forms[1]->type, '4') != NULL);
    }
}

/* Convs of "A" and "B", which are equal, and of "C", whose values are such that it loses
 * more, but less than twice as much. */
static struct bytes equal_weights(void)
{
    Onnx__TensorProto *first = make_weight("A", DATA_FLOAT, DIMS(64, 32, 3, 3));
    Onnx__TensorProto *other = make_weight("C", DATA_FLOAT, DIMS(64, 32, 3, 3));
    float *values = (float *)(void *)other->raw_data.data;
    for (size_t i = 0; i < other->raw_data.len / sizeof *values; i++)
        values[i] *= fabsf(values[i]);
    Onnx__ModelProto *proto = make_one("Conv", first);
    put_initializer(proto->graph, make_tensor("B", DATA_FLOAT, DIMS(64, 32, 3, 3),
                                              first->raw_data.data, first->raw_data.len));
    put_node(proto->graph, make_node("Conv", "X B", "Z"));
    put_initializer(proto->graph, other);
    put_node(proto->graph, make_node("Conv", "X C", "Q"));
    return pack(proto);
}

/* Equal weights that are stored once: both count, and their bytes once. */
static void test_equal_values(void **state)
{
    (void)state;
    struct bytes model = equal_weights();
    struct nibble_options options = defaults();
    int alone = 0;
    for (double bits = 2.9; bits < 12; bits += 0.3) {
        options.bits_per_weight = bits;
        const struct nibble_report *report = run(model, temp_path("out"), &options);
        const struct nibble_weight *a = weight_of(report, "A"),
                                   *b = weight_of(report, "B"),
                                   *c = weight_of(report, "C");
        assert_int_equal(report->elements_chosen, 3 * 64 * 32 * 9);
        assert_true(report->bits_chosen <= bits);
        assert_string_equal(a->type, b->type);
        assert_string_equal(a->granularity, b->granularity);
        /* What two gain for the price of one comes first. */
        bool wide_a = strcmp(a->type, "int4") != 0, wide_c = strcmp(c->type, "int4") != 0;
        assert_true(wide_a || !wide_c);
        alone += wide_a && !wide_c;
    }
    assert_true(alone > 0);
}

/* An SNR that each has is enough. */
static void test_equal_values_reach(void **state)
{
    (void)state;
    struct bytes model = equal_weights();
    struct nibble_options options = defaults();
    const struct nibble_report *report = run(model, temp_path("out"), &options);
    options.min_snr = weight_of(report, "A")->snr_db - 0.1;
    report = run(model, NULL, &options);
    assert_string_equal(weight_of(report, "A")->granularity, "channel, axis 0");
    assert_string_equal(weight_of(report, "B")->type, "int4");
}

/* Weights that can't be told apart by name share one choice; they still fit. */
static void test_equal_keys(void **state)
{
    (void)state;
    Onnx__ModelProto *proto =
        make_one("MatMul", make_weight("W", DATA_FLOAT, DIMS(64, 64)));
    for (int i = 0; i < 2; i++) {
        Onnx__GraphProto *body = make_graph("body");
        put_initializer(body, make_weight("A", DATA_FLOAT, DIMS(64, i ? 512 : 64)));
        put_node(body, make_node("MatMul", "X A", "t"));
        put_output(body, "t", DATA_FLOAT);
        Onnx__NodeProto *node =
            put_node(proto->graph, make_node("If", "c", hold_printf("z%d", i)));
        node->name = hold_printf("same");
        put_graph(node, "then_branch", body);
    }
    struct nibble_options options = defaults();
    for (double bits = 4.6; bits < 10; bits += 0.2) {
        options.bits_per_weight = bits;
        const struct nibble_report *report = run(pack(proto), NULL, &options);
        assert_int_equal(report->elements_chosen, 64 * (64 + 64 + 512));
        assert_true(report->bits_chosen <= bits);
    }
}

/* ---- progress ------------------------------------------------------------- */

struct watch {
    uint64_t last, total;
    bool wrong;
};

static void watch_progress(void *data, uint64_t done, uint64_t total)
{
    struct watch *watch = data;
    watch->wrong |=
        done < watch->last || done > total || (watch->total && watch->total != total);
    watch->last = done;
    watch->total = total;
}

/* One bar over measuring and filling. */
static void test_progress(void **state)
{
    (void)state;
    struct watch watch = {0};
    struct nibble_options options = defaults();
    options.threads = 4;
    options.bits_per_weight = 5;
    options.progress = watch_progress;
    options.progress_data = &watch;
    run(two_weights(DATA_FLOAT, DATA_FLOAT), temp_path("out"), &options);
    assert_false(watch.wrong);
    assert_true(watch.total > 0);
    assert_int_equal(watch.last, watch.total);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_contradictions), TEST(test_too_little),         TEST(test_what_counts),
        TEST(test_all_float),      TEST(test_not_finite),         TEST(test_scale_range),
        TEST(test_wide_scales),    TEST(test_several_forms),      TEST(test_equal_keys),
        TEST(test_equal_values),   TEST(test_equal_values_reach), TEST(test_progress),
    };
    return RUN(tests);
}

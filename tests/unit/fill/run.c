/* Filling as a whole: values that can't be quantized, cancelling, progress. What
 * it writes is fill.c's to test. */
#include "fill/fill.h"
#include "pipeline.h"

#include <math.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

static struct fill_options fill_defaults(int threads)
{
    return (struct fill_options){
        .kernels = quant_kernels(NULL), .threads = threads, .measure = true};
}

/* ---- values that can't be ------------------------------------------- */

static void test_unfit_values(void **state)
{
    (void)state;
    static const struct {
        enum granularity granularity;
        size_t at; /* of 40000 elements */
    } rows[] = {{GRANULARITY_DEFAULT, 0},
                {GRANULARITY_DEFAULT, 39999},
                {GRANULARITY_CHANNEL, 20000},
                {GRANULARITY_TENSOR, 39999}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        for (int infinite = 0; infinite < 2; infinite++) {
            struct error err = {0};
            float value = infinite ? -INFINITY : NAN;
            Onnx__TensorProto *bad = make_weight("W", DATA_FLOAT, DIMS(200, 200));
            memcpy(bad->raw_data.data + rows[i].at * sizeof value, &value, sizeof value);
            Onnx__ModelProto *proto = make_one("MatMul", bad);
            put_initializer(proto->graph, make_weight("V", DATA_FLOAT, DIMS(200, 200)));
            put_node(proto->graph, make_node("MatMul", "X V", "Z"));
            struct plan_options options = plan_defaults();
            options.granularity = rows[i].granularity;
            struct pipeline *pipeline = pipeline_plan(proto, &options);
            pipeline_write(pipeline, temp_path("out"));
            struct fill_options filling = fill_defaults(2);
            struct fill_result *results;
            assert_true(
                fill_plan(&pipeline->plan, pipeline->tensors, &filling, &results, &err));
            assert_int_equal(
                results[item_named(pipeline, "W") - pipeline->plan.items].fit,
                QUANT_FIT_NOT_FINITE);
            assert_int_equal(
                results[item_named(pipeline, "V") - pipeline->plan.items].fit,
                QUANT_FIT_OK);
        }
    }
}

/* ---- cancelling, failing, progress ----------------------------------- */

static struct pipeline *large_plan(void)
{
    struct plan_options options = plan_defaults();
    Onnx__ModelProto *proto =
        make_one("MatMul", make_weight("W", DATA_FLOAT, DIMS(1000, 500)));
    put_initializer(proto->graph, make_weight("C", DATA_FLOAT, DIMS(301, 17, 5, 5)));
    put_node(proto->graph, make_node("ConvTranspose", "X C", "Z"));
    put_initializer(proto->graph, make_weight("G", DATA_FLOAT, DIMS(600, 257)));
    put_int(put_node(proto->graph, make_node("Gemm", "X G", "Q")), "transB", 1);
    return pipeline_plan(proto, &options);
}

struct watch {
    volatile int *cancel;
    uint64_t total, last;
    atomic_int inside;
    bool overlap, wrong;
    int calls;
};

static void watch_progress(void *data, uint64_t done, uint64_t total)
{
    struct watch *watch = data;
    if (atomic_fetch_add(&watch->inside, 1) != 0)
        watch->overlap = true;
    watch->calls++;
    watch->wrong = watch->wrong || done <= watch->last || done > total ||
                   (watch->total && total != watch->total);
    watch->total = total;
    watch->last = done;
    if (watch->cancel)
        __atomic_store_n(watch->cancel, 1, __ATOMIC_RELAXED);
    else
        usleep(200); /* others finish meanwhile */
    atomic_fetch_sub(&watch->inside, 1);
}

static void test_cancel(void **state)
{
    (void)state;
    for (int threads = 1; threads <= 4; threads++) {
        struct error err = {0}, later = {0};
        volatile int cancel = 1;
        struct pipeline *pipeline = large_plan();
        pipeline_write(pipeline, temp_path("out"));
        struct fill_options options = fill_defaults(threads);
        struct fill_result *results;
        options.cancel = &cancel;
        assert_false(
            fill_plan(&pipeline->plan, pipeline->tensors, &options, &results, &err));
        assert_int_equal(err.status, STATUS_CANCELLED);

        struct watch watch = {.cancel = &cancel}; /* in the middle of it */
        cancel = 0;
        options.progress = watch_progress;
        options.progress_data = &watch;
        assert_false(
            fill_plan(&pipeline->plan, pipeline->tensors, &options, &results, &later));
        assert_int_equal(later.status, STATUS_CANCELLED);
        assert_true(watch.calls > 0);
        assert_true(watch.last < watch.total);
    }
}

static void test_progress(void **state)
{
    (void)state;
    for (int threads = 1; threads <= 4; threads++) {
        struct error err = {0};
        struct watch watch = {0};
        struct pipeline *pipeline = large_plan();
        uint64_t bytes = 0;
        for (size_t i = 0; i < pipeline->plan.count; i++)
            bytes += pipeline->plan.items[i].quantize ? pipeline->plan.items[i].bytes : 0;
        pipeline_write(pipeline, temp_path("out"));
        struct fill_options options = fill_defaults(threads);
        struct fill_result *results;
        options.progress = watch_progress;
        options.progress_data = &watch;
        assert_true(
            fill_plan(&pipeline->plan, pipeline->tensors, &options, &results, &err));
        assert_int_equal(watch.total, bytes);
        assert_false(watch.overlap);
        assert_false(watch.wrong);
        assert_int_equal(watch.last, bytes);
    }
}

static void free_plan(void *plan)
{
    plan_free(plan);
}

static void test_nothing_to_do(void **state)
{
    (void)state;
    struct error err = {0};
    struct plan *plan = hold(sizeof *plan);
    plan->arena = arena_create(ARENA_NO_CAP);
    at_end(free_plan, plan);
    struct fill_options options = fill_defaults(0);
    struct fill_result *results;
    assert_true(fill_plan(plan, NULL, &options, &results, &err));
    assert_fine(&err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_unfit_values),
        TEST(test_cancel),
        TEST(test_progress),
        TEST(test_nothing_to_do),
    };
    return RUN(tests);
}

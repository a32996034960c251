/* Out of memory, while runs are observed, weights solved and trials made. */
#include "failing_runs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 80, WIDE = 64, NARROW = 32 };

static float activations[ROWS * (WIDE + 1)], values[WIDE * WIDE], biases[WIDE];

/* Arrays for all tensors that a rich model is observed at: "Y" is narrower than "X". */
static size_t arrays_of(const struct nibble_calibration *c, struct nibble_array *arrays)
{
    static const int64_t wide[] = {ROWS, WIDE}, narrow[] = {ROWS, NARROW};
    size_t count = nibble_calibration_count(c);
    for (size_t i = 0; i < count; i++) {
        const char *name = nibble_calibration_tensor(c, i);
        arrays[i] = (struct nibble_array){
            name, DATA_FLOAT, strcmp(name, "Y") == 0 ? narrow : wide, 2, activations};
    }
    return count;
}

/* Paths, which are made before the heap is armed. */
static char observed[300], statistics[300];

static enum nibble_status remove_beside(enum nibble_status status)
{
    remove(observed);
    remove(statistics);
    return status;
}

enum { ARRAYS = 8 };

/* A handle that has seen one run, and another from a file. */
static enum nibble_status observe(const struct job *job, struct nibble_calibration **c,
                                  struct nibble_error *error)
{
    struct nibble_array arrays[ARRAYS];
    if (nibble_calibration_create(job->input, &job->options, c, error) ||
        nibble_calibration_instrument(*c, observed, error) ||
        nibble_calibration_observe(*c, arrays, arrays_of(*c, arrays), error) ||
        nibble_calibration_save(*c, statistics, error))
        return error->status;
    return nibble_calibration_load(*c, statistics, error);
}

static enum nibble_status finish_calibrated(const struct job *job,
                                            struct nibble_calibration *c,
                                            struct nibble_error *error)
{
    struct job last = *job;
    last.options.calibration = c;
    return job_quantize(&last, error);
}

static enum nibble_status calibrate(const struct job *job, struct nibble_error *error)
{
    struct nibble_calibration *c = NULL;
    enum nibble_status status = observe(job, &c, error);
    if (status == NIBBLE_STATUS_OK)
        status = finish_calibrated(job, c, error);
    nibble_calibration_free(c);
    return remove_beside(status);
}

static enum nibble_status try_each(struct nibble_calibration *c,
                                   struct nibble_error *error)
{
    for (size_t i = 0; i < nibble_calibration_trial_count(c); i++)
        if (nibble_calibration_try(c, i, false, values, biases, error) ||
            nibble_calibration_weigh(c, i, 0.01 * (double)(i + 1), error))
            return error->status;
    return NIBBLE_STATUS_OK;
}

static enum nibble_status keep_each(struct nibble_calibration *c,
                                    struct nibble_error *error)
{
    struct nibble_array before[ARRAYS], now[ARRAYS];
    size_t count = arrays_of(c, before);
    arrays_of(c, now);
    for (size_t i = 0; i < count; i++)
        now[i].data = activations + ROWS;
    for (size_t i = 0; i < nibble_calibration_trial_count(c); i++)
        if (nibble_calibration_observe_step(c, nibble_calibration_trial(c, i)->step,
                                            before, count, now, count, error) ||
            nibble_calibration_try(c, i, true, values, biases, error))
            return error->status;
    return NIBBLE_STATUS_OK;
}

/* With trials, by output or layer by layer, as the options ask for. */
static enum nibble_status try_out(const struct job *job, struct nibble_error *error)
{
    struct nibble_calibration *c = NULL;
    enum nibble_status status = observe(job, &c, error);
    if (!status)
        status = nibble_calibration_begin_trials(c, &job->options, observed, error);
    if (!status)
        status =
            job->options.bits_per_weight > 0 ? try_each(c, error) : keep_each(c, error);
    if (!status)
        status = finish_calibrated(job, c, error);
    nibble_calibration_free(c);
    return remove_beside(status);
}

static struct job calibrated(const char *name)
{
    struct job job = job_for(name, rich_model());
    snprintf(observed, sizeof observed, "%s", temp_path("observed.onnx"));
    snprintf(statistics, sizeof statistics, "%s", temp_path("statistics"));
    for (size_t i = 0; i < COUNT(activations); i++)
        activations[i] = random_float();
    job.call = calibrate;
    return job;
}

static void test_calibrated(void **state)
{
    (void)state;
    struct job job = calibrated("calibrated");
    fail_each(&job);
    job.options.bits_per_weight = 5;
    fail_each(&job);
}

static void test_trials(void **state)
{
    (void)state;
    struct job job = calibrated("trials");
    job.call = try_out;
    fail_each(&job);
    job.options.bits_per_weight = 5;
    fail_each(&job);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_calibrated),
        TEST(test_trials),
    };
    return failing_runs_begin() ? RUN(tests) : SKIPPED;
}

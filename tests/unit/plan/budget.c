/* Choosing within a budget, held against every combination there is (few weights) and
 * against a lower bound of the optimum (many). */
#include "plan/budget.h"
#include "support.h"

#include <math.h>
#include <string.h>

enum { LAST = BUDGET_CHOICES - 1 };

/* ---- instances --------------------------------------------------------- */

static double random_error(void)
{
    return pow(10, -4 * (double)random_below(1000) / 1000);
}

/* As weights of models are: more bytes, less error, the last one float. */
static void make_usual(struct budget_weight *weight)
{
    double error = random_error(), elements = (double)(64 + random_below(5000));
    static const double bits[BUDGET_CHOICES] = {4.0625, 4.125, 4.25, 4.5, 5, 8.125, 32};
    for (int i = 0; i < BUDGET_CHOICES; i++) {
        weight->choices[i] =
            (struct budget_choice){.bytes = (uint64_t)ceil(elements * bits[i] / 8),
                                   .error = error,
                                   .possible = true};
        error *= i == LAST - 2 ? 0.004 : 0.7 + 0.2 * (double)random_below(100) / 100;
    }
    weight->choices[LAST].error = 0;
}

/* Anything: choices that are dominated, equal, or not to be had. */
static void make_any(struct budget_weight *weight)
{
    for (int i = 0; i < BUDGET_CHOICES; i++)
        weight->choices[i] = (struct budget_choice){
            .bytes = 1 + random_below(40),
            .error = random_below(4) ? random_error() : (double)random_below(2) / 2,
            .possible = i == LAST || random_below(4) != 0};
}

static struct budget_weight *make_weights(size_t count, bool usual)
{
    struct budget_weight *weights = hold((count + 1) * sizeof *weights);
    for (size_t i = 0; i < count; i++)
        (usual ? make_usual : make_any)(&weights[i]);
    return weights;
}

struct sum {
    uint64_t bytes;
    double error;
};

static struct sum sum_of(const struct budget_weight *weights, size_t count)
{
    struct sum sum = {0};
    for (size_t i = 0; i < count; i++) {
        const struct budget_choice *choice = &weights[i].choices[weights[i].chosen];
        assert_true(choice->possible);
        sum.bytes += choice->bytes;
        sum.error += choice->error;
    }
    return sum;
}

static uint64_t most_bytes(const struct budget_weight *weights, size_t count)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        uint64_t most = 0;
        for (int k = 0; k < BUDGET_CHOICES; k++)
            if (weights[i].choices[k].possible && weights[i].choices[k].bytes > most)
                most = weights[i].choices[k].bytes;
        sum += most;
    }
    return sum;
}

static struct sum fit(struct budget_weight *weights, size_t count, uint64_t room)
{
    struct error err = {0};
    assert_true(budget_fit(weights, count, room, &err));
    assert_fine(&err);
    struct sum sum = sum_of(weights, count);
    assert_true(sum.bytes <= room);
    return sum;
}

/* ---- against all combinations ------------------------------------------- */

static double least_error(const struct budget_weight *weights, size_t count,
                          uint64_t room)
{
    double best = count == 0 ? 0 : (double)INFINITY;
    for (int k = 0; count > 0 && k < BUDGET_CHOICES; k++) {
        const struct budget_choice *choice = &weights->choices[k];
        if (!choice->possible || choice->bytes > room)
            continue;
        best = fmin(best, choice->error +
                              least_error(weights + 1, count - 1, room - choice->bytes));
    }
    return best;
}

static uint64_t smallest_sum(const struct budget_weight *weights, size_t count)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        uint64_t least = UINT64_MAX;
        for (int k = 0; k < BUDGET_CHOICES; k++)
            if (weights[i].choices[k].possible && weights[i].choices[k].bytes < least)
                least = weights[i].choices[k].bytes;
        sum += least;
    }
    return sum;
}

static void test_all_combinations(void **state)
{
    (void)state;
    random_begin();
    for (int round = 0; round < 1500; round++) {
        size_t count = 1 + (size_t)random_below(5);
        struct budget_weight *weights = make_weights(count, round % 2);
        uint64_t least = budget_least(weights, count);
        assert_int_equal(least, smallest_sum(weights, count));
        uint64_t room = least + random_below(most_bytes(weights, count) - least + 2);
        if (round % 10 == 0)
            room = least;
        double best = least_error(weights, count, room);
        assert_true(fit(weights, count, room).error <= best * 1.0001 + 1e-15);
        support_teardown(NULL);
    }
}

/* ---- against a bound ---------------------------------------------------- */

/* For any price of a byte: the least of errors and prices, less the price of all the
 * room, is no more than any choice that fits can lose. */
static double bound_at(const struct budget_weight *weights, size_t count, uint64_t room,
                       double price)
{
    double sum = -price * (double)room;
    for (size_t i = 0; i < count; i++) {
        double least = (double)INFINITY;
        for (int k = 0; k < BUDGET_CHOICES; k++)
            if (weights[i].choices[k].possible)
                least = fmin(least, weights[i].choices[k].error +
                                        price * (double)weights[i].choices[k].bytes);
        sum += least;
    }
    return sum;
}

static double largest_error(const struct budget_weight *weights, size_t count)
{
    double most = 0;
    for (size_t i = 0; i < count; i++)
        for (int k = 0; k < BUDGET_CHOICES; k++)
            if (weights[i].choices[k].possible)
                most = fmax(most, weights[i].choices[k].error);
    return most;
}

static double uniform_error(const struct budget_weight *weights, size_t count,
                            uint64_t room, int choice)
{
    struct budget_weight *same = hold(count * sizeof *same);
    memcpy(same, weights, count * sizeof *same);
    for (size_t i = 0; i < count; i++)
        same[i].chosen = same[i].choices[choice].possible ? choice : LAST;
    struct sum sum = sum_of(same, count);
    return sum.bytes <= room ? sum.error : (double)INFINITY;
}

static void test_many(void **state)
{
    (void)state;
    static const size_t counts[] = {20, 75, 256, 257, 3000};
    random_begin();
    for (size_t round = 0; round < 40; round++) {
        size_t count = counts[round % COUNT(counts)];
        struct budget_weight *weights = make_weights(count, round % 3 != 0);
        uint64_t least = budget_least(weights, count);
        uint64_t most = most_bytes(weights, count);
        uint64_t room = least + random_below((most - least) / (1 + round % 7) + 1);
        double error = fit(weights, count, room).error, bound = 0;
        for (double price = 1e-9; price < 10; price *= 1.05)
            bound = fmax(bound, bound_at(weights, count, room, price));
        assert_true(error >= bound * (1 - 1e-9));
        assert_true(error <= bound * 1.02 + largest_error(weights, count));
        for (int k = 0; k < BUDGET_CHOICES; k++)
            assert_true(error <= uniform_error(weights, count, room, k) * (1 + 1e-12));
        support_teardown(NULL);
    }
}

/* All the same and room for exactly one uniform choice: no order helps. */
static void test_equal_weights(void **state)
{
    (void)state;
    enum { COUNT_EQUAL = 300 };
    struct budget_weight *weights = make_weights(COUNT_EQUAL, true);
    for (size_t i = 1; i < COUNT_EQUAL; i++)
        weights[i] = weights[0];
    for (int k = 0; k < BUDGET_CHOICES; k++) {
        uint64_t room = COUNT_EQUAL * weights[0].choices[k].bytes;
        double error = fit(weights, COUNT_EQUAL, room).error;
        assert_true(error <= COUNT_EQUAL * weights[0].choices[k].error * (1 + 1e-9));
    }
    fit(weights, COUNT_EQUAL, UINT64_MAX / 2);
    assert_true(sum_of(weights, COUNT_EQUAL).error == 0);
}

static void set(struct budget_weight *weight, int i, uint64_t bytes, double error)
{
    weight->choices[i] = (struct budget_choice){bytes, error, true};
}

/* Many small steps that are steeper than a large one, and take its room: too many
 * weights for a search, but the same choice for all is seen to be better. */
static void test_large_step(void **state)
{
    (void)state;
    enum { SMALL = 300 };
    struct budget_weight *weights = hold((SMALL + 1) * sizeof *weights);
    for (size_t i = 0; i < SMALL; i++) {
        set(&weights[i], 0, 4, 1);
        set(&weights[i], 1, 8, 0.5);
        set(&weights[i], 2, 9, 0.491);
        set(&weights[i], LAST, 1000, 0);
    }
    set(&weights[SMALL], 0, 1000, 9);
    set(&weights[SMALL], 1, 2000, 1);
    set(&weights[SMALL], LAST, 100000, 0);
    double error = fit(weights, SMALL + 1, SMALL * 8 + 2000).error;
    assert_true(error <= SMALL * 0.5 + 1 + 1e-9);
}

/* The step to the next corner of the hull does not fit, a choice before it does: it is
 * taken where that is better than what small steps make of the room. */
static void test_rest_is_filled(void **state)
{
    (void)state;
    enum { SMALL = 300 };
    static const double gains[] = {1e-6, 0.0065};
    for (size_t row = 0; row < COUNT(gains); row++) {
        struct budget_weight *weights = hold((SMALL + 1) * sizeof *weights);
        for (size_t i = 0; i < SMALL; i++) {
            set(&weights[i], 0, 4, 1);
            set(&weights[i], 1, 5, 1 - gains[row]);
            set(&weights[i], LAST, 64, 1 - gains[row]);
        }
        set(&weights[SMALL], 0, 1000, 9);
        set(&weights[SMALL], 2, 1900, 8);
        set(&weights[SMALL], 3, 2000, 1);
        set(&weights[SMALL], LAST, 100000, 0);
        fit(weights, SMALL + 1, SMALL * 4 + 1950);
        assert_int_equal(weights[SMALL].chosen, row == 0 ? 2 : 0);
        assert_int_equal(weights[0].chosen, 1);
    }
}

/* The choice depends on the table only: a second call changes nothing. */
static void test_repeatable(void **state)
{
    (void)state;
    random_begin();
    struct budget_weight *weights = make_weights(100, true),
                         *copy = hold(sizeof *copy * 100);
    memcpy(copy, weights, 100 * sizeof *copy);
    uint64_t room = budget_least(weights, 100) * 5 / 4;
    fit(weights, 100, room);
    fit(copy, 100, room);
    for (size_t i = 0; i < 100; i++)
        assert_int_equal(weights[i].chosen, copy[i].chosen);
}

static void test_nothing(void **state)
{
    (void)state;
    assert_int_equal(budget_least(NULL, 0), 0);
    fit(NULL, 0, 0);
    budget_reach(NULL, 0, 1);
}

/* ---- the least that reaches a limit -------------------------------------- */

static void test_reach(void **state)
{
    (void)state;
    random_begin();
    for (int round = 0; round < 2000; round++) {
        struct budget_weight *weight = make_weights(1, round % 2);
        double limit = random_error();
        if (round % 5 == 0)
            limit = weight->choices[random_below(BUDGET_CHOICES)].error;
        budget_reach(weight, 1, limit);
        const struct budget_choice *chosen = &weight->choices[weight->chosen];
        assert_true(chosen->possible);
        bool reached = chosen->error <= limit;
        assert_true(reached || weight->chosen == LAST);
        for (int k = 0; k < BUDGET_CHOICES; k++) {
            const struct budget_choice *other = &weight->choices[k];
            if (!other->possible || other->error > limit)
                continue;
            assert_true(reached);
            assert_true(other->bytes > chosen->bytes ||
                        (other->bytes == chosen->bytes && other->error >= chosen->error));
        }
        support_teardown(NULL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_all_combinations), TEST(test_many),       TEST(test_equal_weights),
        TEST(test_repeatable),       TEST(test_large_step), TEST(test_rest_is_filled),
        TEST(test_nothing),          TEST(test_reach),
    };
    return RUN(tests);
}

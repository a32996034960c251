/* Tests of packed triangles, and of the sums of products that lie in them. */
#include "solve/problem.h"

/* Each element has a place of its own, and rows are contiguous. */
static void test_triangle(void **state)
{
    static const size_t sizes[] = {1, 2, 63, 64, 65, 128, 200, 321};
    (void)state;
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        const size_t n = sizes[s], size = triangle_size(n);
        char *seen = hold(size);
        for (size_t i = 0; i < n; i++)
            for (size_t j = i; j < n; j++) {
                size_t at = triangle_row(n, i) + j;
                assert_true(at < size && !seen[at]++);
            }
        assert_true(size <= n * (n + TRIANGLE_PANEL) / 2 || n < TRIANGLE_PANEL);
    }
}

/* The sum of products, however many panels there are. */
static void test_gram(void **state)
{
    static const size_t sizes[] = {1, 24, 64, 65, 150};
    enum { GRAM_ROWS = 7 };
    (void)state;
    NEEDS_ALGEBRA();
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        const size_t n = sizes[s];
        double *x = hold(GRAM_ROWS * n * sizeof *x);
        double *h = hold(triangle_size(n) * sizeof *h);
        for (size_t i = 0; i < GRAM_ROWS * n; i++)
            x[i] = normal();
        algebra_gram(algebra, GRAM_ROWS, n, x, h);
        algebra_gram(algebra, GRAM_ROWS, n, x, h);
        for (size_t i = 0; i < n; i++)
            for (size_t j = i; j < n; j++) {
                double sum = 0;
                for (size_t r = 0; r < GRAM_ROWS; r++)
                    sum += 2 * x[r * n + i] * x[r * n + j];
                assert_true(fabs(h[triangle_row(n, i) + j] - sum) < 1e-12);
            }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_triangle),
        TEST(test_gram),
    };
    return cmocka_run_group_tests(tests, open_algebra, close_algebra);
}

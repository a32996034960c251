/* Tests of how good the methods search and exact are: on three distributions with
 * required ratios, against each other, against brute force on short groups, and on
 * hostile groups. methods.c tests that nothing is worse than round to nearest. */
#include "quant_support.h"

#include <float.h>

enum { ROW = 1024, ROWS = 2048 };

static struct quant_scheme scheme_of(enum quant_type type, enum quant_method method)
{
    bool symmetric = quant_type_info(type)->symmetric;
    return (struct quant_scheme){type,      symmetric, method, REAL_FLOAT32,
                                 symmetric, false,     NULL};
}

/* The signal-to-noise ratio of n weights, in dB. */
static double snr(struct quant_scheme scheme, const float *x, size_t n, size_t block)
{
    const struct kernels *kernels = quant_kernels(NULL);
    struct quant_shape shape = {1, n, 1, block};
    struct quant_source source = {x, REAL_FLOAT32};
    size_t groups = quant_groups(&shape);
    float *scales = malloc(groups * sizeof *scales);
    uint8_t *zeros = malloc(groups), *codes = malloc(n);
    struct quant_error error = {0};
    assert_int_equal(
        quant_fit(kernels, &scheme, source, &shape, 0, groups, scales, zeros),
        QUANT_FIT_OK);
    quant_encode(kernels, &scheme, source, &shape, 0, n, 0, scales, zeros, codes, &error);
    free(scales);
    free(zeros);
    free(codes);
    return 10 * log10(error.signal / error.noise);
}

/* ---- distributions -------------------------------------------------- */

static double gaussian(void)
{
    return random_normal();
}

static double laplace(void)
{
    double magnitude = -log(random_unit());
    return random_below(2) ? magnitude : -magnitude;
}

static double student(void) /* with 5 degrees of freedom */
{
    double sum = 0;
    for (int i = 0; i < 5; i++) {
        double v = random_normal();
        sum += v * v;
    }
    return random_normal() / sqrt(sum / 5);
}

static const struct {
    const char *name;
    double (*value)(void);
    struct {
        enum quant_type type;
        size_t block;
        double gate;
    } cases[6];
} distributions[] = {
    {"gaussian",
     gaussian,
     {{QUANT_UINT4, 32, 22.28},
      {QUANT_UINT4, 128, 20.42},
      {QUANT_UINT4, ROW, 19.45},
      {QUANT_INT4, 32, 21.82},
      {QUANT_INT4, 128, 20.27},
      {QUANT_INT4, ROW, 19.45}}},
    {"laplace",
     laplace,
     {{QUANT_UINT4, 32, 20.83},
      {QUANT_UINT4, 128, 18.13},
      {QUANT_UINT4, ROW, 16.33},
      {QUANT_INT4, 32, 19.80},
      {QUANT_INT4, 128, 17.61},
      {QUANT_INT4, ROW, 16.28}}},
    {"student",
     student,
     {{QUANT_UINT4, 32, 20.94},
      {QUANT_UINT4, 128, 17.95},
      {QUANT_UINT4, ROW, 15.34},
      {QUANT_INT4, 32, 19.74},
      {QUANT_INT4, 128, 17.10},
      {QUANT_INT4, ROW, 15.10}}},
};

/* The gates are the published optima of these distributions, minus about 0.03 dB.
 * Samples of Student's distribution of this size differ by 0.06 dB at 1024; this one
 * is typical. */
static void test_gates(void **state)
{
    float *x = malloc(ROWS * ROW * sizeof *x);
    uint64_t seed = random_state;
    (void)state;
    for (size_t d = 0; d < LENGTH(distributions); d++) {
        random_state = 5 + d;
        for (size_t i = 0; i < ROWS * ROW; i++)
            x[i] = (float)distributions[d].value();
        for (size_t c = 0; c < LENGTH(distributions[d].cases); c++) {
            enum quant_type type = distributions[d].cases[c].type;
            size_t block = distributions[d].cases[c].block;
            double all = snr(scheme_of(type, QUANT_SEARCH), x, ROWS * ROW, block);
            double search = snr(scheme_of(type, QUANT_SEARCH), x, 64 * ROW, block);
            double exact = snr(scheme_of(type, QUANT_EXACT), x, 64 * ROW, block);
            print_message(
                "%s %s block %zu: %.3f dB, gate %.2f; of some %.3f, exact %.3f\n",
                distributions[d].name, quant_type_info(type)->name, block, all,
                distributions[d].cases[c].gate, search, exact);
            assert_true(all >= distributions[d].cases[c].gate);
            assert_true(search >= exact - 0.03);
        }
    }
    random_state = seed;
    free(x);
}

/* Cases without published figures: other grids, other types of scales, and groups that
 * are searched by histograms. */
static void test_close_to_exact(void **state)
{
    static const struct {
        enum quant_type type;
        bool symmetric, mirrored;
    } grids[] = {{QUANT_INT4, true, false},   {QUANT_INT4, true, true},
                 {QUANT_UINT4, false, false}, {QUANT_UINT4, true, false},
                 {QUANT_INT8, true, false},   {QUANT_INT8, true, true},
                 {QUANT_UINT8, false, false}};
    static const size_t blocks[] = {16, 32, 128, ROW, 4 * ROW, 16 * ROW};
    static const enum real_type scales[] = {REAL_FLOAT32, REAL_FLOAT16, REAL_BFLOAT16};
    enum { SOME = 16 * ROW };
    float *x = malloc(SOME * sizeof *x);
    uint64_t seed = random_state;
    (void)state;
    for (size_t k = 0; k < LENGTH(grids) * LENGTH(distributions) * LENGTH(scales);
         k += FEWER) {
        size_t d = k / LENGTH(grids) % LENGTH(distributions), g = k % LENGTH(grids);
        struct quant_scheme scheme = {grids[g].type,
                                      grids[g].symmetric,
                                      QUANT_SEARCH,
                                      scales[k / LENGTH(grids) / LENGTH(distributions)],
                                      grids[g].mirrored,
                                      false,
                                      NULL};
        if (scheme.scale_type != REAL_FLOAT32 && d > 0)
            continue;
        random_state = 5 + d;
        for (size_t i = 0; i < SOME; i++)
            x[i] = (float)distributions[d].value();
        for (size_t b = 0; b < LENGTH(blocks); b++) {
            double search, exact;
            scheme.method = QUANT_SEARCH;
            search = snr(scheme, x, SOME, blocks[b]);
            scheme.method = QUANT_EXACT;
            exact = snr(scheme, x, SOME, blocks[b]);
            if (search < exact - 0.03)
                print_message("%s %s, %s %s, scales %d, block %zu: %.3f dB, exact %.3f\n",
                              distributions[d].name, quant_type_info(scheme.type)->name,
                              scheme.symmetric ? "symmetric" : "",
                              scheme.mirrored ? "mirrored" : "", (int)scheme.scale_type,
                              blocks[b], search, exact);
            assert_true(search >= exact - 0.03);
        }
    }
    random_state = seed;
    free(x);
}

/* ---- brute force ---------------------------------------------------- */

static double error_at(const float *x, size_t n, float scale, int least, int most)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        double l = nearbyint((double)x[i] / (double)scale), e;
        l = fmax(least, fmin(most, l));
        e = (double)x[i] - l * (double)scale;
        sum += e * e;
    }
    return sum;
}

struct found {
    enum quant_fit fit;
    float scale;
    uint8_t zero;
    double error;
};

static struct found find(struct quant_scheme scheme, const float *x, size_t n)
{
    const struct quant_type_info *type = quant_type_info(scheme.type);
    struct quant_shape shape = {1, 1, n, 0};
    struct found f;
    f.fit =
        quant_fit(quant_kernels(NULL), &scheme, (struct quant_source){x, REAL_FLOAT32},
                  &shape, 0, 1, &f.scale, &f.zero);
    if (f.fit != QUANT_FIT_OK)
        return f;
    int level = (uint8_t)(f.zero - type->lo);
    assert_true(isnormal(f.scale) && f.scale > 0);
    f.error = error_at(x, n, f.scale, -level, type->hi - type->lo - level);
    assert_true(isfinite(f.error));
    return f;
}

/* The least error of 2000 scales, each with every allowed zero point. */
static double brute_force(struct quant_scheme scheme, const float *x, size_t n)
{
    double largest = 0, best = INFINITY;
    for (size_t i = 0; i < n; i++)
        largest = fmax(largest, fabs((double)x[i]));
    for (int zero = 0; zero <= 15; zero++) {
        if (scheme.symmetric && zero != 8 && !(scheme.mirrored && zero == 7))
            continue;
        for (int k = 1; k <= 2000; k++)
            best =
                fmin(best, error_at(x, n, (float)(largest * k / 1000), -zero, 15 - zero));
    }
    return best;
}

static void test_brute_force(void **state)
{
    double searched = 0, optimal = 0;
    (void)state;
    for (int i = 0; i < 400; i++) {
        struct quant_scheme scheme =
            scheme_of(random_below(2) ? QUANT_INT4 : QUANT_UINT4, QUANT_EXACT);
        size_t n = 1 + random_below(12);
        struct found exact, search;
        double energy = 0, best;
        float x[12];
        scheme.mirrored = scheme.mirrored && random_below(2) != 0;
        random_fill(x, n, random_below(4) ? KIND_NORMAL : KIND_POSITIVE);
        for (size_t k = 0; k < n; k++)
            energy += (double)x[k] * (double)x[k];
        best = brute_force(scheme, x, n);
        exact = find(scheme, x, n);
        scheme.method = QUANT_SEARCH;
        search = find(scheme, x, n);
        assert_true(exact.error <= best + 1e-12 * energy);
        assert_true(exact.error <= search.error + 1e-12 * energy);
        optimal += n < 8 ? 0 : exact.error / energy;
        searched += n < 8 ? 0 : search.error / energy;
    }
    print_message("error of search over exact, groups of 8..12: %.3f\n",
                  searched / optimal);
    assert_true(searched < 1.15 * optimal);
}

/* Scales are rounded to their type before they are tried. Compared with all possible
 * bfloat16 scales; their steps are large for codes of 8 bits. */
static void test_rounded_scales(void **state)
{
    struct quant_scheme scheme = {QUANT_INT8, true,  QUANT_SEARCH, REAL_BFLOAT16,
                                  false,      false, NULL};
    double searched = 0, optimal = 0;
    uint64_t seed = random_state;
    (void)state;
    random_state = 5;
    for (int i = 0; i < 500; i++) {
        double best = INFINITY;
        float x[32], largest = 0;
        for (size_t k = 0; k < LENGTH(x); k++) {
            x[k] = (float)random_normal();
            largest = fmaxf(largest, fabsf(x[k]));
        }
        for (float f = 0.8f; f < 1.3f; f += 0.001f)
            best = fmin(best, error_at(x, LENGTH(x),
                                       real_round(REAL_BFLOAT16, f * largest / 127), -128,
                                       127));
        optimal += best;
        searched += find(scheme, x, LENGTH(x)).error;
    }
    random_state = seed;
    print_message("error of search over that of all bfloat16: %.4f\n",
                  searched / optimal);
    assert_true(searched < 1.015 * optimal); /* 1.020 if they were not rounded first */
}

/* ---- hostile groups ------------------------------------------------- */

static float value_equal(size_t i)
{
    (void)i;
    return -0.3f;
}

static float value_outlier(size_t i)
{
    return i == 17 ? 1000.0f : (float)random_normal();
}

static float value_two(size_t i)
{
    return i % 3 == 0 ? 0.7f : -0.2f;
}

static float value_zero(size_t i)
{
    return i % 2 ? 0.0f : -0.0f;
}

static float value_subnormal(size_t i)
{
    (void)i;
    return (float)random_normal() * 1e-40f;
}

static float value_tiny(size_t i)
{
    (void)i;
    return (float)(random_normal() * 1e-37);
}

static float value_huge(size_t i)
{
    return i % 2 ? 3e38f : (float)(random_normal() * 1e38);
}

static float value_limit(size_t i)
{
    return i % 2 ? FLT_MAX : -FLT_MAX;
}

static float value_wide(size_t i) /* all magnitudes at once */
{
    return (float)ldexp(random_normal(), (int)(i % 200) - 100);
}

static void test_hostile(void **state)
{
    static float (*const values[])(size_t) = {value_equal, value_outlier,   value_two,
                                              value_zero,  value_subnormal, value_tiny,
                                              value_huge,  value_limit,     value_wide};
    static const size_t lengths[] = {1, 2, 9, 32, 129, 1024, 5000};
    (void)state;
    for (size_t v = 0; v < LENGTH(values) * LENGTH(lengths); v++) {
        size_t n = lengths[v / LENGTH(values)];
        float x[5000];
        for (size_t i = 0; i < n; i++)
            x[i] = fmaxf(-FLT_MAX, fminf(FLT_MAX, values[v % LENGTH(values)](i)));
        for (int t = 0; t < QUANT_TYPES * 3; t++) {
            struct quant_scheme scheme = {(enum quant_type)(t / 3),
                                          t % 3 != 0,
                                          QUANT_RTN,
                                          REAL_FLOAT32,
                                          t % 3 == 2,
                                          false,
                                          NULL};
            struct found rtn = find(scheme, x, n), search, exact;
            scheme.method = QUANT_SEARCH;
            search = find(scheme, x, n);
            assert_int_equal(search.fit, rtn.fit);
            if (rtn.fit != QUANT_FIT_OK)
                continue;
            assert_true(search.error <= rtn.error * (1 + 1e-6));
            if (t / 3 > QUANT_UINT4 && n > 129)
                continue;
            scheme.method = QUANT_EXACT;
            exact = find(scheme, x, n);
            assert_int_equal(exact.fit, QUANT_FIT_OK);
            assert_true(exact.error <= rtn.error * (1 + 1e-6));
        }
    }
}

/* A grid can represent these groups exactly. The search must keep that. */
static void test_representable(void **state)
{
    (void)state;
    for (int i = 0; i < 2000; i++) {
        struct quant_scheme scheme = {(enum quant_type)random_below(QUANT_TYPES),
                                      true,
                                      random_below(2) ? QUANT_SEARCH : QUANT_EXACT,
                                      REAL_FLOAT32,
                                      random_below(2) != 0,
                                      false,
                                      NULL};
        int middle = 1 << (quant_type_info(scheme.type)->bits - 1);
        float x[33], unit = ldexpf(1, (int)random_below(20) - 10);
        size_t n = 1 + random_below(LENGTH(x));
        for (size_t k = 0; k < n; k++)
            x[k] = unit *
                   ((float)random_below((size_t)(2 * middle - 1)) - (float)(middle - 1));
        x[random_below(n)] = unit * (float)(middle - 1);
        assert_true(find(scheme, x, n).error == 0);
    }
}

/* If a few of many weights are far off on one side, the best z is not the one that
 * follows from the range. */
static void test_one_sided_outliers(void **state)
{
    float *x = malloc(8192 * sizeof *x);
    double search, exact;
    (void)state;
    for (size_t i = 0; i < 8192; i++)
        x[i] = i % 1000 == 0 ? 25.0f : (float)random_normal();
    search = snr(scheme_of(QUANT_UINT4, QUANT_SEARCH), x, 8192, 8192);
    exact = snr(scheme_of(QUANT_UINT4, QUANT_EXACT), x, 8192, 8192);
    print_message("outliers: search %.3f dB, exact %.3f dB\n", search, exact);
    assert_true(search >= exact - 0.03);
    free(x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gates),
        cmocka_unit_test(test_close_to_exact),
        cmocka_unit_test(test_brute_force),
        cmocka_unit_test(test_rounded_scales),
        cmocka_unit_test(test_hostile),
        cmocka_unit_test(test_representable),
        cmocka_unit_test(test_one_sided_outliers),
    };
    return cmocka_run_group_tests(tests, random_setup, NULL);
}

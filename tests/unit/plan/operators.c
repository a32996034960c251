/* The table of operators: which axes a weight has in each of them, and which
 * inputs are no weights. The axes are those of the operators' definitions. */
#include "plan/operators.h"
#include "support.h"

#include <string.h>

static struct model *empty_model(void)
{
    return read_proto(make_model(10, 21));
}

/* The layout of input `input`, or why there is none. */
static const char *layout_of(Onnx__NodeProto *node, size_t input, const int64_t *dims,
                             size_t rank, struct layout *layout)
{
    struct use use = {.node = node, .input = input};
    *layout = (struct layout){99, 99, false};
    return operator_layout(empty_model(), &use, dims, rank, layout);
}

static void test_layouts(void **state)
{
    (void)state;
    const struct {
        const char *op_type, *attribute;
        int64_t value;
        size_t input;
        const int64_t *dims;
        size_t rank, channel, reduction;
        bool cut;
    } rows[] = {
        /* y[.., m, n] = sum over k of a[.., m, k] * b[.., k, n] */
        {"MatMul", NULL, 0, 1, DIMS(3, 5), 1, 0, true},
        {"MatMul", NULL, 0, 1, DIMS(2, 3, 5), 2, 1, true},
        {"MatMul", NULL, 0, 1, DIMS(7, 2, 3, 5), 3, 2, true},
        {"MatMul", NULL, 0, 0, DIMS(3, 5), 0, 1, true},
        {"MatMul", NULL, 0, 0, DIMS(2, 3, 5), 1, 2, true},
        /* y = a' * b' + c, each transposed or not */
        {"Gemm", NULL, 0, 1, DIMS(3, 5), 1, 0, true},
        {"Gemm", "transB", 0, 1, DIMS(3, 5), 1, 0, true},
        {"Gemm", "transB", 1, 1, DIMS(3, 5), 0, 1, true},
        {"Gemm", "transA", 1, 1, DIMS(3, 5), 1, 0, true},
        {"Gemm", NULL, 0, 0, DIMS(3, 5), 0, 1, true},
        {"Gemm", "transA", 1, 0, DIMS(3, 5), 1, 0, true},
        {"Gemm", "transB", 1, 0, DIMS(3, 5), 0, 1, true},
        /* w[out, in / group, kernel ...] */
        {"Conv", NULL, 0, 1, DIMS(8, 3, 5), 0, 1, false},
        {"Conv", NULL, 0, 1, DIMS(8, 3, 5, 5), 0, 1, false},
        {"Conv", NULL, 0, 1, DIMS(8, 3, 5, 5, 5), 0, 1, false},
        {"Conv", "group", 8, 1, DIMS(8, 1, 3, 3), 0, 1, false},
        /* w[in, out / group, kernel ...] */
        {"ConvTranspose", NULL, 0, 1, DIMS(8, 3, 5, 5), 1, 0, false},
        {"ConvTranspose", "group", 2, 1, DIMS(8, 3, 5, 5), 1, 0, false},
        {"ConvTranspose", "group", 1, 1, DIMS(1, 3, 5, 5), 1, 0, false},
        /* depthwise: input channel c makes the output channels of group c */
        {"ConvTranspose", "group", 8, 1, DIMS(8, 1, 5, 5), 0, 1, false},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct layout layout;
        Onnx__NodeProto *node = make_node(rows[i].op_type, "a b c", "y");
        if (rows[i].attribute)
            put_int(node, rows[i].attribute, rows[i].value);
        const char *reason =
            layout_of(node, rows[i].input, rows[i].dims, rows[i].rank, &layout);
        assert_null(reason);
        assert_int_equal(layout.channel, rows[i].channel);
        assert_int_equal(layout.reduction, rows[i].reduction);
        assert_int_equal(layout.cut, rows[i].cut);
    }
}

static void test_refused(void **state)
{
    (void)state;
    const struct {
        const char *op_type, *domain;
        size_t input;
        const int64_t *dims;
        size_t rank;
        const char *part;
    } rows[] = {
        {"MatMul", "", 1, DIMS(5), "rank 1 does not suit MatMul"},
        {"Gemm", "", 1, DIMS(2, 3, 5), "rank 3 does not suit Gemm"},
        {"Gemm", "", 2, DIMS(3, 5), "input 2 of Gemm is no weight"},
        {"Conv", "", 0, DIMS(1, 3, 8, 8), "input 0 of Conv is no weight"},
        {"Conv", "", 1, DIMS(3, 5), "rank 2 does not suit Conv"},
        {"Conv", "", 2, DIMS(3, 5), "input 2 of Conv is no weight"},
        {"ConvTranspose", "", 0, DIMS(1, 3, 8, 8),
         "input 0 of ConvTranspose is no weight"},
        {"Add", "", 1, DIMS(3, 5), "used by Add, which keeps float weights"},
        {"MatMul", "com.example", 1, DIMS(3, 5),
         "used by MatMul, which keeps float weights"},
        {"", "", 1, DIMS(3, 5), "keeps float weights"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct layout layout;
        Onnx__NodeProto *node = make_node(rows[i].op_type, "a b c", "y");
        node->domain = hold_printf("%s", rows[i].domain);
        const char *reason =
            layout_of(node, rows[i].input, rows[i].dims, rows[i].rank, &layout);
        assert_non_null(reason);
        assert_non_null(strstr(reason, rows[i].part));
    }
    struct layout layout;
    const char *reason = layout_of(NULL, 0, DIMS(3, 5), &layout);
    assert_non_null(strstr(reason, "output of its graph"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_layouts),
        TEST(test_refused),
    };
    return RUN(tests);
}

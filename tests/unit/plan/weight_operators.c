/* The table of operators: which axes a weight has in each of them, and which
 * inputs are no weights. The axes are those of the operators' definitions. */
#include "plan/weight_operators.h"
#include "support.h"

#include <stdlib.h>
#include <string.h>

static void free_arena(void *arena)
{
    arena_destroy(arena);
}

/* The layout of input `input`, or why there is none. */
static const char *layout_of(Onnx__NodeProto *node, size_t input, const int64_t *dims,
                             size_t rank, struct layout *layout)
{
    struct use use = {.node = node, .input = input};
    struct graph_index none = {0}; /* no functions and no bodies */
    struct arena *arena = arena_create(SIZE_MAX / 4);
    at_end(free_arena, arena);
    *layout = (struct layout){.channel = 99, .reduction = 99};
    return operator_layout(arena, &none, &use, dims, rank, layout);
}

static const enum consumer P = CONSUMER_PLAIN, F = CONSUMER_FUSED, L = CONSUMER_LOOKUP;

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
        enum consumer consumer;
    } rows[] = {
        /* y[.., m, n] = sum over k of a[.., m, k] * b[.., k, n] */
        {"MatMul", NULL, 0, 1, DIMS(3, 5), 1, 0, true, F},
        {"MatMul", NULL, 0, 1, DIMS(2, 3, 5), 2, 1, true, P},
        {"MatMul", NULL, 0, 1, DIMS(7, 2, 3, 5), 3, 2, true, P},
        {"MatMul", NULL, 0, 0, DIMS(3, 5), 0, 1, true, P},
        {"MatMul", NULL, 0, 0, DIMS(2, 3, 5), 1, 2, true, P},
        /* y = a' * b' + c, each transposed or not */
        {"Gemm", NULL, 0, 1, DIMS(3, 5), 1, 0, true, F},
        {"Gemm", "transB", 0, 1, DIMS(3, 5), 1, 0, true, F},
        {"Gemm", "transB", 1, 1, DIMS(3, 5), 0, 1, true, F},
        {"Gemm", "transA", 1, 1, DIMS(3, 5), 1, 0, true, P},
        {"Gemm", NULL, 0, 0, DIMS(3, 5), 0, 1, true, P},
        {"Gemm", "transA", 1, 0, DIMS(3, 5), 1, 0, true, P},
        {"Gemm", "transB", 1, 0, DIMS(3, 5), 0, 1, true, P},
        /* w[out, in / group, kernel ...] */
        {"Conv", NULL, 0, 1, DIMS(8, 3, 5), 0, 1, false, P},
        {"Conv", NULL, 0, 1, DIMS(8, 3, 5, 5), 0, 1, false, P},
        {"Conv", NULL, 0, 1, DIMS(8, 3, 5, 5, 5), 0, 1, false, P},
        {"Conv", "group", 8, 1, DIMS(8, 1, 3, 3), 0, 1, false, P},
        /* w[in, out / group, kernel ...] */
        {"ConvTranspose", NULL, 0, 1, DIMS(8, 3, 5, 5), 1, 0, false, P},
        {"ConvTranspose", "group", 2, 1, DIMS(8, 3, 5, 5), 1, 0, false, P},
        {"ConvTranspose", "group", 1, 1, DIMS(1, 3, 5, 5), 1, 0, false, P},
        /* depthwise: input channel c makes the output channels of group c */
        {"ConvTranspose", "group", 8, 1, DIMS(8, 1, 5, 5), 0, 1, false, P},
        /* a table of rows; only rows along the first axis of two are looked up */
        {"Gather", NULL, 0, 0, DIMS(9, 5), 0, 1, false, L},
        {"Gather", "axis", -2, 0, DIMS(9, 5), 0, 1, false, L},
        {"Gather", "axis", 1, 0, DIMS(9, 5), 0, 1, false, P},
        {"Gather", "axis", 1, 0, DIMS(9, 5, 4), 0, 2, false, P},
        /* a bank of matrices, of which nothing is known here: each row has scales */
        {"Gather", NULL, 0, 0, DIMS(9, 5, 4), 1, 2, false, L},
        {"Gather", NULL, 0, 0, DIMS(9, 5, 64), 1, 2, true, L},
        {"GatherND", NULL, 0, 0, DIMS(9, 5, 4), 0, 2, false, P},
        /* learned tables that are added: each row has scales */
        {"Add", NULL, 0, 0, DIMS(9, 5), 0, 1, false, P},
        {"Add", NULL, 0, 1, DIMS(1, 9, 5), 0, 2, false, P},
        /* w[directions, gates * hidden, input], r[.., .., hidden] */
        {"LSTM", NULL, 0, 1, DIMS(1, 8, 5), 1, 2, false, P},
        {"LSTM", NULL, 0, 2, DIMS(2, 8, 2), 1, 2, false, P},
        {"GRU", NULL, 0, 1, DIMS(1, 6, 5), 1, 2, false, P},
        {"GRU", NULL, 0, 2, DIMS(1, 6, 2), 1, 2, false, P},
        {"RNN", NULL, 0, 1, DIMS(1, 2, 5), 1, 2, false, P},
        {"RNN", NULL, 0, 2, DIMS(1, 2, 2), 1, 2, false, P},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct layout layout;
        bool biased = strcmp(rows[i].op_type, "Gemm") != 0;
        Onnx__NodeProto *node = make_node(rows[i].op_type, biased ? "a b c" : "a b", "y");
        if (rows[i].attribute)
            put_int(node, rows[i].attribute, rows[i].value);
        const char *reason =
            layout_of(node, rows[i].input, rows[i].dims, rows[i].rank, &layout);
        assert_null(reason);
        assert_int_equal(layout.channel, rows[i].channel);
        assert_int_equal(layout.reduction, rows[i].reduction);
        assert_int_equal(layout.cut, rows[i].cut);
        assert_int_equal(layout.consumer, rows[i].consumer);
        bool rowwise = strcmp(rows[i].op_type, "Add") == 0 ||
                       (strcmp(rows[i].op_type, "Gather") == 0 && rows[i].rank == 3 &&
                        rows[i].consumer == L);
        assert_int_equal(layout.span, rowwise || (rows[i].dims[0] == 2 && !rows[i].cut));
    }
}

/* Scaled products are not what runtimes fuse. */
static void test_scaled_gemm(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        float value;
        enum consumer consumer;
    } rows[] = {{"alpha", 1, CONSUMER_FUSED},
                {"alpha", 0.5f, CONSUMER_PLAIN},
                {"beta", 1, CONSUMER_FUSED},
                {"beta", 0, CONSUMER_PLAIN}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct layout layout;
        Onnx__NodeProto *node = make_node("Gemm", "a b", "y");
        Onnx__AttributeProto *attribute = put_attribute(node, rows[i].name, 1);
        attribute->has_f = true;
        attribute->f = rows[i].value;
        assert_null(layout_of(node, 1, DIMS(3, 5), &layout));
        assert_int_equal(layout.consumer, rows[i].consumer);
    }
}

/* A letter that the output keeps is a channel, one that it lacks is summed over. */
static void test_einsum(void **state)
{
    (void)state;
    static const struct {
        const char *equation;
        size_t input, channel, reduction;
    } rows[] = {
        {"mk,kn->mn", 1, 1, 0},
        {"mk,nk->mn", 1, 0, 1},
        {"mk,kn->mn", 0, 0, 1},
        {"km,kn->mn", 0, 1, 0},
        {"mk , nk -> mn", 1, 0, 1},
        {"mk,nk", 1, 1, 0},
        {"...k,nk->...n", 1, 1, 0},
        {"", 1, 1, 0},
        {"->", 1, 1, 0},
        {",->", 1, 1, 0},
        {"ab,cd->", 1, 0, 1},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct layout layout;
        Onnx__NodeProto *node = make_node("Einsum", "a b", "y");
        Onnx__AttributeProto *equation = put_attribute(node, "equation", 3);
        equation->has_s = true;
        equation->s.len = strlen(rows[i].equation);
        /* Without a zero byte behind it: sanitizers see who reads on. */
        equation->s.data = equation->s.len ? malloc(equation->s.len) : NULL;
        if (equation->s.len)
            memcpy(equation->s.data, rows[i].equation, equation->s.len);
        const char *reason = layout_of(node, rows[i].input, DIMS(3, 5), &layout);
        free(equation->s.data);
        assert_null(reason);
        assert_true(layout.channel < 2 && layout.reduction < 2);
        assert_int_not_equal(layout.channel, layout.reduction);
        if (strncmp(rows[i].equation, "ab,cd", 5) == 0)
            continue; /* no axis is kept: any answer will do */
        assert_int_equal(layout.channel, rows[i].channel);
        assert_int_equal(layout.reduction, rows[i].reduction);
    }
    struct layout layout;
    assert_null(layout_of(make_node("Einsum", "a b", "y"), 1, DIMS(3, 5), &layout));
}

/* Those of com.microsoft are known by their domain only. */
static void test_microsoft(void **state)
{
    (void)state;
    const struct {
        const char *op_type;
        size_t input;
        const int64_t *dims;
        size_t rank, channel, reduction;
    } rows[] = {
        {"FusedMatMul", 1, DIMS(3, 5), 1, 0},
        {"FusedMatMul", 0, DIMS(3, 5), 0, 1},
        {"FusedGemm", 1, DIMS(3, 5), 1, 0},
        {"FusedConv", 1, DIMS(8, 3, 5, 5), 0, 1},
        {"Attention", 1, DIMS(3, 5), 1, 0},
        {"EmbedLayerNormalization", 2, DIMS(3, 5), 0, 1},
        {"EmbedLayerNormalization", 3, DIMS(3, 5), 0, 1},
        {"EmbedLayerNormalization", 4, DIMS(3, 5), 0, 1},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct layout layout;
        Onnx__NodeProto *node = make_node(rows[i].op_type, "a b c", "y");
        const char *reason =
            layout_of(node, rows[i].input, rows[i].dims, rows[i].rank, &layout);
        assert_non_null(reason); /* no such operator in the standard domain */
        node->domain = hold_printf("com.microsoft");
        reason = layout_of(node, rows[i].input, rows[i].dims, rows[i].rank, &layout);
        assert_null(reason);
        assert_int_equal(layout.channel, rows[i].channel);
        assert_int_equal(layout.reduction, rows[i].reduction);
        assert_int_equal(layout.consumer, CONSUMER_PLAIN);
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
        {"Mul", "", 1, DIMS(3, 5), "used by Mul, which keeps float weights"},
        {"Add", "", 1, DIMS(1, 5), "biases and other vectors stay float"},
        {"Add", "", 1, DIMS(1, 5, 1, 1), "biases and other vectors stay float"},
        {"LSTM", "", 3, DIMS(1, 5), "biases of a recurrent layer"},
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
        TEST(test_layouts),   TEST(test_scaled_gemm), TEST(test_einsum),
        TEST(test_microsoft), TEST(test_refused),
    };
    return RUN(tests);
}

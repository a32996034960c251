/* Tensors: sizes of types, values from every field, what doesn't fit together. */
#include "onnx/tensor.h"
#include "support.h"

#include <string.h>

static struct model *empty_model(void)
{
    return read_proto(make_model(10, 21));
}

/* ---- types ----------------------------------------------------------- */

static void test_types(void **state)
{
    (void)state;
    static const struct {
        int type;
        unsigned bits;
        bool is_float;
        const char *name;
    } rows[] = {
        {0, 0, false, "undefined"},
        {1, 32, true, "float"},
        {2, 8, false, "uint8"},
        {3, 8, false, "int8"},
        {4, 16, false, "uint16"},
        {5, 16, false, "int16"},
        {6, 32, false, "int32"},
        {7, 64, false, "int64"},
        {8, 0, false, "string"},
        {9, 8, false, "bool"},
        {10, 16, true, "float16"},
        {11, 64, true, "double"},
        {12, 32, false, "uint32"},
        {13, 64, false, "uint64"},
        {14, 64, false, "complex64"},
        {15, 128, false, "complex128"},
        {16, 16, true, "bfloat16"},
        {17, 8, false, "float8e4m3fn"},
        {18, 8, false, "float8e4m3fnuz"},
        {19, 8, false, "float8e5m2"},
        {20, 8, false, "float8e5m2fnuz"},
        {21, 4, false, "uint4"},
        {22, 4, false, "int4"},
        {23, 4, false, "float4e2m1"},
        {24, 8, false, "float8e8m0"},
        {25, 2, false, "uint2"},
        {26, 2, false, "int2"},
        {27, 0, false, "unknown type"},
        {-1, 0, false, "unknown type"},
        {INT32_MAX, 0, false, "unknown type"},
        {INT32_MIN, 0, false, "unknown type"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        assert_int_equal(data_type_bits(rows[i].type), rows[i].bits);
        assert_int_equal(data_type_is_float(rows[i].type), rows[i].is_float);
        assert_string_equal(data_type_name(rows[i].type), rows[i].name);
        for (uint64_t n = 0; n < 40; n++) /* whole bytes, the last one padded */
            assert_int_equal(data_type_bytes(rows[i].type, n),
                             (n * rows[i].bits + 7) / 8);
    }
    /* No overflow on the way where the result has none. */
    assert_int_equal(data_type_bytes(DATA_INT4, UINT64_MAX / 128), UINT64_MAX / 256 + 1);
    assert_int_equal(data_type_bytes(15, UINT64_MAX / 128), UINT64_MAX / 128 * 16);
}

static void test_elements(void **state)
{
    (void)state;
    const int64_t big = INT64_C(1) << 40;
    const struct {
        const int64_t *dims;
        size_t rank;
        bool good;
        uint64_t elements;
    } rows[] = {
        {SCALAR, true, 1},
        {DIMS(5), true, 5},
        {DIMS(2, 3, 4), true, 24},
        {DIMS(0), true, 0},
        {DIMS(7, 0, 3), true, 0},
        {DIMS(-1), false, 0},
        {DIMS(0, -1), false, 0},
        {DIMS(big, big), false, 0},
        {DIMS(INT64_MAX), false, 0},
        {DIMS(INT64_MIN), false, 0},
        {DIMS(big), true, UINT64_C(1) << 40},
        {DIMS(INT64_C(1) << 32, INT64_C(1) << 32), false, 0}, /* 2^64: 0 if it wrapped */
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        uint64_t elements = 99;
        const Onnx__TensorProto *tensor =
            make_tensor("t", DATA_FLOAT, rows[i].dims, rows[i].rank, NULL, 0);
        assert_int_equal(tensor_elements(tensor, &elements), rows[i].good);
        if (rows[i].good)
            assert_int_equal(elements, rows[i].elements);
    }
}

/* ---- values ---------------------------------------------------------- */

/* A tensor of 3 elements whose typed field has the values -2, 3 and 5. */
static Onnx__TensorProto *typed(int type, const char *field)
{
    static const int32_t ints[] = {-2, 3, 5};
    Onnx__TensorProto *t = make_tensor("t", type, DIMS(3), NULL, 0);
    size_t n = 3;
    if (strcmp(field, "float") == 0) {
        t->n_float_data = n;
        t->float_data = hold(n * sizeof *t->float_data);
    } else if (strcmp(field, "double") == 0) {
        t->n_double_data = n;
        t->double_data = hold(n * sizeof *t->double_data);
    } else if (strcmp(field, "int64") == 0) {
        t->n_int64_data = n;
        t->int64_data = hold(n * sizeof *t->int64_data);
    } else {
        t->n_int32_data = n;
        t->int32_data = hold(n * sizeof *t->int32_data);
    }
    for (size_t i = 0; i < n; i++) {
        if (t->float_data)
            t->float_data[i] = (float)ints[i];
        if (t->double_data)
            t->double_data[i] = (double)ints[i];
        if (t->int64_data)
            t->int64_data[i] = ints[i];
        if (t->int32_data)
            t->int32_data[i] =
                type == DATA_FLOAT16    ? (int32_t[]){0xc000, 0x4200, 0x4500}[i]
                : type == DATA_BFLOAT16 ? (int32_t[]){0xc000, 0x4040, 0x40a0}[i]
                                        : ints[i];
    }
    return t;
}

static void test_typed_values(void **state)
{
    (void)state;
    const float f[] = {-2, 3, 5};
    const double d[] = {-2, 3, 5};
    const int64_t i64[] = {-2, 3, 5};
    const int32_t i32[] = {-2, 3, 5};
    const int16_t i16[] = {-2, 3, 5};
    const int8_t i8[] = {-2, 3, 5};
    const uint16_t half[] = {0xc000, 0x4200, 0x4500}, bfloat[] = {0xc000, 0x4040, 0x40a0};
    const struct {
        int type;
        const char *field;
        const void *values;
        size_t size;
    } rows[] = {
        {DATA_FLOAT, "float", f, sizeof f},
        {DATA_DOUBLE, "double", d, sizeof d},
        {DATA_INT64, "int64", i64, sizeof i64},
        {DATA_INT32, "int32", i32, sizeof i32},
        {5, "int32", i16, sizeof i16},
        {4, "int32", i16, sizeof i16},
        {DATA_INT8, "int32", i8, sizeof i8},
        {DATA_UINT8, "int32", i8, sizeof i8},
        {DATA_FLOAT16, "int32", half, sizeof half},
        {DATA_BOOL, "int32", i8, sizeof i8},
        {DATA_BFLOAT16, "int32", bfloat, sizeof bfloat},
    };
    struct model *model = empty_model();
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct error err = {0};
        const struct payload *payload =
            tensor_values(model, typed(rows[i].type, rows[i].field), &err);
        assert_fine(&err);
        assert_int_equal(payload->size, rows[i].size);
        assert_memory_equal(payload->data, rows[i].values, rows[i].size);
    }
}

static void test_no_values(void **state)
{
    (void)state;
    struct error err = {0};
    struct model *model = empty_model();
    Onnx__TensorProto *none = make_tensor("none", DATA_FLOAT, DIMS(0, 4), NULL, 0);
    const struct payload *payload = tensor_values(model, none, &err);
    assert_fine(&err);
    assert_int_equal(payload->size, 0);
}

static void test_mismatches(void **state)
{
    (void)state;
    Onnx__ModelProto *proto = make_model(10, 21);
    Onnx__GraphProto *graph = proto->graph;
    put_initializer(graph, make_tensor("short", DATA_FLOAT, DIMS(4), "0123456789ab", 12));
    put_initializer(graph, make_tensor("long", DATA_FLOAT, DIMS(2), "0123456789ab", 12));
    put_initializer(graph, make_tensor("odd", DATA_INT4, DIMS(3), "a", 1));
    put_initializer(graph, make_tensor("none", DATA_FLOAT, DIMS(2), NULL, 0));
    put_initializer(graph, make_tensor("negative", DATA_FLOAT, DIMS(-2), "01234567", 8));
    put_initializer(graph,
                    make_tensor("huge", DATA_FLOAT, DIMS(INT64_MAX, 9), "0123", 4));
    Onnx__TensorProto *wrong = typed(DATA_FLOAT, "int64");
    wrong->name = hold_printf("wrong field");
    put_initializer(graph, wrong);
    Onnx__TensorProto *few = typed(DATA_FLOAT16, "int32");
    few->name = hold_printf("few");
    few->dims[0] = 4;
    put_initializer(graph, few);
    struct model *model = read_proto(proto);
    for (size_t i = 0; i < graph->n_initializer; i++) {
        struct error err = {0};
        assert_null(tensor_values(model, model->proto->graph->initializer[i], &err));
        assert_failed(&err, STATUS_MALFORMED, "tensor '");
        assert_non_null(strstr(err.message, graph->initializer[i]->name));
    }
}

static void test_ints(void **state)
{
    (void)state;
    Onnx__ModelProto *proto = make_model(10, 21);
    const int64_t wide[] = {-2, 3, INT64_MAX};
    const int32_t narrow[] = {-2, 3, INT32_MIN};
    put_initializer(proto->graph,
                    make_tensor("a", DATA_INT64, DIMS(3), wide, sizeof wide));
    put_initializer(proto->graph,
                    make_tensor("b", DATA_INT32, DIMS(3), narrow, sizeof narrow));
    put_initializer(proto->graph, typed(DATA_INT64, "int64"));
    put_initializer(proto->graph, make_tensor("e", DATA_INT64, DIMS(0), "", 0));
    put_initializer(proto->graph, make_tensor("f", DATA_FLOAT, DIMS(1), "0123", 4));
    put_initializer(proto->graph, make_tensor("s", DATA_INT64, DIMS(2), "0123", 4));
    struct model *model = read_proto(proto);
    Onnx__TensorProto **t = model->proto->graph->initializer;
    const struct {
        size_t index, count;
        int64_t last;
    } rows[] = {{0, 3, INT64_MAX}, {1, 3, INT32_MIN}, {2, 3, 5}, {3, 0, 0}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct error err = {0};
        uint64_t count = 99;
        const int64_t *ints = tensor_ints(model, t[rows[i].index], &count, &err);
        assert_fine(&err);
        assert_non_null(ints);
        assert_int_equal(count, rows[i].count);
        if (count > 0) {
            assert_int_equal(ints[0], -2);
            assert_int_equal(ints[1], 3);
            assert_int_equal(ints[2], rows[i].last);
        }
    }
    struct error err = {0}, again = {0};
    uint64_t count;
    assert_null(tensor_ints(model, t[4], &count, &err));
    assert_failed(&err, STATUS_UNSUPPORTED, "tensor 'f' should hold integers, not float");
    assert_null(tensor_ints(model, t[5], &count, &again));
    assert_failed(&again, STATUS_MALFORMED, "tensor 's'");
}

/* ---- making ---------------------------------------------------------- */

static void test_making(void **state)
{
    (void)state;
    struct error err = {0};
    struct model *model = empty_model();
    int64_t dims[] = {2, 3};
    static const char name[] = "name";
    Onnx__TensorProto *tensor = tensor_new(model, name, DATA_INT4, dims, 2);
    dims[0] = 99; /* these are copied, the name is not */
    assert_ptr_equal(tensor->name, name);
    assert_int_equal(tensor->n_dims, 2);
    assert_int_equal(tensor->dims[0], 2);
    assert_int_equal(tensor->data_type, DATA_INT4);
    assert_true(tensor->has_data_type);
    assert_false(tensor->has_raw_data);
    assert_true(tensor_set_values(model, tensor, NULL, 3)); /* reserved */
    assert_true(tensor->has_raw_data);
    assert_null(tensor_payload(tensor)->data);
    assert_int_equal(tensor_payload(tensor)->size, 3);
    assert_ptr_equal(tensor_values(model, tensor, &err), tensor_payload(tensor));

    const int64_t values[] = {7, -8};
    uint64_t count;
    tensor = tensor_new_ints(model, "axes", values, 2);
    assert_int_equal(tensor->n_dims, 1);
    assert_memory_equal(tensor_ints(model, tensor, &count, &err), values, sizeof values);
    assert_int_equal(count, 2);
    tensor = tensor_new_ints(model, "none", NULL, 0);
    assert_non_null(tensor_ints(model, tensor, &count, &err));
    assert_int_equal(count, 0);
    assert_fine(&err);
}

static void test_making_floats(void **state)
{
    (void)state;
    struct error err = {0};
    struct model *model = empty_model();
    const float f = -2;
    const double d = -2;
    const uint16_t half = 0xc000, bfloat = 0xc000;
    const struct {
        int type;
        const void *bytes;
        size_t size;
    } rows[] = {{DATA_FLOAT, &f, 4},
                {DATA_DOUBLE, &d, 8},
                {DATA_FLOAT16, &half, 2},
                {DATA_BFLOAT16, &bfloat, 2}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        const Onnx__TensorProto *tensor =
            tensor_new_float(model, "c", rows[i].type, -2.0f);
        assert_int_equal(tensor->n_dims, 0);
        assert_int_equal(tensor->data_type, rows[i].type);
        const struct payload *payload = tensor_values(model, tensor, &err);
        assert_fine(&err);
        assert_int_equal(payload->size, rows[i].size);
        assert_memory_equal(payload->data, rows[i].bytes, rows[i].size);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_types),     TEST(test_elements),      TEST(test_typed_values),
        TEST(test_no_values), TEST(test_mismatches),    TEST(test_ints),
        TEST(test_making),    TEST(test_making_floats),
    };
    return RUN(tests);
}

/* Opset imports of models and functions. */
#include "onnx/imports.h"
#include "support.h"

static void test_find(void **state)
{
    (void)state;
    struct model *model = read_proto(make_model(10, 17));
    struct imports imports = imports_of_model(model);
    assert_int_equal(imports_find(imports, "")->version, 17);
    assert_int_equal(imports_find(imports, "ai.onnx")->version, 17);
    assert_int_equal(imports_find(imports, NULL)->version, 17);
    assert_null(imports_find(imports, "com.microsoft"));
    assert_int_equal(model_opset(model), 17);
    model->proto->opset_import[0]->domain = hold_printf("ai.onnx");
    assert_int_equal(imports_find(imports, "")->version, 17);
    assert_int_equal(model_opset(model), 17);
    model->proto->opset_import[0]->domain = hold_printf("ai.onnx.ml");
    assert_null(imports_find(imports, ""));
    assert_int_equal(model_opset(model), 0);
}

static void test_add(void **state)
{
    (void)state;
    static const char *const order[] = {"", "a", "b"};
    struct model *model = read_proto(make_model(10, 17));
    model->proto->n_opset_import = 0;
    struct imports imports = imports_of_model(model);
    assert_true(imports_add(model, imports, "a", 1));
    assert_true(imports_add(model, imports, "b", 2));
    assert_true(imports_add(model, imports, "", 21));
    assert_int_equal(model->proto->n_opset_import, COUNT(order));
    for (size_t i = 0; i < COUNT(order); i++)
        assert_string_equal(model->proto->opset_import[i]->domain, order[i]);
    assert_int_equal(imports_find(imports, "b")->version, 2);
    assert_true(imports_find(imports, "b")->has_version);
}

static void test_function(void **state)
{
    (void)state;
    struct model *model = read_proto(make_model(10, 17));
    Onnx__FunctionProto *function = make_function("f", "x", "y");
    function->n_opset_import = 0;
    struct imports imports = imports_of_function(function);
    assert_null(imports_find(imports, ""));
    assert_true(imports_add(model, imports, "", 18));
    assert_int_equal(function->opset_import[0]->version, 18);
    assert_int_equal(model_opset(model), 17);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_find),
        TEST(test_add),
        TEST(test_function),
    };
    return RUN(tests);
}

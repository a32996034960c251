/* Helpers shared by unit tests: small models made with protobuf-c alone, so that
 * they don't lean on what is tested, temporary files, and random numbers from a
 * seed. All that a helper makes lives until the test ends. */
#ifndef NIBBLE_TESTS_SUPPORT_H
#define NIBBLE_TESTS_SUPPORT_H

#include "onnx/model.h"
#include "onnx/tensor.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* One test, after which everything made by helpers is gone. */
#define TEST(function) cmocka_unit_test_teardown(function, support_teardown)

#define RUN(tests) cmocka_run_group_tests(tests, NULL, NULL)

#define COUNT(array) (sizeof(array) / sizeof *(array))

int support_teardown(void **state);

/* Zeroed memory, and formatted text. */
void *hold(size_t size);
char *hold_printf(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Calls function(argument) when the test ends, the last one first. */
void at_end(void (*function)(void *), void *argument);

/* Both set, and the message has `part` in it. */
void assert_failed(const struct error *err, enum status status, const char *part);

/* No error; prints the message of one. */
void assert_fine(const struct error *err);

/* ---- random numbers -------------------------------------------------- */

/* Begins anew from $NIBBLE_SEED, or 1, and prints it. */
void random_begin(void);
uint64_t random_below(uint64_t limit);
float random_float(void); /* in [-1, 1) */

/* ---- files ----------------------------------------------------------- */

struct bytes {
    uint8_t *data;
    size_t size;
};

const char *temp_folder(void);
const char *temp_path(const char *name);
const char *save(const char *name, const void *data, size_t size); /* its path */
struct bytes load(const char *path);
bool exists(const char *path);
size_t entries_of(const char *folder); /* . and .. not counted */
int open_files(void);                  /* of this process */

/* The path of "null" or "full"; NULL where there is none that is safe. Root gets
 * nodes of its own to write to, since broken code could replace those in /dev. */
const char *device(const char *name);

/* ---- messages -------------------------------------------------------- */

/* Dims and their count, as two arguments. */
#define DIMS(...) (const int64_t[]){__VA_ARGS__}, COUNT(((const int64_t[]){__VA_ARGS__}))
#define SCALAR    NULL, 0

Onnx__ModelProto *make_model(int64_t ir, int64_t opset); /* with an empty graph */
Onnx__GraphProto *make_graph(const char *name);

/* Inputs and outputs: names with one blank between; "-" is the empty name. */
Onnx__NodeProto *make_node(const char *op_type, const char *inputs, const char *outputs);
Onnx__FunctionProto *make_function(const char *name, const char *inputs,
                                   const char *outputs);

/* With raw_data that is a copy of `raw`; NULL: without. */
Onnx__TensorProto *make_tensor(const char *name, int type, const int64_t *dims,
                               size_t rank, const void *raw, size_t size);

/* A float tensor of any float type with random values. */
Onnx__TensorProto *make_weight(const char *name, int type, const int64_t *dims,
                               size_t rank);

Onnx__AttributeProto *put_attribute(Onnx__NodeProto *node, const char *name, int type);
void put_int(Onnx__NodeProto *node, const char *name, int64_t value);
void put_graph(Onnx__NodeProto *node, const char *name, Onnx__GraphProto *value);
void put_tensor(Onnx__NodeProto *node, const char *name, Onnx__TensorProto *value);

Onnx__NodeProto *put_node(Onnx__GraphProto *graph, Onnx__NodeProto *node);
Onnx__TensorProto *put_initializer(Onnx__GraphProto *graph, Onnx__TensorProto *tensor);
void put_input(Onnx__GraphProto *graph, const char *name, int type);
void put_output(Onnx__GraphProto *graph, const char *name, int type);
void put_info(Onnx__GraphProto *graph, const char *name, int type);
void put_function(Onnx__ModelProto *model, Onnx__FunctionProto *function);
void put_function_node(Onnx__FunctionProto *function, Onnx__NodeProto *node);

/* Appends to a list of protobuf-c's form. */
void put(void *items, size_t *n, void *item);

/* A model of one operator with one weight: "X", "W" -> "Y". */
Onnx__ModelProto *make_one(const char *op_type, Onnx__TensorProto *weight);

/* ---- to bytes and back ----------------------------------------------- */

struct bytes pack(const Onnx__ModelProto *proto);
Onnx__ModelProto *unpack(struct bytes bytes); /* by protobuf-c alone */

/* Reads the model of a file, which close_model closes. NULL on failure. */
struct model *open_model(const char *path, struct error *err);
void close_model(struct model *model); /* NULL is fine */

/* The same for models that must be right; closed when the test ends. */
struct model *read_saved(const char *path);
struct model *read_proto(const Onnx__ModelProto *proto);
struct model *read_bytes(const void *data, size_t size);

Onnx__TensorProto *find_initializer(const Onnx__GraphProto *graph, const char *name);
Onnx__NodeProto *find_node(Onnx__NodeProto *const *nodes, size_t count,
                           const char *output);

#endif

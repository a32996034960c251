/* Filling: what lands in the file equals quantizing the whole weight in one go,
 * for any shape, any type and any number of threads. */
#include "fill/fill.h"
#include "pipeline.h"

#include <math.h>
#include <string.h>

struct result {
    struct bytes codes, scales, zeros; /* as stored */
    struct quant_error error;
    enum quant_fit fit;
};

/* ---- the layout of what is stored, element by element ------------------ */

static void put_nibble(struct bytes bytes, size_t index, uint8_t code)
{
    uint8_t *at = &bytes.data[index / 2];
    *at = (uint8_t)(index % 2 ? (*at & 15) | code << 4 : (*at & 240) | (code & 15));
}

/* A matrix turned over, or as it is. */
static uint8_t *turn(const uint8_t *from, size_t rows, size_t columns, bool turned,
                     size_t size)
{
    uint8_t *to = hold(rows * columns * size + 1);
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < columns; c++)
            memcpy(to + (turned ? c * rows + r : r * columns + c) * size,
                   from + (r * columns + c) * size, size);
    return to;
}

/* Rows of K codes, each in whole blocks; the rest is zeros. */
static struct bytes padded_codes(const struct plan_item *item, const uint8_t *codes)
{
    size_t n = (size_t)item->elements, k = item->shape.dim;
    struct bytes bytes = {hold(n / k * item->row_bytes), n / k * item->row_bytes};
    for (size_t i = 0; i < n; i++) {
        if (item->packing == PACK_PAIRS)
            put_nibble(bytes, i / k * item->row_bytes * 2 + i % k, codes[i]);
        else
            bytes.data[i / k * item->row_bytes + i % k] = codes[i];
    }
    return bytes;
}

static struct bytes stored_codes(const struct plan_item *item, const uint8_t *codes)
{
    size_t n = (size_t)item->elements, row = item->row, half = (row + 1) / 2;
    size_t columns = item->transposed ? (size_t)item->tensor->dims[1] : n;
    struct bytes bytes = {hold(n + 1), n};
    codes = turn(codes, n / columns, columns, item->transposed, 1);
    if (item->row_bytes)
        return padded_codes(item, codes);
    if (item->packing == PACK_BYTES)
        memcpy(bytes.data, codes, n);
    for (size_t i = 0; item->packing == PACK_PAIRS && i < n; i++)
        put_nibble(bytes, i, codes[i]);
    for (size_t i = 0; item->packing == PACK_HALVES && i < n; i++) {
        size_t in_row = i % row, byte = i / row * half + in_row % half;
        put_nibble(bytes, byte * 2 + (in_row >= half), codes[i]);
    }
    if (item->packing == PACK_PAIRS)
        bytes.size = (n + 1) / 2;
    else if (item->packing == PACK_HALVES)
        bytes.size = n / row * half;
    return bytes;
}

/* Groups as a matrix in the source: with one channel's in each row, or column. */
static void group_matrix(const struct plan_item *item, size_t *rows, size_t *columns)
{
    size_t groups = quant_groups(&item->shape);
    bool down = item->shape.block != 0 && item->axis == 0;
    *rows = item->tensor->n_dims != 2 || item->granularity == GRANULARITY_TENSOR ? 1
            : down ? groups / item->shape.inner
                   : (item->axis == 1 && !item->shape.block ? 1 : item->shape.outer);
    if (item->axis == 0 && !item->shape.block)
        *rows = item->granularity == GRANULARITY_TENSOR ? 1 : groups;
    *columns = groups / *rows;
}

static struct bytes stored_zeros(const struct plan_item *item, const uint8_t *zeros)
{
    size_t rows, columns, groups = quant_groups(&item->shape);
    struct bytes bytes = {hold(2 * groups + 1), groups};
    group_matrix(item, &rows, &columns);
    zeros = turn(zeros, rows, columns, item->transposed, 1);
    if (item->packing != PACK_PAIRS) {
        memcpy(bytes.data, zeros, groups);
        return bytes;
    }
    size_t width = !item->padded ? groups : item->transposed ? rows : columns;
    size_t stride = width + width % 2; /* a row begins with a whole byte */
    for (size_t i = 0; i < groups; i++)
        put_nibble(bytes, i / width * stride + i % width, zeros[i]);
    bytes.size = groups / width * stride / 2;
    return bytes;
}

/* quant_fit and quant_encode over everything at once. */
static struct result expected(const struct plan_item *item)
{
    const struct kernels *kernels = quant_kernels(NULL);
    size_t elements = (size_t)item->elements, groups = quant_groups(&item->shape);
    size_t fit_rows = item->shape.block ? groups / item->shape.inner : groups, rows,
           columns;
    enum real_type real =
        item->data_type == DATA_DOUBLE ? REAL_FLOAT64 : item->scheme.scale_type;
    size_t scale_size = real_size(item->scheme.scale_type);
    struct quant_source source = {item->source->data, real};
    float *scales = hold(groups * sizeof *scales);
    uint8_t *zeros = hold(groups), *codes = hold(elements), *stored;
    struct result result = {0};
    result.fit = quant_fit(kernels, &item->scheme, source, &item->shape, 0, fit_rows,
                           scales, zeros);
    if (result.fit != QUANT_FIT_OK)
        return result;
    quant_encode(kernels, &item->scheme, source, &item->shape, 0, elements, 0, scales,
                 zeros, codes, &result.error);
    result.codes = stored_codes(item, codes);
    result.zeros = stored_zeros(item, zeros);
    stored = hold(groups * sizeof(float));
    real_store(item->scheme.scale_type, scales, groups, stored);
    group_matrix(item, &rows, &columns);
    result.scales = (struct bytes){
        turn(stored, rows, columns, item->transposed, scale_size), groups * scale_size};
    return result;
}

static struct fill_options fill_defaults(int threads)
{
    return (struct fill_options){
        .kernels = quant_kernels(NULL), .threads = threads, .measure = true};
}

static void assert_stored(struct bytes file, const struct payload *payload,
                          struct bytes wanted)
{
    assert_int_equal(payload->size, wanted.size);
    assert_true(payload->offset + payload->size <= file.size);
    assert_memory_equal(file.data + payload->offset, wanted.data, wanted.size);
}

/* Sums are made of floats, chunk by chunk: rounded otherwise than in one go. */
static void assert_near(double a, double b)
{
    assert_true(fabs(a - b) <= 1e-5 * (fabs(a) + fabs(b)));
}

/* What is measured before anything is emitted: errors and fits, item by item. */
static const struct fill_result *measured(struct pipeline *pipeline, int threads)
{
    struct error err = {0};
    struct fill_options options = fill_defaults(threads);
    struct fill_result *results;
    assert_true(fill_plan(&pipeline->plan, NULL, &options, &results, &err));
    assert_fine(&err);
    return results;
}

/* Fills and commits; compares every item with what is expected, and with what was
 * measured before, to the last bit. Returns the file. */
static struct bytes fill_and_check(struct pipeline *pipeline, int threads)
{
    struct error err = {0};
    const char *path = temp_path("filled.onnx");
    const struct fill_result *before = measured(pipeline, 1 + threads % 3);
    struct output *output = pipeline_write(pipeline, path);
    struct fill_options options = fill_defaults(threads);
    assert_true(fill_plan(&pipeline->plan, pipeline->tensors, &options,
                          &pipeline->results, &err));
    assert_fine(&err);
    assert_true(output_commit(output, &err));
    struct bytes file = load(path);
    for (size_t i = 0; i < pipeline->plan.count; i++) {
        const struct plan_item *item = &pipeline->plan.items[i];
        if (!item->quantize)
            continue;
        const struct result wanted = expected(item);
        const struct fill_result *found = &pipeline->results[i];
        const struct item_tensors *tensors = &pipeline->tensors[i];
        assert_int_equal(found->fit, wanted.fit);
        assert_int_equal(found->fit, before[i].fit);
        assert_memory_equal(&found->error, &before[i].error, sizeof found->error);
        if (found->fit != QUANT_FIT_OK)
            continue;
        assert_stored(file, tensors->codes, wanted.codes);
        assert_stored(file, tensors->scales, wanted.scales);
        if (tensors->zeros)
            assert_stored(file, tensors->zeros, wanted.zeros);
        assert_near(found->error.signal, wanted.error.signal);
        assert_near(found->error.noise, wanted.error.noise);
    }
    return file;
}

/* ---- shapes ---------------------------------------------------------- */

static Onnx__ModelProto *odd_shapes(int data_type)
{
    const struct {
        const char *op_type;
        bool transposed;
        const int64_t *dims;
        size_t rank;
    } rows[] = {
        {"MatMul", false, DIMS(257, 3)},
        {"MatMul", false, DIMS(3, 1000, 7)},
        {"MatMul", false, DIMS(333, 555)},
        {"MatMul", false, DIMS(70001, 2)},
        {"MatMul", false, DIMS(17, 9999)},
        {"MatMul", false, DIMS(512, 300)},
        {"Gemm", true, DIMS(77, 300)},
        {"Gemm", true, DIMS(600, 257)},
        {"Gemm", true, DIMS(2, 70001)},
        {"Gemm", true, DIMS(1001, 96)},
        {"Conv", false, DIMS(7, 33, 3, 3)},
        {"Conv", false, DIMS(301, 17, 5, 5)},
        {"ConvTranspose", false, DIMS(33, 7, 3, 3)},
        {"ConvTranspose", false, DIMS(65, 301, 1, 5)},
        {"Gather", false, DIMS(1001, 64)},
        {"Gather", false, DIMS(333, 75)},
    };
    Onnx__ModelProto *proto = make_model(10, 21);
    for (size_t i = 0; i < COUNT(rows); i++) {
        char *name = hold_printf("W%zu", i);
        bool table = strcmp(rows[i].op_type, "Gather") == 0;
        put_initializer(proto->graph,
                        make_weight(name, data_type, rows[i].dims, rows[i].rank));
        Onnx__NodeProto *node =
            make_node(rows[i].op_type, hold_printf(table ? "%s X" : "X %s", name),
                      hold_printf("Y%zu", i));
        if (rows[i].transposed)
            put_int(node, "transB", 1);
        put_node(proto->graph, node);
    }
    return proto;
}

static void test_equal_in_one_go(void **state)
{
    (void)state;
    static const struct {
        enum quant_type type;
        bool symmetric;
        int data_type;
        enum granularity granularity;
        uint64_t block;
        enum decode decode;
        bool nbits;
    } rows[] = {
        {QUANT_INT4, true, DATA_FLOAT, GRANULARITY_DEFAULT, 0, DECODE_RUN, false},
        {QUANT_UINT4, false, DATA_FLOAT, GRANULARITY_DEFAULT, 0, DECODE_RUN, false},
        {QUANT_UINT4, false, DATA_FLOAT, GRANULARITY_CHANNEL, 0, DECODE_RUN, false},
        {QUANT_UINT4, false, DATA_FLOAT, GRANULARITY_TENSOR, 0, DECODE_RUN, false},
        {QUANT_UINT4, false, DATA_FLOAT, GRANULARITY_BLOCKS, 17, DECODE_RUN, false},
        {QUANT_INT4, false, DATA_FLOAT16, GRANULARITY_BLOCKS, 3, DECODE_RUN, false},
        {QUANT_UINT8, false, DATA_FLOAT, GRANULARITY_BLOCKS, 32, DECODE_RUN, false},
        {QUANT_INT8, true, DATA_BFLOAT16, GRANULARITY_CHANNEL, 0, DECODE_RUN, false},
        {QUANT_INT4, true, DATA_DOUBLE, GRANULARITY_DEFAULT, 0, DECODE_RUN, false},
        {QUANT_INT4, true, DATA_FLOAT, GRANULARITY_DEFAULT, 0, DECODE_RUN, true},
        {QUANT_UINT4, false, DATA_FLOAT, GRANULARITY_BLOCKS, 16, DECODE_RUN, true},
        {QUANT_UINT4, false, DATA_FLOAT, GRANULARITY_BLOCKS, 32, DECODE_RUN, true},
        {QUANT_UINT8, false, DATA_FLOAT16, GRANULARITY_BLOCKS, 32, DECODE_RUN, true},
        {QUANT_INT4, true, DATA_FLOAT, GRANULARITY_DEFAULT, 0, DECODE_PORTABLE, false},
        {QUANT_UINT4, false, DATA_FLOAT16, GRANULARITY_BLOCKS, 32, DECODE_PORTABLE,
         false},
        {QUANT_UINT4, false, DATA_FLOAT, GRANULARITY_TENSOR, 0, DECODE_PORTABLE, false},
        {QUANT_INT8, false, DATA_FLOAT, GRANULARITY_CHANNEL, 0, DECODE_LOAD, false},
    };
    random_begin();
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct plan_options options = plan_defaults();
        options.scheme.type = rows[i].type;
        options.scheme.symmetric = rows[i].symmetric;
        options.granularity = rows[i].granularity;
        options.block_size = rows[i].block;
        options.decode = rows[i].decode;
        options.nbits = rows[i].nbits;
        struct pipeline *pipeline =
            pipeline_plan(odd_shapes(rows[i].data_type), &options);
        assert_true(pipeline->plan.quantized >= 12);
        fill_and_check(pipeline, 1 + (int)(i % 4));
        support_teardown(NULL);
    }
}

/* The same bytes and the same sums, to the last bit, whoever did the work. */
static void test_threads(void **state)
{
    (void)state;
    struct plan_options options = plan_defaults();
    options.scheme = (struct quant_scheme){.type = QUANT_UINT4, .method = QUANT_RTN};
    Onnx__ModelProto *proto = odd_shapes(DATA_FLOAT);
    struct bytes first = {0};
    const struct pipeline *one = NULL;
    for (int threads = 1; threads <= 8; threads++) {
        struct pipeline *pipeline = pipeline_plan(proto, &options);
        struct bytes file = fill_and_check(pipeline, threads);
        if (threads == 1) {
            first = file;
            one = pipeline;
        }
        assert_int_equal(file.size, first.size);
        assert_memory_equal(file.data, first.data, first.size);
        for (size_t i = 0; i < pipeline->plan.count; i++)
            assert_memory_equal(&pipeline->results[i].error, &one->results[i].error,
                                sizeof(struct quant_error));
    }
}

/* What the file says is near the weight: half a step of its scale away at most. */
static void test_decoded(void **state)
{
    (void)state;
    struct plan_options options = plan_defaults();
    Onnx__TensorProto *weight = make_weight("W", DATA_FLOAT, DIMS(40, 6));
    struct pipeline *pipeline = pipeline_plan(make_one("MatMul", weight), &options);
    const Onnx__GraphProto *graph = unpack(fill_and_check(pipeline, 2))->graph;
    const Onnx__NodeProto *node = find_node(graph->node, graph->n_node, "W");
    const uint8_t *codes = find_initializer(graph, node->input[0])->raw_data.data;
    const uint8_t *scales = find_initializer(graph, node->input[1])->raw_data.data;
    for (size_t k = 0; k < 40; k++) {
        for (size_t n = 0; n < 6; n++) {
            float scale, x;
            size_t i = k * 6 + n;
            memcpy(&scale, scales + n * sizeof scale,
                   sizeof scale); /* one block: K < 64 */
            memcpy(&x, weight->raw_data.data + i * sizeof x, sizeof x);
            int code = codes[i / 2] >> i % 2 * 4 & 15;
            code = code < 8 ? code : code - 16;
            assert_true(fabsf((float)code * scale - x) <= scale * 0.5001f);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_equal_in_one_go),
        TEST(test_threads),
        TEST(test_decoded),
    };
    return RUN(tests);
}

/* Verification: what was written right passes in every form, and any damage to codes,
 * scales or other tensors is found. */
#include "compare/verification.h"
#include "pipeline.h"
#include "solve/solve.h"

#include <string.h>
#include <unistd.h>

/* A matrix, one that is used transposed, a kernel, a table, one with an odd number of
 * columns, and a bias. */
static Onnx__ModelProto *all_kinds(int type)
{
    Onnx__ModelProto *proto = make_one("MatMul", make_weight("M", type, DIMS(64, 32)));
    Onnx__GraphProto *graph = proto->graph;
    put_initializer(graph, make_weight("G", type, DIMS(40, 32)));
    put_initializer(graph, make_weight("B", type, DIMS(40)));
    put_int(put_node(graph, make_node("Gemm", "X G B", "Y1")), "transB", 1);
    put_initializer(graph, make_weight("C", type, DIMS(6, 4, 3, 3)));
    put_node(graph, make_node("Conv", "X C", "Y2"));
    put_initializer(graph, make_weight("T", type, DIMS(30, 32)));
    put_input(graph, "I", DATA_INT64);
    put_node(graph, make_node("Gather", "T I", "Y3"));
    put_initializer(graph, make_weight("O", type, DIMS(33, 17)));
    put_node(graph, make_node("MatMul", "X O", "Y4"));
    return proto;
}

struct written {
    struct pipeline *pipeline;
    struct output *output;
    struct verification what;
};

static void fill(struct written *w)
{
    struct error err = {0};
    struct pipeline *p = w->pipeline;
    struct fill_options filling = {
        .kernels = quant_kernels(NULL), .threads = 1, .measure = true};
    assert_true(fill_plan(&p->plan, p->tensors, &filling, &p->results, &err));
    w->what.results = p->results;
}

static struct written write_all(const Onnx__ModelProto *proto,
                                const struct plan_options *options)
{
    struct written w = {.pipeline = pipeline_plan(proto, options)};
    struct pipeline *p = w.pipeline;
    w.output = pipeline_write(p, temp_path("out"));
    assert_true(p->plan.quantized > 0);
    w.what =
        (struct verification){.model = p->model, .plan = &p->plan, .tensors = p->tensors};
    fill(&w);
    return w;
}

static bool verify(const struct written *w, struct error *err)
{
    *err = (struct error){0};
    struct file *file = output_reopen(w->output, err);
    bool ok = file && verify_written(&w->what, file, err);
    file_close(file);
    return ok;
}

struct setting {
    enum decode decode;
    bool nbits;
};
static const struct setting settings[] = {{DECODE_RUN, false},
                                          {DECODE_LOAD, false},
                                          {DECODE_PORTABLE, false},
                                          {DECODE_RUN, true}};

static struct plan_options options_of(const struct setting *setting, enum quant_type type,
                                      enum granularity granularity)
{
    struct plan_options options = plan_defaults();
    options.decode = setting->decode;
    options.nbits = setting->nbits;
    options.scheme.type = type;
    options.scheme.symmetric = quant_type_info(type)->symmetric;
    options.granularity = granularity;
    options.block_size = 16;
    return options;
}

static void test_right(void **state)
{
    static const int types[] = {DATA_FLOAT, DATA_FLOAT16, DATA_BFLOAT16, DATA_DOUBLE};
    static const enum granularity granularities[] = {
        GRANULARITY_DEFAULT, GRANULARITY_CHANNEL, GRANULARITY_TENSOR, GRANULARITY_BLOCKS};
    (void)state;
    random_begin();
    for (size_t i = 0; i < COUNT(settings); i++)
        for (int type = 0; type < QUANT_TYPES; type++)
            for (size_t g = 0; g < COUNT(granularities); g++) {
                struct error err;
                struct plan_options options =
                    options_of(&settings[i], (enum quant_type)type, granularities[g]);
                struct written w = write_all(
                    all_kinds(types[((size_t)type + g) % COUNT(types)]), &options);
                bool ok = verify(&w, &err);
                assert_fine(&err);
                assert_true(ok);
            }
}

/* Changes a byte of the output, and expects verification to name the tensor. */
static void damage(const struct written *w, uint64_t offset, uint8_t mask,
                   const char *name)
{
    struct error err;
    uint8_t byte, changed;
    int fd = output_descriptor(w->output);
    assert_int_equal(pread(fd, &byte, 1, (off_t)offset), 1);
    changed = byte ^ mask;
    assert_int_equal(pwrite(fd, &changed, 1, (off_t)offset), 1);
    bool ok = verify(w, &err);
    assert_int_equal(pwrite(fd, &byte, 1, (off_t)offset), 1);
    assert_false(ok);
    assert_failed(&err, STATUS_WRITE, hold_printf("'%s'", name));
}

/* Codes that are wrong by two or more, exponents of all scales, and zero points. One code
 * more or less may be as near. */
static void damage_item(const struct written *w, const struct plan_item *item)
{
    const struct item_tensors *t = &w->what.tensors[item - w->what.plan->items];
    const char *name = item->value->name;
    size_t size = real_size(item->scheme.scale_type);
    bool padded = item->row_bytes != 0;
    for (uint64_t i = 0; i < t->codes->size && !padded; i += 7)
        damage(w, t->codes->offset + i, i % 2 ? 0x60 : 0x06, name);
    for (uint64_t i = size - 1; i < t->scales->size; i += size)
        damage(w, t->scales->offset + i, 0x04, name);
    for (uint64_t i = 0; t->zeros && i < t->zeros->size; i += 3)
        damage(w, t->zeros->offset + i, 0x02, name);
}

static void test_damage(void **state)
{
    (void)state;
    random_begin();
    for (size_t i = 0; i < COUNT(settings); i++)
        for (int type = QUANT_INT4; type <= QUANT_UINT4; type++) {
            struct plan_options options =
                options_of(&settings[i], (enum quant_type)type, GRANULARITY_DEFAULT);
            struct written w = write_all(all_kinds(DATA_FLOAT), &options);
            for (size_t k = 0; k < w.what.plan->count; k++)
                if (w.what.plan->items[k].quantize)
                    damage_item(&w, &w.what.plan->items[k]);
        }
}

/* Tensors that stay as they are: any bit counts. */
static void test_kept(void **state)
{
    (void)state;
    random_begin();
    struct plan_options options =
        options_of(&settings[0], QUANT_INT4, GRANULARITY_DEFAULT);
    struct written w = write_all(all_kinds(DATA_FLOAT), &options);
    const Onnx__TensorProto *bias =
        find_initializer(w.pipeline->model->proto->graph, "B");
    const struct payload *payload = tensor_payload(bias);
    for (uint64_t i = 0; i < payload->size; i++)
        damage(&w, payload->offset + i, 0x01, "B");
}

/* A solution whose codes are not the nearest ones: half of them are one less. */
static struct solution *make_solution(const struct plan_item *item)
{
    const struct kernels *scalar = quant_kernels("scalar");
    const struct quant_source source = {item->source->data, REAL_FLOAT32};
    const size_t groups = quant_groups(&item->shape), count = (size_t)item->elements;
    const size_t rows = item->shape.outer * quant_blocks(&item->shape);
    struct solution *made = hold(sizeof *made);
    *made = (struct solution){.codes = hold(count),
                              .scales = hold(groups * sizeof *made->scales),
                              .zeros = hold(groups)};
    assert_int_equal(quant_fit(scalar, &item->scheme, source, &item->shape, 0, rows,
                               made->scales, made->zeros),
                     QUANT_FIT_OK);
    quant_encode(scalar, &item->scheme, source, &item->shape, 0, count, 0, made->scales,
                 made->zeros, made->codes, NULL);
    for (size_t i = 0; i < count; i += 2)
        if ((int8_t)made->codes[i] > -7)
            made->codes[i]--;
    return made;
}

/* Codes that calibration has found need not be the nearest. They must be in the file as
 * they were found, and the measured errors are theirs. */
static void test_solution(void **state)
{
    (void)state;
    struct error err;
    random_begin();
    struct plan_options options =
        options_of(&settings[0], QUANT_INT4, GRANULARITY_DEFAULT);
    struct written w = write_all(all_kinds(DATA_FLOAT), &options);
    struct plan_item *item = item_named(w.pipeline, "M");
    item->solution = make_solution(item);
    assert_false(verify(&w, &err)); /* the file still has the nearest codes */
    assert_failed(&err, STATUS_WRITE, "'M'");
    fill(&w);
    assert_true(verify(&w, &err));
    assert_fine(&err);
    damage_item(&w, item);
}

/* Codes that are right for other values: the source is what counts. */
static void test_source(void **state)
{
    (void)state;
    struct error err;
    random_begin();
    struct plan_options options =
        options_of(&settings[0], QUANT_INT4, GRANULARITY_DEFAULT);
    struct written w = write_all(all_kinds(DATA_FLOAT), &options);
    struct plan_item *item = item_named(w.pipeline, "M");
    float *values = hold(item->bytes);
    memcpy(values, item->source->data, item->bytes);
    values[99] += 0.3f;
    struct payload other = *item->source;
    other.data = (const uint8_t *)values;
    other.file = NULL;
    item->source = &other;
    assert_false(verify(&w, &err));
    assert_failed(&err, STATUS_WRITE, "element 99");
}

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(test_right), TEST(test_damage),
                                       TEST(test_kept), TEST(test_solution),
                                       TEST(test_source)};
    return RUN(tests);
}

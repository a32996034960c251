/* Cutting into chunks: for any shape every element is encoded once, every group
 * fitted once, and no two chunks share a byte of what they write. */
#include "fill/chunks.h"
#include "support.h"

enum { LARGE = 1 << 17 }; /* elements that no chunk of short groups should reach */

static struct quant_shape random_shape(void)
{
    static const size_t sizes[] = {1,  1,  2,   3,   5,    7,    16,
                                   31, 64, 100, 255, 1000, 4097, 70001};
    struct quant_shape shape;
    do {
        shape.outer = sizes[random_below(COUNT(sizes))];
        shape.dim = sizes[random_below(COUNT(sizes))];
        shape.inner = sizes[random_below(COUNT(sizes))];
    } while (shape.outer * shape.dim * shape.inner > 3000000);
    static const size_t blocks[] = {0, 0, 2, 3, 16, 17, 32, 256, 1000};
    shape.block = blocks[random_below(COUNT(blocks))];
    return shape;
}

static void print_shape(const struct quant_shape *s)
{
    print_message("shape [%zu][%zu][%zu], block %zu\n", s->outer, s->dim, s->inner,
                  s->block);
}

/* The element that a row of groups begins with, and groups in a row, as
 * quant.h counts them. */
static size_t row_start(const struct quant_shape *s, size_t row)
{
    if (s->block == 0)
        return row * s->inner;
    size_t blocks = (s->dim + s->block - 1) / s->block;
    return (row / blocks * s->dim + row % blocks * s->block) * s->inner;
}

static void check_both(const struct chunk *chunk, const struct quant_shape *s)
{
    size_t elements = s->outer * s->dim * s->inner;
    size_t width = s->block ? s->inner : 1;
    size_t rows = quant_groups(s) / width;
    size_t after = chunk->first_row + chunk->row_count;
    assert_true(chunk->row_count > 0 && after <= rows);
    assert_int_equal(chunk->begin, row_start(s, chunk->first_row));
    assert_int_equal(chunk->end, after < rows ? row_start(s, after) : elements);
    assert_int_equal(chunk->first_row * width % 2, 0); /* zero points share bytes, too */
}

/* All properties for the chunks of one weight. */
static void check(const struct quant_shape *s)
{
    struct error err = {0};
    struct chunks chunks;
    size_t elements = s->outer * s->dim * s->inner;
    struct plan_item item = {.quantize = true, .shape = *s, .elements = elements};
    struct plan plan = {.items = &item, .count = 1, .quantized = 1};
    assert_true(chunks_make(&plan, &chunks, &err));
    assert_fine(&err);
    size_t at = 0, row = 0;
    for (size_t i = 0; i < chunks.work_count; i++) {
        const struct chunk *chunk = &chunks.works[i];
        assert_ptr_equal(chunk->item, &item);
        assert_int_equal(chunk->begin, at); /* without gaps, in order */
        assert_int_equal(chunk->begin % 2, 0);
        assert_true(chunk->end > chunk->begin);
        at = chunk->end;
        if (chunk->work == CHUNK_BOTH) {
            assert_int_equal(chunks.fit_count, 0);
            assert_int_equal(chunk->first_row, row);
            check_both(chunk, s);
            row += chunk->row_count;
        } else {
            assert_int_equal(chunk->work, CHUNK_ENCODE);
            assert_non_null(chunk->wide);
            assert_true(chunk->end - chunk->begin < LARGE);
        }
    }
    assert_int_equal(at, elements);
    if (chunks.fit_count > 0)
        assert_int_equal(s->block, 0);
    for (size_t i = 0; i < chunks.fit_count; i++) {
        const struct chunk *chunk = &chunks.fits[i];
        assert_int_equal(chunk->work, CHUNK_FIT);
        assert_int_equal(chunk->first_row, row);
        assert_true(chunk->row_count > 0);
        row += chunk->row_count;
    }
    assert_int_equal(row, s->block ? quant_groups(s) / s->inner : s->dim);
    chunks_free(&chunks);
    chunks_free(&chunks); /* again is harmless */
}

static void test_random_shapes(void **state)
{
    (void)state;
    random_begin();
    for (int i = 0; i < 3000; i++) {
        struct quant_shape shape = random_shape();
        check(&shape);
    }
}

static void test_chosen_shapes(void **state)
{
    (void)state;
    static const struct quant_shape shapes[] = {
        {1, 1, 1, 0},         {1, 1, 7, 0},         {1, 1, 65536, 0},   {1, 1, 65537, 0},
        {1, 65537, 1, 0},     {65537, 1, 1, 0},     {65537, 3, 1, 0},   {3, 65537, 1, 0},
        {1, 3, 65537, 0},     {7, 5, 3, 0},         {1, 1, 1, 2},       {1, 7, 1, 2},
        {7, 7, 7, 2},         {3, 65537, 1, 16},    {1, 65537, 3, 17},  {65537, 3, 1, 2},
        {5, 5, 9999, 3},      {1, 1000000, 1, 256}, {1, 2, 500001, 16}, {3, 1, 99999, 16},
        {1, 70001, 1, 70001}, {2, 3, 65535, 3},
    };
    for (size_t i = 0; i < COUNT(shapes); i++) {
        print_shape(&shapes[i]);
        check(&shapes[i]);
    }
}

/* Work for many threads, of a size that stays near that of the chunk wished for. */
static void test_sizes(void **state)
{
    (void)state;
    static const struct quant_shape shapes[] = {
        {1, 4096, 4096, 256}, {1, 4096, 4096, 0}, {4096, 4096, 1, 0},
        {4096, 4096, 1, 32},  {1, 512, 4608, 0},
    };
    for (size_t i = 0; i < COUNT(shapes); i++) {
        struct error err = {0};
        struct chunks chunks;
        const struct quant_shape *s = &shapes[i];
        struct plan_item item = {
            .quantize = true, .shape = *s, .elements = s->outer * s->dim * s->inner};
        struct plan plan = {.items = &item, .count = 1, .quantized = 1};
        assert_true(chunks_make(&plan, &chunks, &err));
        assert_true(chunks.work_count >= 16);
        size_t row = s->block ? s->block * s->inner : s->outer == 1 ? s->inner : 1;
        for (size_t j = 0; j < chunks.work_count; j++)
            assert_true(chunks.works[j].end - chunks.works[j].begin <= LARGE + 2 * row);
        chunks_free(&chunks);
    }
}

/* Only what is quantized is cut; weights stay in the plan's order. */
static void test_many_items(void **state)
{
    (void)state;
    struct error err = {0};
    struct chunks chunks;
    struct plan_item items[100] = {0};
    struct plan plan = {.items = items, .count = COUNT(items)};
    for (size_t i = 0; i < COUNT(items); i++) {
        struct quant_shape shape = {i % 3, 10, 10, i % 2 ? 16 : 0};
        shape.outer = shape.outer ? shape.outer : 1;
        items[i] = (struct plan_item){
            .quantize = i % 5 != 0, .shape = shape, .elements = quant_elements(&shape)};
        plan.quantized += items[i].quantize;
    }
    assert_true(chunks_make(&plan, &chunks, &err));
    size_t next = 0;
    for (size_t i = 0; i < chunks.work_count; i++) {
        while (!items[next].quantize)
            next++;
        assert_ptr_equal(chunks.works[i].item, &items[next]);
        next++;
    }
    assert_int_equal(chunks.work_count, plan.quantized);
    chunks_free(&chunks);
    struct plan empty = {0};
    assert_true(chunks_make(&empty, &chunks, &err));
    assert_int_equal(chunks.work_count + chunks.fit_count, 0);
    chunks_free(&chunks);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_random_shapes),
        TEST(test_chosen_shapes),
        TEST(test_sizes),
        TEST(test_many_items),
    };
    return RUN(tests);
}

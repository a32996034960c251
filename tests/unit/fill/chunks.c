/* Cutting into chunks: for any shape every element is encoded once, every group
 * fitted once, and no two chunks share a byte of what they write. */
#include "fill/chunks.h"
#include "support.h"

/* Elements that a chunk should have at least and at most, where groups allow. */
enum { SMALL = 1 << 13, LARGE = 1 << 19 };

/* Cutting neither writes nor looks at what was found. */
static const struct item_tensors nowhere;
static struct fill_result result;

static struct quant_shape random_shape(void)
{
    static const size_t sizes[] = {1,  1,  2,   3,   5,    7,    16,
                                   31, 64, 100, 255, 1000, 4097, 270001};
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
static void check(const struct quant_shape *s, enum quant_method method)
{
    struct error err = {0};
    struct chunks chunks = {0};
    size_t elements = s->outer * s->dim * s->inner;
    struct plan_item item = {
        .quantize = true,
        .shape = *s,
        .elements = elements,
        .bytes = elements * 4,
        .packing = PACK_PAIRS,
        .zero_packing = PACK_PAIRS,
        .scheme.method = method,
    };
    assert_true(chunks_add(&chunks, &item, &nowhere, &result, &err));
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
            assert_non_null(chunk->whole);
            assert_true(chunk->end - chunk->begin < LARGE);
        }
    }
    assert_int_equal(at, elements);
    size_t reached = 0; /* elements by pieces, or rows by whole groups */
    for (size_t i = 0; i < chunks.fit_count; i++) {
        const struct chunk *chunk = &chunks.fits[i];
        bool piece = chunk->work == CHUNK_RANGE;
        assert_true(piece || chunk->work == CHUNK_FIT);
        assert_int_equal(piece ? chunk->begin : chunk->first_row, reached);
        assert_true(piece ? chunk->end > chunk->begin : chunk->row_count > 0);
        reached = piece ? chunk->end : chunk->first_row + chunk->row_count;
        assert_int_equal(chunk->work, chunks.fits[0].work);
    }
    if (chunks.fit_count == 0) {
        assert_int_equal(row, item_rows(&item));
    } else {
        assert_int_equal(s->block, 0);
        assert_int_equal(reached, chunks.fits[0].work == CHUNK_RANGE ? elements : s->dim);
    }
    chunks_free(&chunks);
    chunks_free(&chunks); /* again is harmless */
}

static void test_random_shapes(void **state)
{
    (void)state;
    random_begin();
    for (int i = 0; i < 3000; i++) {
        struct quant_shape shape = random_shape();
        check(&shape, i % 2 ? QUANT_RTN : QUANT_SEARCH);
    }
}

static void test_chosen_shapes(void **state)
{
    (void)state;
    static const struct quant_shape shapes[] = {
        {1, 1, 1, 0},       {1, 1, 7, 0},       {1, 1, 262144, 0},
        {1, 1, 262145, 0},  {1, 262145, 1, 0},  {262145, 1, 1, 0},
        {262145, 3, 1, 0},  {3, 262145, 1, 0},  {1, 3, 262145, 0},
        {7, 5, 3, 0},       {1, 1, 1, 2},       {1, 7, 1, 2},
        {7, 7, 7, 2},       {3, 262145, 1, 16}, {1, 262145, 3, 17},
        {262145, 3, 1, 2},  {5, 5, 9999, 3},    {1, 4000000, 1, 256},
        {1, 2, 500001, 16}, {3, 1, 399999, 16}, {1, 270001, 1, 270001},
        {2, 3, 65535, 3},
    };
    for (size_t i = 0; i < COUNT(shapes); i++) {
        print_shape(&shapes[i]);
        check(&shapes[i], QUANT_RTN);
        check(&shapes[i], QUANT_SEARCH);
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
        struct chunks chunks = {0};
        const struct quant_shape *s = &shapes[i];
        size_t elements = s->outer * s->dim * s->inner;
        struct plan_item item = {.quantize = true,
                                 .shape = *s,
                                 .elements = elements,
                                 .bytes = elements * 4,
                                 .packing = PACK_PAIRS,
                                 .zero_packing = PACK_PAIRS};
        assert_true(chunks_add(&chunks, &item, &nowhere, &result, &err));
        assert_true(chunks.work_count >= 8);
        assert_true(chunks.work_count <= item.elements / SMALL);
        size_t row = s->block ? s->block * s->inner : s->outer == 1 ? s->inner : 1;
        for (size_t j = 0; j < chunks.work_count; j++)
            assert_true(chunks.works[j].end - chunks.works[j].begin <= LARGE + 2 * row);
        chunks_free(&chunks);
    }
}

/* Several weights, one behind the other; cleared, the lists serve the next ones. */
static void test_many_items(void **state)
{
    (void)state;
    struct error err = {0};
    struct chunks chunks = {0};
    struct plan_item items[100] = {0};
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < COUNT(items); i++) {
            struct quant_shape shape = {1 + i % 3, 10, 10, i % 2 ? 16 : 0};
            items[i] = (struct plan_item){.quantize = true,
                                          .shape = shape,
                                          .elements = quant_elements(&shape),
                                          .bytes = quant_elements(&shape) * 4,
                                          .packing = PACK_BYTES};
            assert_true(chunks_add(&chunks, &items[i], &nowhere, &result, &err));
        }
        assert_int_equal(chunks.work_count, COUNT(items));
        for (size_t i = 0; i < chunks.work_count; i++)
            assert_ptr_equal(chunks.works[i].item, &items[i]);
        chunks_clear(&chunks);
        assert_int_equal(chunks.work_count + chunks.fit_count, 0);
    }
    chunks_free(&chunks);
}

/* A row of halves can't be cut, whatever its length. */
static void test_halves(void **state)
{
    (void)state;
    static const size_t rows[] = {1, 3, 7, 64, 1001, 262144, 100003};
    for (size_t i = 0; i < COUNT(rows); i++) {
        for (int wide = 0; wide < 2; wide++) {
            struct error err = {0};
            struct chunks chunks = {0};
            struct quant_shape shape = {wide ? 30 : 1, wide ? rows[i] : 30,
                                        wide ? 1 : rows[i], 0};
            struct plan_item item = {.quantize = true,
                                     .shape = shape,
                                     .elements = 30 * rows[i],
                                     .bytes = 120 * rows[i],
                                     .packing = PACK_HALVES,
                                     .row = rows[i]};
            assert_int_equal(packing_unit(&item), rows[i]);
            assert_true(chunks_add(&chunks, &item, &nowhere, &result, &err));
            size_t at = 0;
            /* What is too large to stay in memory is encoded from its end. */
            bool back = wide && item.bytes > TWO_PASS_BYTES;
            for (size_t j = 0; j < chunks.work_count; j++) {
                const struct chunk *chunk =
                    &chunks.works[back ? chunks.work_count - 1 - j : j];
                assert_int_equal(chunk->begin, at);
                assert_int_equal(at % rows[i], 0);
                at = chunk->end;
            }
            assert_int_equal(at, item.elements);
            chunks_free(&chunks);
        }
    }
}

/* Panels of a weight that is stored turned: rows that become whole bytes. */
static void test_panels(void **state)
{
    (void)state;
    static const struct {
        size_t rows, columns, block, axis;
    } cases[] = {
        {6, 300, 256, 1},  {1000, 77, 32, 1},   {301, 77, 32, 1},    {64, 64, 0, 0},
        {2000, 8, 16, 0},  {2001, 9, 16, 0},    {4096, 4096, 32, 0}, {4096, 4096, 256, 1},
        {2, 100000, 0, 0}, {200, 100000, 0, 0}, {2000, 8, 17, 0},    {1, 1, 16, 1},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        for (int padded = 0; padded < 2; padded++) {
            struct error err = {0};
            struct chunks chunks = {0};
            size_t rows = cases[i].rows, columns = cases[i].columns;
            int64_t dims[] = {(int64_t)rows, (int64_t)columns};
            struct plan_item item = {
                .quantize = true,
                .transposed = true,
                .padded = padded,
                .packing = PACK_PAIRS,
                .zero_packing = PACK_PAIRS,
                .axis = cases[i].axis,
                .elements = rows * columns,
                .tensor = make_tensor("W", DATA_FLOAT, dims, 2, NULL, 0),
                .shape = {.outer = cases[i].axis == 0 ? 1 : rows,
                          .dim = cases[i].axis == 0 ? rows : columns,
                          .inner = cases[i].axis == 0 ? columns : 1,
                          .block = cases[i].block},
            };
            assert_true(chunks_add(&chunks, &item, &nowhere, &result, &err));
            size_t at = 0, row = 0;
            for (size_t j = 0; j < chunks.work_count; j++) {
                const struct chunk *chunk = &chunks.works[j];
                assert_int_equal(chunk->work, CHUNK_PANEL);
                assert_int_equal(chunk->begin, at);
                assert_int_equal(chunk->first_row, row);
                assert_int_equal(at % columns, 0);
                if (rows % 2 == 0) /* both nibbles of a stored byte are one panel's */
                    assert_int_equal(at / columns % 2, 0);
                else if (!padded)
                    assert_int_equal(chunks.work_count, 1);
                at = chunk->end;
                row += chunk->row_count;
            }
            assert_int_equal(at, item.elements);
            assert_int_equal(row, item_rows(&item));
            chunks_free(&chunks);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_random_shapes), TEST(test_chosen_shapes), TEST(test_sizes),
        TEST(test_many_items),    TEST(test_halves),        TEST(test_panels),
    };
    return RUN(tests);
}

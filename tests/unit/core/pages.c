/* Pages of mapped files: giving them back changes no byte that is read, and few of them
 * stay in memory. */
#include "core/pages.h"
#include "support.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { SIZE = (5 << 20) + 100 };

static uint8_t *noise(size_t size)
{
    uint8_t *data = hold(size);
    for (size_t i = 0; i < size; i++)
        data[i] = (uint8_t)random_below(256);
    return data;
}

static struct file *open_saved(const char *name, const void *data, size_t size)
{
    struct error err = {0};
    struct file *file = file_open(save(name, data, size), NULL, &err);
    assert_fine(&err);
    return file;
}

/* Bytes of the mapping that this process has in memory. */
static size_t resident(const struct file *file)
{
    char line[256];
    size_t kilobytes = 0;
    bool ours = false;
    FILE *maps = fopen("/proc/self/smaps", "r");
    assert_non_null(maps);
    while (fgets(line, sizeof line, maps)) {
        unsigned long begin, end;
        if (sscanf(line, "%lx-%lx ", &begin, &end) == 2)
            ours = begin == (unsigned long)(uintptr_t)file->data;
        else if (ours && sscanf(line, "Rss: %zu", &kilobytes) == 1)
            break;
    }
    fclose(maps);
    return kilobytes << 10;
}

static void touch(const uint8_t *data, size_t size)
{
    for (size_t i = 0; i < size; i++)
        (void)*(const volatile uint8_t *)(data + i);
}

static void test_bounded(void **state)
{
    (void)state;
    static const size_t steps[] = {64, 4096, 70000, 1 << 20, SIZE};
    uint8_t *data = noise(SIZE);
    struct file *file = open_saved("in", data, SIZE);
    touch(file->data, SIZE);
    assert_true(resident(file) >= SIZE);
    pages_read(&(struct pages){0}, NULL, data, SIZE);
    for (size_t i = 0; i < COUNT(steps); i++) {
        struct pages pages = {0};
        size_t most = steps[i] == SIZE ? SIZE : 2 << 20;
        madvise((void *)(uintptr_t)file->data, SIZE, MADV_DONTNEED);
        for (size_t at = 0, n; at < SIZE; at += n) {
            n = SIZE - at < steps[i] ? SIZE - at : steps[i];
            pages_read(&pages, file, file->data + at, n);
            assert_memory_equal(file->data + at, data + at, n);
            if (at % (1 << 18) < n)
                assert_true(resident(file) <= most + 4096);
        }
        pages_end(&pages);
        assert_int_equal(resident(file), 0);
        pages_end(&pages);
    }
    file_close(file);
}

/* Pieces in any order, of two files: all of them are read as they are. */
static void test_any_order(void **state)
{
    (void)state;
    uint8_t *data[2];
    struct file *files[2];
    struct pages pages = {0};
    for (int i = 0; i < 2; i++) {
        data[i] = noise(SIZE);
        files[i] = open_saved(i ? "b" : "a", data[i], SIZE);
    }
    for (int i = 0; i < 2000; i++) {
        uint64_t k = random_below(2), at = random_below(SIZE);
        size_t n = random_below(SIZE - at < 5000 ? SIZE - at : 5000);
        pages_read(&pages, files[k], files[k]->data + at, n);
        assert_memory_equal(files[k]->data + at, data[k] + at, n);
        if (i % 100 == 0)
            pages_keep(&pages);
    }
    pages_end(&pages);
    for (int i = 0; i < 2; i++) {
        assert_memory_equal(files[i]->data, data[i], SIZE);
        file_close(files[i]);
    }
}

static void test_keep_and_bring_in(void **state)
{
    (void)state;
    struct pages pages = {0};
    uint8_t *data = noise(SIZE);
    struct file *file = open_saved("in", data, SIZE);
    pages_bring_in(file, file->data, 0);
    assert_int_equal(resident(file), 0);
    pages_bring_in(NULL, data, SIZE);
    pages_bring_in(file, file->data + 5, SIZE - 5);
    assert_true(resident(file) >= SIZE);
    pages_read(&pages, file, file->data, SIZE);
    pages_keep(&pages);
    pages_end(&pages);
    assert_true(resident(file) >= SIZE);
    file_close(file);
}

/* What is no mapping would be lost. */
static void test_memory(void **state)
{
    (void)state;
    struct pages pages = {0};
    uint8_t *data = noise(SIZE), *copy = hold(SIZE);
    memcpy(copy, data, SIZE);
    const struct file memory = {.data = copy, .size = SIZE, .fd = -1};
    pages_read(&pages, &memory, copy, SIZE);
    pages_end(&pages);
    assert_memory_equal(copy, data, SIZE);
}

static void test_equal(void **state)
{
    (void)state;
    uint8_t *data = noise(SIZE);
    struct file *a = open_saved("a", data, SIZE), *b = open_saved("b", data, SIZE);
    assert_true(pages_equal(a, a->data, b, b->data, SIZE));
    assert_true(pages_equal(a, a->data, NULL, data, SIZE));
    assert_true(pages_equal(a, a->data, b, b->data, 0));
    assert_int_equal(resident(a), 0);
    data[SIZE - 1] ^= 1;
    assert_false(pages_equal(a, a->data, NULL, data, SIZE));
    data[0] ^= 1;
    assert_false(pages_equal(NULL, data, b, b->data, SIZE));
    assert_int_equal(resident(b), 0);
    file_close(a);
    file_close(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_bounded), TEST(test_any_order), TEST(test_keep_and_bring_in),
        TEST(test_memory),  TEST(test_equal),
    };
    return RUN(tests);
}

/* Tests of gzip: data survive both ways, damage is reported, and equal input gives equal
 * bytes. */
#include "core/gzip.h"
#include "core/file.h"
#include "support.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

enum { SIZE = 300000 };

/* Makes data of which one half compresses well and the other does not. */
static uint8_t *contents(void)
{
    uint8_t *data = hold(SIZE);
    for (size_t i = 0; i < SIZE; i++)
        data[i] = (uint8_t)(i < SIZE / 2 ? i / 1000 : random_below(256));
    return data;
}

/* Writes one gzip member with zlib. */
static struct bytes compress_member(const void *data, size_t size)
{
    z_stream z = {0};
    struct bytes bytes = {hold(size + 1000), 0};
    assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY),
                     Z_OK);
    z.next_in = (Bytef *)(uintptr_t)data;
    z.avail_in = (uInt)size;
    z.next_out = bytes.data;
    z.avail_out = (uInt)size + 1000;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    bytes.size = z.total_out;
    deflateEnd(&z);
    return bytes;
}

static bool inflate_file(const char *path, struct bytes *out, struct error *err)
{
    const char *to = temp_path("inflated");
    int in = open(path, O_RDONLY), fd = open(to, O_RDWR | O_CREAT | O_TRUNC, 0600);
    int files = open_files();
    bool ok = gzip_inflate(in, fd, path, UINT64_MAX, NULL, err);
    assert_int_equal(open_files(),
                     files); /* both are still open, and no other descriptor is */
    close(in);
    close(fd);
    *out = load(to);
    return ok;
}

static void test_inflate(void **state)
{
    (void)state;
    struct error err = {0};
    struct bytes out;
    uint8_t *data = contents();
    struct bytes packed = compress_member(data, SIZE);
    assert_true(inflate_file(save("a.gz", packed.data, packed.size), &out, &err));
    assert_fine(&err);
    assert_int_equal(out.size, SIZE);
    assert_memory_equal(out.data, data, SIZE);
}

/* Several members, as from `cat a.gz b.gz`. One of them is empty. */
static void test_members(void **state)
{
    (void)state;
    struct error err = {0};
    struct bytes out, parts[3] = {compress_member("first ", 6), compress_member("", 0),
                                  compress_member("second", 6)};
    struct bytes all = {hold(1000), 0};
    for (size_t i = 0; i < COUNT(parts); i++) {
        memcpy(all.data + all.size, parts[i].data, parts[i].size);
        all.size += parts[i].size;
    }
    assert_true(inflate_file(save("all.gz", all.data, all.size), &out, &err));
    assert_int_equal(out.size, 12);
    assert_memory_equal(out.data, "first second", 12);
}

static void test_damaged(void **state)
{
    (void)state;
    uint8_t *data = contents();
    struct bytes packed = compress_member(data, SIZE), out;
    const size_t cuts[] = {
        2, 5, 10, 11, 100, packed.size / 2, packed.size - 8, packed.size - 1};
    for (size_t i = 0; i < COUNT(cuts); i++) {
        struct error err = {0};
        assert_false(inflate_file(save("cut.gz", packed.data, cuts[i]), &out, &err));
        assert_failed(&err, STATUS_MALFORMED, "gzip");
        assert_non_null(strstr(err.message, "cut.gz"));
    }
    const size_t flips[] = {3, 20, packed.size / 2, packed.size - 6, packed.size - 2};
    for (size_t i = 0; i < COUNT(flips); i++) {
        struct error err = {0};
        packed.data[flips[i]] ^= 0xff;
        assert_false(inflate_file(save("bad.gz", packed.data, packed.size), &out, &err));
        assert_failed(&err, STATUS_MALFORMED, "gzip");
        packed.data[flips[i]] ^= 0xff;
    }
}

/* file_open inflates any file that begins like gzip, whatever its name. */
static void test_open(void **state)
{
    (void)state;
    struct error err = {0};
    struct bytes packed = compress_member("model", 5);
    struct file *file = file_open(save("m.onnx", packed.data, packed.size), NULL, &err);
    assert_fine(&err);
    assert_int_equal(file->size, 5);
    assert_memory_equal(file->data, "model", 5);
    file_close(file);
    int before = open_files();
    assert_null(file_open(save("cut", packed.data, packed.size - 3), NULL, &err));
    assert_failed(&err, STATUS_MALFORMED, "gzip");
    assert_int_equal(open_files(), before);
}

static void test_deflate(void **state)
{
    (void)state;
    struct bytes results[2], out;
    uint8_t *data = contents();
    int in = open(save("in", data, SIZE), O_RDONLY);
    for (int i = 0; i < 2; i++) {
        struct error err = {0};
        const char *to = temp_path(hold_printf("out-%d", i));
        int fd = open(to, O_RDWR | O_CREAT, 0600);
        assert_true(gzip_deflate(in, fd, to, NULL,
                                 &err)); /* `in` is read from its start each time */
        close(fd);
        results[i] = load(to);
        assert_true(inflate_file(to, &out, &err));
        assert_int_equal(out.size, SIZE);
        assert_memory_equal(out.data, data, SIZE);
        if (i == 0)
            sleep(1); /* the time must not be stored */
    }
    close(in);
    assert_int_equal(results[0].size, results[1].size);
    assert_memory_equal(results[0].data, results[1].data, results[0].size);
    for (size_t i = 3; i < 8; i++) /* neither name nor time */
        assert_int_equal(results[0].data[i], 0);
}

static void test_cancel(void **state)
{
    (void)state;
    volatile int cancel = 1;
    struct bytes packed = compress_member("model", 5);
    int in = open(save("in", packed.data, packed.size), O_RDONLY);
    int out = open(temp_path("out"), O_RDWR | O_CREAT, 0600);
    struct error err = {0}, again = {0};
    assert_false(gzip_inflate(in, out, "in", UINT64_MAX, &cancel, &err));
    assert_int_equal(err.status, STATUS_CANCELLED);
    assert_false(gzip_deflate(in, out, "in", &cancel, &again));
    assert_int_equal(again.status, STATUS_CANCELLED);
    close(in);
    close(out);
}

/* /dev/full: the disk is full from the first byte on. */
static void test_disk_full(void **state)
{
    (void)state;
    struct error err = {0}, again = {0};
    uint8_t *data = contents();
    struct bytes packed = compress_member(data, SIZE);
    int full =
        open("/dev/full", O_WRONLY); /* only a descriptor: an output would replace it */
    if (full < 0)
        skip();
    int in = open(save("in", packed.data, packed.size), O_RDONLY);
    assert_false(gzip_deflate(in, full, "out", NULL, &err));
    assert_failed(&err, STATUS_WRITE, "No space left");
    assert_false(gzip_inflate(in, full, "in", UINT64_MAX, NULL, &again));
    assert_failed(&again, STATUS_WRITE, "No space left");
    close(in);
    close(full);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_inflate), TEST(test_members), TEST(test_damaged),   TEST(test_open),
        TEST(test_deflate), TEST(test_cancel),  TEST(test_disk_full),
    };
    return RUN(tests);
}

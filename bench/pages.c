/* Measures the part of the system in quantizing a file, without any arithmetic. It maps
 * every page of the file, touches it once and gives it back, and writes a part of the
 * bytes to another file. No quantizer that maps its input and writes its output can be
 * faster.
 *
 *     pages FILE OUT DIVISOR [PASSES]     writes 1/DIVISOR of the bytes of FILE */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PIECE = 1 << 20, PAGE = 4096, WRITTEN = 256 << 10 };

static void fail(const char *name)
{
    perror(name);
    exit(1);
}

static void touch_all(const char *name, size_t size, uint8_t *data)
{
    for (size_t at = 0; at < size; at += PIECE) {
        size_t part = size - at < PIECE ? size - at : PIECE;

        for (size_t i = 0; i < part; i += PAGE)
            (void)*(const volatile uint8_t *)(data + at + i);
        if (madvise(data + at, part, MADV_DONTNEED) != 0)
            fail(name);
    }
}

static void write_part(const char *name, size_t size)
{
    static uint8_t buffer[WRITTEN];
    int out = open(name, O_CREAT | O_TRUNC | O_WRONLY, 0666);

    for (size_t at = 0, part; out >= 0 && at < size; at += part) {
        part = size - at < WRITTEN ? size - at : WRITTEN;
        if (write(out, buffer, part) != (ssize_t)part)
            fail(name);
    }
    if (out < 0 || close(out) != 0)
        fail(name);
}

int main(int argc, char **argv)
{
    if (argc < 4 || argc > 5 || atoi(argv[3]) < 1) {
        fprintf(stderr, "usage: pages FILE OUT DIVISOR [PASSES]\n");
        return 2;
    }

    int in = open(argv[1], O_RDONLY), passes = argc == 5 ? atoi(argv[4]) : 1;
    struct stat status;

    if (in < 0 || fstat(in, &status) != 0)
        fail(argv[1]);
    size_t size = (size_t)status.st_size;
    uint8_t *data = mmap(NULL, size, PROT_READ, MAP_PRIVATE, in, 0);
    if (data == MAP_FAILED)
        fail(argv[1]);
    for (int i = 0; i < passes; i++)
        touch_all(argv[1], size, data);
    write_part(argv[2], size / (size_t)atoi(argv[3]));
    return munmap(data, size);
}

/* Throughput of quantization on one core, for each kernel table, layout, code
 * and source type: GB/s of float weights for fit, encode and pack together, with
 * plain reading beside it; millions of weights a second where scales are searched.
 * Measures in memory only; no files, no threads. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "quant/quant.h"

struct layout {
    const char *name;
    bool rows; /* groups lie along rows: the matrix is [n / 1024][1024] */
    size_t block;
};

static const struct layout layouts[] = {
    {"rows", true, 0},
    {"columns", false, 0},
    {"rows, block 32", true, 32},
    {"columns, block 32", false, 32},
    {"rows, block 128", true, 128},
    {"rows, block 2", true, 2},
};

static const struct setting {
    enum quant_type type;
    enum real_type source;
    enum quant_method method;
    bool mirrored;
} settings[] = {
    {QUANT_INT4, REAL_FLOAT32, QUANT_RTN, false},
    {QUANT_UINT4, REAL_FLOAT32, QUANT_RTN, false},
    {QUANT_INT8, REAL_FLOAT32, QUANT_RTN, false},
    {QUANT_INT4, REAL_FLOAT16, QUANT_RTN, false},
};

/* Of these, weights in the cache only. */
static const struct setting searches[] = {
    {QUANT_INT4, REAL_FLOAT32, QUANT_SEARCH, false},
    {QUANT_INT4, REAL_FLOAT32, QUANT_SEARCH, true},
    {QUANT_UINT4, REAL_FLOAT32, QUANT_SEARCH, false},
    {QUANT_INT8, REAL_FLOAT32, QUANT_SEARCH, false},
    {QUANT_INT4, REAL_FLOAT16, QUANT_SEARCH, false},
    {QUANT_INT4, REAL_FLOAT32, QUANT_EXACT, true},
    {QUANT_UINT4, REAL_FLOAT32, QUANT_EXACT, false},
};

enum {
    ROW = 1024,
    IN_CACHE = 96 * ROW,         /* elements: 384 KiB of float32 */
    IN_MEMORY = 48 * 1024 * ROW, /* 192 MiB */
    CHUNK = 64 * ROW,            /* elements encoded at a time, as a file is filled */
};

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void *allocate(size_t size)
{
    void *p = aligned_alloc(64, (size + 63) / 64 * 64);

    if (p == NULL) {
        fprintf(stderr, "kernels: out of memory\n");
        exit(1);
    }
    memset(p, 1, size); /* so that its pages are there */
    return p;
}

/* ---- reading -------------------------------------------------------- */

typedef uint64_t words __attribute__((vector_size(32), aligned(8), may_alias));

/* The sum of all words, four vectors at a time: AVX2 where the CPU has it. */
#if defined(__x86_64__)
__attribute__((target_clones("avx2", "default")))
#endif
static uint64_t
read_all(const void *data, size_t size)
{
    const words *v = data;
    words a = {0}, b = {0}, c = {0}, d = {0};

    for (size_t i = 0; i + 4 <= size / sizeof *v; i += 4) {
        a += v[i];
        b += v[i + 1];
        c += v[i + 2];
        d += v[i + 3];
    }
    a = (a + b) + (c + d);
    return a[0] + a[1] + a[2] + a[3];
}

/* ---- quantizing ----------------------------------------------------- */

struct job {
    const struct kernels *kernels;
    const struct layout *layout;
    struct setting setting;
    const void *data;
    size_t elements;
    float *scales;
    uint8_t *zeros, *codes; /* of all groups; of a chunk */
};

static struct quant_shape job_shape(const struct job *job, size_t elements)
{
    size_t rows = elements / ROW;
    bool along = job->layout->rows;
    size_t block = job->layout->block;

    if (block != 0)
        return along ? (struct quant_shape){rows, ROW, 1, block}
                     : (struct quant_shape){1, rows, ROW, block};
    return along ? (struct quant_shape){1, rows, ROW, 0}
                 : (struct quant_shape){rows, ROW, 1, 0};
}

/* One pass, as the program makes it: a chunk of whole groups is fitted, then
 * encoded and packed while it is in the cache. Groups that reach across all rows
 * are fitted first, in a pass of their own. */
static double job_pass(const struct job *job)
{
    bool across = !job->layout->rows && job->layout->block == 0;
    size_t step = across ? job->elements : CHUNK;
    const struct quant_type_info *type = quant_type_info(job->setting.type);
    struct quant_scheme scheme = {job->setting.type, type->symmetric, job->setting.method,
                                  REAL_FLOAT32, job->setting.mirrored};
    struct quant_error error = {0};

    for (size_t at = 0, n; at < job->elements; at += n) {
        n = job->elements - at < step ? job->elements - at : step;

        struct quant_shape shape = job_shape(job, n);
        struct quant_source source = {(const char *)job->data +
                                          at * real_size(job->setting.source),
                                      job->setting.source};
        size_t groups = quant_groups(&shape);
        size_t count = shape.block == 0 ? groups : groups / shape.inner;

        if (quant_fit(job->kernels, &scheme, source, &shape, 0, count, job->scales,
                      job->zeros) != QUANT_FIT_OK)
            exit(1);
        for (size_t from = 0; from < n; from += CHUNK) {
            size_t to = n - from < CHUNK ? n : from + CHUNK;

            quant_encode(job->kernels, &scheme, source, &shape, from, to, 0, job->scales,
                         job->zeros, job->codes, &error);
            if (type->bits == 4)
                quant_pack4(job->kernels, job->codes, to - from, job->codes);
        }
    }
    return error.noise;
}

static volatile double sink;

/* Bytes a second, the best of several passes within some 50 ms. */
static double job_speed(const struct job *job)
{
    double bytes = (double)(job->elements * real_size(job->setting.source));
    double start = now(), best = 1e9;

    do {
        double begin = now();

        sink = job_pass(job);
        if (now() - begin < best)
            best = now() - begin;
    } while (now() - start < 0.05);
    return bytes / best;
}

static double read_speed(const void *data, size_t size)
{
    double start = now(), best = 1e9;

    do {
        double begin = now();

        sink = (double)read_all(data, size);
        if (now() - begin < best)
            best = now() - begin;
    } while (now() - start < 0.05);
    return (double)size / best;
}

/* ---- the table ------------------------------------------------------ */

/* Weights of about the usual distribution: the sum of four uniform numbers. */
static void fill(void *data, enum real_type type, size_t n)
{
    char *out = data;
    uint32_t state = 1;

    for (size_t i = 0; i < n; i++) {
        float sum = 0;

        for (int k = 0; k < 4; k++) {
            state = state * 1664525u + 1013904223u;
            sum += (float)(state >> 8) * 0x1p-24f - 0.5f;
        }
        real_store(type, &sum, 1, out + i * real_size(type));
    }
}

static const char *const sources[] = {"float32", "float16", "bfloat16", "float64"};

static void print_row(const struct job *job)
{
    struct job small = *job;

    small.elements = IN_CACHE;
    printf("%-7s  %-18s %-6s %-8s %9.1f %9.1f\n", quant_kernels_name(job->kernels),
           job->layout->name, quant_type_info(job->setting.type)->name,
           sources[job->setting.source], job_speed(&small) / 1e9, job_speed(job) / 1e9);
}

static void print_search(const struct job *job)
{
    struct job small = *job;
    double size = (double)real_size(job->setting.source);

    small.elements = job->setting.method == QUANT_EXACT ? 4 * ROW : IN_CACHE;
    printf("%-7s  %-18s %-6s %-8s %-6s %-9s %8.1f\n", quant_kernels_name(job->kernels),
           job->layout->name, quant_type_info(job->setting.type)->name,
           sources[job->setting.source],
           job->setting.method == QUANT_EXACT ? "exact" : "search",
           job->setting.mirrored ? "mirrored" : "", job_speed(&small) / size / 1e6);
}

/* Rows of a table: each setting with each table of kernels and each layout. */
static void print_table(struct job *job, const struct setting *all, size_t count,
                        void (*print)(const struct job *job), void *data, size_t elements)
{
    static const char *const names[] = {"scalar", "avx2", "avx512"};

    for (size_t s = 0; s < count; s++) {
        job->setting = all[s];
        fill(data, job->setting.source, elements);
        for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
            job->kernels = quant_kernels(names[k]);
            for (size_t l = 0; job->kernels && l < sizeof layouts / sizeof *layouts;
                 l++) {
                job->layout = &layouts[l];
                print(job);
            }
        }
    }
}

int main(void)
{
    void *data = allocate((size_t)IN_MEMORY * sizeof(float));
    struct job job = {.data = data, .elements = IN_MEMORY};

    job.scales = allocate(IN_MEMORY / 2 * sizeof(float));
    job.zeros = allocate(IN_MEMORY / 2);
    job.codes = allocate(CHUNK);
    printf("GB/s of weights, as they are read                   in L2 in memory\n");
    printf("reading alone %44.1f %9.1f\n",
           read_speed(data, IN_CACHE * sizeof(float)) / 1e9,
           read_speed(data, (size_t)IN_MEMORY * sizeof(float)) / 1e9);
    print_table(&job, settings, sizeof settings / sizeof *settings, print_row, data,
                IN_MEMORY);
    printf("\nmillions of weights a second, in L2\n");
    print_table(&job, searches, sizeof searches / sizeof *searches, print_search, data,
                IN_CACHE);
    free(data);
    free(job.scales);
    free(job.zeros);
    free(job.codes);
    return 0;
}

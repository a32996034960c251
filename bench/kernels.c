/* Measures the throughput of quantization on one core, for each kernel table, layout,
 * granularity and type. It prints GB/s of weights for fit, encode and pack together, and
 * compares them with plain reading. It also prints millions of weights a second for each
 * method. It uses no files and no threads.
 *
 *     kernels [--only RE] [--json FILE] */
#include "quant/quant.h"

#include <getopt.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct layout {
    const char *name;
    bool rows; /* groups lie along rows: the matrix is [n / 1024][1024] */
    size_t block;
};

static const struct layout layouts[] = {
    {"rows", true, 0},
    {"rows, block 256", true, 256},
    {"rows, block 32", true, 32},
    {"columns", false, 0},
    {"columns, block 256", false, 256},
    {"columns, block 32", false, 32},
};

static const struct setting {
    enum quant_method method;
    enum quant_type type;
    enum real_type source;
    bool mirrored;
} settings[] = {
    {QUANT_RTN, QUANT_INT4, REAL_FLOAT32, false},
    {QUANT_RTN, QUANT_UINT4, REAL_FLOAT32, false},
    {QUANT_RTN, QUANT_INT8, REAL_FLOAT32, false},
    {QUANT_RTN, QUANT_INT4, REAL_FLOAT16, false},
    {QUANT_RTN, QUANT_INT4, REAL_BFLOAT16, false},
    {QUANT_SEARCH, QUANT_INT4, REAL_FLOAT32, false},
    {QUANT_SEARCH, QUANT_INT4, REAL_FLOAT32, true},
    {QUANT_SEARCH, QUANT_UINT4, REAL_FLOAT32, false},
    {QUANT_SEARCH, QUANT_INT8, REAL_FLOAT32, false},
    {QUANT_SEARCH, QUANT_INT4, REAL_FLOAT16, false},
    {QUANT_EXACT, QUANT_INT4, REAL_FLOAT32, true},
    {QUANT_EXACT, QUANT_UINT4, REAL_FLOAT32, false},
};

static const char *const methods[] = {"rtn", "search", "exact"};
static const char *const sources[] = {"float32", "float16", "bfloat16", "float64"};

enum {
    ROW = 1024,
    IN_CACHE = 128 * ROW,        /* elements: 512 KiB of float32 */
    IN_MEMORY = 24 * 1024 * ROW, /* 96 MiB */
    FEW = 4 * ROW,               /* for what is slow */
    CHUNK = 64 * ROW,            /* elements worked on at a time, as a file is filled */
};

/* The time of this thread only, so that other work on a busy machine does not count. */
static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
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

/* The sum of all words, four vectors at a time, with AVX2 if the CPU has it. */
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
    const struct setting *setting;
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

/* The number of elements that are fitted at a time. These are whole groups. */
static size_t job_step(const struct job *job)
{
    size_t block = job->layout->block;

    if (job->layout->rows)
        return CHUNK;
    if (block == 0)
        return job->elements;
    return block * ROW > CHUNK ? block * ROW : CHUNK;
}

/* One pass as the program makes it if no errors are wanted. A chunk of whole groups is
 * fitted, then encoded and packed while it is in the cache. Groups that span all rows are
 * fitted first, in a pass of their own. */
static void job_pass(const struct job *job)
{
    size_t step = job_step(job), size = real_size(job->setting->source);
    const struct quant_type_info *type = quant_type_info(job->setting->type);
    struct quant_scheme scheme = {.type = job->setting->type,
                                  .symmetric = type->symmetric,
                                  .method = job->setting->method,
                                  .scale_type = REAL_FLOAT32,
                                  .mirrored = job->setting->mirrored};

    for (size_t at = 0, n; at < job->elements; at += n) {
        n = job->elements - at < step ? job->elements - at : step;

        struct quant_shape shape = job_shape(job, n);
        struct quant_source source = {(const char *)job->data + at * size,
                                      job->setting->source};
        size_t groups = quant_groups(&shape);
        size_t count = shape.block == 0 ? groups : groups / shape.inner;

        if (quant_fit(job->kernels, &scheme, source, &shape, 0, count, job->scales,
                      job->zeros) != QUANT_FIT_OK)
            exit(1);
        for (size_t from = 0; from < n; from += CHUNK) {
            size_t to = n - from < CHUNK ? n : from + CHUNK;

            quant_encode(job->kernels, &scheme, source, &shape, from, to, 0, job->scales,
                         job->zeros, job->codes, NULL);
            if (type->bits == 4)
                quant_pack4(job->kernels, job->codes, to - from, job->codes);
        }
    }
}

static volatile uint64_t sink;

/* The seconds of a pass over some elements, and of reading them. Each is the best of
 * several runs. The runs alternate, so that a slow spell of the machine meets both. */
struct speed {
    double pass, reading;
};

static void best(double *seconds, double begin)
{
    double taken = now() - begin;

    if (*seconds == 0 || taken < *seconds)
        *seconds = taken;
}

static struct speed measure(const struct job *job, size_t elements, double least)
{
    double start = now();
    size_t size = elements * real_size(job->setting->source);
    struct job part = *job;
    struct speed speed = {0};

    part.elements = elements;
    do {
        double begin = now();

        job_pass(&part);
        best(&speed.pass, begin);
        begin = now();
        sink = read_all(job->data, size);
        best(&speed.reading, begin);
    } while (now() - start < least);
    return speed;
}

/* ---- the table ------------------------------------------------------ */

/* Weights with about the usual distribution: sums of four uniform numbers. */
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

static void put_json(FILE *json, const struct job *job, double cached,
                     const struct speed *memory)
{
    const struct setting *s = job->setting;

    fprintf(json,
            "%s\n {\"kernels\": \"%s\", \"method\": \"%s\", \"mirrored\": %s, "
            "\"layout\": \"%s\", \"block\": %zu, \"type\": \"%s\", \"source\": \"%s\", "
            "\"cached_weights_per_second\": %.4g",
            ftell(json) > 1 ? "," : "", quant_kernels_name(job->kernels),
            methods[s->method], s->mirrored ? "true" : "false",
            job->layout->rows ? "rows" : "columns", job->layout->block,
            quant_type_info(s->type)->name, sources[s->source], cached);
    if (memory->pass > 0)
        fprintf(json,
                ", \"memory_weights_per_second\": %.4g, "
                "\"reading_bytes_per_second\": %.4g, \"share_of_reading\": %.3f",
                IN_MEMORY / memory->pass,
                (double)IN_MEMORY * (double)real_size(s->source) / memory->reading,
                memory->reading / memory->pass);
    fprintf(json, "}");
}

/* What to print. */
struct output {
    regex_t only; /* rows whose names match */
    FILE *json;   /* or NULL */
};

enum { NAME = 80 };

static void row_name(const struct job *job, char name[NAME])
{
    const struct setting *s = job->setting;

    snprintf(name, NAME, "%-7s %-6s %-18s %-5s %-8s %-8s",
             quant_kernels_name(job->kernels), methods[s->method], job->layout->name,
             quant_type_info(s->type)->name, sources[s->source],
             s->mirrored ? "mirrored" : "");
}

/* Prints one row. Only round to nearest is nearly as fast as reading, so other methods
 * are measured in the cache. */
static void print_row(const struct output *output, const struct job *job)
{
    char name[NAME];

    row_name(job, name);
    if (regexec(&output->only, name, 0, NULL, 0) != 0)
        return;

    const struct setting *s = job->setting;
    size_t few = s->method == QUANT_EXACT ? FEW : IN_CACHE;
    double cached = (double)few / measure(job, few, 0.03).pass;
    double bytes = (double)IN_MEMORY * (double)real_size(s->source) / 1e9;
    struct speed memory = {0};

    printf("%s %9.1f", name, cached / 1e6);
    if (s->method == QUANT_RTN) {
        memory = measure(job, IN_MEMORY, 0.15);
        printf("%11.1f%9.1f%9.1f%7.0f %%", IN_MEMORY / memory.pass / 1e6,
               bytes / memory.pass, bytes / memory.reading,
               100 * memory.reading / memory.pass);
    }
    printf("\n");
    fflush(stdout);
    if (output->json)
        put_json(output->json, job, cached, &memory);
}

static void print_all(const struct output *output, struct job *job, void *data)
{
    static const char *const names[] = {"scalar", "avx2", "avx512"};

    for (size_t s = 0; s < sizeof settings / sizeof *settings; s++) {
        job->setting = &settings[s];
        fill(data, job->setting->source, IN_MEMORY);
        for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
            job->kernels = quant_kernels(names[k]);
            for (size_t l = 0; job->kernels && l < sizeof layouts / sizeof *layouts;
                 l++) {
                job->layout = &layouts[l];
                print_row(output, job);
            }
        }
    }
}

static int usage(void)
{
    fprintf(stderr, "usage: kernels [--only RE] [--json FILE]\n");
    return 2;
}

static bool read_options(int argc, char **argv, struct output *output)
{
    static const struct option known[] = {{"only", required_argument, NULL, 'o'},
                                          {"json", required_argument, NULL, 'j'},
                                          {NULL, 0, NULL, 0}};
    const char *only = "", *json = NULL;
    int option;

    while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
        if (option == '?')
            return false;
        *(option == 'o' ? &only : &json) = optarg;
    }
    if (optind != argc || regcomp(&output->only, only, REG_EXTENDED | REG_NOSUB) != 0)
        return false;
    if (json && (output->json = fopen(json, "w")) == NULL) {
        perror(json);
        exit(1);
    }
    return true;
}

int main(int argc, char **argv)
{
    struct output output = {0};

    if (!read_options(argc, argv, &output))
        return usage();

    void *data = allocate((size_t)IN_MEMORY * sizeof(float));
    struct job job = {.data = data};

    job.scales = allocate(IN_MEMORY / 32 * sizeof(float));
    job.zeros = allocate(IN_MEMORY / 32);
    job.codes = allocate(CHUNK);
    printf(
        "Millions of weights a second, in the second-level cache and in memory; the\n"
        "latter as GB/s, those of plain reading, and the share.\n\n%-58s%9s%11s%9s%9s\n",
        "", "in L2", "in memory", "GB/s", "reading");
    if (output.json)
        fprintf(output.json, "[");
    print_all(&output, &job, data);
    if (output.json && (fprintf(output.json, "\n]\n") < 0 || fclose(output.json) != 0)) {
        perror("kernels: cannot write the JSON file");
        return 1;
    }
    regfree(&output.only);
    free(data);
    free(job.scales);
    free(job.zeros);
    free(job.codes);
    return 0;
}

/* Damages models and gives them to the target of the whole pipeline, without libFuzzer:
 *
 *     fuzz-damage COUNT SEED FOLDER
 *
 * Each file in FOLDER is a model behind the options of fuzz_quantize.c. That target
 * judges each result, and here they are counted. The seed of a round is SEED plus its
 * number. */
#include "fuzz.h"

#include <ftw.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MODELS = 200, ROOM = 1 << 16, STEP = 1000, SECONDS = 60 };

static struct {
    uint8_t *data;
    size_t size;
} models[MODELS];
static size_t models_count;

static uint64_t state;

static uint64_t random_bits(void) /* splitmix64 */
{
    uint64_t z = state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static size_t random_below(size_t n)
{
    return n ? (size_t)(random_bits() % n) : 0;
}

static int add_model(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)ftw;
    if (type != FTW_F || st->st_size > ROOM || st->st_size <= FUZZ_OPTION_BYTES ||
        models_count == MODELS)
        return 0;
    size_t size = (size_t)st->st_size;
    FILE *file = fopen(path, "rb");
    uint8_t *data = malloc(size + 1);
    if (!file || !data || fread(data, 1, size, file) != size)
        fuzz_found("a model can't be read");
    fclose(file);
    models[models_count].data = data;
    models[models_count++].size = size;
    return 0;
}

/* ---- damage ------------------------------------------------------------------- */

/* Each takes a place, and returns the new size. There is room for twice the bytes. */

static size_t flip(uint8_t *data, size_t size, size_t at)
{
    data[at] ^= (uint8_t)(1u << random_below(8));
    return size;
}

static size_t replace(uint8_t *data, size_t size, size_t at)
{
    static const uint8_t bytes[] = {0, 1, 0x7f, 0x80, 0xff, 0x0a, 0x0b, 0x12, 0x4a};
    data[at] = bytes[random_below(sizeof bytes)];
    return size;
}

/* Numbers as long as they can be. */
static size_t overwrite(uint8_t *data, size_t size, size_t at)
{
    size_t length = 1 + random_below(10);
    for (size_t i = at; i < size && i < at + length; i++)
        data[i] = (uint8_t)(i + 1 < at + length ? 0xff : 0x01);
    return size;
}

static size_t repeat(uint8_t *data, size_t size, size_t at)
{
    size_t length = 1 + random_below(200);
    length = length < size - at ? length : size - at;
    memmove(data + at + length, data + at, size - at);
    return size + length;
}

static size_t cut_out(uint8_t *data, size_t size, size_t at)
{
    size_t length = 1 + random_below(50);
    length = length < size - at ? length : size - at;
    memmove(data + at, data + at + length, size - at - length);
    return size - length;
}

static size_t exchange(uint8_t *data, size_t size, size_t at)
{
    uint8_t some[64];
    size_t from = random_below(size), length = 1 + random_below(sizeof some);
    length = length < size - at ? length : size - at;
    length = length < size - from ? length : size - from;
    memcpy(some, data + from, length);
    memmove(data + from, data + at, length);
    memcpy(data + at, some, length);
    return size;
}

static size_t truncate_there(uint8_t *data, size_t size, size_t at)
{
    (void)data;
    (void)size;
    return at;
}

static size_t (*const ways[])(uint8_t *, size_t, size_t) = {
    flip,      flip,    flip,    replace,  replace,  overwrite,
    overwrite, cut_out, cut_out, exchange, exchange, truncate_there};

static size_t damage(uint8_t *data, size_t size, size_t room)
{
    size_t times = (size_t)1 << random_below(3);
    for (size_t i = 0; i < times && size > 0; i++) {
        size_t at = random_below(size);
        if (random_below(12) == 0 && 2 * size < room)
            size = repeat(data, size, at);
        else
            size = ways[random_below(sizeof ways / sizeof *ways)](data, size, at);
    }
    return size;
}

/* ---- rounds -------------------------------------------------------------------- */

/* By enum nibble_status. */
static const char *const results[] = {"done",        "wrong options", "not read",
                                      "not written", "malformed",     "unsupported",
                                      "too large",   "cancelled"};
enum { RESULTS = sizeof results / sizeof *results };
static uint64_t counts[RESULTS];

static void print_counts(uint64_t rounds, uint64_t changed)
{
    printf("%" PRIu64 " models, %" PRIu64 " damaged", rounds, changed);
    for (size_t i = 0; i < RESULTS; i++)
        if (counts[i] > 0)
            printf(", %" PRIu64 " %s", counts[i], results[i]);
    printf("\n");
    fflush(stdout);
}

/* Most options are those of the model: random ones mostly contradict each other. */
static void run_round(size_t m, uint64_t *changed)
{
    static uint8_t data[4 * ROOM];
    uint8_t *model = data + FUZZ_OPTION_BYTES;
    size_t old = models[m].size, size = old - FUZZ_OPTION_BYTES;
    memcpy(data, models[m].data, old);
    if (random_below(2) == 0)
        data[random_below(FUZZ_OPTION_BYTES)] = (uint8_t)random_bits();
    size = damage(model, size, 2 * ROOM);
    *changed += size != old - FUZZ_OPTION_BYTES ||
                memcmp(model, models[m].data + FUZZ_OPTION_BYTES, size) != 0;
    alarm(SECONDS); /* a model that takes longer ends the process */
    counts[fuzz_quantize(data, FUZZ_OPTION_BYTES + size) % RESULTS]++;
    alarm(0);
}

int main(int argc, char **argv)
{
    if (argc != 4 || nftw(argv[3], add_model, 16, FTW_PHYS) != 0 || models_count == 0) {
        fprintf(stderr, "fuzz-damage COUNT SEED FOLDER\n");
        return 2;
    }
    uint64_t rounds = strtoull(argv[1], NULL, 0), seed = strtoull(argv[2], NULL, 0);
    uint64_t changed = 0;
    for (uint64_t i = 0; i < rounds; i++) {
        state = seed + i; /* each round can be made alone */
        run_round(random_below(models_count), &changed);
        if ((i + 1) % STEP == 0 || i + 1 == rounds)
            print_counts(i + 1, changed);
    }
    return 0;
}

/* Support for the tests of quant/: random numbers with a printed seed, buffers right
 * beside unmapped pages, and weights of any type. Each test program includes it once. Set
 * NIBBLE_SEED in the environment to repeat a run. */
#ifndef NIBBLE_TESTS_QUANT_QUANT_SUPPORT_H
#define NIBBLE_TESTS_QUANT_QUANT_SUPPORT_H

#include "quant/kernels/kernels.h"
#include "quant/quant.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

/* With sanitizers one case in FEWER is enough: they look for faults of memory, and all
 * cases run without them. */
#if defined(__SANITIZE_ADDRESS__)
enum { FEWER = 4 };
#else
enum { FEWER = 1 };
#endif

#define INLINE static inline __attribute__((unused))

#define LENGTH(array) (sizeof(array) / sizeof *(array))

/* ---- random numbers ------------------------------------------------- */

static uint64_t random_state;

INLINE int random_setup(void **state)
{
    const char *text = getenv("NIBBLE_SEED");
    uint64_t seed = text ? strtoull(text, NULL, 0) : (uint64_t)time(NULL);
    (void)state;
    random_state = seed;
    print_message("NIBBLE_SEED=%llu\n", (unsigned long long)seed);
    return 0;
}

INLINE uint64_t random_bits(void) /* splitmix64 */
{
    uint64_t z = random_state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

INLINE size_t random_below(size_t n)
{
    return (size_t)(random_bits() % n);
}

INLINE double random_unit(void) /* in (0, 1) */
{
    return ((double)(random_bits() >> 11) + 0.5) * 0x1p-53;
}

INLINE double random_normal(void)
{
    return sqrt(-2 * log(random_unit())) * cos(6.283185307179586 * random_unit());
}

/* Kinds of weights, from tame to hostile. All of them are finite. */
enum weight_kind {
    KIND_NORMAL,
    KIND_TIES,  /* multiples of a half */
    KIND_TINY,  /* subnormal in float32 */
    KIND_SMALL, /* about 1e-38 */
    KIND_HUGE,  /* up to 3e38 */
    KIND_BITS,  /* any finite bit pattern */
    KIND_ZERO,
    KIND_POSITIVE,
    KIND_MIXED, /* neighbouring elements come in groups of different kinds */
    KINDS
};

INLINE float random_value(enum weight_kind kind)
{
    union {
        uint32_t bits;
        float value;
    } any;
    switch (kind) {
    case KIND_TIES:
        return (float)random_below(31) * 0.5f - 7.5f;
    case KIND_TINY:
        return (float)random_normal() * 1e-40f;
    case KIND_SMALL:
        return (float)(random_normal() * 1e-38);
    case KIND_HUGE:
        return (float)((random_unit() - 0.5) * 6e38);
    case KIND_BITS:
        do {
            any.bits = (uint32_t)random_bits();
        } while (!isfinite(any.value));
        return any.value;
    case KIND_ZERO:
        return random_below(2) ? 0.0f : -0.0f;
    case KIND_POSITIVE:
        return (float)random_unit() + 0.25f;
    default:
        return (float)random_normal();
    }
}

INLINE void random_fill(float_u *x, size_t n, enum weight_kind kind)
{
    enum weight_kind now = kind;
    for (size_t i = 0; i < n; i++) {
        if (kind == KIND_MIXED && random_below(16) == 0)
            now = (enum weight_kind)random_below(KIND_MIXED);
        x[i] = random_value(now);
    }
}

/* ---- guarded memory ------------------------------------------------- */

struct guarded {
    void *map;
    size_t map_size;
    unsigned char *data;
};

/* `size` bytes that end `slack` bytes before an unmapped page, or begin `slack`
 * bytes after one. NIBBLE_ROOM in the environment is room behind them: an emulator may
 * read lanes that an instruction leaves out. */
INLINE struct guarded guarded_make(size_t size, bool at_end, size_t slack)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    const char *room = getenv("NIBBLE_ROOM");
    size_t behind = room ? strtoull(room, NULL, 0) : 0;
    size_t inside = (size + slack + behind + page - 1) / page * page;
    struct guarded g = {.map_size = inside + 2 * page};
    g.map = mmap(NULL, g.map_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                 -1, 0);
    assert_true(g.map != MAP_FAILED);
    unsigned char *bytes = g.map;
    assert_int_equal(mprotect(bytes, page, PROT_NONE), 0);
    assert_int_equal(mprotect(bytes + page + inside, page, PROT_NONE), 0);
    g.data =
        at_end ? bytes + page + inside - behind - slack - size : bytes + page + slack;
    return g;
}

INLINE void guarded_free(struct guarded *g)
{
    munmap(g->map, g->map_size);
}

/* Where a test puts its numbers: right at either end of the buffer, or a few bytes
 * away. */
struct placement {
    bool at_end;
    size_t slack;
};

static const struct placement placements[] = {
    {true, 0},  {true, 1},  {true, 2},  {true, 3},
    {false, 0}, {false, 1}, {false, 2}, {false, 3},
};

/* Lengths to test: 0..70, and a few large ones. */
static const size_t large[] = {95, 127, 128, 129, 255, 1000, 1023, 4095, 4096};
enum { LENGTHS = 71 + LENGTH(large) };

INLINE size_t length_at(size_t i)
{
    return i <= 70 ? i : large[i - 71];
}

/* ---- weights -------------------------------------------------------- */

/* Returns the index of the first of n bytes that differs, or n. */
INLINE size_t first_difference(const void *a, const void *b, size_t n)
{
    const unsigned char *x = a, *y = b;
    size_t i = 0;
    while (i < n && x[i] == y[i])
        i++;
    return i;
}

/* Converts element i of a source to float32, by the definition of its type. */
INLINE float source_value(struct quant_source source, size_t i)
{
    const unsigned char *at =
        (const unsigned char *)source.data + i * real_size(source.type);
    uint16_t half;
    float single;
    double wide;
    int exponent, fraction;
    switch (source.type) {
    case REAL_FLOAT32:
        memcpy(&single, at, sizeof single);
        return single;
    case REAL_FLOAT64:
        memcpy(&wide, at, sizeof wide);
        return (float)wide;
    case REAL_BFLOAT16:
        memcpy(&half, at, sizeof half);
        exponent = half >> 7 & 0xff;
        fraction = half & 0x7f;
        wide =
            exponent == 0 ? ldexp(fraction, -133) : ldexp(fraction + 128, exponent - 134);
        wide = exponent == 255 ? (fraction ? (double)NAN : (double)INFINITY) : wide;
        break;
    default:
        memcpy(&half, at, sizeof half);
        exponent = half >> 10 & 0x1f;
        fraction = half & 0x3ff;
        wide =
            exponent == 0 ? ldexp(fraction, -24) : ldexp(fraction + 1024, exponent - 25);
        wide = exponent == 31 ? (fraction ? (double)NAN : (double)INFINITY) : wide;
        break;
    }
    return (float)(half & 0x8000 ? -wide : wide);
}

INLINE size_t blocks_in(const struct quant_shape *s)
{
    return (s->dim + s->block - 1) / s->block;
}

/* Returns the number of an element's group, by the definition. */
INLINE size_t group_of(const struct quant_shape *s, size_t element)
{
    size_t i = element % s->inner, d = element / s->inner % s->dim,
           o = element / s->inner / s->dim;
    return s->block == 0 ? d : (o * blocks_in(s) + d / s->block) * s->inner + i;
}

/* Lists the kernels other than scalar that this CPU can run. */
INLINE size_t other_kernels(const struct kernels **out)
{
    static const char *const names[] = {"avx2", "avx512"};
    size_t n = 0;
    for (size_t i = 0; i < LENGTH(names); i++) {
        const struct kernels *kernels = quant_kernels(names[i]);
        if (kernels != NULL)
            out[n++] = kernels;
        else
            print_message("no %s here: not tested\n", names[i]);
    }
    return n;
}

#endif

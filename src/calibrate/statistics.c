/* Statistics: sums in double. Each site's are added to by one thread, run after run, so
 * they do not depend on the number of threads. */
#include "calibrate/statistics.h"
#include "core/arena.h"
#include "solve/triangle.h"

#include <stdlib.h>
#include <string.h>

bool statistics_make(struct statistics *s, struct error *err)
{
    *s = (struct statistics){.arena = arena_create(ARENA_NO_CAP)};
    return s->arena || error_memory(err);
}

void statistics_free(struct statistics *s)
{
    for (size_t i = 0; i < s->count; i++) {
        free(s->list[i]->second);
        free(s->list[i]->first);
        free(s->list[i]->cross);
        free(s->list[i]->target);
    }
    free(s->list);
    map_free(&s->by_key);
    arena_destroy(s->arena);
    *s = (struct statistics){0};
}

static struct sums *append(struct statistics *s, const char *key)
{
    if (s->count == s->room) {
        size_t bigger = s->room ? s->room * 2 : 64;
        struct sums **grown = realloc(s->list, bigger * sizeof *grown);
        if (!grown)
            return NULL;
        s->list = grown;
        s->room = bigger;
    }
    struct sums *sums = arena_alloc(s->arena, sizeof *sums);
    if (!sums || !(sums->key = arena_string(s->arena, key)) ||
        !map_put(&s->by_key, sums->key, sums))
        return NULL;
    return s->list[s->count++] = sums;
}

struct sums *statistics_enter(struct statistics *s, const char *key, size_t groups,
                              size_t inputs, struct error *err)
{
    struct sums *sums = map_get(&s->by_key, key);
    if (sums) {
        if (sums->groups == groups && sums->inputs == inputs)
            return sums;
        error_set(err, STATUS_MALFORMED,
                  "calibration: '%s' has %zu groups of %zu inputs, and %zu of %zu", key,
                  sums->groups, sums->inputs, groups, inputs);
        return NULL;
    }
    sums = append(s, key);
    if (!sums) {
        error_memory(err);
        return NULL;
    }
    sums->groups = groups;
    sums->inputs = inputs;
    return sums;
}

const struct sums *statistics_find(const struct statistics *s, const char *key)
{
    return map_get(&s->by_key, key);
}

/* ---- sums -------------------------------------------------------------- */

bool sums_begin(struct sums *sums, struct error *err)
{
    size_t firsts, seconds, square;
    if (sums->second)
        return true;
    if (__builtin_mul_overflow(sums->inputs, sums->inputs, &square) ||
        __builtin_mul_overflow(sums->groups, sums->inputs, &firsts) ||
        __builtin_mul_overflow(sums->groups, square, &seconds))
        return error_memory(err);
    seconds = sums->groups * triangle_size(sums->inputs);
    sums->first = calloc(firsts, sizeof *sums->first);
    sums->second = sums->first ? calloc(seconds, sizeof *sums->second) : NULL;
    return sums->second || error_memory(err);
}

/* Rows of all groups that are worked on at a time. */
static size_t piece_of(const struct rows *rows)
{
    enum { DOUBLES = 1 << 19, LEAST = 64, MOST = 512 };
    size_t piece = DOUBLES / (rows->site->groups * rows->site->inputs);
    piece = piece > LEAST ? piece : LEAST;
    piece = piece < MOST ? piece : MOST;
    return piece < rows->count ? piece : rows->count;
}

static void add_first(double *first, const double *x, size_t count, size_t n)
{
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < n; k++)
            first[k] += x[i * n + k];
}

/* Rows of all groups; of the float model, too, where t is not NULL. */
static void add_piece(const struct algebra *algebra, struct sums *sums, const double *t,
                      const double *x, size_t count)
{
    const size_t n = sums->inputs, size = triangle_size(n);
    for (size_t g = 0; g < sums->groups; g++, x += count * n) {
        algebra_gram(algebra, count, n, x, sums->second + g * size);
        add_first(sums->first + g * n, x, count, n);
        if (!t)
            continue;
        algebra_multiply(algebra, count, n, n, t, n, x, sums->cross + g * n * n);
        add_first(sums->target + g * n, t, count, n);
        t += count * n;
    }
}

static bool begin_pair(struct sums *sums, struct error *err)
{
    const size_t firsts = sums->groups * sums->inputs;
    if (!sums_begin(sums, err))
        return false;
    if (!sums->cross)
        sums->cross = calloc(firsts * sums->inputs, sizeof *sums->cross);
    if (!sums->target)
        sums->target = calloc(firsts, sizeof *sums->target);
    return (sums->cross && sums->target) || error_memory(err);
}

bool sums_add_pair(const struct algebra *algebra, struct sums *sums,
                   const struct rows *target, const struct rows *rows, struct error *err)
{
    size_t piece = piece_of(rows), size = sums->groups * piece * sums->inputs;
    if (rows->count == 0)
        return true;
    if (target ? !begin_pair(sums, err) : !sums_begin(sums, err))
        return false;
    double *x = malloc(size * sizeof *x), *t = target ? malloc(size * sizeof *t) : NULL;
    bool ok = x && (t || !target);
    for (size_t at = 0, n; ok && at < rows->count; at += n) {
        n = rows->count - at < piece ? rows->count - at : piece;
        rows_read(rows, at, n, x);
        if (target)
            rows_read(target, at, n, t);
        add_piece(algebra, sums, t, x, n);
    }
    free(x);
    free(t);
    sums->rows += ok ? (double)rows->count : 0;
    return ok || error_memory(err);
}

bool sums_add(const struct algebra *algebra, struct sums *sums, const struct rows *rows,
              struct error *err)
{
    return sums_add_pair(algebra, sums, NULL, rows, err);
}

bool sums_join(struct sums *sums, const struct sums *other, struct error *err)
{
    const size_t firsts = sums->groups * sums->inputs;
    const size_t seconds = sums->groups * triangle_size(sums->inputs);
    if (!other->second)
        return true;
    if (!sums_begin(sums, err))
        return false;
    for (size_t i = 0; i < firsts; i++)
        sums->first[i] += other->first[i];
    for (size_t i = 0; i < seconds; i++)
        sums->second[i] += other->second[i];
    sums->rows += other->rows;
    return true;
}

struct moments sums_moments(const struct sums *sums, size_t group)
{
    const size_t n = sums->inputs;
    return (struct moments){.inputs = n,
                            .rows = sums->rows,
                            .second = sums->second + group * triangle_size(n),
                            .first = sums->first + group * n,
                            .cross = sums->cross ? sums->cross + group * n * n : NULL,
                            .target = sums->target ? sums->target + group * n : NULL};
}

/* Statistics: sums in double. Each site's are added to by one thread, run after run, so
 * they do not depend on the number of threads. */
#include "calibrate/statistics.h"
#include "core/arena.h"

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
    size_t firsts, seconds;
    if (sums->second)
        return true;
    if (__builtin_mul_overflow(sums->groups, sums->inputs, &firsts) ||
        __builtin_mul_overflow(firsts, sums->inputs, &seconds))
        return error_memory(err);
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

static void add_piece(const struct algebra *algebra, struct sums *sums, const double *x,
                      size_t count)
{
    const size_t n = sums->inputs;
    for (size_t g = 0; g < sums->groups; g++, x += count * n) {
        double *first = sums->first + g * n;
        algebra_gram(algebra, count, n, x, sums->second + g * n * n);
        for (size_t i = 0; i < count; i++)
            for (size_t k = 0; k < n; k++)
                first[k] += x[i * n + k];
    }
}

bool sums_add(const struct algebra *algebra, struct sums *sums, const struct rows *rows,
              struct error *err)
{
    size_t piece = piece_of(rows);
    if (rows->count == 0)
        return true;
    double *x = malloc(sums->groups * piece * sums->inputs * sizeof *x);
    if (!x || !sums_begin(sums, err)) {
        free(x);
        return error_memory(err);
    }
    for (size_t at = 0, n; at < rows->count; at += n) {
        n = rows->count - at < piece ? rows->count - at : piece;
        rows_read(rows, at, n, x);
        add_piece(algebra, sums, x, n);
    }
    sums->rows += (double)rows->count;
    free(x);
    return true;
}

bool sums_join(struct sums *sums, const struct sums *other, struct error *err)
{
    const size_t firsts = sums->groups * sums->inputs, seconds = firsts * sums->inputs;
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

/* Sums depend on their order in the last bits. Codes should not. */
static double single(double value)
{
    return (double)(float)value;
}

struct moments sums_moments(const struct sums *sums, size_t group, double *covariance,
                            double *mean)
{
    const size_t n = sums->inputs;
    const double *first = sums->first + group * n, *second = sums->second + group * n * n;
    for (size_t i = 0; i < n; i++)
        mean[i] = single(first[i] / sums->rows);
    for (size_t i = 0; i < n; i++)
        for (size_t j = i; j < n; j++)
            covariance[i * n + j] =
                single(second[i * n + j] / sums->rows -
                       first[i] / sums->rows * (first[j] / sums->rows));
    return (struct moments){
        .inputs = n, .rows = sums->rows, .covariance = covariance, .mean = mean};
}

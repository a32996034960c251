/* Statistics as tensors. Covariances are in float32, as they are solved
 * (solve/moments.h). What is in double there decides scales and biases: these are the
 * same, whatever files the data are in. */
#include "calibrate/stats_file.h"
#include "calibrate/safetensors.h"
#include "core/arena.h"
#include "solve/triangle.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum part { ROWS, MEAN, VARIANCE, COVARIANCE, PARTS };

static const char *const suffixes[PARTS] = {".rows", ".mean", ".variance", ".covariance"};
static const char format[] = "nibble statistics 1";

/* Of elements, in a file. */
static size_t triangle(size_t n)
{
    return n % 2 ? (n + 1) / 2 * n : n / 2 * (n + 1);
}

/* ---- saving ------------------------------------------------------------ */

/* A piece of one tensor at a time: a row of a triangle, or a mean. */
struct saving {
    const struct sums **sums; /* those that have rows */
    double *row;
    float *values;
    double rows;
    size_t group, input; /* of the next row of a triangle */
};

/* Means or variances of one group. */
static const void *wide_piece(struct saving *s, const struct sums *sums, bool variance,
                              uint64_t offset, size_t *size)
{
    const size_t n = sums->inputs;
    const struct moments m = sums_moments(sums, offset / (n * sizeof *s->row));
    for (size_t k = 0; k < n; k++) {
        double mean = m.first[k] / m.rows;
        double square = m.second[triangle_row(n, k) + k] / m.rows;
        s->row[k] = variance ? square - mean * mean : mean;
    }
    *size = n * sizeof *s->row;
    return s->row;
}

static const void *covariance_piece(struct saving *s, const struct sums *sums,
                                    uint64_t offset, size_t *size)
{
    if (offset == 0)
        s->group = s->input = 0;
    const size_t count = sums->inputs - s->input;
    const struct moments moments = sums_moments(sums, s->group);
    moments_covariance(&moments, s->input, s->row);
    for (size_t k = 0; k < count; k++)
        s->values[k] = (float)s->row[k];
    *size = count * sizeof *s->values;
    if (++s->input == sums->inputs) {
        s->input = 0;
        s->group++;
    }
    return s->values;
}

static const void *piece(void *context, size_t index, uint64_t offset, size_t *size)
{
    struct saving *s = context;
    const struct sums *sums = s->sums[index / PARTS];
    switch ((enum part)(index % PARTS)) {
    case MEAN:
    case VARIANCE:
        return wide_piece(s, sums, index % PARTS == VARIANCE, offset, size);
    case COVARIANCE:
        return covariance_piece(s, sums, offset, size);
    default:
        *size = sizeof s->rows;
        s->rows = sums->rows;
        return &s->rows;
    }
}

static bool describe(struct arena *arena, const struct sums *sums,
                     struct file_tensor tensors[PARTS])
{
    const size_t dims[PARTS] = {1, sums->inputs, sums->inputs, triangle(sums->inputs)};
    for (enum part p = 0; p < PARTS; p++) {
        tensors[p] = (struct file_tensor){
            .name = arena_printf(arena, "%s%s", sums->key, suffixes[p]),
            .dtype = p == COVARIANCE ? TENSOR_F32 : TENSOR_F64,
            .dims = {p == ROWS ? 1 : sums->groups, dims[p]}};
        if (!tensors[p].name)
            return false;
    }
    return true;
}

bool stats_save(const char *path, const struct statistics *statistics, uint64_t identity,
                struct error *err)
{
    char model[20], runs[24];
    const char *const metadata[][2] = {
        {"format", format}, {"model", model}, {"runs", runs}};
    struct arena *arena = arena_create(ARENA_NO_CAP);
    struct saving s = {.sums = calloc(statistics->count + 1, sizeof *s.sums)};
    struct file_tensor *tensors = calloc(statistics->count * PARTS + 1, sizeof *tensors);
    size_t count = 0, longest = 1;
    snprintf(model, sizeof model, "%016" PRIx64, identity);
    snprintf(runs, sizeof runs, "%" PRIu64, statistics->runs);
    bool ok = arena && s.sums && tensors;
    for (size_t i = 0; ok && i < statistics->count; i++) {
        const struct sums *sums = statistics->list[i];
        if (!sums->second)
            continue;
        longest = sums->inputs > longest ? sums->inputs : longest;
        s.sums[count] = sums;
        ok = describe(arena, sums, tensors + PARTS * count++);
    }
    ok = ok && (s.row = malloc(longest * sizeof *s.row)) &&
         (s.values = malloc(longest * sizeof *s.values));
    ok = ok ? safetensors_write(path, metadata, sizeof metadata / sizeof *metadata,
                                tensors, count * PARTS, piece, &s, err)
            : error_memory(err);
    free(s.row);
    free(s.values);
    free(s.sums);
    free(tensors);
    arena_destroy(arena);
    return ok;
}

/* ---- loading ----------------------------------------------------------- */

static bool wrong(const struct safetensors *file, const char *name, const char *why,
                  struct error *err)
{
    return error_set(err, STATUS_MALFORMED, "%s: '%s' %s; collect the statistics again",
                     file->file->path, name, why);
}

/* The tensors of one site, found by its means. */
struct loaded {
    char *key;
    const struct file_tensor *parts[PARTS];
};

/* False without an error: the tensor is no mean. */
static bool find_parts(const struct safetensors *file, const struct file_tensor *mean,
                       struct loaded *site, struct error *err)
{
    size_t length = strlen(mean->name), suffix = strlen(suffixes[MEAN]);
    if (length <= suffix || strcmp(mean->name + length - suffix, suffixes[MEAN]) != 0)
        return false;
    site->key = malloc(length + 16);
    if (!site->key)
        return error_memory(err);
    for (enum part p = 0; p < PARTS; p++) {
        memcpy(site->key, mean->name, length - suffix);
        strcpy(site->key + length - suffix, suffixes[p]);
        site->parts[p] = safetensors_find(file, site->key);
    }
    site->key[length - suffix] = '\0';
    return true;
}

static bool all_finite(const struct safetensors *file, const struct file_tensor *t,
                       struct error *err)
{
    for (size_t i = 0; i < t->dims[0] * t->dims[1]; i++)
        if (!isfinite(file_tensor_value(t, i)))
            return wrong(file, t->name, "holds NaN or infinity", err);
    return true;
}

static bool check_site(const struct safetensors *file,
                       const struct statistics *statistics, const struct loaded *site,
                       struct error *err)
{
    const struct file_tensor *rows = site->parts[ROWS], *mean = site->parts[MEAN],
                             *variance = site->parts[VARIANCE],
                             *covariance = site->parts[COVARIANCE];
    if (!rows || !variance || !covariance || rows->dims[0] != 1 || rows->dims[1] != 1 ||
        mean->dims[0] == 0 || mean->dims[1] == 0 || mean->dims[1] > UINT32_MAX ||
        variance->dims[0] != mean->dims[0] || variance->dims[1] != mean->dims[1] ||
        covariance->dims[0] != mean->dims[0] ||
        covariance->dims[1] != triangle(mean->dims[1]))
        return wrong(file, site->key, "lacks a part, or its parts do not fit", err);
    if (!(file_tensor_value(rows, 0) >= 1))
        return wrong(file, site->key, "has no rows", err);
    const struct sums *sums = statistics_find(statistics, site->key);
    if (sums && (sums->groups != mean->dims[0] || sums->inputs != mean->dims[1]))
        return wrong(file, site->key, "has another shape than its weight wants", err);
    return all_finite(file, rows, err) && all_finite(file, mean, err) &&
           all_finite(file, variance, err) && all_finite(file, covariance, err);
}

static bool add_site(struct statistics *statistics, const struct loaded *site,
                     struct error *err)
{
    const struct file_tensor *mean = site->parts[MEAN];
    const size_t groups = mean->dims[0], n = mean->dims[1];
    const double rows = file_tensor_value(site->parts[ROWS], 0);
    struct sums *sums = statistics_enter(statistics, site->key, groups, n, err);
    if (!sums || !sums_begin(sums, err))
        return false;
    size_t at = 0;
    for (size_t i = 0; i < groups * n; i++) {
        double mean_i = file_tensor_value(mean, i), square;
        double *second = sums->second + i / n * triangle_size(n) + triangle_row(n, i % n);
        sums->first[i] += rows * mean_i;
        square = file_tensor_value(site->parts[VARIANCE], i) + mean_i * mean_i;
        second[i % n] += rows * square;
        at++; /* the diagonal again */
        for (size_t j = i % n + 1; j < n; j++)
            second[j] += rows * (file_tensor_value(site->parts[COVARIANCE], at++) +
                                 mean_i * file_tensor_value(mean, i - i % n + j));
    }
    sums->rows += rows;
    return true;
}

/* Each site, checked or added. */
static bool all_sites(const struct safetensors *file, struct statistics *statistics,
                      bool adding, struct error *err)
{
    bool ok = true;
    for (size_t i = 0; ok && i < file->count; i++) {
        struct loaded site = {0};
        if (find_parts(file, &file->tensors[i], &site, err))
            ok = adding ? add_site(statistics, &site, err)
                        : check_site(file, statistics, &site, err);
        ok = ok && err->status == STATUS_OK;
        free(site.key);
    }
    return ok;
}

static bool check_metadata(const struct safetensors *file, uint64_t identity,
                           struct error *err)
{
    char model[20];
    snprintf(model, sizeof model, "%016" PRIx64, identity);
    if (strcmp(safetensors_metadata(file, "format"), format) != 0)
        return error_set(err, STATUS_MALFORMED, "%s: is no file of nibble's statistics",
                         file->file->path);
    return strcmp(safetensors_metadata(file, "model"), model) == 0 ||
           error_set(err, STATUS_INVALID,
                     "%s: are statistics of another model: collect them with this one",
                     file->file->path);
}

bool stats_load(const char *path, struct statistics *statistics, uint64_t identity,
                const volatile int *cancel, struct error *err)
{
    struct safetensors file;
    if (!safetensors_open(path, cancel, &file, err))
        return false;
    bool ok = check_metadata(&file, identity, err) &&
              all_sites(&file, statistics, false, err) && file_check(file.file, err) &&
              all_sites(&file, statistics, true, err);
    if (ok)
        statistics->runs += strtoull(safetensors_metadata(&file, "runs"), NULL, 10);
    safetensors_close(&file);
    return ok;
}

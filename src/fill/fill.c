/* The parallel loop that quantizes chunks into the file. Numbers are quant's,
 * places are the writer's; this joins the two. */
#include "fill/fill.h"
#include "core/output.h"
#include "core/parallel.h"
#include "fill/chunks.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { SEGMENT = 64 << 10 }; /* codes made, packed and written at a time */

/* What one worker keeps between its chunks. */
struct worker {
    float *scales; /* of a CHUNK_BOTH */
    uint8_t *zeros, *stored;
    size_t groups; /* that those have room for */
    uint8_t *codes; /* SEGMENT bytes */
    struct error err;
};

struct fill {
    const struct fill_options *options;
    struct chunk *chunks; /* of the loop that runs */
    struct worker *workers;
    uint64_t total;
    atomic_uint_fast64_t done;
    atomic_flag reporting;
};

static bool needs_zeros(const struct plan_item *item)
{
    return item->zeros != NULL;
}

static unsigned code_bits(const struct plan_item *item)
{
    return (unsigned)quant_type_info(item->scheme.type)->bits;
}

static struct quant_source source_of(const struct plan_item *item)
{
    enum real_type type = item->data_type == DATA_DOUBLE ? REAL_FLOAT64
                                                         : item->scheme.scale_type;
    return (struct quant_source){item->source->data, type};
}

/* ---- writing -------------------------------------------------------- */

static bool write_at(struct payload *payload, uint64_t offset, const void *data, size_t size,
                     struct error *err)
{
    return output_write(payload->output, payload->place + offset, data, size, err);
}

/* Scales and zero points of groups [first, first + count); first is even. */
static bool write_parameters(struct fill *fill, struct plan_item *item, size_t first,
                             size_t count, const float *scales, const uint8_t *zeros,
                             uint8_t *stored, struct error *err)
{
    size_t size = real_size(item->scheme.scale_type), bits = code_bits(item);
    real_store(item->scheme.scale_type, scales, count, stored);
    if (!write_at(item->scales, first * size, stored, count * size, err))
        return false;
    if (!needs_zeros(item))
        return true;
    if (bits == 8)
        return write_at(item->zeros, first, zeros, count, err);
    quant_pack4(fill->options->kernels, zeros, count, stored);
    return write_at(item->zeros, first / 2, stored, (count + 1) / 2, err);
}

/* Codes of elements [begin, end), segment by segment; begin is even. */
static bool encode(struct fill *fill, struct chunk *chunk, struct worker *worker,
                   size_t first_group, const float *scales, const uint8_t *zeros)
{
    struct plan_item *item = chunk->item;
    const struct kernels *kernels = fill->options->kernels;
    bool packed = code_bits(item) == 4;
    for (size_t at = chunk->begin, n; at < chunk->end; at += n) {
        n = chunk->end - at < SEGMENT ? chunk->end - at : SEGMENT;
        quant_encode(kernels, &item->scheme, source_of(item), &item->shape, at, at + n,
                     first_group, scales, zeros, worker->codes, &chunk->error);
        if (packed)
            quant_pack4(kernels, worker->codes, n, worker->codes);
        if (!write_at(item->codes, packed ? at / 2 : at, worker->codes,
                      packed ? (n + 1) / 2 : n, &worker->err))
            return false;
    }
    return true;
}

/* ---- chunks --------------------------------------------------------- */

static bool worker_reserve(struct worker *worker, size_t groups)
{
    if (groups <= worker->groups)
        return true;
    free(worker->scales);
    free(worker->zeros);
    free(worker->stored);
    worker->scales = malloc(groups * sizeof *worker->scales);
    worker->zeros = malloc(groups);
    worker->stored = malloc(groups * sizeof *worker->scales);
    worker->groups = worker->scales && worker->zeros && worker->stored ? groups : 0;
    return worker->groups == groups || error_memory(&worker->err);
}

static bool work_fit(struct fill *fill, struct chunk *chunk, struct worker *worker)
{
    struct plan_item *item = chunk->item;
    (void)worker;
    chunk->fit = quant_fit(fill->options->kernels, &item->scheme, source_of(item),
                           &item->shape, chunk->first_row, chunk->row_count,
                           chunk->wide->scales + chunk->first_row,
                           chunk->wide->zeros + chunk->first_row);
    return true;
}

static bool work_encode(struct fill *fill, struct chunk *chunk, struct worker *worker)
{
    struct plan_item *item = chunk->item;
    struct wide_item *wide = chunk->wide;
    if (item->fit != QUANT_FIT_OK)
        return true;
    if (chunk->begin == 0) {
        size_t groups = item->shape.dim;
        if (!worker_reserve(worker, groups) ||
            !write_parameters(fill, item, 0, groups, wide->scales, wide->zeros,
                              worker->stored, &worker->err))
            return false;
    }
    return encode(fill, chunk, worker, 0, wide->scales, wide->zeros);
}

static bool work_both(struct fill *fill, struct chunk *chunk, struct worker *worker)
{
    struct plan_item *item = chunk->item;
    size_t width = item->shape.block ? item->shape.inner : 1;
    size_t first = chunk->first_row * width, groups = chunk->row_count * width;
    if (!worker_reserve(worker, groups))
        return false;
    chunk->fit = quant_fit(fill->options->kernels, &item->scheme, source_of(item),
                           &item->shape, chunk->first_row, chunk->row_count, worker->scales,
                           worker->zeros);
    if (chunk->fit != QUANT_FIT_OK)
        return true;
    return write_parameters(fill, item, first, groups, worker->scales, worker->zeros,
                            worker->stored, &worker->err) &&
           encode(fill, chunk, worker, first, worker->scales, worker->zeros);
}

/* Lets go of the pages read, and tells how far things are. */
static void finish(struct fill *fill, const struct chunk *chunk)
{
    const struct plan_item *item = chunk->item;
    uint64_t size = item->bytes / item->elements, bytes = (chunk->end - chunk->begin) * size;
    if (item->source->file)
        file_done_with(item->source->file, item->source->data + chunk->begin * size, bytes);
    uint64_t done = atomic_fetch_add(&fill->done, bytes) + bytes;
    if (fill->options->progress && !atomic_flag_test_and_set(&fill->reporting)) {
        fill->options->progress(fill->options->progress_data, done, fill->total);
        atomic_flag_clear(&fill->reporting);
    }
}

static bool work(void *context, size_t index, int number)
{
    static bool (*const works[])(struct fill *, struct chunk *, struct worker *) = {
        [CHUNK_FIT] = work_fit, [CHUNK_ENCODE] = work_encode, [CHUNK_BOTH] = work_both};
    struct fill *fill = context;
    struct chunk *chunk = &fill->chunks[index];
    struct worker *worker = &fill->workers[number];
    if (cancelled(fill->options->cancel, &worker->err) ||
        !works[chunk->work](fill, chunk, worker))
        return false;
    if (chunk->work != CHUNK_FIT)
        finish(fill, chunk);
    return true;
}

/* ---- the loops ------------------------------------------------------ */

static void workers_free(struct worker *workers, int count)
{
    for (int i = 0; workers && i < count; i++) {
        free(workers[i].scales);
        free(workers[i].zeros);
        free(workers[i].stored);
        free(workers[i].codes);
    }
    free(workers);
}

static struct worker *workers_new(int count, struct error *err)
{
    struct worker *workers = calloc((size_t)count, sizeof *workers);
    bool ok = workers != NULL;
    for (int i = 0; ok && i < count; i++)
        ok = (workers[i].codes = malloc(SEGMENT)) != NULL;
    if (ok)
        return workers;
    workers_free(workers, count);
    error_memory(err);
    return NULL;
}

static bool loop(struct fill *fill, struct chunk *chunks, size_t count, int threads,
                 struct error *err)
{
    fill->chunks = chunks;
    if (parallel_for(count, threads, work, fill))
        return true;
    for (int i = 0; i < threads; i++)
        if (fill->workers[i].err.status != STATUS_OK)
            error_set(err, fill->workers[i].err.status, "%s", fill->workers[i].err.message);
    return false;
}

/* Joins results in the order of chunks, whoever did them. */
static void gather(struct chunk *chunks, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct plan_item *item = chunks[i].item;
        if (item->fit == QUANT_FIT_OK)
            item->fit = chunks[i].fit;
        item->error.signal += chunks[i].error.signal;
        item->error.noise += chunks[i].error.noise;
    }
}

bool fill_plan(struct plan *plan, const struct fill_options *options, struct error *err)
{
    struct fill fill = {.options = options, .reporting = ATOMIC_FLAG_INIT};
    struct chunks chunks;
    int threads = 1;
    bool ok = chunks_make(plan, &chunks, err);
    if (ok) {
        size_t most = chunks.fit_count > chunks.work_count ? chunks.fit_count
                                                           : chunks.work_count;
        threads = parallel_threads(options->threads, most);
        fill.workers = workers_new(threads, err);
        ok = fill.workers != NULL;
    }
    for (size_t i = 0; i < plan->count; i++)
        fill.total += plan->items[i].quantize ? plan->items[i].bytes : 0;
    if (ok && (ok = loop(&fill, chunks.fits, chunks.fit_count, threads, err)))
        gather(chunks.fits, chunks.fit_count);
    if (ok && (ok = loop(&fill, chunks.works, chunks.work_count, threads, err)))
        gather(chunks.works, chunks.work_count);
    workers_free(fill.workers, threads);
    chunks_free(&chunks);
    return ok;
}

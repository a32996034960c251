/* The parallel loop that quantizes chunks and writes them into the file. quant computes
 * the numbers; the writer has chosen the offsets. */
#include "fill/fill.h"
#include "core/parallel.h"
#include "core/sizes.h"
#include "fill/grid_counts.h"
#include "fill/pack.h"
#include "fill/panel.h"
#include "fill/read.h"
#include "fill/solved.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum {
    SEGMENT = 64 << 10, /* elements that are encoded and packed at a time */
    WRITE = 256 << 10,  /* bytes of packed codes that are written at a time */
    PIECE = 64 << 10,   /* elements that are fitted at a time: floats stay in the cache */
    BATCH_CHUNKS = 4096, /* about so many chunks are cut and worked on together */
};

/* What one worker keeps between its chunks. */
struct worker {
    /* The parameters of a CHUNK_BOTH, with room for so many groups. */
    float *scales;
    uint8_t *zeros, *scratch;
    size_t groups;
    /* Codes from element `from` on. The first `packed` bytes are not written yet. */
    uint8_t *codes;
    size_t code_room;
    size_t from, packed;
    /* The ranges of a CHUNK_RANGE. */
    struct quant_range *ranges;
    size_t range_room;
    struct panel_buffers panel;
    struct reader reader;
    struct error err;
};

struct fill {
    const struct fill_options *options;
    struct chunk *chunks; /* of the loop that runs */
    struct worker *workers;
    uint64_t total;
    atomic_uint_fast64_t done, reported;
    atomic_flag reporting; /* held by the worker that reports */
};

/* ---- buffers -------------------------------------------------------- */

static bool reserve_groups(struct worker *worker, size_t groups)
{
    if (groups <= worker->groups)
        return true;
    free(worker->scales);
    free(worker->zeros);
    free(worker->scratch);
    worker->scales = malloc(groups * sizeof *worker->scales);
    worker->zeros = malloc(groups);
    worker->scratch = malloc(groups * sizeof *worker->scales);
    worker->groups = worker->scales && worker->zeros && worker->scratch ? groups : 0;
    return worker->groups == groups || error_memory(&worker->err);
}

static void workers_free(struct worker *workers, int count)
{
    for (int i = 0; workers && i < count; i++) {
        free(workers[i].scales);
        free(workers[i].zeros);
        free(workers[i].scratch);
        free(workers[i].codes);
        free(workers[i].ranges);
        panel_buffers_free(&workers[i].panel);
        reader_free(&workers[i].reader);
    }
    free(workers);
}

/* ---- chunks --------------------------------------------------------- */

/* Finds the ranges of all groups in a piece, and joins them with those of other pieces.
 */
static bool work_range(struct fill *fill, struct chunk *chunk, struct worker *worker)
{
    const struct plan_item *item = chunk->item;
    struct two_pass_item *whole = chunk->whole;
    size_t groups = quant_groups(&item->shape);
    worker->ranges = buffer_grown(worker->ranges, &worker->range_room,
                                  groups * sizeof *worker->ranges);
    if (!worker->ranges)
        return error_memory(&worker->err);
    memset(worker->ranges, 0, groups * sizeof *worker->ranges);
    struct quant_source source;
    if (!read_elements(&worker->reader, item, chunk->begin, chunk->end, &source,
                       &worker->err))
        return false;
    quant_ranges_extend(fill->options->kernels, source, &item->shape, chunk->begin,
                        chunk->end, worker->ranges);
    while (atomic_flag_test_and_set_explicit(&whole->joining, memory_order_acquire))
        ;
    quant_ranges_merge(whole->ranges, worker->ranges, groups);
    atomic_flag_clear_explicit(&whole->joining, memory_order_release);
    if (chunk->begin >= whole->kept)
        pages_keep(&worker->reader.pages);
    return true;
}

static bool work_fit(struct fill *fill, struct chunk *chunk, struct worker *worker)
{
    const struct plan_item *item = chunk->item;
    struct channels_read channels;
    size_t first = chunk->first_row, count = chunk->row_count;
    float *scales = chunk->whole->scales + first;
    uint8_t *zeros = chunk->whole->zeros + first;
    if (item->solution) {
        chunk->fit = item_fit(fill->options->kernels, item, (struct quant_source){0},
                              first, count, scales, zeros);
        return true;
    }
    if (!read_channels(&worker->reader, item, first, count, &channels, &worker->err))
        return false;
    chunk->fit = quant_fit(fill->options->kernels, &item->scheme, channels.source,
                           &channels.shape, channels.offset, count, scales, zeros);
    return !cancelled(fill->options->cancel, &worker->err);
}

static bool flush(const struct chunk *chunk, struct worker *worker)
{
    size_t size = worker->packed;
    worker->packed = 0;
    return codes_write(chunk->item, chunk->tensors, worker->from, worker->codes, size,
                       &worker->err);
}

/* Makes the codes of elements [begin, end), segment by segment. These are whole packing
 * units, except at the end of the weight. Codes are written when there are enough of
 * them; the caller flushes the rest. The elements that lie `ahead` elements further are
 * likely to be read next. */
static bool encode(struct fill *fill, struct chunk *chunk, struct worker *worker,
                   struct quant_source source, size_t begin, size_t end, size_t ahead,
                   size_t first_group, const float *scales, const uint8_t *zeros)
{
    const struct plan_item *item = chunk->item;
    const struct kernels *kernels = fill->options->kernels;
    size_t unit = packing_unit(item), most = fill->options->sample ? SAMPLE_RUN : SEGMENT,
           segment = unit > most ? unit : most / unit * unit;
    worker->codes = buffer_grown(worker->codes, &worker->code_room, WRITE + segment);
    if (!worker->codes)
        return error_memory(&worker->err);
    for (size_t at = begin, n; at < end; at += n) {
        uint8_t *codes = worker->codes + worker->packed;
        n = size_min(end - at, segment);
        if (cancelled(fill->options->cancel, &worker->err))
            return false;
        if (worker->packed == 0)
            worker->from = at;
        read_ahead(item, at + ahead, n, chunk->end);
        item_encode(kernels, item, source, at, at + n, first_group, scales, zeros, codes,
                    chunk_error(fill->options, chunk, at));
        if (chunk->result->counts)
            grid_count(item, source, at, at + n, first_group, scales, zeros,
                       chunk->result->counts);
        worker->packed += codes_pack(kernels, item, codes, n);
        if (worker->packed >= WRITE && !flush(chunk, worker))
            return false;
    }
    return true;
}

static bool work_encode(struct fill *fill, struct chunk *chunk, struct worker *worker)
{
    const struct plan_item *item = chunk->item;
    const struct two_pass_item *whole = chunk->whole;
    struct quant_source source;
    if (!read_elements(&worker->reader, item, chunk->begin, chunk->end, &source,
                       &worker->err))
        return false;
    if (chunk->result->fit != QUANT_FIT_OK)
        return true;
    size_t groups = quant_groups(&item->shape);
    if (chunk->begin == 0 &&
        (!reserve_groups(worker, groups) ||
         !parameters_write(fill->options->kernels, item, chunk->tensors, 0, groups,
                           whole->scales, whole->zeros, worker->scratch, &worker->err)))
        return false;
    return encode(fill, chunk, worker, source, chunk->begin, chunk->end, SEGMENT, 0,
                  whole->scales, whole->zeros) &&
           flush(chunk, worker);
}

static bool work_both(struct fill *fill, struct chunk *chunk, struct worker *worker)
{
    const struct plan_item *item = chunk->item;
    const struct kernels *kernels = fill->options->kernels;
    size_t width = item_row_width(item);
    size_t first = chunk->first_row * width, groups = chunk->row_count * width;
    if (!reserve_groups(worker, groups))
        return false;
    size_t last = chunk->first_row + chunk->row_count;
    worker->packed = 0;
    for (size_t row = chunk->first_row, next; row < last; row = next) {
        size_t group = row * width - first;
        next = rows_upto(item, row, last, PIECE, packing_unit(item), 1);
        size_t begin = row_begin(item, row), end = row_begin(item, next);
        struct quant_source source;
        if (!read_elements(&worker->reader, item, begin, end, &source, &worker->err))
            return false;
        chunk->fit = item_fit(kernels, item, source, row, next - row,
                              worker->scales + group, worker->zeros + group);
        if (cancelled(fill->options->cancel, &worker->err))
            return false;
        if (chunk->fit != QUANT_FIT_OK)
            return true;
        if (!encode(fill, chunk, worker, source, begin, end, end - begin, first,
                    worker->scales, worker->zeros))
            return false;
    }
    return flush(chunk, worker) &&
           parameters_write(kernels, item, chunk->tensors, first, groups, worker->scales,
                            worker->zeros, worker->scratch, &worker->err);
}

static bool work_panel(struct fill *fill, struct chunk *chunk, struct worker *worker)
{
    return panel_work(fill->options, chunk, &worker->reader, &worker->panel,
                      &worker->err);
}

/* Reports what is done, unless another worker does so now. That one then looks again, so
 * that the end is always reported, and nothing twice. */
static void report_progress(struct fill *fill)
{
    const struct fill_options *options = fill->options;
    while (atomic_load(&fill->done) > atomic_load(&fill->reported) &&
           !atomic_flag_test_and_set(&fill->reporting)) {
        uint64_t done = atomic_load(&fill->done);
        if (done > atomic_load(&fill->reported)) {
            options->progress(options->progress_data, done, fill->total);
            atomic_store(&fill->reported, done);
        }
        atomic_flag_clear(&fill->reporting);
    }
}

/* Adds the chunk to what is done. */
static void finish(struct fill *fill, const struct chunk *chunk)
{
    const struct plan_item *item = chunk->item;
    uint64_t size = item->bytes / item->elements, count = chunk->end - chunk->begin;
    atomic_fetch_add(&fill->done, count * size);
    if (fill->options->progress)
        report_progress(fill);
}

static bool work(void *context, size_t index, int number)
{
    static bool (*const works[CHUNK_WORKS])(struct fill *, struct chunk *,
                                            struct worker *) = {
        [CHUNK_RANGE] = work_range,   [CHUNK_FIT] = work_fit,
        [CHUNK_ENCODE] = work_encode, [CHUNK_BOTH] = work_both,
        [CHUNK_PANEL] = work_panel,
    };
    struct fill *fill = context;
    struct chunk *chunk = &fill->chunks[index];
    struct worker *worker = &fill->workers[number];
    if (cancelled(fill->options->cancel, &worker->err) ||
        !works[chunk->work](fill, chunk, worker))
        return false;
    if (chunk->work != CHUNK_FIT && chunk->work != CHUNK_RANGE)
        finish(fill, chunk);
    return true;
}

/* ---- the loops ------------------------------------------------------ */

static bool loop(struct fill *fill, struct chunk *chunks, size_t count, int threads,
                 struct error *err)
{
    fill->chunks = chunks;
    if (parallel_for(count,
                     (size_t)threads < count ? threads
                     : count                 ? (int)count
                                             : 1,
                     work, fill))
        return true;
    for (int i = 0; i < threads; i++)
        if (fill->workers[i].err.status != STATUS_OK)
            error_set(err, fill->workers[i].err.status, "%s",
                      fill->workers[i].err.message);
    return false;
}

/* Joins the chunks' results. Always in the order of chunks, so that sums are the same
 * whichever worker did which chunk. */
static void gather(struct chunk *chunks, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct fill_result *result = chunks[i].result;
        if (result->fit == QUANT_FIT_OK)
            result->fit = chunks[i].fit;
        result->error.signal += chunks[i].error.signal;
        result->error.noise += chunks[i].error.noise;
    }
}

/* Finds scales and zero points from the ranges, which are complete. */
static void fit_ranges(const struct kernels *kernels, struct chunks *chunks)
{
    for (struct two_pass_item *whole = chunks->two_pass_items; whole; whole = whole->next)
        if (whole->ranges)
            whole->result->fit = quant_ranges_fit(
                kernels, &whole->item->scheme, whole->ranges,
                quant_groups(&whole->item->shape), whole->scales, whole->zeros);
}

/* Squares of values below 1e-22 are zero in float. If a weight has only such values, its
 * codes are all zero, and nothing is left of it: its error is 0 dB. */
static bool check_vanished(const struct plan_item *item, struct fill_result *result,
                           struct reader *reader, struct error *err)
{
    enum { LOOK = 1024, READ = 256 * LOOK };
    float values[LOOK];
    size_t length = (size_t)item->elements, size = (size_t)item->bytes / length;
    struct quant_source source;
    if (result->error.signal != 0 || result->error.noise != 0)
        return true;
    for (size_t at = 0, n; at < length; at += n) {
        n = size_min(length - at, LOOK);
        if (at % READ == 0 &&
            !read_elements(reader, item, at, size_min(length, at + READ), &source, err))
            return false;
        real_load(source.type, (const uint8_t *)source.data + at * size, n, values);
        for (size_t i = 0; i < n; i++)
            if (values[i] != 0)
                result->error = (struct quant_error){.signal = 1, .noise = 1};
    }
    return true;
}

static bool run_batch(struct fill *fill, struct chunks *chunks, int threads,
                      struct error *err)
{
    if (!loop(fill, chunks->fits, chunks->fit_count, threads, err))
        return false;
    gather(chunks->fits, chunks->fit_count);
    fit_ranges(fill->options->kernels, chunks);
    if (!loop(fill, chunks->works, chunks->work_count, threads, err))
        return false;
    gather(chunks->works, chunks->work_count);
    for (int i = 0; i < threads; i++)
        pages_end(&fill->workers[i].reader.pages);
    chunks_clear(chunks);
    return true;
}

/* Equal weights are stored once: only the first one is filled. */
static bool is_filled(const struct plan_item *item)
{
    return item->quantize && !item->same;
}

static void repeat_results(const struct plan *plan, struct fill_result *results)
{
    for (size_t i = 0; i < plan->count; i++)
        if (plan->items[i].same)
            results[i] = results[plan->items[i].same - plan->items];
}

static bool run_all(struct fill *fill, const struct plan *plan,
                    const struct item_tensors *tensors, struct fill_result *results,
                    int threads, struct error *err)
{
    static const struct item_tensors nowhere;
    struct chunks chunks = {0};
    bool ok = true;
    for (size_t i = 0; ok && i < plan->count; i++) {
        if (is_filled(&plan->items[i]))
            ok = chunks_add(&chunks, &plan->items[i], tensors ? &tensors[i] : &nowhere,
                            &results[i], err);
        if (ok && (chunks.work_count >= BATCH_CHUNKS ||
                   chunks.two_pass_bytes >= TWO_PASS_BYTES))
            ok = run_batch(fill, &chunks, threads, err);
    }
    ok = ok && run_batch(fill, &chunks, threads, err);
    chunks_free(&chunks);
    return ok;
}

static bool prepare_counts(const struct plan *plan, struct fill_result *results)
{
    for (size_t i = 0; i < plan->count; i++) {
        const struct plan_item *item = &plan->items[i];
        if (!is_filled(item))
            continue;
        size_t bars = grid_bars(item->scheme.type).count;
        results[i].counts = arena_array(plan->arena, bars, sizeof *results[i].counts);
        if (!results[i].counts)
            return false;
    }
    return true;
}

bool fill_plan(const struct plan *plan, const struct item_tensors *tensors,
               const struct fill_options *options, struct fill_result **results,
               struct error *err)
{
    struct fill fill = {.options = options, .reporting = ATOMIC_FLAG_INIT};
    int threads = parallel_threads(options->threads, SIZE_MAX);
    struct fill_result *found = arena_array(plan->arena, plan->count, sizeof *found);
    fill.workers = calloc((size_t)threads, sizeof *fill.workers);
    *results = found;
    if (!fill.workers || !found || (options->count && !prepare_counts(plan, found))) {
        free(fill.workers);
        return error_memory(err);
    }
    for (size_t i = 0; i < plan->count; i++)
        fill.total += is_filled(&plan->items[i]) ? plan->items[i].bytes : 0;
    bool ok = run_all(&fill, plan, tensors, found, threads, err);
    for (size_t i = 0; ok && options->measure && i < plan->count; i++)
        if (is_filled(&plan->items[i]) && found[i].fit == QUANT_FIT_OK)
            ok = check_vanished(&plan->items[i], &found[i], &fill.workers[0].reader, err);
    repeat_results(plan, found);
    workers_free(fill.workers, threads);
    return ok;
}

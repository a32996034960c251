/* Rows out of arrays. Shapes are checked when a run is opened, places are chosen then. */
#include "calibrate/rows.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static bool wrong(struct error *err, const struct nibble_array *array, const char *why)
{
    return error_set(err, STATUS_INVALID, "calibration data: '%s' %s", array->name, why);
}

/* ---- values ------------------------------------------------------------ */

static bool count_elements(const struct nibble_array *array, size_t *count,
                           struct error *err)
{
    *count = 1;
    for (size_t i = 0; i < array->rank; i++)
        if (array->dims[i] < 0 ||
            __builtin_mul_overflow(*count, (size_t)array->dims[i], count))
            return wrong(err, array, "has dims that make no sense");
    return *count <= SIZE_MAX / sizeof(double) || wrong(err, array, "is too large");
}

static bool set_values(struct rows *rows, size_t index, const struct nibble_array *array,
                       size_t count, struct error *err)
{
    if (!data_type_is_float(array->type))
        return wrong(err, array, "is no array of a float type");
    if (count > 0 && !array->data)
        return wrong(err, array, "has no data");
    if (array->type == DATA_FLOAT) {
        rows->values[index] = array->data;
    } else {
        rows->values[index] = rows->owned[index] = malloc(count * sizeof(float) + 1);
        if (!rows->owned[index])
            return error_memory(err);
        real_load(data_type_real(array->type), array->data, count, rows->owned[index]);
    }
    for (size_t i = 0; i < count; i++)
        if (!isfinite(rows->values[index][i]))
            return wrong(err, array, "holds NaN or infinity: look at the input data");
    return true;
}

/* ---- along an axis ----------------------------------------------------- */

static bool open_axis(struct rows *rows, const struct nibble_array *array,
                      struct error *err)
{
    const struct site *site = rows->site;
    size_t back = (size_t)-site->axis, all = 1, inner = 1, outer = 1;
    if (rows->rank == 1)
        back = 1;
    if (rows->rank < back)
        return wrong(err, array, "has too few axes");
    size_t axis = rows->rank - back;
    if (rows->dims[axis] != (int64_t)site->inputs)
        return wrong(err, array, "has another shape than its weight wants");
    for (size_t i = 0; i < rows->rank; i++)
        all *= (size_t)rows->dims[i];
    for (size_t i = axis + 1; i < rows->rank; i++)
        inner *= (size_t)rows->dims[i];
    for (size_t i = 0; i + 2 < rows->rank; i++)
        outer *= (size_t)rows->dims[i];
    rows->stride = inner;
    rows->count = all / site->inputs;
    rows->shared = !site->batched || rows->rank < 3 || outer == 1;
    if (!rows->shared && outer % site->groups != 0)
        return wrong(err, array, "has another batch than its weight");
    if (!rows->shared) { /* matrices of a batch, each with a weight of its own */
        rows->each = rows->count / outer;
        rows->count = outer / site->groups * rows->each;
    }
    return true;
}

/* A row of all that there are. */
static void read_along(const struct rows *rows, size_t row, double *out)
{
    const size_t n = rows->site->inputs, inner = rows->stride;
    const float *at = rows->values[0] + row / inner * n * inner + row % inner;
    for (size_t k = 0; k < n; k++)
        out[k] = (double)at[k * inner];
}

static void read_axis(const struct rows *rows, size_t first, size_t count, double *out)
{
    const struct site *site = rows->site;
    for (size_t g = 0; g < site->groups; g++)
        for (size_t i = first; i < first + count; i++, out += site->inputs) {
            size_t row = i;
            if (!rows->shared)
                row = (i / rows->each * site->groups + g) * rows->each + i % rows->each;
            read_along(rows, row, out);
        }
}

/* ---- convolutions ------------------------------------------------------ */

static int64_t floor_divide(int64_t a, int64_t b)
{
    return a >= 0 ? a / b : -((b - 1 - a) / b);
}

/* The size of the output along an axis, and the padding before it. */
static int64_t conv_size(struct rows *rows, size_t i)
{
    const struct window *w = &rows->site->window;
    int64_t reach = (w->kernel[i] - 1) * w->dilations[i] + 1, pads;
    rows->before[i] = w->before[i];
    if (!w->same_upper && !w->same_lower)
        return floor_divide(rows->in[i] + w->before[i] + w->after[i] - reach,
                            w->strides[i]) +
               1;
    int64_t size = (rows->in[i] + w->strides[i] - 1) / w->strides[i];
    pads = (size - 1) * w->strides[i] + reach - rows->in[i];
    pads = pads > 0 ? pads : 0;
    rows->before[i] = w->same_upper ? pads / 2 : pads - pads / 2;
    return size;
}

static int64_t conv_transpose_size(struct rows *rows, size_t i)
{
    const struct window *w = &rows->site->window;
    int64_t whole = (rows->in[i] - 1) * w->strides[i] + w->extra[i] +
                    (w->kernel[i] - 1) * w->dilations[i] + 1;
    int64_t size = whole - w->before[i] - w->after[i];
    rows->before[i] = w->before[i];
    if (w->has_shape || w->same_upper || w->same_lower) {
        size = w->has_shape ? w->shape[i] : rows->in[i] * w->strides[i];
        int64_t pads = whole - size > 0 ? whole - size : 0;
        rows->before[i] = w->same_upper ? pads / 2 : pads - pads / 2;
    }
    return size;
}

static uint64_t mix(uint64_t state)
{
    state += 0x9e3779b97f4a7c15u;
    state = (state ^ state >> 30) * 0xbf58476d1ce4e5b9u;
    state = (state ^ state >> 27) * 0x94d049bb133111ebu;
    return state ^ state >> 31;
}

/* One place of each of as many equal parts, by chance, but the same for the same data,
 * whatever came before them. */
static void choose_places(struct rows *rows, size_t all, size_t elements)
{
    enum { WORDS = 64 };
    uint64_t state = all;
    size_t most = ROWS_PLACES_EACH * (((size_t)rows->dims[0] - 1) / 16 + 1);
    most = most < ROWS_PLACES ? most : ROWS_PLACES;
    rows->count = all < most ? all : most;
    for (size_t i = 0; i < WORDS; i++) {
        uint32_t word;
        memcpy(&word, &rows->values[0][(elements - 1) * i / (WORDS - 1)], sizeof word);
        state = mix(state ^ word);
    }
    for (size_t i = 0; i < rows->count; i++) {
        size_t begin = all / rows->count * i + all % rows->count * i / rows->count;
        size_t end =
            all / rows->count * (i + 1) + all % rows->count * (i + 1) / rows->count;
        state = mix(state);
        rows->places[i] = begin + (size_t)(state % (end - begin));
    }
}

static bool open_window(struct rows *rows, const struct nibble_array *array,
                        struct error *err)
{
    const struct site *site = rows->site;
    const struct window *w = &site->window;
    size_t channels = site->inputs / w->taps * site->groups, elements = 1;
    size_t all;
    if (rows->rank != w->axes + 2 || rows->dims[1] != (int64_t)channels)
        return wrong(err, array, "has another shape than its weight wants");
    rows->space = rows->outputs = 1;
    for (size_t i = 0; i < w->axes; i++) {
        rows->in[i] = rows->dims[i + 2];
        if (rows->in[i] > INT32_MAX)
            return wrong(err, array, "is too large");
        rows->out[i] =
            site->kind == SITE_CONV ? conv_size(rows, i) : conv_transpose_size(rows, i);
        if (rows->out[i] < 0)
            rows->out[i] = 0;
        rows->space *= (size_t)rows->in[i];
        if (__builtin_mul_overflow(rows->outputs, (size_t)rows->out[i], &rows->outputs))
            return wrong(err, array, "is too large");
    }
    for (size_t i = 0; i < rows->rank; i++)
        elements *= (size_t)rows->dims[i];
    if (__builtin_mul_overflow(rows->outputs, (size_t)rows->dims[0], &all))
        return wrong(err, array, "is too large");
    choose_places(rows, all, elements);
    return true;
}

/* Where tap `tap` of the kernel reads along each axis for an output place; false: from
 * the padding, or between the elements. */
static bool tap_at(const struct rows *rows, const int64_t *place, size_t tap, size_t *at)
{
    const struct window *w = &rows->site->window;
    size_t offset = 0, stride = 1;
    for (size_t i = w->axes; i-- > 0; tap /= (size_t)w->kernel[i]) {
        int64_t step = (int64_t)(tap % (size_t)w->kernel[i]) * w->dilations[i];
        int64_t in;
        if (rows->site->kind == SITE_CONV) {
            in = place[i] * w->strides[i] - rows->before[i] + step;
        } else {
            in = place[i] + rows->before[i] - step;
            if (in % w->strides[i] != 0)
                return false;
            in /= w->strides[i];
        }
        if (in < 0 || in >= rows->in[i])
            return false;
        offset += (size_t)in * stride;
        stride *= (size_t)rows->in[i];
    }
    *at = offset;
    return true;
}

/* Channels of one group at one place. */
static void read_window(const struct rows *rows, size_t first, size_t count, double *out)
{
    const struct site *site = rows->site;
    const size_t taps = site->window.taps, n = site->inputs, channels = n / taps;
    memset(out, 0, site->groups * count * n * sizeof *out);
    for (size_t i = 0; i < count; i++) {
        size_t image = rows->places[first + i] / rows->outputs;
        size_t rest = rows->places[first + i] % rows->outputs, at;
        int64_t place[SITE_AXES];
        for (size_t a = site->window.axes; a-- > 0; rest /= (size_t)rows->out[a])
            place[a] = (int64_t)(rest % (size_t)rows->out[a]);
        for (size_t tap = 0; tap < taps; tap++) {
            if (!tap_at(rows, place, tap, &at))
                continue;
            const float *from =
                rows->values[0] + image * site->groups * channels * rows->space + at;
            for (size_t g = 0; g < site->groups; g++)
                for (size_t c = 0; c < channels; c++, from += rows->space)
                    out[(g * count + i) * n + c * taps + tap] = (double)*from;
        }
    }
}

/* ---- states ------------------------------------------------------------ */

/* Y is [steps, directions, batch, hidden], or [batch, steps, directions, hidden]; the
 * initial state the same without steps. */
static bool open_state(struct rows *rows, const struct nibble_array *const *arrays,
                       struct error *err)
{
    const struct site *site = rows->site;
    const int64_t *d = rows->dims;
    if (rows->rank != 4 || d[3] != (int64_t)site->inputs ||
        d[site->batch_first ? 2 : 1] != (int64_t)site->groups)
        return wrong(err, arrays[0], "has another shape than its weight wants");
    rows->count = (size_t)d[0] * (size_t)d[site->batch_first ? 1 : 2];
    if (!rows->values[1])
        return true;
    size_t batch = (size_t)d[site->batch_first ? 0 : 2], elements;
    if (!count_elements(arrays[1], &elements, err))
        return false;
    return elements == batch * site->groups * site->inputs ||
           wrong(err, arrays[1], "has another shape than the state that it begins");
}

static const float *state_at(const struct rows *rows, size_t group, size_t row)
{
    const struct site *site = rows->site;
    const int64_t *d = rows->dims;
    const size_t n = site->inputs, groups = site->groups;
    size_t steps = (size_t)d[site->batch_first ? 1 : 0];
    size_t batch = (size_t)d[site->batch_first ? 0 : 2];
    size_t step = row / batch, b = row % batch;
    bool back = group == 1 || (group == 0 && site->reverse);
    if (step == (back ? steps - 1 : 0))
        return rows->values[1]
                   ? rows->values[1] +
                         (site->batch_first ? b * groups + group : group * batch + b) * n
                   : NULL;
    step = back ? step + 1 : step - 1;
    return rows->values[0] + (site->batch_first ? (b * steps + step) * groups + group
                                                : (step * groups + group) * batch + b) *
                                 n;
}

static void read_state(const struct rows *rows, size_t first, size_t count, double *out)
{
    const size_t n = rows->site->inputs;
    for (size_t g = 0; g < rows->site->groups; g++)
        for (size_t i = first; i < first + count; i++, out += n) {
            const float *from = state_at(rows, g, i);
            for (size_t k = 0; k < n; k++)
                out[k] = from ? (double)from[k] : 0;
        }
}

/* ---- any --------------------------------------------------------------- */

static bool open_site(struct rows *rows, const struct nibble_array *const *arrays,
                      struct error *err)
{
    if (rows->site->kind == SITE_ROWS)
        return open_axis(rows, arrays[0], err);
    if (rows->site->kind == SITE_STATE)
        return open_state(rows, arrays, err);
    return open_window(rows, arrays[0], err);
}

bool rows_open(const struct site *site, const struct nibble_array *const *arrays,
               struct rows *rows, struct error *err)
{
    size_t count = 0;
    *rows = (struct rows){.site = site, .rank = arrays[0]->rank};
    bool ok = true;
    for (size_t i = SITE_VALUES; ok && i-- > 0;)
        if (arrays[i])
            ok = count_elements(arrays[i], &count, err) &&
                 set_values(rows, i, arrays[i], count, err);
    if (ok && rows->rank > sizeof rows->dims / sizeof *rows->dims)
        ok = wrong(err, arrays[0], "has too many axes");
    for (size_t i = 0; ok && i < rows->rank; i++)
        rows->dims[i] = arrays[0]->dims[i];
    if (ok && count > 0)
        ok = open_site(rows, arrays, err);
    if (!ok)
        rows_close(rows);
    return ok;
}

void rows_close(struct rows *rows)
{
    for (size_t i = 0; i < SITE_VALUES; i++)
        free(rows->owned[i]);
    *rows = (struct rows){0};
}

bool rows_align(struct rows *rows, const struct rows *other)
{
    memcpy(rows->places, other->places, sizeof rows->places);
    return rows->rank == other->rank && rows->count == other->count &&
           memcmp(rows->dims, other->dims, sizeof rows->dims) == 0;
}

void rows_read(const struct rows *rows, size_t first, size_t count, double *out)
{
    static void (*const reads[SITE_KINDS])(const struct rows *, size_t, size_t,
                                           double *) = {
        [SITE_ROWS] = read_axis,
        [SITE_CONV] = read_window,
        [SITE_CONV_TRANSPOSE] = read_window,
        [SITE_STATE] = read_state,
    };
    reads[rows->site->kind](rows, first, count, out);
}

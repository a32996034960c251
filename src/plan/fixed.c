/* Telling fixed constants from learned ones, by a rule that their values obey exactly.
 *
 * Samples of a sinusoid (damped or not), of a line, and windowed versions of both obey
 * x[k + 1] + x[k - 1] = c x[k] along one axis. For cos(k t) w(t) they do so along k, with
 * c = 2 cos t, whatever the window. For rotary and sinusoidal tables they do so along the
 * position. For grids of coordinates c is 2. Learned values do not obey this to a part in
 * 250, not even smooth ones. */
#include "plan/fixed.h"
#include "onnx/node.h"

#include <math.h>

enum {
    RUN = 64,          /* values of a row or column that are looked at together */
    LINES = 12,        /* rows or columns that are looked at, */
    LINES_APART = 1024 /* of the first lines, which are on few pages */
};

/* ---- values ------------------------------------------------------------- */

struct values {
    const uint8_t *data;
    enum real_type type;
};

/* n values, `stride` apart. */
static void values_at(const struct values *values, uint64_t start, uint64_t stride,
                      size_t n, float *out)
{
    size_t size = real_size(values->type);
    const uint8_t *at = values->data + start * size;
    if (stride == 1) {
        real_load(values->type, at, n, out);
        return;
    }
    for (size_t i = 0; i < n; i++, at += stride * size)
        real_load(values->type, at, 1, &out[i]);
}

/* The error that the rule allows, relative to the mean size of the values. */
static double tolerance(enum real_type type)
{
    return type == REAL_BFLOAT16 ? 2e-2 : 4e-3;
}

/* An axis of a tensor: lines along it are `stride` apart from value to value. */
struct axis {
    uint64_t length, stride, lines;
};

static struct axis axis_at(const struct plan_item *item, size_t at)
{
    const Onnx__TensorProto *tensor = item->tensor;
    struct axis axis = {.length = (uint64_t)tensor->dims[at], .stride = 1};
    for (size_t i = at + 1; i < tensor->n_dims; i++)
        axis.stride *= (uint64_t)tensor->dims[i];
    axis.lines = item->elements / axis.length;
    return axis;
}

static uint64_t line_start(const struct axis *axis, uint64_t line)
{
    return line / axis->stride * axis->stride * axis->length + line % axis->stride;
}

/* ---- the recurrence ------------------------------------------------------- */

enum verdict { FOLLOWS, DIFFERS, SAYS_NOTHING };

struct samples {
    double x[RUN];
    size_t n;
    double size; /* root of the mean square */
};

/* Whether any of a few pairs of values may obey the rule with the same c. This is cheap
 * and rejects nearly all learned values. */
static bool may_obey(const struct samples *run, size_t lag, double allowed)
{
    enum { PAIRS = 4 };
    const double *x = run->x;
    size_t half = (run->n - 2 * lag) / 2;
    allowed *= run->size;
    for (size_t i = 0; i < PAIRS; i++) {
        size_t a = lag + i * half / PAIRS, b = a + half;
        double across =
            (x[a - lag] + x[a + lag]) * x[b] - (x[b - lag] + x[b + lag]) * x[a];
        if (fabs(across) <= allowed * (fabs(x[a]) + fabs(x[b])))
            return true;
    }
    return false;
}

/* Whether most neighbours at this distance obey the rule with c. Values near zero are
 * ignored, and so are equal values if c is 2. Stops early for learned values. */
static bool obeys(const struct samples *run, size_t lag, double c, double allowed)
{
    enum { MISSES = 4 }; /* stops if this many more miss the rule than obey it */
    size_t obeying = 0, missing = 0;
    const double *x = run->x, least = 0.1 * run->size, most = allowed * run->size;
    for (size_t k = lag; k + lag < run->n && missing <= obeying + MISSES; k++) {
        double before = x[k - lag], here = x[k], after = x[k + lag];
        bool small = fabs(before) < least && fabs(here) < least && fabs(after) < least;
        if (small || (c == 2 && before == after))
            continue;
        bool obeyed = fabs(after + before - c * here) <= most;
        obeying += obeyed;
        missing += !obeyed;
    }
    return obeying + missing >= 6 && obeying >= 3 * missing;
}

/* The c of the largest value in [begin, end) and its neighbours. */
static double coefficient(const struct samples *run, size_t lag, size_t begin, size_t end)
{
    size_t at = begin;
    for (size_t k = begin; k < end; k++)
        if (fabs(run->x[k]) > fabs(run->x[at]))
            at = k;
    return (run->x[at + lag] + run->x[at - lag]) / run->x[at];
}

static bool follows(const struct samples *run, size_t lag, double allowed)
{
    size_t middle = run->n / 2;
    double tries[] = {2, coefficient(run, lag, lag, middle),
                      coefficient(run, lag, middle, run->n - lag)};
    for (size_t i = 0; i < sizeof tries / sizeof *tries; i++)
        if (fabs(tries[i]) <= 2.001 && obeys(run, lag, tries[i], allowed))
            return true;
    return false;
}

/* Whether most values repeat the value before them, as rows of a grid and shared weights
 * do. */
static bool repeats(const struct samples *run, size_t lag)
{
    size_t other = 0, most = (run->n - lag) / 4;
    for (size_t k = lag; k < run->n && other <= most; k++)
        other += run->x[k] != run->x[k - lag];
    return other <= most;
}

static enum verdict judge(const struct samples *run, double allowed)
{
    /* 1: neighbours. 2: real and imaginary parts in turn. More: boxes of so many sizes in
     * turn. */
    static const size_t lags[] = {1, 2, 3, 4, 6, 9};
    enum verdict verdict = DIFFERS;
    for (size_t i = 0; i < sizeof lags / sizeof *lags; i++) {
        size_t lag = lags[i];
        if (run->n < 3 * lag + 6)
            break;
        if (may_obey(run, lag, allowed) && follows(run, lag, allowed))
            return FOLLOWS;
        if (repeats(run, lag))
            verdict = SAYS_NOTHING;
    }
    return verdict;
}

/* Judges one line. Values that hardly differ say nothing. */
static enum verdict look_at(const struct values *values, uint64_t start, uint64_t stride,
                            struct samples *run)
{
    float x[RUN];
    double sum = 0, squares = 0;
    values_at(values, start, stride, run->n, x);
    for (size_t k = 0; k < run->n; k++) {
        run->x[k] = (double)x[k];
        sum += run->x[k];
        squares += run->x[k] * run->x[k];
    }
    double n = (double)run->n, variance = squares / n - sum / n * (sum / n);
    run->size = sqrt(squares / n);
    if (!(variance > 1e-4 * squares / n)) /* NaN, too */
        return SAYS_NOTHING;
    return judge(run, tolerance(values->type));
}

/* Looks at lines from all over the beginning, first at their start, then in their middle.
 * Learned weights are rejected after two lines. */
static bool follows_along(const struct values *values, const struct axis *axis)
{
    size_t follow = 0, differ = 0;
    uint64_t lines = axis->lines < LINES_APART ? axis->lines : LINES_APART;
    uint64_t count = lines < LINES ? lines : LINES;
    uint64_t places = axis->length < 2 * RUN ? count : 2 * count;
    for (uint64_t i = 0; i < places && differ <= 1 + follow / 3; i++) {
        struct samples run;
        run.n = axis->length < RUN ? (size_t)axis->length : RUN;
        uint64_t start = line_start(axis, i % count * lines / count) +
                         i / count * (axis->length / 2) * axis->stride;
        enum verdict verdict = look_at(values, start, axis->stride, &run);
        follow += verdict == FOLLOWS;
        differ += verdict == DIFFERS;
    }
    return follow >= 2 && follow >= 3 * differ && follow * 4 >= places;
}

static bool is_regular(const struct plan_item *item, const struct values *values)
{
    for (size_t i = 0; i < item->tensor->n_dims; i++) {
        struct axis axis = axis_at(item, i);
        if (axis.length >= 9 && follows_along(values, &axis))
            return true;
    }
    return false;
}

/* ---- filter banks ---------------------------------------------------------- */

struct filter_band {
    uint64_t begin, end; /* the positive values; begin == end if there are none */
};

/* Finds the band of a channel. False if a value is negative or there are two bands. */
static bool find_band(const struct values *values, uint64_t start,
                      const struct axis *axis, struct filter_band *band)
{
    *band = (struct filter_band){0, 0};
    for (uint64_t k = 0; k < axis->length; k++) {
        float x;
        values_at(values, start + k * axis->stride, 1, 1, &x);
        if (!(x >= 0) || (x > 0 && band->end > 0 && band->end != k))
            return false;
        if (x > 0 && band->end == 0)
            band->begin = k;
        if (x > 0)
            band->end = k + 1;
    }
    return true;
}

/* Mel filters and the like: each channel is positive in one narrow band, and the bands
 * come in order. */
static bool is_filter_bank(const struct plan_item *item, const struct layout *layout,
                           const struct values *values)
{
    enum { AXIS_MIN = 32, AXIS_MAX = 1 << 14, CHANNELS_MIN = 8 };
    struct axis sum = axis_at(item, layout->reduction);
    struct axis channels = axis_at(item, layout->channel);
    uint64_t count = channels.length < 2 * LINES ? channels.length : 2 * LINES;
    uint64_t last = 0, filled = 0, inside = 0;
    if (sum.length * channels.length != item->elements || sum.length < AXIS_MIN ||
        sum.length > AXIS_MAX || channels.length < CHANNELS_MIN)
        return false;
    for (uint64_t i = 0; i < count; i++) {
        struct filter_band band;
        uint64_t channel = i * channels.length / count;
        if (!find_band(values, channel * channels.stride, &sum, &band))
            return false;
        if (band.begin == band.end)
            continue;
        if (band.begin < last)
            return false;
        last = band.begin;
        filled++;
        inside += band.end - band.begin;
    }
    return filled * 2 >= count && last > 0 && inside * 4 <= filled * sum.length;
}

/* ---- coordinates ----------------------------------------------------------- */

/* Whether constant columns of a narrow table are taken: boxes, anchors, points. */
static bool is_narrow_table(const struct plan_item *item, const struct weight_uses *uses)
{
    enum { WIDTH_MAX = 16 };
    size_t rank = item->tensor->n_dims;
    if (item->tensor->dims[rank - 1] > WIDTH_MAX)
        return false;
    for (size_t i = 0; i < uses->count; i++) {
        const struct use *use = &uses->items[i].use;
        if (!node_is(use->node, "Gather"))
            return false;
        const struct value *index = scope_find(use->scope, node_input(use->node, 1));
        int64_t axis = node_int(use->node, "axis", 0);
        if (!index || !value_constant(index) ||
            axis + (axis < 0 ? (int64_t)rank : 0) != (int64_t)rank - 1)
            return false;
    }
    return uses->count > 0;
}

/* ---- masks ------------------------------------------------------------------ */

/* Up to two values that were seen. */
struct two_values {
    float first, other;
    size_t count;
};

/* Whether the n values of x and those that were seen are at most two. */
static bool adds_no_third(struct two_values *pair, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (x[i] == pair->first || x[i] == pair->other)
            continue;
        if (pair->count == 2)
            return false;
        pair->other = x[i];
        if (pair->count++ == 0)
            pair->first = x[i];
    }
    return true;
}

/* Whether the constant has two values, and only operators use it that take tables. Looks
 * at runs of values from all over it. */
static bool is_mask(const struct plan_item *item, const struct weight_uses *uses,
                    const struct values *values)
{
    enum { MASK_RUNS = 64 };
    uint64_t all = (item->elements + RUN - 1) / RUN;
    uint64_t runs = all < MASK_RUNS ? all : MASK_RUNS;
    struct two_values pair = {NAN, NAN, 0};
    for (size_t i = 0; i < uses->count; i++)
        if (!node_is(uses->items[i].use.node, "Add") &&
            !node_is(uses->items[i].use.node, "Slice") &&
            !node_is(uses->items[i].use.node, "Expand"))
            return false;
    for (uint64_t i = 0; i < runs; i++) {
        float x[RUN];
        uint64_t at = i * (all / runs) * RUN, left = item->elements - at;
        size_t n = left < RUN ? (size_t)left : RUN;
        values_at(values, at, 1, n, x);
        if (!adds_no_third(&pair, x, n))
            return false;
    }
    return true;
}

bool fixed_is_regular(const struct plan_item *item)
{
    const struct values values = {item->source->data, data_type_real(item->data_type)};
    return is_regular(item, &values);
}

const char *fixed_reason(const struct plan_item *item, const struct weight_uses *uses)
{
    const struct values values = {item->source->data, data_type_real(item->data_type)};
    if (item->elements == 0 || !values.data)
        return NULL;
    if (is_narrow_table(item, uses))
        return "columns of a narrow table, coordinates rather than weights (--include)";
    if (is_mask(item, uses, &values))
        return "a mask, not learned (--include)";
    if (is_filter_bank(item, &uses->items[0].layout, &values))
        return "bands of a filter bank, not learned (--include)";
    if (is_regular(item, &values))
        return "a regular grid, waves or the basis of a transform, not learned "
               "(--include)";
    return NULL;
}

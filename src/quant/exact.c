/* Finds the scale and zero point with the least squared error, by visiting all codes that
 * any scale gives. Slow and simple on purpose: the search is measured against it. Leaves
 * groups of more than EXACT_MAX elements to the search. */
#include "quant/elements.h"
#include "quant/gather.h"
#include "quant/kernels/kernels.h"

#include <math.h>
#include <stdlib.h>

enum {
    EXACT_MAX = 16384, /* elements of a group: 128 KiB */
    MAX_LEVELS = 255,  /* codes other than z */
    ZERO_REACH = 3,    /* zero points tried on either side, of 256 */
    STOP_STEP = 4096,  /* changes of codes between two looks at the flag */
};

struct exact {
    const struct quant_type_info *type;
    size_t n;
    struct element e[EXACT_MAX]; /* in falling order */
    double energy;               /* the weighted sum of x^2 */
    const volatile int *stop;
};

/* A scale, a zero point and their error. */
struct optimum {
    double scale, error;
    int zero; /* counted from lo */
};

static void exact_gather(struct exact *e, const struct fit *fit,
                         const struct matrix *matrix, size_t group)
{
    e->energy = 0;
    e->n = gather_length(matrix);
    elements_gather(fit, matrix, group, 0, e->n, e->e);
    for (size_t i = 0; i < e->n; i++)
        e->energy += (double)e->e[i].weight * (double)e->e[i].x * (double)e->e[i].x;
}

static int falling(const void *a, const void *b)
{
    const struct element *p = a, *q = b;
    float x = p->x, y = q->x;
    if (x == y) { /* else the order, and the bits of sums, would depend on qsort */
        x = p->weight;
        y = q->weight;
    }
    return (x < y) - (x > y);
}

static double exact_error(const struct exact *e, float scale, int zero)
{
    return elements_error(e->e, e->n, scale, (float)-zero,
                          (float)(e->type->hi - e->type->lo - zero));
}

/* ---- the sweep ------------------------------------------------------ */

/* The elements of one sign, in the order in which they reach code k as the scale
 * falls. */
struct sweep_level {
    double t; /* the scale at which the next element reaches code k */
    const struct element *next;
    size_t left; /* elements that have not reached it */
    int step;    /* from one element to the next: 1, or -1 for negative elements */
    int k;
};

/* Updates t for the next element. Returns false if there is none. */
static bool level_next(struct sweep_level *level)
{
    if (level->left == 0)
        return false;
    double magnitude = fabs((double)level->next->x);
    level->t = magnitude / (level->k - 0.5);
    return magnitude > 0;
}

/* Restores the order of the heap, greatest t first, below entry i. */
static void heap_sink(struct sweep_level *heap, size_t n, size_t i)
{
    struct sweep_level level = heap[i];
    for (size_t child; (child = 2 * i + 1) < n; i = child) {
        if (child + 1 < n && heap[child + 1].t > heap[child].t)
            child++;
        if (heap[child].t <= level.t)
            break;
        heap[i] = heap[child];
    }
    heap[i] = level;
}

static size_t heap_make(struct sweep_level *heap, const struct exact *e, int zero)
{
    int up = e->type->hi - e->type->lo - zero;
    size_t positive = 0, n = 0;
    while (positive < e->n && e->e[positive].x > 0)
        positive++;
    for (int k = 1; k <= (up > zero ? up : zero); k++) {
        heap[n] = (struct sweep_level){0, e->e, positive, 1, k};
        n += k <= up && level_next(&heap[n]);
        if (k > zero)
            continue;
        heap[n] = (struct sweep_level){0, e->e + e->n - 1, e->n - positive, -1, k};
        n += level_next(&heap[n]);
    }
    for (size_t i = n; i-- > 0;)
        heap_sink(heap, n, i);
    return n;
}

/* Whether clipping the two extremes alone costs more than `error` at this scale. */
static bool clips_too_much(const struct exact *e, int zero, double scale, double error)
{
    const struct element *first = &e->e[0], *last = &e->e[e->n - 1];
    int up = e->type->hi - e->type->lo - zero;
    double over = (double)first->x - up * scale;
    double under = (double)-last->x - zero * scale;
    over = over > 0 ? over : 0;
    under = under > 0 ? under : 0;
    return (double)first->weight * over * over + (double)last->weight * under * under >
           error;
}

/* Lowers the scale from where all codes are z, one change of a code after the other.
 * Keeps the codes with the greatest gain (sum x l)^2 / (sum l^2). */
static void sweep(const struct exact *e, int zero, struct optimum *best)
{
    struct sweep_level heap[2 * MAX_LEVELS];
    size_t n = heap_make(heap, e, zero);
    double xl = 0, ll = 0;
    size_t changes = 0;
    while (n > 0 && (++changes % STOP_STEP != 0 || !is_stopped(e->stop)) &&
           !clips_too_much(e, zero, heap[0].t, best->error)) {
        struct sweep_level *top = &heap[0];
        xl += (double)top->next->weight * fabs((double)top->next->x);
        ll += (double)top->next->weight * (2 * top->k - 1);
        double error = e->energy - (ll > 0 ? xl * xl / ll : 0);
        if (ll > 0 && error < best->error)
            *best = (struct optimum){xl / ll, error, zero};
        top->left--;
        top->next += top->left > 0 ? top->step : 0;
        if (!level_next(top))
            heap[0] = heap[--n];
        heap_sink(heap, n, 0);
    }
}

/* ---- the method ----------------------------------------------------- */

static struct optimum optimum_find(const struct exact *e,
                                   const struct quant_scheme *scheme, int zero)
{
    int steps = e->type->hi - e->type->lo, least = zero, most = zero;
    struct optimum best = {0, INFINITY, zero};
    sweep(e, zero, &best);
    if (scheme->symmetric && scheme->mirrored) {
        least = (steps + 1) / 2 - 1;
        most = least + 1;
    } else if (!scheme->symmetric) {
        int reach = steps > 15 ? ZERO_REACH : steps;
        least = zero > reach ? zero - reach : 0;
        most = zero + reach < steps ? zero + reach : steps;
    }
    for (int z = least; z <= most; z++)
        if (z != zero)
            sweep(e, z, &best);
    return best;
}

/* Rounds a scale to its type. Keeps it, with the zero point, if it is usable and
 * better. */
static void keep_better(const struct exact *e, enum real_type type, double wanted,
                        int zero, double *error, float *best_scale, uint8_t *best_zero)
{
    float scale = real_round(type, (float)wanted);
    if (!fit_usable(type, scale, (float)zero, (float)(e->type->hi - e->type->lo)))
        return;
    double got = exact_error(e, scale, zero);
    if (!(got < *error))
        return;
    *error = got;
    *best_scale = scale;
    *best_zero = (uint8_t)(zero + e->type->lo);
}

static void exact_group(struct exact *e, const struct quant_scheme *scheme, float *scale,
                        uint8_t *zero)
{
    int start = (uint8_t)(*zero - e->type->lo);
    int middle = 1 << (e->type->bits - 1);
    double error = exact_error(e, *scale, start);
    float plain = *scale * (float)middle / (float)(middle - 1);
    qsort(e->e, e->n, sizeof *e->e, falling);
    struct optimum best = optimum_find(e, scheme, start);
    if (scheme->symmetric && scheme->mirrored)
        keep_better(e, scheme->scale_type, (double)plain, middle, &error, scale, zero);
    keep_better(e, scheme->scale_type, best.scale, best.zero, &error, scale, zero);
}

_Static_assert(sizeof(struct exact) <= FIT_SCRATCH, "scratch");

enum quant_fit fit_exact(const struct fit *fit, const struct matrix *matrix, size_t from,
                         size_t count, float *scales, uint8_t *zeros)
{
    struct exact *e = fit->scratch;
    if (gather_length(matrix) > EXACT_MAX)
        return fit_search(fit, matrix, from, count, scales, zeros);
    e->stop = fit->scheme->stop;
    e->type = quant_type_info(fit->scheme->type);
    enum quant_fit result = fit_rtn(fit, matrix, from, count, scales, zeros);
    for (size_t k = 0; k < count && result == QUANT_FIT_OK && !is_stopped(e->stop); k++) {
        exact_gather(e, fit, matrix, from + k);
        exact_group(e, fit->scheme, &scales[k], &zeros[k]);
    }
    return result;
}

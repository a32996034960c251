/* The search where elements have weights: the same tries, with sums taken element by
 * element in double, in their order, and the same on every CPU. What is taken is the best
 * by its true error, so that nothing is worse than round to nearest. */
#include <math.h>

#include "quant/elements.h"
#include "quant/kernels/kernels.h"
#include "quant/search.h"

enum {
    ROOM = 4096, /* elements gathered at a time: 32 KiB */
    SHORT = 128, /* groups for which other zero points are tried with all scales */
};

/* Weights may leave an extreme out, or little else: scales from far above to far below.
 */
static const struct spread spread_4bit = {SIZE_MAX, 1.3f, 0.95f, 40, false};

struct weighted {
    const struct fit *fit;
    const struct band *band;
    size_t group, length;
    size_t held; /* of the elements, from the first on; 0 where they do not all fit */
    struct element element[ROOM];
};

/* The next elements from `at` on; returns how many. */
static size_t elements_next(struct weighted *w, size_t at)
{
    size_t n = size_min(ROOM, w->length - at);

    if (w->held != w->length)
        elements_gather(w->fit, w->band, w->group, at, at + n, w->element);
    w->held = n;
    return n;
}

struct weighted_sums {
    double xl, ll;
};

/* Adds up w * x * l and w * l * l, with x in units of 1 / inverse. */
static void try_add(const struct weighted *w, size_t n, float inverse, float scale,
                    float lo, float hi, struct weighted_sums *sums)
{
    for (size_t i = 0; i < n; i++) {
        float x = w->element[i].x * inverse;
        float c = x / scale;
        double code, weight = (double)w->element[i].weight;

        c = c > lo ? c : lo;
        c = c < hi ? c : hi;
        code = (double)((c + ROUNDER) - ROUNDER);
        sums->xl += weight * (double)x * code;
        sums->ll += weight * code * code;
    }
}

/* Sums are stored as shares of all weights, which may be of any size. */
static void try_all(struct weighted *w, float steps, struct search_tile *t)
{
    struct weighted_sums sums[TRIES] = {{0, 0}};
    double all = 0;

    for (size_t at = 0, n; at < w->length; at += n) {
        n = elements_next(w, at);
        for (size_t i = 0; i < n; i++)
            all += (double)w->element[i].weight;
        for (size_t k = 0; k < t->tries; k++)
            try_add(w, n, t->inverse[0], t->scale[k][0], -t->zero[k][0],
                    steps - t->zero[k][0], &sums[k]);
    }
    for (size_t k = 0; k < t->tries && all > 0; k++)
        search_pick(t, k, 0, (float)(sums[k].xl / all), (float)(sums[k].ll / all));
}

/* The entry of least error, the first of several. */
static size_t best_entry(struct weighted *w, const struct search *s,
                         const struct contest *contest)
{
    double errors[GRIDS] = {0};
    size_t best = 0;

    for (size_t at = 0, n; at < w->length; at += n) {
        n = elements_next(w, at);
        for (size_t i = 0; i < contest->entries; i++) {
            const struct choice *c = &contest->choices[0][i];

            errors[i] += elements_error(w->element, n, c->scale[0], -c->zero[0],
                                        s->steps - c->zero[0]);
        }
    }
    for (size_t i = 1; i < contest->entries; i++)
        if (errors[i] < errors[best])
            best = i;
    return best;
}

void search_weighted(struct search *s, size_t from, size_t count, float *scales,
                     uint8_t *zeros)
{
    struct weighted w = {.fit = s->fit, .band = s->band, .length = s->length};
    struct search_tile *t = &s->tile[0];
    struct contest contest;

    s->step = 1;
    if (s->type->bits == 4) {
        s->spread = spread_4bit;
        s->spread.others = s->length <= SHORT;
    }
    for (size_t k = 0; k < count; k++) {
        w.group = from + k;
        w.held = 0;
        search_begin(s, t, 1, scales + k, zeros + k);
        for (size_t stage = 0; stage < search_stages; stage++) {
            search_plan(s, t, stage);
            if (t->tries != 0)
                try_all(&w, s->steps, t);
        }
        contest_begin(s, &contest, t, 1, scales + k, zeros + k);
        contest_take(s, &contest, 0, best_entry(&w, s, &contest), scales + k, zeros + k);
    }
}

/* The search for groups whose elements have an importance. The trials are those of
 * search_trials.c. The sums are doubles, added element by element, so they are the same
 * on every CPU. The candidate with the least true error is selected, so the result is
 * never worse than round to nearest. */
#include "quant/elements.h"
#include "quant/kernels/kernels.h"
#include "quant/search.h"

#include <math.h>

enum {
    WEIGHTED_BATCH = 4096, /* elements gathered at once: 32 KiB */
    SHORT_GROUP = 128,     /* up to this length, try all scales with other zero points */
};

/* The extremes may matter little or most, so the series reaches from far above the scale
 * of round to nearest to far below. */
static const struct scale_series series_4bit = {SIZE_MAX, 1.3f, 0.95f, 40, false};

struct weighted_group {
    const struct fit *fit;
    const struct matrix *matrix;
    size_t group;
    size_t length; /* elements of a group */
    size_t held;   /* elements gathered last; equal to length if all fit */
    struct element element[WEIGHTED_BATCH];
};

/* Gathers the next elements, from `at` on, unless they are all there. Returns how
 * many. */
static size_t elements_next(struct weighted_group *w, size_t at)
{
    size_t n = size_min(WEIGHTED_BATCH, w->length - at);
    if (w->held != w->length)
        elements_gather(w->fit, w->matrix, w->group, at, at + n, w->element);
    w->held = n;
    return n;
}

struct weighted_sums {
    double xl, ll;
};

/* Adds w * x * l and w * l * l to the sums. x is measured in units of 1 / inverse. */
static void trial_add(const struct weighted_group *w, size_t n, float inverse,
                      float scale, float lo, float hi, struct weighted_sums *sums)
{
    for (size_t i = 0; i < n; i++) {
        float x = w->element[i].x * inverse;
        float c = x / scale;
        double weight = (double)w->element[i].weight;
        c = c > lo ? c : lo;
        c = c < hi ? c : hi;
        double code = (double)((c + ROUNDER) - ROUNDER);
        sums->xl += weight * (double)x * code;
        sums->ll += weight * code * code;
    }
}

/* Makes all trials of a stage. Sums are divided by the sum of all weights, because
 * weights may be of any magnitude. */
static void all_trials(struct weighted_group *w, float steps, struct search_tile *t)
{
    struct weighted_sums sums[MAX_TRIALS] = {{0, 0}};
    double all = 0;
    for (size_t at = 0, n; at < w->length; at += n) {
        n = elements_next(w, at);
        for (size_t i = 0; i < n; i++)
            all += (double)w->element[i].weight;
        for (size_t k = 0; k < t->trials; k++)
            trial_add(w, n, t->inverse[0], t->scale[k][0], -t->zero[k][0],
                      steps - t->zero[k][0], &sums[k]);
    }
    for (size_t k = 0; k < t->trials && all > 0; k++)
        search_keep_better(t, k, 0, (float)(sums[k].xl / all), (float)(sums[k].ll / all));
}

/* The index of the candidate with the least error: the first one if several are equal. */
static size_t best_candidate(struct weighted_group *w, const struct scale_search *s,
                             const struct candidates *candidates)
{
    double errors[MAX_CANDIDATES] = {0};
    size_t best = 0;
    for (size_t at = 0, n; at < w->length; at += n) {
        n = elements_next(w, at);
        for (size_t i = 0; i < candidates->count; i++) {
            const struct candidate *c = &candidates->of_tile[0][i];
            errors[i] += elements_error(w->element, n, c->scale[0], -c->zero[0],
                                        s->steps - c->zero[0]);
        }
    }
    for (size_t i = 1; i < candidates->count; i++)
        if (errors[i] < errors[best])
            best = i;
    return best;
}

void search_weighted(struct scale_search *s, size_t from, size_t count, float *scales,
                     uint8_t *zeros)
{
    struct weighted_group w = {.fit = s->fit, .matrix = s->matrix, .length = s->length};
    struct search_tile *t = &s->tile[0];
    struct candidates candidates;
    s->step = 1;
    if (s->type->bits == 4) {
        s->series = series_4bit;
        s->series.more_zeros = s->length <= SHORT_GROUP;
    }
    for (size_t k = 0; k < count; k++) {
        w.group = from + k;
        w.held = 0;
        search_begin(s, t, 1, scales + k, zeros + k);
        for (size_t stage = 0; stage < search_stages; stage++) {
            search_stage_trials(s, t, stage);
            if (t->trials != 0)
                all_trials(&w, s->steps, t);
        }
        candidates_make(s, &candidates, t, 1, scales + k, zeros + k);
        candidates_select(s, &candidates, 0, best_candidate(&w, s, &candidates),
                          scales + k, zeros + k);
    }
}

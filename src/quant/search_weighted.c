/* The search for groups whose elements have an importance. The trials are those of
 * search_trials.c. Sums are taken in lanes, in an order that is the same on every CPU and
 * lets compilers use its vectors. The candidate with the least true error is selected, so
 * the result is never worse than round to nearest. */
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
    float most;    /* the largest importance */
    double all;    /* the sum of all, as shares of that */
    bool laid;     /* all elements are in lanes: none of them changes between stages */
    struct element element[WEIGHTED_BATCH];
    /* The same side by side, in whole lanes: x in units of 1 / inverse, shares of most.
     */
    float x[WEIGHTED_BATCH], share[WEIGHTED_BATCH];
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

/* Importance may be of any magnitude: finds the largest. */
static void measure_importance(struct weighted_group *w)
{
    w->most = 0;
    for (size_t at = 0, n; at < w->length; at += n) {
        n = elements_next(w, at);
        for (size_t i = 0; i < n; i++)
            w->most = w->element[i].weight > w->most ? w->element[i].weight : w->most;
    }
}

static void lanes_fill(struct weighted_group *w, size_t n, float inverse)
{
    if (w->laid)
        return;
    size_t end = size_ceil_div(n, LANES) * LANES;
    for (size_t i = 0; i < n; i++) {
        w->x[i] = w->element[i].x * inverse;
        w->share[i] = w->element[i].weight / w->most;
        w->all += (double)w->share[i];
    }
    for (size_t i = n; i < end; i++)
        w->x[i] = w->share[i] = 0;
    w->laid = n == w->length;
}

/* Makes all trials of a stage. Sums are divided by that of all weights. */
static void all_trials(struct weighted_group *w, float steps, struct search_tile *t)
{
    struct weighted_sums sums[MAX_TRIALS] = {{0, 0}};
    w->all = w->laid ? w->all : 0;
    for (size_t at = 0, n; at < w->length; at += n) {
        n = elements_next(w, at);
        lanes_fill(w, n, t->inverse[0]);
        size_t whole = size_ceil_div(n, LANES) * LANES;
        for (size_t k = 0; k < t->trials; k++)
            w->fit->kernels->search_weighted(w->x, w->share, whole, 1 / t->scale[k][0],
                                             -t->zero[k][0], steps - t->zero[k][0],
                                             &sums[k]);
    }
    for (size_t k = 0; k < t->trials && w->all > 0; k++)
        search_keep_better(t, k, 0, (float)(sums[k].xl / w->all),
                           (float)(sums[k].ll / w->all));
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

SEARCH_FITS(struct weighted_group);

void search_weighted(struct scale_search *s, size_t from, size_t count, float *scales,
                     uint8_t *zeros)
{
    struct weighted_group *w = search_rest(s);
    struct search_tile *t = &s->tile[0];
    struct candidates candidates;
    w->fit = s->fit;
    w->matrix = s->matrix;
    w->length = s->length;
    s->step = 1;
    if (s->type->bits == 4) {
        s->series = series_4bit;
        s->series.more_zeros = s->length <= SHORT_GROUP;
    }
    for (size_t k = 0; k < count && !is_stopped(s->fit->scheme->stop); k++) {
        w->group = from + k;
        w->held = 0;
        w->laid = false;
        measure_importance(w);
        search_begin(s, t, 1, scales + k, zeros + k);
        for (size_t stage = 0; stage < search_stages; stage++) {
            search_stage_trials(s, t, stage);
            if (t->trials != 0 && w->most > 0 && !is_stopped(s->fit->scheme->stop))
                all_trials(w, s->steps, t);
        }
        candidates_make(s, &candidates, t, 1, scales + k, zeros + k);
        candidates_select(s, &candidates, 0, best_candidate(w, s, &candidates),
                          scales + k, zeros + k);
    }
}

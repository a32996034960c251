/* A knapsack that holds one choice of each weight. If weights could be split, the optimum
 * would be found by taking steps along the lower convex hull of each weight's (bytes,
 * error), the steepest of all weights first. That bounds all other solutions, and a
 * search with this bound finds the best one without splits. Everything is done in a fixed
 * order, so results are the same on any machine. */
#include "plan/budget.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    SEARCH_WEIGHTS = 256, /* with more weights, each is too small to matter */
    SEARCH_WORK = 1 << 26 /* steps that are looked at: takes some tenths of a second */
};
static const double SEARCH_CLOSE = 1e-4;

/* From one choice of a weight to the next one on its hull. */
struct step {
    size_t number; /* in the order of making; breaks ties */
    size_t weight; /* in the order of the knapsack */
    int from, to;
    uint64_t bytes; /* the bytes that it adds */
    double gain;    /* the error that it saves */
};

struct knapsack {
    struct budget_weight **weights; /* the largest first */
    size_t count;
    uint64_t room;
    struct step *steps; /* the steepest first */
    size_t step_count;
    uint64_t *tail_bytes; /* bytes of the smallest choices of the weights from each one
                             on; count + 1 entries */
    double *tail_error;   /* the errors of the same choices */
    int *chosen, *best;
    double best_error;
    size_t work; /* steps that the search may still look at */
};

/* ---- one weight ------------------------------------------------------- */

/* The choice with the fewest bytes. Ties go to the smallest error, then to the first. */
static int smallest_within(const struct budget_weight *weight, double error)
{
    int best = -1;
    for (int i = 0; i < BUDGET_CHOICES; i++) {
        const struct budget_choice *choice = &weight->choices[i], *least;
        if (!choice->possible || choice->error > error)
            continue;
        least = best < 0 ? NULL : &weight->choices[best];
        if (!least || choice->bytes < least->bytes ||
            (choice->bytes == least->bytes && choice->error < least->error))
            best = i;
    }
    return best;
}

static int smallest(const struct budget_weight *weight)
{
    return smallest_within(weight, (double)INFINITY);
}

/* Finds the next corner of the hull: the steepest step down, and the longest of equally
 * steep steps. */
static bool next_step(const struct budget_weight *weight, int from, struct step *step)
{
    const struct budget_choice *at = &weight->choices[from];
    *step = (struct step){.from = from, .to = -1};
    for (int i = 0; i < BUDGET_CHOICES; i++) {
        const struct budget_choice *choice = &weight->choices[i];
        if (!choice->possible || choice->bytes <= at->bytes || choice->error >= at->error)
            continue;
        uint64_t bytes = choice->bytes - at->bytes;
        double gain = at->error - choice->error;
        double ahead = gain * (double)step->bytes - step->gain * (double)bytes;
        if (step->to >= 0 && (ahead < 0 || (ahead == 0 && bytes < step->bytes)))
            continue;
        step->to = i;
        step->bytes = bytes;
        step->gain = gain;
    }
    return step->to >= 0;
}

/* Bytes between the smallest choice and the largest. */
static uint64_t span(const struct budget_weight *weight)
{
    uint64_t least = weight->choices[smallest(weight)].bytes, most = least;
    for (int i = 0; i < BUDGET_CHOICES; i++)
        if (weight->choices[i].possible && weight->choices[i].bytes > most)
            most = weight->choices[i].bytes;
    return most - least;
}

/* ---- making and ending a solver ---------------------------------------- */

static int by_span(const void *left, const void *right)
{
    const struct budget_weight *a = *(struct budget_weight *const *)left;
    const struct budget_weight *b = *(struct budget_weight *const *)right;
    if (span(a) != span(b))
        return span(a) > span(b) ? -1 : 1;
    return a < b ? -1 : 1; /* they are in one array */
}

static int by_slope(const void *left, const void *right)
{
    const struct step *a = left, *b = right;
    double slope_a = a->gain / (double)a->bytes, slope_b = b->gain / (double)b->bytes;
    if (slope_a != slope_b)
        return slope_a > slope_b ? -1 : 1;
    return a->number < b->number ? -1 : 1;
}

static void make_steps(struct knapsack *s)
{
    for (size_t i = 0; i < s->count; i++) {
        struct step step;
        int from = smallest(s->weights[i]);
        for (; next_step(s->weights[i], from, &step); from = step.to) {
            step.number = s->step_count;
            step.weight = i;
            s->steps[s->step_count++] = step;
        }
    }
    qsort(s->steps, s->step_count, sizeof *s->steps, by_slope);
}

static void knapsack_free(struct knapsack *s)
{
    free(s->weights);
    free(s->steps);
    free(s->tail_bytes);
    free(s->tail_error);
    free(s->chosen);
    free(s->best);
}

static bool knapsack_make(struct knapsack *s, struct budget_weight *weights, size_t count,
                          uint64_t room)
{
    *s = (struct knapsack){
        .weights = calloc(count, sizeof *s->weights),
        .count = count,
        .room = room,
        .steps = calloc(count, BUDGET_CHOICES * sizeof *s->steps),
        .tail_bytes = calloc(count + 1, sizeof *s->tail_bytes),
        .tail_error = calloc(count + 1, sizeof *s->tail_error),
        .chosen = calloc(count, sizeof *s->chosen),
        .best = calloc(count, sizeof *s->best),
        .best_error = (double)INFINITY,
        .work = SEARCH_WORK,
    };
    if (!s->weights || !s->steps || !s->tail_bytes || !s->tail_error || !s->chosen ||
        !s->best)
        return false;
    for (size_t i = 0; i < count; i++)
        s->weights[i] = &weights[i];
    qsort(s->weights, count, sizeof *s->weights, by_span);
    make_steps(s);
    for (size_t i = count; i-- > 0;) {
        const struct budget_choice *least =
            &s->weights[i]->choices[smallest(s->weights[i])];
        s->tail_bytes[i] = s->tail_bytes[i + 1] + least->bytes;
        s->tail_error[i] = s->tail_error[i + 1] + least->error;
    }
    return true;
}

/* ---- whole choices, quickly -------------------------------------------- */

static const struct budget_choice *choice_of(const struct knapsack *s, size_t i)
{
    return &s->weights[i]->choices[s->chosen[i]];
}

/* Keeps what is chosen if it fits and is better than the best so far. */
static void offer(struct knapsack *s)
{
    uint64_t bytes = 0;
    double error = 0;
    for (size_t i = 0; i < s->count; i++) {
        bytes += choice_of(s, i)->bytes;
        error += choice_of(s, i)->error;
    }
    if (bytes > s->room || error >= s->best_error)
        return;
    memcpy(s->best, s->chosen, s->count * sizeof *s->best);
    s->best_error = error;
}

/* Raises a weight to the best of its choices that `left` allows, on its hull or not. */
static void fill_one(struct knapsack *s, size_t i, uint64_t *left)
{
    const struct budget_choice *at = choice_of(s, i), *better = at;
    for (int k = 0; k < BUDGET_CHOICES; k++) {
        const struct budget_choice *choice = &s->weights[i]->choices[k];
        if (choice->possible && choice->error < better->error &&
            choice->bytes <= at->bytes + *left)
            better = choice;
    }
    *left = *left + at->bytes - better->bytes;
    s->chosen[i] = (int)(better - s->weights[i]->choices);
}

/* Takes all steps that fit, the steepest first. With `fill`, a weight whose step does not
 * fit gets the best choice that does. */
static void try_greedy(struct knapsack *s, bool fill)
{
    uint64_t left = s->room - s->tail_bytes[0];
    for (size_t i = 0; i < s->count; i++)
        s->chosen[i] = smallest(s->weights[i]);
    for (size_t i = 0; i < s->step_count; i++) {
        const struct step *step = &s->steps[i];
        if (s->chosen[step->weight] != step->from)
            continue;
        if (step->bytes <= left) {
            s->chosen[step->weight] = step->to;
            left -= step->bytes;
        } else if (fill) {
            fill_one(s, step->weight, &left);
        }
    }
    offer(s);
}

static void try_uniform(struct knapsack *s, int choice)
{
    for (size_t i = 0; i < s->count; i++)
        s->chosen[i] =
            s->weights[i]->choices[choice].possible ? choice : BUDGET_CHOICES - 1;
    offer(s);
}

/* ---- the search -------------------------------------------------------- */

/* The least error of the weights from `first` on, if the last step may be split. */
static double bound(struct knapsack *s, size_t first, uint64_t room)
{
    uint64_t left = room - s->tail_bytes[first];
    double error = s->tail_error[first];
    for (size_t i = 0; i < s->step_count; i++) {
        const struct step *step = &s->steps[i];
        s->work -= s->work > 0;
        if (step->weight < first)
            continue;
        if (step->bytes > left)
            return error - step->gain * ((double)left / (double)step->bytes);
        left -= step->bytes;
        error -= step->gain;
    }
    return error;
}

/* Tries the choices of weight i and of all after it, the most promising first. */
static void search(struct knapsack *s, size_t i, uint64_t room, double error)
{
    double bounds[BUDGET_CHOICES];
    if (i == s->count) {
        offer(s);
        return;
    }
    for (int k = 0; k < BUDGET_CHOICES; k++) {
        const struct budget_choice *choice = &s->weights[i]->choices[k];
        bool fits = choice->possible && choice->bytes + s->tail_bytes[i + 1] <= room;
        bounds[k] = fits ? error + choice->error + bound(s, i + 1, room - choice->bytes)
                         : (double)INFINITY;
    }
    for (;;) {
        int k = 0;
        for (int j = 1; j < BUDGET_CHOICES; j++)
            k = bounds[j] < bounds[k] ? j : k;
        if (s->work == 0 || bounds[k] >= s->best_error * (1 - SEARCH_CLOSE))
            return;
        bounds[k] = (double)INFINITY;
        s->chosen[i] = k;
        search(s, i + 1, room - choice_of(s, i)->bytes, error + choice_of(s, i)->error);
    }
}

/* ---- the calls ---------------------------------------------------------- */

uint64_t budget_least(const struct budget_weight *weights, size_t count)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < count; i++)
        bytes += weights[i].choices[smallest(&weights[i])].bytes;
    return bytes;
}

bool budget_fit(struct budget_weight *weights, size_t count, uint64_t room,
                struct error *err)
{
    struct knapsack s;
    if (count == 0)
        return true;
    bool ok = knapsack_make(&s, weights, count, room);
    if (ok) {
        try_greedy(&s, false);
        try_greedy(&s, true);
        for (int choice = 0; choice < BUDGET_CHOICES; choice++)
            try_uniform(&s, choice);
        if (count <= SEARCH_WEIGHTS)
            search(&s, 0, room, 0);
        for (size_t i = 0; i < count; i++)
            s.weights[i]->chosen = s.best[i];
    }
    knapsack_free(&s);
    return ok || error_memory(err);
}

void budget_reach(struct budget_weight *weights, size_t count, double error)
{
    for (size_t i = 0; i < count; i++) {
        int choice = smallest_within(&weights[i], error);
        weights[i].chosen = choice < 0 ? BUDGET_CHOICES - 1 : choice;
    }
}

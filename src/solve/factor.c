/* Factoring. GPTQ asks for the upper Cholesky factor U of H^-1, with the most important
 * inputs first. With L of H itself and the order turned round the same steps need no
 * inverse: row k of U, divided by U[k][k], is row k of L, divided by L[k][k], with the
 * other sign (gptq.c). */
#include "solve/factor.h"

#include <math.h>
#include <stdlib.h>

static const double damping_first = 0.01; /* times the mean of the diagonal */
enum { DAMPING_TRIES = 10 };

/* ---- H ---------------------------------------------------------------- */

/* Row i from the diagonal on. */
static void read_row(const struct factor *f, size_t i, double *row)
{
    moments_covariance(f->moments, i, row);
    for (size_t j = i; !f->centered && j < f->inputs; j++)
        row[j - i] += f->mean[i] * f->mean[j];
}

/* Few rows say little about how inputs go together. */
static double shrinking(const struct moments *m)
{
    double inputs = (double)m->inputs;
    return m->rows < inputs ? 0.3 : m->rows < 4 * inputs ? 0.1 : 0;
}

static bool set_diagonal(struct factor *f, struct error *err)
{
    const struct moments *m = f->moments;
    double sum = 0;
    for (size_t i = 0; i < f->inputs; i++) {
        double mean = moments_mean(m, i), value = moments_variance(m, i);
        value += f->centered ? 0 : mean * mean;
        if (!isfinite(value) || !isfinite(mean))
            return error_set(err, STATUS_MALFORMED,
                             "calibration data hold NaN, infinity or values too large");
        f->mean[i] = mean;
        f->target[i] = m->cross ? moments_target(m, i) : mean;
        f->raw[i] = value > 0 ? value : 0;
        sum += f->raw[i];
    }
    f->damping = sum > 0 ? damping_first * sum / (double)f->inputs : 1;
    return true;
}

/* An input that never changed gets the mean, so that its weights are rounded alone. */
static void set_importance(struct factor *f)
{
    for (size_t i = 0; i < f->inputs; i++)
        f->importance[i] =
            f->raw[i] > 0 ? f->raw[i] + f->damping : f->damping / damping_first;
}

/* ---- the order -------------------------------------------------------- */

struct ranked {
    double importance;
    uint32_t input;
};

static int by_importance(const void *left, const void *right)
{
    const struct ranked *a = left, *b = right;
    if (a->importance != b->importance)
        return a->importance < b->importance ? -1 : 1;
    return a->input < b->input ? 1 : -1; /* the first of equal ones is quantized first */
}

static bool set_order(struct factor *f)
{
    struct ranked *ranked = malloc(f->inputs * sizeof *ranked);
    if (!ranked)
        return false;
    for (size_t i = 0; i < f->inputs; i++)
        ranked[i] = (struct ranked){f->raw[i], (uint32_t)i};
    qsort(ranked, f->inputs, sizeof *ranked, by_importance);
    for (size_t i = 0; i < f->inputs; i++) {
        f->order[i] = ranked[i].input;
        f->place[ranked[i].input] = (uint32_t)i;
    }
    free(ranked);
    return true;
}

/* ---- the factor ------------------------------------------------------- */

static void set_lower(struct factor *f, double *row)
{
    const double keep = 1 - f->shrink;
    const size_t n = f->inputs;
    for (size_t i = 0; i < n; i++) {
        const size_t at = f->place[i];
        read_row(f, i, row);
        for (size_t j = i + 1; j < n; j++) {
            const size_t other = f->place[j];
            const size_t to = at > other ? at * n + other : other * n + at;
            f->lower[to] = keep * row[j - i];
        }
        f->lower[at * n + at] = f->importance[i];
    }
}

static void factor_lower(const struct algebra *algebra, struct factor *f, double *row)
{
    for (int tries = 0; tries < DAMPING_TRIES; tries++, f->damping *= 2) {
        set_importance(f);
        set_lower(f, row);
        if (algebra_factor(algebra, f->inputs, f->lower))
            return;
    }
    free(f->lower);
    f->lower = NULL;
}

/* E[target xT] - H, both centered or both not. */
static void set_change(struct factor *f, double *row)
{
    const size_t n = f->inputs;
    for (size_t i = 0; i < n; i++) {
        double *to = f->change + f->place[i] * n;
        moments_cross(f->moments, i, row);
        for (size_t j = 0; j < n; j++)
            to[f->place[j]] = f->centered ? row[j] : row[j] + f->target[i] * f->mean[j];
    }
    for (size_t i = 0; i < n; i++) {
        const size_t at = f->place[i];
        read_row(f, i, row);
        f->change[at * n + at] -= *row;
        for (size_t j = i + 1; j < n; j++) {
            f->change[at * n + f->place[j]] -= row[j - i];
            f->change[f->place[j] * n + at] -= row[j - i];
        }
    }
}

static bool factor_alloc(struct factor *f)
{
    const size_t n = f->inputs;
    f->order = malloc(n * sizeof *f->order);
    f->place = malloc(n * sizeof *f->place);
    f->lower = malloc(n * n * sizeof *f->lower);
    f->importance = malloc(n * sizeof *f->importance);
    f->raw = malloc(n * sizeof *f->raw);
    f->mean = malloc(n * sizeof *f->mean);
    f->target = malloc(n * sizeof *f->target);
    if (f->moments->cross)
        f->change = malloc(n * n * sizeof *f->change);
    return f->order && f->place && f->lower && f->importance && f->raw && f->mean &&
           f->target && (f->change || !f->moments->cross);
}

bool factor_make(const struct algebra *algebra, const struct moments *moments,
                 bool centered, struct factor *f, struct error *err)
{
    double *row = malloc(moments->inputs * sizeof *row);
    *f = (struct factor){.moments = moments,
                         .inputs = moments->inputs,
                         .centered = centered,
                         .shrink = shrinking(moments)};
    bool ok = (row && factor_alloc(f)) || error_memory(err);
    ok = ok && set_diagonal(f, err) && (set_order(f) || error_memory(err));
    if (ok) {
        factor_lower(algebra, f, row);
        if (f->change)
            set_change(f, row);
    } else {
        factor_free(f);
    }
    free(row);
    return ok;
}

void factor_free(struct factor *f)
{
    free(f->order);
    free(f->place);
    free(f->lower);
    free(f->importance);
    free(f->raw);
    free(f->mean);
    free(f->target);
    free(f->change);
    *f = (struct factor){0};
}

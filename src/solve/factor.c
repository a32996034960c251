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

static double entry(const struct factor *f, size_t i, size_t j)
{
    const struct moments *m = f->moments;
    double value =
        i < j ? m->covariance[i * f->inputs + j] : m->covariance[j * f->inputs + i];
    return f->centered ? value : value + m->mean[i] * m->mean[j];
}

/* Few rows say little about how inputs go together. */
static double shrinking(const struct moments *m)
{
    double inputs = (double)m->inputs;
    return m->rows < inputs ? 0.3 : m->rows < 4 * inputs ? 0.1 : 0;
}

static bool set_diagonal(struct factor *f, struct error *err)
{
    double sum = 0;
    for (size_t i = 0; i < f->inputs; i++) {
        double value = entry(f, i, i);
        if (!isfinite(value) || !isfinite(f->moments->mean[i]))
            return error_set(err, STATUS_MALFORMED,
                             "calibration data hold NaN, infinity or values too large");
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
    for (size_t i = 0; i < f->inputs; i++)
        f->order[i] = ranked[i].input;
    free(ranked);
    return true;
}

/* ---- the factor ------------------------------------------------------- */

static void set_lower(struct factor *f)
{
    const double keep = 1 - f->shrink;
    for (size_t i = 0; i < f->inputs; i++) {
        double *row = f->lower + i * f->inputs;
        for (size_t j = 0; j < i; j++)
            row[j] = keep * entry(f, f->order[i], f->order[j]);
        row[i] = f->importance[f->order[i]];
    }
}

static void factor_lower(const struct algebra *algebra, struct factor *f)
{
    for (int tries = 0; tries < DAMPING_TRIES; tries++, f->damping *= 2) {
        set_importance(f);
        set_lower(f);
        if (algebra_factor(algebra, f->inputs, f->lower))
            return;
    }
    free(f->lower);
    f->lower = NULL;
}

bool factor_make(const struct algebra *algebra, const struct moments *moments,
                 bool centered, struct factor *f, struct error *err)
{
    const size_t n = moments->inputs;
    *f = (struct factor){.moments = moments,
                         .inputs = n,
                         .centered = centered,
                         .shrink = shrinking(moments),
                         .order = malloc(n * sizeof *f->order),
                         .lower = malloc(n * n * sizeof *f->lower),
                         .importance = malloc(n * sizeof *f->importance),
                         .raw = malloc(n * sizeof *f->raw)};
    bool ok = f->order && f->lower && f->importance && f->raw;
    ok = ok ? set_diagonal(f, err) && (set_order(f) || error_memory(err))
            : error_memory(err);
    if (ok)
        factor_lower(algebra, f);
    else
        factor_free(f);
    return ok;
}

void factor_free(struct factor *f)
{
    free(f->order);
    free(f->lower);
    free(f->importance);
    free(f->raw);
    *f = (struct factor){0};
}

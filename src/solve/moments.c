/* Moments out of sums. */
#include "solve/moments.h"
#include "solve/triangle.h"

static double single(double value)
{
    return (double)(float)value;
}

double moments_mean(const struct moments *m, size_t i)
{
    return single(m->first[i] / m->rows);
}

double moments_target(const struct moments *m, size_t i)
{
    return single(m->target[i] / m->rows);
}

double moments_variance(const struct moments *m, size_t i)
{
    const double mean = m->first[i] / m->rows;
    return single(m->second[triangle_row(m->inputs, i) + i] / m->rows - mean * mean);
}

void moments_covariance(const struct moments *m, size_t i, double *row)
{
    const double *second = m->second + triangle_row(m->inputs, i);
    const double mean = m->first[i] / m->rows;
    for (size_t j = i; j < m->inputs; j++)
        row[j - i] = single(second[j] / m->rows - mean * (m->first[j] / m->rows));
}

void moments_cross(const struct moments *m, size_t i, double *row)
{
    const double *cross = m->cross + i * m->inputs;
    const double mean = m->target[i] / m->rows;
    for (size_t j = 0; j < m->inputs; j++)
        row[j] = single(cross[j] / m->rows - mean * (m->first[j] / m->rows));
}

/* The kernel search_weighted in plain C: compilers use the vectors of the instruction set
 * that they compile for. Include it with FUNCTION defined. */

KERNEL_SEARCH_WEIGHTED(FUNCTION)
{
    float xl[LANES] = {0}, ll[LANES] = {0};
    for (size_t at = 0; at < n; at += LANES)
        for (size_t i = 0; i < LANES; i++) {
            float c = x[at + i] * inverse;
            c = c > lo ? c : lo;
            c = c < hi ? c : hi;
            float code = (c + ROUNDER) - ROUNDER, part = share[at + i] * code;
            xl[i] += part * x[at + i];
            ll[i] += part * code;
        }
    for (size_t i = 0; i < LANES; i++) {
        sums->xl += (double)xl[i];
        sums->ll += (double)ll[i];
    }
}

#undef FUNCTION

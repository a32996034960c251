/* The tables of kernels, fastest first: one row for each instruction set in this build.
 * To add an instruction set, add a file, a row here and a test of the CPU in cpu.c. */
#include "quant/kernels/cpu.h"
#include "quant/kernels/kernels.h"

#include <string.h>

static const struct {
    const struct kernels *kernels;
    bool (*runs)(void);
} tables[] = {
#if defined(__x86_64__)
    {&kernels_avx512, cpu_has_avx512},
    {&kernels_avx2, cpu_has_avx2},
#endif
    {&kernels_scalar, cpu_always},
};

const struct kernels *quant_kernels(const char *name)
{
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        if (name && strcmp(name, tables[i].kernels->name) != 0)
            continue;
        if (tables[i].runs())
            return tables[i].kernels;
    }
    return NULL;
}

const char *quant_kernels_name(const struct kernels *kernels)
{
    return kernels->name;
}

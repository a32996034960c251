/* What this CPU and its operating system can run. */
#ifndef NIBBLE_QUANT_KERNELS_CPU_H
#define NIBBLE_QUANT_KERNELS_CPU_H

#include <stdbool.h>

bool cpu_always(void);   /* true */
bool cpu_has_avx2(void); /* AVX2 and F16C */

/* AVX2 and F16C, and AVX-512 with F, BW, DQ, VL and VNNI. */
bool cpu_has_avx512(void);

#endif

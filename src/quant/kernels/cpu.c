/* Detects the CPU with CPUID and XGETBV. The CPU must have the instructions, and the
 * operating system must save their registers. Always false on other architectures. */
#include "quant/kernels/cpu.h"

bool cpu_always(void)
{
    return true;
}

#if defined(__x86_64__)

#include <cpuid.h>

/* The register states that the operating system saves: the low half of XCR0. */
static unsigned cpu_saved_states(void)
{
    unsigned low, high;
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    (void)high;
    return low;
}

bool cpu_has_avx2(void)
{
    const unsigned wanted = bit_OSXSAVE | bit_AVX | bit_F16C | bit_FMA;
    const unsigned states = 6; /* XMM and YMM */
    unsigned a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d) || (c & wanted) != wanted)
        return false;
    if ((cpu_saved_states() & states) != states)
        return false;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & bit_AVX2) != 0;
}

bool cpu_has_avx512(void)
{
    const unsigned wanted = bit_AVX512F | bit_AVX512BW | bit_AVX512DQ | bit_AVX512VL;
    const unsigned states = 0xe6; /* XMM, YMM, masks, and both parts of ZMM */
    unsigned a, b, c, d;
    return cpu_has_avx2() && (cpu_saved_states() & states) == states &&
           __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & wanted) == wanted &&
           (c & bit_AVX512VNNI) != 0;
}

#else

bool cpu_has_avx2(void)
{
    return false;
}

bool cpu_has_avx512(void)
{
    return false;
}

#endif

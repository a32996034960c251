/* Options of other tools, and words that people try. Each has its name in nibble. */
#include "cli/settings.h"

#include <string.h>

static const struct {
    const char *name, *meant;
} hints[] = {
    {"bits", "--type int4 for 4 bits, or --type int8 for 8"},
    {"nbits", "--type int4 or --type int8, or --format nbits"},
    {"weight-type", "--type"},
    {"dtype", "--type"},
    {"group-size", "--block-size"},
    {"groupsize", "--block-size"},
    {"algorithm", "--method"},
    {"algo", "--method"},
    {"accuracy-level", "--format nbits-int8"},
    {"nodes-to-exclude", "--exclude"},
    {"nodes-to-quantize", "--include"},
    {"skip", "--exclude"},
    {"use-external-data-format", "--external-data"},
    {"save-as-external-data", "--external-data"},
    {"input", "the model's name alone: nibble MODEL -o OUT"},
    {"model", "the model's name alone: nibble MODEL -o OUT"},
    {"overwrite", "--force"},
    {"jobs", "--threads"},
    {"html", "--report FILE"},
    {"fp16", "--float16"},
};

/* Compares names. '_' in the first one matches '-' in the second. */
static bool same(const char *a, const char *b)
{
    for (; *a && *b; a++, b++)
        if (*a != *b && !(*a == '_' && *b == '-'))
            return false;
    return *a == *b;
}

const char *option_hint(const char *name)
{
    for (size_t i = 0; i < sizeof hints / sizeof *hints; i++)
        if (same(name, hints[i].name))
            return hints[i].meant;
    return NULL;
}

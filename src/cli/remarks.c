/* Warnings about options that had no effect, as the report shows: no weight took the
 * option, or a pattern means no weight. */
#include "cli/commands.h"
#include "cli/terminal.h"

#include <string.h>

/* ---- options that no weight took ---------------------------------------- */

static bool is_wide_row(const struct nibble_weight *w)
{
    return strcmp(w->op_type, "Gather") == 0 && strstr(w->type, "int8");
}

static bool has_half_scales(const struct nibble_weight *w)
{
    bool wide =
        strcmp(w->element_type, "float") == 0 || strcmp(w->element_type, "double") == 0;
    return wide && strcmp(w->scale_type, "float16") == 0;
}

static void warn_unless(const struct nibble_report *report, const char *text,
                        bool (*took)(const struct nibble_weight *w))
{
    for (size_t i = 0; i < report->weight_count; i++)
        if (report->weights[i]->quantized && took(report->weights[i]))
            return;
    message("warning: %s", text);
}

/* ---- patterns that mean nothing ----------------------------------------- */

static size_t warn_of_patterns(const struct nibble_report *report)
{
    size_t count = 0;
    for (size_t i = 0; i < report->pattern_count; i++) {
        const struct nibble_pattern *pattern = report->patterns[i];
        bool near = *pattern->nearest;
        if (pattern->weights > 0 || report->weight_count == 0)
            continue;
        count++;
        message("warning: %s '%s' matches no weight%s%s", pattern->option, pattern->text,
                near ? "; the nearest names are " : "; 'nibble inspect -v' lists them",
                pattern->nearest);
    }
    return count;
}

bool remarks_print(const struct settings *s, const struct nibble_report *report)
{
    const struct nibble_options *o = &s->options;
    bool all_match = warn_of_patterns(report) == 0;
    if (s->unused)
        message("warning: inspect makes no codes, so it does not use --%s of the config",
                s->unused);
    if (report->quantized == 0)
        return all_match;
    if (o->wide_embeddings)
        warn_unless(
            report,
            "--embedding-type int8 has no effect: the model has no embedding that "
            "is decoded row by row",
            is_wide_row);
    if (o->scale_type == NIBBLE_SCALE_TYPE_FLOAT16)
        warn_unless(
            report,
            "--scale-type float16 has no effect: no quantized weight is float32 or "
            "double and has scales that float16 can hold",
            has_half_scales);
    return all_match;
}

/* Warnings about options that had no effect, as the report shows: no weight took the
 * option, or a pattern matches no weight. */
#include "cli/commands.h"
#include "cli/terminal.h"

#include <regex.h>
#include <stdio.h>
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

/* ---- patterns that match nothing ---------------------------------------- */

/* The length of the longest string that both names contain. */
static size_t common(const char *a, const char *b)
{
    size_t best = 0;
    for (const char *x = a; *x; x++) {
        for (const char *y = b; *y; y++) {
            size_t n = 0;
            while (x[n] && x[n] == y[n])
                n++;
            best = n > best ? n : best;
        }
    }
    return best;
}

enum { PATTERN_MAX = 200, NEAREST = 3, LEAST_COMMON = 3 };

/* Copies the pattern without the characters that have a special meaning. */
static void literal(const char *pattern, char out[PATTERN_MAX + 1])
{
    size_t n = 0;
    for (; *pattern && n < PATTERN_MAX; pattern++)
        if (!strchr("^$\\()|*+?[]{}", *pattern))
            out[n++] = *pattern;
    out[n] = '\0';
}

/* Inserts the name into the list of the nearest names, the best first. */
static void enter(const char *nearest[NEAREST], size_t scores[NEAREST], const char *name,
                  size_t score)
{
    for (size_t i = 0; i < NEAREST && score >= LEAST_COMMON; i++) {
        if (nearest[i] && strcmp(nearest[i], name) == 0)
            return;
        if (score <= scores[i])
            continue;
        memmove(nearest + i + 1, nearest + i, (NEAREST - 1 - i) * sizeof *nearest);
        memmove(scores + i + 1, scores + i, (NEAREST - 1 - i) * sizeof *scores);
        nearest[i] = name;
        scores[i] = score;
        return;
    }
}

static void warn_no_match(const struct nibble_report *report, const char *option,
                          const char *pattern)
{
    const char *nearest[NEAREST] = {NULL};
    size_t scores[NEAREST] = {0}, used = 0;
    char wanted[PATTERN_MAX + 1], list[600] = "";
    literal(pattern, wanted);
    for (size_t i = 0; i < report->weight_count; i++) {
        const char *name = report->weights[i]->name;
        if (strlen(name) <= PATTERN_MAX)
            enter(nearest, scores, name, common(wanted, name));
    }
    for (size_t i = 0; i < NEAREST && nearest[i] && used < sizeof list; i++)
        used += (size_t)snprintf(list + used, sizeof list - used, "%s'%s'",
                                 i ? ", " : "; the nearest names are ", nearest[i]);
    message("warning: %s '%s' matches the name of no weight%s", option, pattern,
            used ? list : "; 'nibble inspect -v' lists them");
}

static void check_pattern(const struct nibble_report *report, const char *option,
                          const char *pattern)
{
    regex_t regex;
    if (!pattern || regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB) != 0)
        return;
    bool found = report->weight_count == 0;
    for (size_t i = 0; i < report->weight_count && !found; i++)
        found = regexec(&regex, report->weights[i]->name, 0, NULL, 0) == 0;
    regfree(&regex);
    if (!found)
        warn_no_match(report, option, pattern);
}

void remarks_print(const struct settings *s, const struct nibble_report *report)
{
    const struct nibble_options *o = &s->options;
    check_pattern(report, "--include", o->include);
    check_pattern(report, "--exclude", o->exclude);
    if (report->quantized == 0)
        return;
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
}

/* How many weights each pattern means. If it means none, the names that are most like it,
 * since it was probably mistyped. */
#include "report/patterns.h"

#include <string.h>

/* ---- the nearest names -------------------------------------------------- */

enum { PATTERN_MAX = 200, NEAREST = 3, LEAST_COMMON = 3 };

struct nearest {
    const char *names[NEAREST]; /* the best first */
    size_t scores[NEAREST];
};

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

/* Copies the pattern without the characters that have a special meaning. */
static void copy_literal(const char *pattern, char out[PATTERN_MAX + 1])
{
    size_t n = 0;
    for (; *pattern && n < PATTERN_MAX; pattern++)
        if (!strchr("^$\\()|*+?[]{}", *pattern))
            out[n++] = *pattern;
    out[n] = '\0';
}

static void enter(struct nearest *nearest, const char *name, size_t score)
{
    for (size_t i = 0; i < NEAREST && score >= LEAST_COMMON; i++) {
        size_t behind = NEAREST - 1 - i;
        if (nearest->names[i] && strcmp(nearest->names[i], name) == 0)
            return;
        if (score <= nearest->scores[i])
            continue;
        memmove(nearest->names + i + 1, nearest->names + i,
                behind * sizeof *nearest->names);
        memmove(nearest->scores + i + 1, nearest->scores + i,
                behind * sizeof *nearest->scores);
        nearest->names[i] = name;
        nearest->scores[i] = score;
        return;
    }
}

/* The name of a weight that is like the selector's text, by its kind. */
static void enter_weight(struct nearest *nearest, const struct selector *selector,
                         const char *wanted, const struct nibble_weight *w)
{
    const char *const names[] = {
        selector->kind == SELECT_NAME ? w->name : "",
        selector->kind == SELECT_NAME ? w->node : "",
        selector->kind == SELECT_OPERATOR ? w->op_type : "",
        selector->kind == SELECT_GRAPH ? w->graph : "",
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strlen(names[i]) <= PATTERN_MAX)
            enter(nearest, names[i], common(wanted, names[i]));
}

static const char *nearest_text(struct arena *arena, const struct selector *selector,
                                const struct nibble_report *report)
{
    struct nearest nearest = {0};
    char wanted[PATTERN_MAX + 1];
    const char *text = arena_string(arena, "");
    copy_literal(selector->text, wanted);
    for (size_t i = 0; i < report->weight_count; i++)
        enter_weight(&nearest, selector, wanted, report->weights[i]);
    for (size_t i = 0; i < NEAREST && nearest.names[i] && text; i++)
        text = arena_printf(arena, "%s%s'%s'", text, i ? ", " : "", nearest.names[i]);
    return text;
}

/* ---- the list ----------------------------------------------------------- */

static void add(struct arena *arena, struct nibble_report *report,
                struct nibble_pattern *rows, const char *option, const char *text,
                const struct selector *selector, size_t weights)
{
    if (!selector)
        return;
    rows[report->pattern_count++] = (struct nibble_pattern){
        .option = option,
        .text = arena_string(arena, text),
        .weights = weights,
        .nearest = weights ? "" : nearest_text(arena, selector, report),
    };
}

bool patterns_report(struct arena *arena, const struct plan_options *planning,
                     const struct plan *plan, struct nibble_report *report)
{
    size_t room = planning ? planning->rule_count + 2 : 0;
    struct nibble_pattern *rows = arena_array(arena, room, sizeof *rows);
    const struct nibble_pattern **list = arena_array(arena, room, sizeof *list);
    if (!rows || !list)
        return false;
    report->patterns = list;
    if (!planning)
        return true;
    const struct selector *include = planning->include, *exclude = planning->exclude;
    add(arena, report, rows, "--include", include ? include->text : "", include,
        plan->matched.include);
    add(arena, report, rows, "--exclude", exclude ? exclude->text : "", exclude,
        plan->matched.exclude);
    for (size_t i = 0; i < planning->rule_count; i++)
        if (!planning->rules[i].optional || plan->matched.rules[i] > 0)
            add(arena, report, rows, "--rule", planning->rules[i].text,
                &planning->rules[i].selector, plan->matched.rules[i]);
    for (size_t i = 0; i < report->pattern_count; i++)
        list[i] = &rows[i];
    return !arena_exhausted(arena);
}

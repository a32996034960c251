/* Names for the rows of a table. Shortening must not make two weights look alike, so the
 * column gets wider until all names differ. */
#include "report/row_names.h"
#include "report/format.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char *full_name(const struct nibble_weight *w)
{
    size_t room = strlen(w->graph) + strlen(w->name) + 2;
    char *joined = malloc(room);
    if (!joined)
        return NULL;
    snprintf(joined, room, "%s%s%s", w->graph, *w->graph ? "/" : "", w->name);
    char *name = format_printable(joined);
    free(joined);
    return name;
}

char *node_of_row(const struct nibble_weight *w)
{
    return format_printable(w->node);
}

/* ---- shortening all ---------------------------------------------------- */

struct pair {
    const char *whole;
    char *brief;
};

static void free_briefs(struct pair *pairs, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(pairs[i].brief);
}

static int by_brief(const void *left, const void *right)
{
    const struct pair *a = left, *b = right;
    int order = strcmp(a->brief, b->brief);
    return order ? order : strcmp(a->whole, b->whole);
}

static bool shorten_all(struct pair *pairs, size_t count, size_t width)
{
    for (size_t i = 0; i < count; i++) {
        pairs[i].brief = strdup(pairs[i].whole);
        if (!pairs[i].brief)
            return false;
        format_shorten(pairs[i].brief, width);
    }
    return true;
}

/* True if two different names are shortened to the same text. Sorts the pairs. */
static bool some_look_alike(struct pair *pairs, size_t count)
{
    qsort(pairs, count, sizeof *pairs, by_brief);
    for (size_t i = 1; i < count; i++)
        if (strcmp(pairs[i].brief, pairs[i - 1].brief) == 0 &&
            strcmp(pairs[i].whole, pairs[i - 1].whole) != 0)
            return true;
    return false;
}

/* Finds the least width, from `room` on, at which different names stay different. */
static bool find_width(struct pair *pairs, size_t count, size_t room, size_t widest,
                       size_t *width)
{
    for (*width = room; *width < widest; ++*width) {
        bool made = shorten_all(pairs, count, *width);
        bool alike = made && some_look_alike(pairs, count);
        free_briefs(pairs, count);
        for (size_t i = 0; i < count; i++)
            pairs[i].brief = NULL;
        if (!alike)
            return made;
    }
    *width = widest;
    return true;
}

static bool fit(struct row_names *rows, size_t room)
{
    size_t count = 0, width = 0;
    struct pair *pairs = calloc(rows->count ? rows->count : 1, sizeof *pairs);
    if (!pairs)
        return false;
    for (size_t i = 0; i < rows->count; i++)
        if (rows->names[i])
            pairs[count++].whole = rows->names[i];
    bool ok = find_width(pairs, count, room, rows->width, &width);
    free(pairs);
    for (size_t i = 0; i < rows->count; i++)
        if (ok && rows->names[i])
            format_shorten(rows->names[i], width);
    rows->width = width;
    return ok;
}

/* ---- the rows ------------------------------------------------------------ */

bool row_names_make(const struct nibble_report *report,
                    char *(*name)(const struct nibble_weight *w), size_t room,
                    struct row_names *rows)
{
    size_t count = report->weight_count;
    *rows = (struct row_names){.names = calloc(count ? count : 1, sizeof *rows->names),
                               .count = count};
    if (!rows->names)
        return false;
    for (size_t i = 0; i < count; i++) {
        if (!report->weights[i]->quantized)
            continue;
        rows->names[i] = name(report->weights[i]);
        if (!rows->names[i])
            return false;
        size_t width = format_width(rows->names[i]);
        rows->width = width > rows->width ? width : rows->width;
    }
    return rows->width <= room || fit(rows, room);
}

void row_names_free(struct row_names *rows)
{
    for (size_t i = 0; rows->names && i < rows->count; i++)
        free(rows->names[i]);
    free(rows->names);
    *rows = (struct row_names){0};
}

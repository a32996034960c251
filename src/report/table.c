/* The table of a report for a terminal: a line for each quantized weight. */
#include "report/table.h"
#include "core/sizes.h"
#include "report/format.h"
#include "report/row_names.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LEAST_NAME = 16, LEAST_OF_TWO = 12 };

/* ---- cells ------------------------------------------------------------ */

void cell_operator(char *out, const struct nibble_weight *w)
{
    format_printable_part(out, CELL_SIZE, *w->op_type ? w->op_type : "-");
    format_shorten(out, 18);
}

void cell_shape(char *out, const struct nibble_weight *w)
{
    size_t used = 0;
    snprintf(out, CELL_SIZE, "scalar");
    for (size_t i = 0; i < w->rank && used + 24 < CELL_SIZE; i++)
        used += (size_t)snprintf(out + used, CELL_SIZE - used, "%s%" PRId64, i ? "x" : "",
                                 w->dims[i]);
}

/* Writes "int4 block 32". The table leaves the axis out, since it follows from the
 * operator. */
static void cell_type(char *out, const struct nibble_weight *w)
{
    int length = (int)strcspn(w->granularity, ",");
    snprintf(out, CELL_SIZE, "%s %.*s", w->type, length, w->granularity);
}

static void cell_before(char *out, const struct nibble_weight *w)
{
    format_bytes(out, w->bytes_before);
}

static void cell_after(char *out, const struct nibble_weight *w)
{
    format_bytes(out, w->bytes_after);
}

static void cell_error(char *out, const struct nibble_weight *w)
{
    if (isnan(w->snr_db))
        snprintf(out, CELL_SIZE, "-");
    else if (isinf(w->snr_db))
        snprintf(out, CELL_SIZE, "exact");
    else
        snprintf(out, CELL_SIZE, "%.1f dB", w->snr_db);
}

/* The columns after the name. `gap` is printed before the cell. */
static const struct column {
    const char *gap, *head;
    bool right;
    void (*cell)(char *out, const struct nibble_weight *w);
    bool adds_up; /* the line of all other weights has it, too */
} columns_[] = {
    {"  ", "OP", false, cell_operator, false}, {" ", "SHAPE", false, cell_shape, false},
    {" ", "TYPE", false, cell_type, false},    {" ", "BEFORE", true, cell_before, true},
    {" -> ", "AFTER", true, cell_after, true}, {" ", "SNR", true, cell_error, false},
};
enum { COLUMNS = sizeof columns_ / sizeof *columns_ };

/* ---- which rows are shown ---------------------------------------------- */

struct row {
    const struct nibble_weight *weight;
    size_t index; /* in the report */
};

struct rows {
    struct row *items;
    size_t count;
    size_t others;              /* quantized weights that are not shown */
    struct nibble_weight other; /* the bytes of those */
};

static bool is_measured(const struct nibble_report *report)
{
    for (size_t i = 0; i < report->weight_count; i++)
        if (report->weights[i]->quantized && !isnan(report->weights[i]->snr_db))
            return true;
    return false;
}

static bool has_nodes(const struct nibble_report *report)
{
    for (size_t i = 0; i < report->weight_count; i++)
        if (report->weights[i]->quantized && *report->weights[i]->node)
            return true;
    return false;
}

/* The worst come first or, if errors were not measured, the largest. */
static int by_rank(const void *left, const void *right)
{
    const struct row *a = left, *b = right;
    const struct nibble_weight *v = a->weight, *w = b->weight;
    if (v->snr_db < w->snr_db || v->snr_db > w->snr_db)
        return v->snr_db < w->snr_db ? -1 : 1;
    if (isnan(v->snr_db) && v->bytes_before != w->bytes_before)
        return v->bytes_before > w->bytes_before ? -1 : 1;
    return a->index < b->index ? -1 : a->index > b->index;
}

/* All quantized weights, in the order of the model, or the first ones by rank. */
static bool choose_rows(const struct nibble_report *report, struct rows *rows)
{
    *rows = (struct rows){.items = calloc(report->weight_count + 1, sizeof *rows->items)};
    if (!rows->items)
        return false;
    for (size_t i = 0; i < report->weight_count; i++)
        if (report->weights[i]->quantized)
            rows->items[rows->count++] = (struct row){report->weights[i], i};
    if (report->top == 0)
        return true;
    qsort(rows->items, rows->count, sizeof *rows->items, by_rank);
    for (; rows->count > report->top; rows->others++) {
        const struct nibble_weight *w = rows->items[--rows->count].weight;
        rows->other.bytes_before += w->bytes_before;
        rows->other.bytes_after += w->bytes_after;
    }
    return true;
}

/* ---- the table of quantized weights ----------------------------------- */

struct table_layout {
    struct row_names names, nodes; /* no nodes: they are not shown */
    size_t column[COLUMNS];        /* the width; 0: the column is not shown */
};

/* Makes every column as wide as its widest cell. Returns the width of all columns except
 * the names. */
static size_t measure(const struct rows *rows, size_t shown, struct table_layout *layout)
{
    size_t rest = 0;
    for (size_t c = 0; c < shown; c++) {
        size_t *width = &layout->column[c];
        char cell[CELL_SIZE];
        *width = strlen(columns_[c].head);
        for (size_t i = 0; i < rows->count; i++) {
            columns_[c].cell(cell, rows->items[i].weight);
            *width = size_max(*width, format_width(cell));
        }
        if (columns_[c].adds_up) {
            columns_[c].cell(cell, &rows->other);
            *width = size_max(*width, format_width(cell));
        }
        rest += strlen(columns_[c].gap) + *width;
    }
    return rest;
}

/* Pads text by hand, because printf counts bytes and names are measured in characters. */
static void put_padded(FILE *out, const char *text, size_t width, bool right)
{
    size_t have = format_width(text);
    int pad = have < width ? (int)(width - have) : 0;
    fprintf(out, "%*s%s%*s", right ? pad : 0, "", text, right ? 0 : pad, "");
}

static void put_head(FILE *out, const struct table_layout *layout)
{
    put_padded(out, "WEIGHT", layout->names.width, false);
    for (size_t c = 0; c < COLUMNS && layout->column[c]; c++) {
        fputs(columns_[c].gap, out);
        put_padded(out, columns_[c].head, layout->column[c], columns_[c].right);
    }
    fputs(layout->nodes.names ? "  NODE\n" : "\n", out);
}

static void put_row(FILE *out, const struct row *row, const struct table_layout *layout)
{
    put_padded(out, layout->names.names[row->index], layout->names.width, false);
    for (size_t c = 0; c < COLUMNS && layout->column[c]; c++) {
        char cell[CELL_SIZE];
        columns_[c].cell(cell, row->weight);
        fputs(columns_[c].gap, out);
        put_padded(out, cell, layout->column[c], columns_[c].right);
    }
    if (layout->nodes.names && *layout->nodes.names[row->index])
        fprintf(out, "  %s", layout->nodes.names[row->index]);
    fputc('\n', out);
}

/* One line for all weights that are not shown. */
static void put_others(FILE *out, const struct rows *rows,
                       const struct table_layout *layout)
{
    char cell[CELL_SIZE];
    snprintf(cell, sizeof cell, "%zu more", rows->others);
    put_padded(out, cell, layout->names.width, false);
    for (size_t c = 0; c < COLUMNS && layout->column[c]; c++) {
        if (!columns_[c].adds_up && c + 1 == COLUMNS)
            break;
        bool shown = columns_[c].adds_up;
        if (shown)
            columns_[c].cell(cell, &rows->other);
        fprintf(out, "%*s", (int)strlen(columns_[c].gap), shown ? columns_[c].gap : "");
        put_padded(out, shown ? cell : "", layout->column[c], columns_[c].right);
    }
    fputc('\n', out);
}

/* Names of weights have the first choice of the room, and names of nodes get the rest. */
static bool make_names(const struct nibble_report *report, size_t room, bool nodes,
                       struct table_layout *layout)
{
    const size_t gap = 2, least = nodes ? LEAST_OF_TWO : LEAST_NAME;
    size_t half = nodes ? room / 2 : room;
    if (!row_names_make(report, full_name, size_max(half, least), &layout->names))
        return false;
    layout->names.width = size_max(layout->names.width, strlen("WEIGHT"));
    size_t taken = layout->names.width + gap;
    return !nodes || row_names_make(report, node_of_row,
                                    size_max(room > taken ? room - taken : 0, least),
                                    &layout->nodes);
}

bool put_table(FILE *out, const struct nibble_report *report, size_t line, bool nodes)
{
    if (report->quantized == 0)
        return true;
    struct table_layout layout = {0};
    struct rows rows;
    if (!choose_rows(report, &rows))
        return false;
    nodes = nodes && has_nodes(report);
    /* The error is the last column. The names of nodes take its room if it is empty. */
    size_t shown = nodes && !is_measured(report) ? COLUMNS - 1 : COLUMNS;
    size_t rest = measure(&rows, shown, &layout);
    bool ok = make_names(report, line > rest ? line - rest : 0, nodes, &layout);
    if (ok)
        put_head(out, &layout);
    for (size_t i = 0; ok && i < rows.count; i++)
        put_row(out, &rows.items[i], &layout);
    if (ok && rows.others > 0)
        put_others(out, &rows, &layout);
    free(rows.items);
    row_names_free(&layout.names);
    row_names_free(&layout.nodes);
    fputc('\n', out);
    return ok;
}

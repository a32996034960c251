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
    char *name = format_printable(w->op_type);
    snprintf(out, CELL_SIZE, "%s", name && *name ? name : "-");
    free(name);
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
} columns_[] = {
    {"  ", "OP", false, cell_operator},  {" ", "SHAPE", false, cell_shape},
    {" ", "TYPE", false, cell_type},     {" ", "BEFORE", true, cell_before},
    {" -> ", "AFTER", true, cell_after}, {" ", "SNR", true, cell_error},
};
enum { COLUMNS = sizeof columns_ / sizeof *columns_ };

/* ---- the table of quantized weights ----------------------------------- */

struct table_layout {
    struct row_names names, nodes; /* no nodes: they are not shown */
    size_t column[COLUMNS];        /* the width; 0: the column is not shown */
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

/* Makes every column as wide as its widest cell. Returns the width of all columns except
 * the names. */
static size_t measure(const struct nibble_report *report, size_t shown,
                      struct table_layout *layout)
{
    size_t rest = 0;
    for (size_t c = 0; c < shown; c++) {
        layout->column[c] = strlen(columns_[c].head);
        for (size_t i = 0; i < report->weight_count; i++) {
            char cell[CELL_SIZE];
            if (!report->weights[i]->quantized)
                continue;
            columns_[c].cell(cell, report->weights[i]);
            layout->column[c] = size_max(layout->column[c], format_width(cell));
        }
        rest += strlen(columns_[c].gap) + layout->column[c];
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

static void put_row(FILE *out, const struct nibble_report *report, size_t i,
                    const struct table_layout *layout)
{
    put_padded(out, layout->names.names[i], layout->names.width, false);
    for (size_t c = 0; c < COLUMNS && layout->column[c]; c++) {
        char cell[CELL_SIZE];
        columns_[c].cell(cell, report->weights[i]);
        fputs(columns_[c].gap, out);
        put_padded(out, cell, layout->column[c], columns_[c].right);
    }
    if (layout->nodes.names && *layout->nodes.names[i])
        fprintf(out, "  %s", layout->nodes.names[i]);
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
    nodes = nodes && has_nodes(report);
    /* The error is the last column. The names of nodes take its room if it is empty. */
    size_t shown = nodes && !is_measured(report) ? COLUMNS - 1 : COLUMNS;
    size_t rest = measure(report, shown, &layout);
    bool ok = make_names(report, line > rest ? line - rest : 0, nodes, &layout);
    if (ok)
        put_head(out, &layout);
    for (size_t i = 0; ok && i < report->weight_count; i++)
        if (layout.names.names[i])
            put_row(out, report, i, &layout);
    row_names_free(&layout.names);
    row_names_free(&layout.nodes);
    fputc('\n', out);
    return ok;
}

/* The table of a report for a terminal: a line for each quantized weight. */
#include "report/table.h"
#include "core/sizes.h"
#include "report/format.h"
#include "report/row_names.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LEAST_NAME = 16 };

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

struct widths {
    size_t name;
    size_t column[COLUMNS];
};

/* Makes every column as wide as its widest cell. Returns the width of all columns except
 * the name. */
static size_t measure(const struct nibble_report *report, struct widths *widths)
{
    size_t rest = 0;
    for (size_t c = 0; c < COLUMNS; c++) {
        widths->column[c] = strlen(columns_[c].head);
        for (size_t i = 0; i < report->weight_count; i++) {
            char cell[CELL_SIZE];
            if (!report->weights[i]->quantized)
                continue;
            columns_[c].cell(cell, report->weights[i]);
            widths->column[c] = size_max(widths->column[c], format_width(cell));
        }
        rest += strlen(columns_[c].gap) + widths->column[c];
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

static void put_head(FILE *out, const struct widths *widths)
{
    put_padded(out, "WEIGHT", widths->name, false);
    for (size_t c = 0; c < COLUMNS; c++) {
        fputs(columns_[c].gap, out);
        put_padded(out, columns_[c].head, widths->column[c], columns_[c].right);
    }
    fputc('\n', out);
}

static void put_row(FILE *out, const struct nibble_weight *w, const char *name,
                    const struct widths *widths)
{
    put_padded(out, name, widths->name, false);
    for (size_t c = 0; c < COLUMNS; c++) {
        char cell[CELL_SIZE];
        columns_[c].cell(cell, w);
        fputs(columns_[c].gap, out);
        put_padded(out, cell, widths->column[c], columns_[c].right);
    }
    fputc('\n', out);
}

bool put_table(FILE *out, const struct nibble_report *report, size_t line)
{
    if (report->quantized == 0)
        return true;
    struct widths widths;
    struct row_names rows;
    size_t rest = measure(report, &widths);
    bool ok = row_names_make(report, line > rest + LEAST_NAME ? line - rest : LEAST_NAME,
                             &rows);
    if (ok) {
        widths.name = size_max(rows.width, strlen("WEIGHT"));
        put_head(out, &widths);
    }
    for (size_t i = 0; ok && i < report->weight_count; i++)
        if (rows.names[i])
            put_row(out, report->weights[i], rows.names[i], &widths);
    row_names_free(&rows);
    fputc('\n', out);
    return ok;
}

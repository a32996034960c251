/* The report for a terminal: a table with one line for each weight, the weights that stay
 * float, grouped by reason, and totals. This file decides nothing about weights. */
#include "nibble.h"
#include "report/format.h"
#include "report/row_names.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CELL_SIZE = 128, LEAST_NAME = 16 };

/* ---- cells ------------------------------------------------------------ */

static void cell_operator(char *out, const struct nibble_weight *w)
{
    char *name = format_printable(w->op_type);
    snprintf(out, CELL_SIZE, "%s", name && *name ? name : "-");
    free(name);
    format_shorten(out, 18);
}

static void cell_shape(char *out, const struct nibble_weight *w)
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

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

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
            widths->column[c] = larger(widths->column[c], format_width(cell));
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

static bool put_table(FILE *out, const struct nibble_report *report, size_t line)
{
    if (report->quantized == 0)
        return true;
    struct widths widths;
    struct row_names rows;
    size_t rest = measure(report, &widths);
    bool ok = row_names_make(report, line > rest + LEAST_NAME ? line - rest : LEAST_NAME,
                             &rows);
    if (ok) {
        widths.name = larger(rows.width, strlen("WEIGHT"));
        put_head(out, &widths);
    }
    for (size_t i = 0; ok && i < report->weight_count; i++)
        if (rows.names[i])
            put_row(out, report->weights[i], rows.names[i], &widths);
    row_names_free(&rows);
    fputc('\n', out);
    return ok;
}

/* ---- weights that stay float ------------------------------------------ */

/* Weights that stay float for the same reason. */
struct group {
    const char *reason;
    bool warning;
    size_t count;
    uint64_t bytes;
};

static bool same_group(const struct group *g, const struct nibble_weight *w)
{
    return g->warning == w->warning && strcmp(g->reason, w->reason) == 0;
}

static int by_weight(const void *left, const void *right)
{
    const struct group *a = left, *b = right;
    if (a->warning != b->warning)
        return a->warning ? -1 : 1;
    if (a->bytes != b->bytes)
        return a->bytes > b->bytes ? -1 : 1;
    return strcmp(a->reason, b->reason);
}

/* Fills `groups`, which has room for one group per weight, and returns their number.
 * Few reasons differ, so a search from the newest group on is quick. */
static size_t collect(const struct nibble_report *report, struct group *groups)
{
    size_t count = 0;
    for (size_t i = 0; i < report->weight_count; i++) {
        const struct nibble_weight *w = report->weights[i];
        if (w->quantized)
            continue;
        size_t g = count;
        while (g > 0 && !same_group(&groups[g - 1], w))
            g--;
        if (g == 0) {
            groups[count++] = (struct group){w->reason, w->warning, 0, 0};
            g = count;
        }
        groups[g - 1].count++;
        groups[g - 1].bytes += w->bytes_before;
    }
    qsort(groups, count, sizeof *groups, by_weight);
    return count;
}

static bool put_members(FILE *out, const struct nibble_report *report,
                        const struct group *g)
{
    for (size_t i = 0; i < report->weight_count; i++) {
        const struct nibble_weight *w = report->weights[i];
        if (w->quantized || !same_group(g, w))
            continue;
        char operator[CELL_SIZE], shape[CELL_SIZE], size[FORMAT_SIZE];
        cell_operator(operator, w);
        cell_shape(shape, w);
        format_bytes(size, w->bytes_before);
        char *name = full_name(w);
        if (!name)
            return false;
        fprintf(out, "          %s  %s %s %s %s\n", name, operator, shape,
                w->element_type, size);
        free(name);
    }
    return true;
}

static bool put_kept_float(FILE *out, const struct nibble_report *report, bool all)
{
    if (report->kept_float == 0)
        return true;
    struct group *groups = calloc(report->weight_count, sizeof *groups);
    if (!groups)
        return false;
    size_t count = collect(report, groups);
    bool ok = true;
    fputs("left float:\n", out);
    for (size_t g = 0; g < count && ok; g++) {
        char size[FORMAT_SIZE];
        char *reason = format_printable(groups[g].reason);
        format_bytes(size, groups[g].bytes);
        fprintf(out, "%6zu  %8s  %s%s\n", groups[g].count, size,
                groups[g].warning ? "warning: " : "", reason ? reason : "");
        ok = reason && (!all || put_members(out, report, &groups[g]));
        free(reason);
    }
    fputc('\n', out);
    free(groups);
    return ok;
}

/* ---- forms ------------------------------------------------------------ */

/* Weights that are stored with another weight are one group. The other one does not
 * matter. */
static const char *why_of(const struct nibble_weight *w)
{
    static const char shared[] = "stored once, with ";
    return strncmp(w->why, shared, sizeof shared - 1) == 0
               ? "stored once, with an equal weight"
               : w->why;
}

static bool same_form(const struct nibble_weight *a, const struct nibble_weight *b)
{
    return a->quantized && b->quantized && strcmp(a->form, b->form) == 0 &&
           strcmp(why_of(a), why_of(b)) == 0;
}

static bool put_form(FILE *out, const struct nibble_report *report, size_t first,
                     bool all)
{
    const struct nibble_weight *const *weights = report->weights, *w = weights[first];
    size_t count = 0;
    for (size_t i = first; i < report->weight_count; i++)
        count += same_form(w, weights[i]);
    fprintf(out, "%6zu  %s, %s%s\n", count, w->form, why_of(w),
            w->slow ? ": slow, use --decode auto" : "");
    for (size_t i = first; all && i < report->weight_count; i++) {
        if (!same_form(w, weights[i]))
            continue;
        char *name = full_name(weights[i]);
        if (!name)
            return false;
        fprintf(out, "          %s\n", name);
        free(name);
    }
    return true;
}

/* Prints the forms in use, in the order of their first weights. */
static bool put_forms(FILE *out, const struct nibble_report *report, bool all)
{
    size_t *found = calloc(report->weight_count + 1, sizeof *found), count = 0;
    bool ok = found != NULL;
    if (ok && report->quantized > 0)
        fputs("forms:\n", out);
    for (size_t i = 0; ok && i < report->weight_count; i++) {
        bool known = !report->weights[i]->quantized;
        for (size_t j = 0; j < count && !known; j++)
            known = same_form(report->weights[i], report->weights[found[j]]);
        if (known)
            continue;
        found[count++] = i;
        ok = put_form(out, report, i, all);
    }
    if (ok && report->quantized > 0)
        fputc('\n', out);
    free(found);
    return ok;
}

/* ---- totals ----------------------------------------------------------- */

static void put_change(FILE *out, const char *what, int64_t before, int64_t after)
{
    fprintf(out, "%s %" PRId64, what, before);
    if (after != before)
        fprintf(out, " -> %" PRId64, after);
}

static bool put_title(FILE *out, const struct nibble_report *report)
{
    char *model = format_printable(report->model);
    char *output = format_printable(report->output);
    bool ok = model && output;
    if (ok) {
        fprintf(out, "%s%s%s: ", model, *output ? " -> " : "", output);
        put_change(out, "opset", report->opset_before, report->opset_after);
        put_change(out, ", IR", report->ir_before, report->ir_after);
        fputs("\n\n", out);
    }
    free(model);
    free(output);
    return ok;
}

/* Prints how many codes are stored more than once, and how many copies are missing. */
static void put_copies(FILE *out, const struct nibble_report *report)
{
    char size[FORMAT_SIZE];
    format_bytes(size, report->copy_bytes);
    if (report->copies)
        fprintf(
            out,
            "\ncopies     %zu of codes, %s: a consumer is fused only if it has its own",
            report->copies, size);
    format_bytes(size, report->sharing_bytes);
    if (report->sharing)
        fprintf(
            out,
            "\nshared     %zu consumers share codes and are not fused; copies would take "
            "%s\n           (--copy-below), and --format nbits needs none",
            report->sharing, size);
}

/* Prints "already    int4: 24 of 26 weights (DequantizeLinear); 2 float weights left". */
static void put_already(FILE *out, const struct nibble_report *report)
{
    size_t left = 0, all = 0;
    if (report->already_count == 0)
        return;
    for (size_t i = 0; i < report->weight_count; i++)
        left += report->weights[i]->requested && !report->weights[i]->copy;
    all = left;
    for (size_t i = 0; i < report->already_count; i++)
        all += report->already[i]->weights;
    fputs("already    ", out);
    for (size_t i = 0; i < report->already_count; i++) {
        const struct nibble_already *row = report->already[i];
        char *form = format_printable(row->form);
        fprintf(out, "%s%s: %zu of %zu weights (%s)", i ? ", " : "", row->type,
                row->weights, all, form ? form : "");
        free(form);
    }
    fprintf(out, "; %zu float weight%s left\n", left, left == 1 ? "" : "s");
}

static void put_totals(FILE *out, const struct nibble_report *report)
{
    char a[FORMAT_SIZE], b[FORMAT_SIZE];
    double all = report->elements ? (double)report->elements : 1;

    put_already(out, report);
    format_count(a, report->elements);
    fprintf(out, "quantized  %zu of %zu constants, %.1f %% of %s elements",
            report->quantized, report->quantized + report->kept_float,
            100 * (double)report->elements_quantized / all, a);
    if (report->quantized)
        fprintf(out, ", %.2f bits per weight", report->bits_per_weight);
    format_count(a, report->elements_chosen);
    if (report->elements_chosen)
        fprintf(out, "\nchosen     %.3f bits per weight for %s elements, float included",
                report->bits_chosen, a);
    put_copies(out, report);
    format_bytes(a, report->weight_bytes_before);
    format_bytes(b, report->weight_bytes_after);
    fprintf(out, "\nconstants  %s -> %s\n", a, b);
    format_bytes(a, report->bytes_before);
    format_bytes(b, report->bytes_after);
    if (!*report->output)
        fprintf(out, "model      %s (nothing written)\n", a);
    else if (report->quantized == 0)
        fprintf(out, "model      %s, written unchanged\n", a);
    else
        fprintf(out, "model      %s -> %s, %.2f times smaller\n", a, b,
                (double)report->bytes_before /
                    (double)(report->bytes_after ? report->bytes_after : 1));
}

char *nibble_report_text(const struct nibble_report *report, int columns, bool all)
{
    char *text = NULL;
    size_t size = 0, line = columns > 0 && !all ? (size_t)columns : SIZE_MAX;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        return NULL;
    bool ok = put_title(out, report) && put_table(out, report, line) &&
              put_forms(out, report, all) && put_kept_float(out, report, all);
    put_totals(out, report);
    ok = !ferror(out) && ok;
    if (fclose(out) != 0 || !ok) {
        free(text);
        return NULL;
    }
    return text;
}

/* The report for a terminal: a table with one line for each weight, the weights that stay
 * float, grouped by reason, and totals. This file decides nothing about weights. */
#include "core/text_stream.h"
#include "nibble.h"
#include "report/format.h"
#include "report/row_names.h"
#include "report/table.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- weights that stay float ------------------------------------------ */

/* Returns why a weight is in a list, or NULL if it is not. */
typedef const char *reason_fn(const struct nibble_weight *w);

static const char *reason_to_stay_float(const struct nibble_weight *w)
{
    return w->quantized ? NULL : w->reason;
}

static const char *reason_to_stay_float32(const struct nibble_weight *w)
{
    return *w->float32_reason ? w->float32_reason : NULL;
}

/* Weights that are in a list for the same reason. */
struct reason_group {
    const char *reason;
    bool warning;
    size_t count;
    uint64_t bytes;
};

static bool is_in_group(const struct reason_group *g, const struct nibble_weight *w,
                        reason_fn *reason_of)
{
    const char *reason = reason_of(w);
    return reason && g->warning == w->warning && strcmp(g->reason, reason) == 0;
}

static int by_weight(const void *left, const void *right)
{
    const struct reason_group *a = left, *b = right;
    if (a->warning != b->warning)
        return a->warning ? -1 : 1;
    if (a->bytes != b->bytes)
        return a->bytes > b->bytes ? -1 : 1;
    return strcmp(a->reason, b->reason);
}

/* Fills `groups`, which has room for one group per weight, and returns their number.
 * Few reasons differ, so a search from the newest group on is quick. */
static size_t collect(const struct nibble_report *report, reason_fn *reason_of,
                      struct reason_group *groups)
{
    size_t count = 0;
    for (size_t i = 0; i < report->weight_count; i++) {
        const struct nibble_weight *w = report->weights[i];
        const char *reason = reason_of(w);
        if (!reason)
            continue;
        size_t g = count;
        while (g > 0 && !is_in_group(&groups[g - 1], w, reason_of))
            g--;
        if (g == 0) {
            groups[count++] = (struct reason_group){reason, w->warning, 0, 0};
            g = count;
        }
        groups[g - 1].count++;
        groups[g - 1].bytes += w->bytes_before;
    }
    qsort(groups, count, sizeof *groups, by_weight);
    return count;
}

static bool put_members(FILE *out, const struct nibble_report *report,
                        const struct reason_group *g, reason_fn *reason_of)
{
    for (size_t i = 0; i < report->weight_count; i++) {
        const struct nibble_weight *w = report->weights[i];
        if (!is_in_group(g, w, reason_of))
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

/* Prints the groups of a list: number, bytes and reason, and with `all` the weights. */
static bool put_groups(FILE *out, const struct nibble_report *report,
                       reason_fn *reason_of, bool all)
{
    struct reason_group *groups = calloc(report->weight_count + 1, sizeof *groups);
    if (!groups)
        return false;
    size_t count = collect(report, reason_of, groups);
    bool ok = true;
    for (size_t g = 0; g < count && ok; g++) {
        char size[FORMAT_SIZE];
        char *reason = format_printable(groups[g].reason);
        format_bytes(size, groups[g].bytes);
        fprintf(out, "%6zu  %8s  %s%s\n", groups[g].count, size,
                groups[g].warning ? "warning: " : "", reason ? reason : "");
        ok = reason && (!all || put_members(out, report, &groups[g], reason_of));
        free(reason);
    }
    fputc('\n', out);
    free(groups);
    return ok;
}

static bool put_kept_float(FILE *out, const struct nibble_report *report, bool all)
{
    if (report->kept_float == 0)
        return true;
    fputs("left float:\n", out);
    return put_groups(out, report, reason_to_stay_float, all);
}

/* Prints how many of these are stored as float16, and why others are not. */
static bool put_float16(FILE *out, const struct nibble_report *report, bool all)
{
    char before[FORMAT_SIZE], after[FORMAT_SIZE];
    uint64_t bytes = 0;
    size_t count = 0, wide = 0;
    for (size_t i = 0; i < report->weight_count; i++) {
        const struct nibble_weight *w = report->weights[i];
        bool stored = !w->quantized && strcmp(w->type, w->element_type) != 0;
        bytes += stored ? w->bytes_after : 0;
        count += stored;
        wide += reason_to_stay_float32(w) != NULL;
    }
    if (count + wide == 0)
        return true;
    format_bytes(before, 2 * bytes);
    format_bytes(after, bytes);
    fprintf(out, "of these, %zu are stored as float16: %s -> %s%s\n", count, before,
            after, wide ? "; not so:" : "\n");
    return wide == 0 || put_groups(out, report, reason_to_stay_float32, all);
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

/* Prints what it costs that weights have several forms, as tied embeddings do. */
static void put_forms_beside(FILE *out, const struct nibble_report *report)
{
    char size[FORMAT_SIZE];
    size_t count = 0;
    uint64_t bytes = 0;
    for (size_t i = 0; i < report->weight_count; i++) {
        const struct nibble_weight *weight = report->weights[i];
        bool beside = weight->copy && !weight->again && weight->bytes_after > 0;
        count += beside;
        bytes += beside ? weight->bytes_after : 0;
    }
    format_bytes(size, bytes);
    if (count)
        fprintf(
            out,
            "\ntwice      %zu set%s of codes, %s: a weight has another form for other "
            "operators\n           (--format nbits stores tied embeddings once)",
            count, count == 1 ? "" : "s", size);
}

/* Prints how many codes are stored more than once, and how many copies are missing. */
static void put_copies(FILE *out, const struct nibble_report *report)
{
    char size[FORMAT_SIZE];
    put_forms_beside(out, report);
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
        char form[CELL_SIZE];
        format_printable_part(form, sizeof form, row->form);
        fprintf(out, "%s%s: %zu of %zu weights (%s)", i ? ", " : "", row->type,
                row->weights, all, form);
    }
    fprintf(out, "; %zu float weight%s left\n", left, left == 1 ? "" : "s");
}

/* Prints what other options would give: "--block-size 32  +3.4 dB  +0.90 bits". */
static void put_hints(FILE *out, const struct nibble_report *report)
{
    if (report->hint_count > 0)
        fputs("other options would give, in SNR of the outputs (expected) and bits per "
              "weight:\n",
              out);
    for (size_t i = 0; i < report->hint_count; i++) {
        const struct nibble_hint *hint = report->hints[i];
        fprintf(out, "    %-22s %+5.1f dB  %+.2f bits\n", hint->options, hint->snr_db,
                hint->bits_per_weight);
    }
    if (report->hint_count > 0)
        fputc('\n', out);
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
    if (report->codes_stored)
        fprintf(out, "\nstored     %zu weight%s as the codes that QuantizeLinear makes",
                report->codes_stored, report->codes_stored == 1 ? "" : "s");
    put_copies(out, report);
    if (report->float16_nodes > 0)
        fprintf(out, "\nfloat16    %zu of %zu nodes compute in it", report->float16_nodes,
                report->float16_nodes + report->float32_nodes);
    format_bytes(a, report->weight_bytes_before);
    format_bytes(b, report->weight_bytes_after);
    fprintf(out, "\nconstants  %s -> %s\n", a, b);
    format_bytes(a, report->bytes_before);
    format_bytes(b, report->bytes_after);
    if (!*report->output)
        fprintf(out, "model      %s (nothing written)\n", a);
    else if (report->quantized + report->codes_stored + report->stored_float16 +
                 report->float16_nodes ==
             0)
        fprintf(out, "model      %s, written unchanged\n", a);
    else
        fprintf(out, "model      %s -> %s, %.2f times smaller\n", a, b,
                (double)report->bytes_before /
                    (double)(report->bytes_after ? report->bytes_after : 1));
}

char *nibble_report_text(const struct nibble_report *report, int columns, bool all)
{
    struct text_stream stream;
    size_t line = columns > 0 && !all ? (size_t)columns : SIZE_MAX;
    if (!text_stream_open(&stream))
        return NULL;
    FILE *out = stream.out;
    bool ok = put_title(out, report) &&
              put_table(out, report, line, all || !*report->output) &&
              put_forms(out, report, all) && put_kept_float(out, report, all) &&
              put_float16(out, report, all);
    put_hints(out, report);
    put_totals(out, report);
    char *text = text_stream_close(&stream);
    if (ok)
        return text;
    free(text);
    return NULL;
}

/* A comparison as text for people, and as JSON (docs/compare.md). */
#include "core/text_stream.h"
#include "nibble.h"
#include "report/format.h"
#include "report/json_fields.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- text -------------------------------------------------------------- */

enum {
    NAME_LEAST = 16,
    NAME_MOST = 48,
    COLUMNS_DEFAULT = 80,
    REST = 52,
    SHAPE_SIZE = 24
};

static void shape_text(const struct nibble_weight_error *w, char out[SHAPE_SIZE])
{
    size_t used = 0;
    out[0] = '\0';
    for (size_t i = 0; i < w->rank && used < SHAPE_SIZE; i++)
        used += (size_t)snprintf(out + used, SHAPE_SIZE - used, "%s%" PRId64,
                                 i ? "x" : "", w->dims[i]);
}

static bool print_row(FILE *out, const struct nibble_weight_error *w, int width)
{
    char shape[SHAPE_SIZE], snr[24] = "not found";
    char *name = format_printable(w->name);
    if (!name)
        return false;
    format_shorten(name, (size_t)width);
    shape_text(w, shape);
    if (w->found && isinf(w->snr_db) && w->snr_db > 0)
        snprintf(snr, sizeof snr, "exact");
    else if (w->found)
        snprintf(snr, sizeof snr, "%.1f dB", w->snr_db);
    fprintf(out, "%s%*s %-13.13s %-13s %-8s %-16.16s %9s\n", name,
            width - (int)format_width(name), "", w->op_type, shape, w->type, w->form,
            snr);
    free(name);
    return true;
}

static bool print_all(FILE *out, const struct nibble_comparison *c, int width)
{
    if (c->weight_count > 0)
        fprintf(out, "%-*s %-13s %-13s %-8s %-16s %9s\n", width, "WEIGHT", "OP", "SHAPE",
                "TYPE", "FORM", "SNR");
    for (size_t i = 0; i < c->weight_count; i++)
        if (!print_row(out, c->weights[i], width))
            return false;
    fprintf(out, "%s%zu compared, %zu not found, %zu unchanged\n",
            c->weight_count ? "\n" : "", c->weight_count - c->missing, c->missing,
            c->unchanged);
    return true;
}

char *nibble_comparison_text(const struct nibble_comparison *comparison, int columns)
{
    struct text_stream stream;
    int width = (columns > 0 ? columns : COLUMNS_DEFAULT) - REST - 14;
    if (!text_stream_open(&stream))
        return NULL;
    width = width < NAME_LEAST ? NAME_LEAST : width > NAME_MOST ? NAME_MOST : width;
    bool ok = print_all(stream.out, comparison, width);
    char *text = text_stream_close(&stream);
    if (ok)
        return text;
    free(text);
    return NULL;
}

/* ---- JSON -------------------------------------------------------------- */

static bool add_weight(cJSON *array, const struct nibble_weight_error *w)
{
    cJSON *object = cJSON_CreateObject();
    if (!object)
        return false;
    cJSON_AddItemToArray(array, object);
    return json_text(object, "name", w->name) &&
           json_text(object, "op_type", w->op_type) &&
           json_text(object, "graph", w->graph) &&
           json_dims(object, "dims", w->dims, w->rank) &&
           json_count(object, "elements", w->elements) &&
           cJSON_AddBoolToObject(object, "found", w->found) &&
           json_text(object, "counterpart", w->counterpart) &&
           json_text(object, "type", w->type) && json_text(object, "form", w->form) &&
           json_real(object, "snr_db", w->snr_db) &&
           cJSON_AddBoolToObject(object, "exact", isinf(w->snr_db) && w->snr_db > 0);
}

static bool add_weights(cJSON *root, const struct nibble_comparison *c)
{
    cJSON *array = cJSON_AddArrayToObject(root, "weights");
    for (size_t i = 0; array && i < c->weight_count; i++)
        if (!add_weight(array, c->weights[i]))
            return false;
    return array != NULL;
}

char *nibble_comparison_json(const struct nibble_comparison *comparison)
{
    char *text = NULL;
    cJSON *root = cJSON_CreateObject();
    if (root && json_text(root, "nibble", nibble_version()) &&
        json_text(root, "model", comparison->model) &&
        json_text(root, "quantized", comparison->quantized) &&
        json_count(root, "unchanged", comparison->unchanged) &&
        json_count(root, "missing", comparison->missing) && add_weights(root, comparison))
        text = cJSON_Print(root);
    cJSON_Delete(root);
    return text;
}

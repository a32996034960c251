/* The report as JSON, for programs. docs/report.md describes the fields. New fields may
 * come, but no field changes its meaning. */
#include "nibble.h"
#include "report/json_fields.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static bool add_signed_pair(cJSON *object, const char *key, int64_t before, int64_t after)
{
    cJSON *pair = cJSON_AddObjectToObject(object, key);
    return pair && json_signed(pair, "before", before) &&
           json_signed(pair, "after", after);
}

static bool add_count_pair(cJSON *object, const char *key, uint64_t before,
                           uint64_t after)
{
    cJSON *pair = cJSON_AddObjectToObject(object, key);
    return pair && json_count(pair, "before", before) && json_count(pair, "after", after);
}

static bool add_histogram(cJSON *object, const struct nibble_histogram *h)
{
    if (!h)
        return true;
    cJSON *histogram = cJSON_AddObjectToObject(object, "histogram");
    bool ok = histogram && json_signed(histogram, "lowest", h->lowest) &&
              json_signed(histogram, "highest", h->highest) &&
              json_real(histogram, "first", h->first) &&
              json_real(histogram, "step", h->step);
    cJSON *counts = ok ? cJSON_AddArrayToObject(histogram, "counts") : NULL;
    return counts && json_counts(counts, h->counts, h->count);
}

/* Adds what the weight became, or why it stays float. */
static bool add_outcome(cJSON *object, const struct nibble_weight *w)
{
    if (!w->quantized)
        return json_text(object, "stored_type", w->type) &&
               json_text(object, "reason", w->reason) &&
               json_text(object, "float32_reason", w->float32_reason) &&
               cJSON_AddBoolToObject(object, "asked", w->requested) &&
               cJSON_AddBoolToObject(object, "warning", w->warning);
    return json_text(object, "type", w->type) &&
           json_text(object, "granularity", w->granularity) &&
           json_text(object, "scale_type", w->scale_type) &&
           json_text(object, "form", w->form) && json_text(object, "why", w->why) &&
           cJSON_AddBoolToObject(object, "slow", w->slow) &&
           cJSON_AddBoolToObject(object, "copy", w->copy) &&
           cJSON_AddBoolToObject(object, "again", w->again) &&
           json_count(object, "sharing", w->sharing) &&
           json_count(object, "sharing_bytes", w->sharing_bytes) &&
           json_real(object, "snr_db", w->snr_db) &&
           cJSON_AddBoolToObject(object, "exact", isinf(w->snr_db) != 0) &&
           cJSON_AddBoolToObject(object, "calibrated", w->calibrated) &&
           json_real(object, "output_snr_db", w->output_snr_db) &&
           add_histogram(object, w->histogram);
}

static bool add_weight(cJSON *array, const struct nibble_weight *w)
{
    cJSON *object = cJSON_CreateObject();
    if (!object)
        return false;
    cJSON_AddItemToArray(array, object);
    return json_text(object, "name", w->name) &&
           json_text(object, "op_type", w->op_type) &&
           json_text(object, "node", w->node) && json_text(object, "rule", w->rule) &&
           json_text(object, "graph", w->graph) &&
           json_text(object, "element_type", w->element_type) &&
           json_dims(object, "dims", w->dims, w->rank) &&
           json_count(object, "elements", w->elements) &&
           cJSON_AddBoolToObject(object, "quantized", w->quantized) &&
           add_outcome(object, w) &&
           add_count_pair(object, "bytes", w->bytes_before, w->bytes_after);
}

static bool add_already(cJSON *root, const struct nibble_report *report)
{
    cJSON *array = cJSON_AddArrayToObject(root, "already");
    for (size_t i = 0; array && i < report->already_count; i++) {
        cJSON *object = cJSON_CreateObject();
        if (!object)
            return false;
        cJSON_AddItemToArray(array, object);
        if (!json_text(object, "type", report->already[i]->type) ||
            !json_text(object, "form", report->already[i]->form) ||
            !json_count(object, "weights", report->already[i]->weights))
            return false;
    }
    return array != NULL;
}

static bool add_patterns(cJSON *root, const struct nibble_report *report)
{
    cJSON *array = cJSON_AddArrayToObject(root, "patterns");
    for (size_t i = 0; array && i < report->pattern_count; i++) {
        const struct nibble_pattern *pattern = report->patterns[i];
        cJSON *object = cJSON_CreateObject();
        if (!object)
            return false;
        cJSON_AddItemToArray(array, object);
        if (!json_text(object, "option", pattern->option) ||
            !json_text(object, "text", pattern->text) ||
            !json_count(object, "weights", pattern->weights) ||
            !json_text(object, "nearest", pattern->nearest))
            return false;
    }
    return array != NULL;
}

static bool add_hints(cJSON *root, const struct nibble_report *report)
{
    cJSON *array = cJSON_AddArrayToObject(root, "hints");
    for (size_t i = 0; array && i < report->hint_count; i++) {
        const struct nibble_hint *hint = report->hints[i];
        cJSON *object = cJSON_CreateObject();
        if (!object)
            return false;
        cJSON_AddItemToArray(array, object);
        if (!json_text(object, "options", hint->options) ||
            !json_real(object, "snr_db", hint->snr_db) ||
            !json_real(object, "bits_per_weight", hint->bits_per_weight))
            return false;
    }
    return array != NULL;
}

static bool add_weights(cJSON *root, const struct nibble_report *report)
{
    cJSON *array = cJSON_AddArrayToObject(root, "weights");
    for (size_t i = 0; array && i < report->weight_count; i++)
        if (!add_weight(array, report->weights[i]))
            return false;
    return array != NULL;
}

/* Adds names and sizes. A dry run has no output, so its name and size are null. */
static bool add_files(cJSON *root, const struct nibble_report *report)
{
    bool written = *report->output != '\0';
    cJSON *bytes;
    return json_text(root, "model", report->model) &&
           (written ? json_text(root, "output", report->output)
                    : cJSON_AddNullToObject(root, "output") != NULL) &&
           add_signed_pair(root, "ir_version", report->ir_before, report->ir_after) &&
           add_signed_pair(root, "opset", report->opset_before, report->opset_after) &&
           (bytes = cJSON_AddObjectToObject(root, "bytes")) &&
           json_count(bytes, "before", report->bytes_before) &&
           (written ? json_count(bytes, "after", report->bytes_after)
                    : cJSON_AddNullToObject(bytes, "after") != NULL);
}

/* An array, since calibration adds notes of its own. */
static bool add_notes(cJSON *root, const struct nibble_report *report)
{
    cJSON *notes = cJSON_AddArrayToObject(root, "notes");
    return notes && (!*report->note ||
                     cJSON_AddItemToArray(notes, cJSON_CreateString(report->note)));
}

static bool add_totals(cJSON *root, const struct nibble_report *report)
{
    return add_count_pair(root, "weight_bytes", report->weight_bytes_before,
                          report->weight_bytes_after) &&
           json_count(root, "elements", report->elements) &&
           json_count(root, "elements_quantized", report->elements_quantized) &&
           json_real(root, "bits_per_weight", report->bits_per_weight) &&
           json_real(root, "bits_chosen", report->bits_chosen) &&
           json_count(root, "elements_chosen", report->elements_chosen) &&
           json_count(root, "quantized", report->quantized) &&
           json_count(root, "left", report->kept_float) &&
           json_count(root, "slow", report->slow) &&
           json_count(root, "copies", report->copies) &&
           json_count(root, "copy_bytes", report->copy_bytes) &&
           json_count(root, "sharing", report->sharing) &&
           json_count(root, "sharing_bytes", report->sharing_bytes) &&
           json_count(root, "codes_stored", report->codes_stored) &&
           json_count(root, "stored_float16", report->stored_float16) &&
           json_count(root, "float16_nodes", report->float16_nodes) &&
           json_count(root, "float32_nodes", report->float32_nodes) &&
           json_count(root, "missed", report->requested_but_float) &&
           json_count(root, "warnings", report->warnings) &&
           json_real(root, "estimated_snr_db", report->estimated_snr_db) &&
           add_notes(root, report) && json_text(root, "cpu", report->cpu) &&
           (*report->command ? json_text(root, "command", report->command)
                             : cJSON_AddNullToObject(root, "command") != NULL);
}

char *nibble_report_json(const struct nibble_report *report)
{
    char *text = NULL;
    cJSON *root = cJSON_CreateObject();
    if (root && json_text(root, "nibble", nibble_version()) && add_files(root, report) &&
        add_totals(root, report) && add_already(root, report) &&
        add_patterns(root, report) && add_hints(root, report) &&
        add_weights(root, report))
        text = cJSON_Print(root);
    cJSON_Delete(root);
    return text;
}

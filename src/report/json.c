/* The report as JSON, for programs. The fields are described in docs/report.md;
 * they may grow, none changes its meaning. Prints nothing. */
#include "nibble.h"
#include "report/format.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* Each returns false when out of memory. */

static bool add_text(cJSON *object, const char *key, const char *text)
{
    char *valid = format_utf8(text);
    bool ok = valid && cJSON_AddStringToObject(object, key, valid);
    free(valid);
    return ok;
}

/* Integers are printed by us: cJSON's numbers are doubles and lose digits. */
static bool add_signed(cJSON *object, const char *key, int64_t value)
{
    char digits[24];
    snprintf(digits, sizeof digits, "%" PRId64, value);
    return cJSON_AddRawToObject(object, key, digits);
}

static bool add_count(cJSON *object, const char *key, uint64_t value)
{
    char digits[24];
    snprintf(digits, sizeof digits, "%" PRIu64, value);
    return cJSON_AddRawToObject(object, key, digits);
}

/* JSON knows neither infinity nor NaN. */
static bool add_real(cJSON *object, const char *key, double value)
{
    if (!isfinite(value))
        return cJSON_AddNullToObject(object, key);
    return cJSON_AddNumberToObject(object, key, value);
}

static bool add_signed_pair(cJSON *object, const char *key, int64_t before, int64_t after)
{
    cJSON *pair = cJSON_AddObjectToObject(object, key);
    return pair && add_signed(pair, "before", before) && add_signed(pair, "after", after);
}

static bool add_count_pair(cJSON *object, const char *key, uint64_t before,
                           uint64_t after)
{
    cJSON *pair = cJSON_AddObjectToObject(object, key);
    return pair && add_count(pair, "before", before) && add_count(pair, "after", after);
}

static bool add_dims(cJSON *object, const struct nibble_weight *w)
{
    cJSON *dims = cJSON_AddArrayToObject(object, "dims");
    for (size_t i = 0; dims && i < w->rank; i++) {
        char digits[24];
        snprintf(digits, sizeof digits, "%" PRId64, w->dims[i]);
        cJSON *number = cJSON_CreateRaw(digits);
        if (!number)
            return false;
        cJSON_AddItemToArray(dims, number);
    }
    return dims != NULL;
}

/* What the weight became, or why it is as it was. */
static bool add_outcome(cJSON *object, const struct nibble_weight *w)
{
    if (!w->quantized)
        return add_text(object, "reason", w->reason) &&
               cJSON_AddBoolToObject(object, "asked", w->asked) &&
               cJSON_AddBoolToObject(object, "warning", w->warning);
    return add_text(object, "type", w->type) &&
           add_text(object, "granularity", w->granularity) &&
           add_text(object, "scale_type", w->scale_type) &&
           add_text(object, "form", w->form) && add_text(object, "why", w->why) &&
           cJSON_AddBoolToObject(object, "slow", w->slow) &&
           cJSON_AddBoolToObject(object, "copy", w->copy) &&
           cJSON_AddBoolToObject(object, "again", w->again) &&
           add_count(object, "sharing", w->sharing) &&
           add_count(object, "sharing_bytes", w->sharing_bytes) &&
           add_real(object, "snr_db", w->snr_db) &&
           cJSON_AddBoolToObject(object, "exact", isinf(w->snr_db) != 0) &&
           cJSON_AddBoolToObject(object, "calibrated", w->calibrated) &&
           add_real(object, "output_snr_db", w->output_snr_db);
}

static bool add_weight(cJSON *array, const struct nibble_weight *w)
{
    cJSON *object = cJSON_CreateObject();
    if (!object)
        return false;
    cJSON_AddItemToArray(array, object);
    return add_text(object, "name", w->name) && add_text(object, "op_type", w->op_type) &&
           add_text(object, "graph", w->graph) &&
           add_text(object, "element_type", w->element_type) && add_dims(object, w) &&
           add_count(object, "elements", w->elements) &&
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
        if (!add_text(object, "type", report->already[i]->type) ||
            !add_text(object, "form", report->already[i]->form) ||
            !add_count(object, "weights", report->already[i]->weights))
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

/* A dry run has no output: null stands for its name and size. */
static bool add_files(cJSON *root, const struct nibble_report *report)
{
    bool written = *report->output != '\0';
    cJSON *bytes;
    return add_text(root, "model", report->model) &&
           (written ? add_text(root, "output", report->output)
                    : cJSON_AddNullToObject(root, "output") != NULL) &&
           add_signed_pair(root, "ir_version", report->ir_before, report->ir_after) &&
           add_signed_pair(root, "opset", report->opset_before, report->opset_after) &&
           (bytes = cJSON_AddObjectToObject(root, "bytes")) &&
           add_count(bytes, "before", report->bytes_before) &&
           (written ? add_count(bytes, "after", report->bytes_after)
                    : cJSON_AddNullToObject(bytes, "after") != NULL);
}

static bool add_totals(cJSON *root, const struct nibble_report *report)
{
    return add_count_pair(root, "weight_bytes", report->weight_bytes_before,
                          report->weight_bytes_after) &&
           add_count(root, "elements", report->elements) &&
           add_count(root, "elements_quantized", report->elements_quantized) &&
           add_real(root, "bits_per_weight", report->bits_per_weight) &&
           add_real(root, "bits_chosen", report->bits_chosen) &&
           add_count(root, "elements_chosen", report->elements_chosen) &&
           add_count(root, "quantized", report->quantized) &&
           add_count(root, "left", report->left) &&
           add_count(root, "slow", report->slow) &&
           add_count(root, "copies", report->copies) &&
           add_count(root, "copy_bytes", report->copy_bytes) &&
           add_count(root, "sharing", report->sharing) &&
           add_count(root, "sharing_bytes", report->sharing_bytes) &&
           add_count(root, "missed", report->missed) &&
           add_count(root, "warnings", report->warnings) &&
           add_text(root, "cpu", report->cpu);
}

char *nibble_report_json(const struct nibble_report *report)
{
    char *text = NULL;
    cJSON *root = cJSON_CreateObject();
    if (root && add_text(root, "nibble", nibble_version()) && add_files(root, report) &&
        add_totals(root, report) && add_already(root, report) &&
        add_weights(root, report))
        text = cJSON_Print(root);
    cJSON_Delete(root);
    return text;
}

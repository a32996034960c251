/* Reads JSON reports. A field that is missing or has another type is as good as empty:
 * the file may come from another version, or from anywhere. */
#ifndef NIBBLE_REPORT_JSON_READ_H
#define NIBBLE_REPORT_JSON_READ_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

const cJSON *json_get(const cJSON *object, const char *key); /* NULL if missing */
const char *json_get_text(const cJSON *object, const char *key);
bool json_get_true(const cJSON *object, const char *key);

/* NaN if missing. "inf" and "-inf" stand for infinity. */
double json_get_real(const cJSON *object, const char *key);

/* The SNR of a weight or an output. Infinity if `exact` is true. */
double json_get_snr(const cJSON *object, const char *key);

/* A field of {before, after}. */
double json_get_before(const cJSON *object, const char *key);
double json_get_after(const cJSON *object, const char *key);

/* Writes dims as "64x32". */
void json_get_shape(const cJSON *object, char *out, size_t size);

#endif

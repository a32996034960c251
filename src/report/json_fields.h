/* Fields of JSON objects, for all reports. */
#ifndef NIBBLE_REPORT_JSON_FIELDS_H
#define NIBBLE_REPORT_JSON_FIELDS_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Each function adds a field to an object. False if memory ran out. */
bool json_text(cJSON *object, const char *key, const char *text);
bool json_signed(cJSON *object, const char *key, int64_t value);
bool json_count(cJSON *object, const char *key, uint64_t value);
bool json_real(cJSON *object, const char *key, double value); /* null if not finite */
bool json_dims(cJSON *object, const char *key, const int64_t *values, size_t rank);

/* Appends numbers to an array. */
bool json_counts(cJSON *array, const uint64_t *values, size_t count);

#endif

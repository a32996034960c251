/* Fields of JSON objects. Numbers keep all their digits, and text becomes valid UTF-8. */
#include "report/json_fields.h"
#include "report/format.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

bool json_text(cJSON *object, const char *key, const char *text)
{
    char *valid = format_utf8(text);
    bool ok = valid && cJSON_AddStringToObject(object, key, valid);
    free(valid);
    return ok;
}

/* We print integers ourselves, because cJSON's numbers are doubles and lose digits. */
bool json_signed(cJSON *object, const char *key, int64_t value)
{
    char digits[24];
    snprintf(digits, sizeof digits, "%" PRId64, value);
    return cJSON_AddRawToObject(object, key, digits);
}

bool json_count(cJSON *object, const char *key, uint64_t value)
{
    char digits[24];
    snprintf(digits, sizeof digits, "%" PRIu64, value);
    return cJSON_AddRawToObject(object, key, digits);
}

/* JSON knows neither infinity nor NaN. */
bool json_real(cJSON *object, const char *key, double value)
{
    if (!isfinite(value))
        return cJSON_AddNullToObject(object, key);
    return cJSON_AddNumberToObject(object, key, value);
}

/* Doubles would round large integers. */
static bool add_integer(cJSON *array, const char *digits)
{
    return cJSON_AddItemToArray(array, cJSON_CreateRaw(digits));
}

bool json_dims(cJSON *object, const char *key, const int64_t *values, size_t rank)
{
    cJSON *dims = cJSON_AddArrayToObject(object, key);
    for (size_t i = 0; dims && i < rank; i++) {
        char digits[24];
        snprintf(digits, sizeof digits, "%" PRId64, values[i]);
        if (!add_integer(dims, digits))
            return false;
    }
    return dims != NULL;
}

bool json_counts(cJSON *array, const uint64_t *values, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char digits[24];
        snprintf(digits, sizeof digits, "%" PRIu64, values[i]);
        if (!add_integer(array, digits))
            return false;
    }
    return true;
}

/* Fields of JSON reports, read without trust. */
#include "report/json_read.h"

#include <math.h>
#include <string.h>

const cJSON *json_get(const cJSON *object, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(object, key);
}

const char *json_get_text(const cJSON *object, const char *key)
{
    const char *text = cJSON_GetStringValue(json_get(object, key));
    return text ? text : "";
}

bool json_get_true(const cJSON *object, const char *key)
{
    return cJSON_IsTrue(json_get(object, key));
}

double json_get_real(const cJSON *object, const char *key)
{
    const cJSON *field = json_get(object, key);
    const char *text = cJSON_GetStringValue(field);
    if (text && strcmp(text, "inf") == 0)
        return (double)INFINITY;
    if (text && strcmp(text, "-inf") == 0)
        return -(double)INFINITY;
    return cJSON_IsNumber(field) ? field->valuedouble : (double)NAN;
}

double json_get_snr(const cJSON *object, const char *key)
{
    return json_get_true(object, "exact") ? (double)INFINITY : json_get_real(object, key);
}

double json_get_before(const cJSON *object, const char *key)
{
    return json_get_real(json_get(object, key), "before");
}

double json_get_after(const cJSON *object, const char *key)
{
    return json_get_real(json_get(object, key), "after");
}

void json_get_shape(const cJSON *object, char *out, size_t size)
{
    const cJSON *dims = json_get(object, "dims"), *dim;
    size_t used = 0;
    out[0] = '\0';
    cJSON_ArrayForEach(dim, dims)
    {
        if (used + 32 > size)
            return;
        used += (size_t)snprintf(out + used, size - used, "%s%.15g", used ? "x" : "",
                                 dim->valuedouble);
    }
}

/* Options from JSON, and to JSON: configs and presets. The keys are the names of options.
 * A preset is a config that the library holds. */
#include "cli/settings.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEY_SIZE = 64, CONFIG_SIZE_MAX = 1 << 20 };

/* Texts that the settings refer to. */
struct config_text {
    struct config_text *next;
    char text[];
};

/* A config while it is read. */
struct config {
    const char *name; /* for messages */
    enum layer layer;
    struct settings *settings;
    struct usage *usage;
};

void settings_free(struct settings *settings)
{
    while (settings->owned) {
        struct config_text *next = settings->owned->next;
        free(settings->owned);
        settings->owned = next;
    }
}

/* ---- reading ------------------------------------------------------------ */

/* Keeps a copy of the text for as long as the settings live. */
static const char *keep(struct settings *settings, const char *text)
{
    size_t size = strlen(text) + 1;
    struct config_text *owned = malloc(sizeof *owned + size);
    if (!owned)
        return NULL;
    memcpy(owned->text, text, size);
    owned->next = settings->owned;
    settings->owned = owned;
    return owned->text;
}

/* Finds the row of a key. '_' means '-', as in Python. */
static const struct option_row *row_of_key(const struct config *c, const char *key)
{
    char name[KEY_SIZE];
    snprintf(name, sizeof name, "%s", key);
    for (char *letter = name; *letter; letter++)
        *letter = *letter == '_' ? '-' : *letter;
    for (size_t i = 0; i < option_count; i++)
        if (option_rows[i].key && strcmp(option_rows[i].key, name) == 0)
            return &option_rows[i];
    size_t index = option_find(c->settings->command, name);
    if (index < option_count && !option_rows[index].passing)
        return &option_rows[index];
    if (index < option_count) {
        usage_set(c->usage, "%s: '%s' belongs on the command line, not into a config",
                  c->name, key);
        return NULL;
    }
    const char *near =
        nearest_name(name, option_count, option_name, c->settings->command);
    usage_set(c->usage, "%s: there is no option '%s'%s%s%s", c->name, key,
              near ? ": did you mean '" : "", near ? near : "", near ? "'?" : "");
    return NULL;
}

static bool give(const struct config *c, const struct option_row *row, const char *value)
{
    struct usage usage = {{0}};
    const char *kept = value ? keep(c->settings, value) : NULL;
    if (value && !kept)
        return usage_set(c->usage, "out of memory");
    return settings_give(c->settings, row, kept, c->layer, &usage) ||
           usage_set(c->usage, "%s: %s", c->name, usage.message);
}

static bool give_text(const struct config *c, const struct option_row *row,
                      const cJSON *item)
{
    if (cJSON_IsString(item))
        return give(c, row, item->valuestring);
    char *number = cJSON_IsNumber(item) ? cJSON_PrintUnformatted(item) : NULL;
    bool ok = number ? give(c, row, number)
                     : usage_set(c->usage, "%s: '%s' takes a text or a number", c->name,
                                 row->name);
    cJSON_free(number);
    return ok;
}

/* Gives one option. null and false mean that it is not given. */
static bool give_item(const struct config *c, const cJSON *item)
{
    const cJSON *element;
    if (strcmp(item->string, "nibble") == 0)
        return true; /* the version that has written it */
    const struct option_row *row = row_of_key(c, item->string);
    if (!row || cJSON_IsNull(item) || cJSON_IsFalse(item))
        return row != NULL;
    /* A config may serve two commands, one of which lacks the option. */
    if (!(row->commands & c->settings->command->bit)) {
        if (row->makes_codes && !c->settings->unused)
            c->settings->unused = row->name;
        return true;
    }
    if (row->optional && cJSON_IsTrue(item))
        return give(c, row, NULL);
    if (row->kind == OPTION_FLAG)
        return cJSON_IsTrue(item) ? give(c, row, NULL)
                                  : usage_set(c->usage, "%s: '%s' takes true or false",
                                              c->name, item->string);
    if (row->kind != OPTION_LIST || !cJSON_IsArray(item))
        return give_text(c, row, item);
    cJSON_ArrayForEach(element, item) if (!give_text(c, row, element)) return false;
    return true;
}

static bool read_config(const struct config *c, const char *text)
{
    const char *end = NULL;
    errno = 0;
    cJSON *root = cJSON_ParseWithOpts(text, &end, true);
    const cJSON *item;
    bool ok = cJSON_IsObject(root);
    if (!root && errno == ENOMEM)
        usage_set(c->usage, "%s: out of memory", c->name);
    else if (!root)
        usage_set(c->usage, "%s: is not JSON, from '%.20s' on", c->name,
                  end ? end : text);
    else if (!ok)
        usage_set(c->usage, "%s: is no JSON object, such as {\"type\": \"int8\"}",
                  c->name);
    if (ok)
        cJSON_ArrayForEach(item, root) ok = ok && give_item(c, item);
    cJSON_Delete(root);
    return ok;
}

static bool read_file(const struct config *c)
{
    FILE *file = fopen(c->name, "r");
    char *text = malloc(CONFIG_SIZE_MAX);
    size_t size = file && text ? fread(text, 1, CONFIG_SIZE_MAX - 1, file) : 0;
    bool ok = file && text && !ferror(file) && feof(file);
    if (!file || (file && ferror(file)))
        usage_set(c->usage, "%s: %s", c->name, strerror(errno));
    else if (!ok)
        usage_set(c->usage, "%s: is too large for a config", c->name);
    if (ok) {
        text[size] = '\0';
        ok = read_config(c, text);
    }
    free(text);
    if (file)
        fclose(file);
    return ok;
}

bool config_apply(struct settings *settings, struct usage *usage)
{
    struct config config = {settings->config, LAYER_CONFIG, settings, usage};
    if (settings->config && !read_file(&config))
        return false;
    if (settings->preset == 0)
        return true;
    config.name = nibble_preset_name(settings->preset - 1);
    config.layer = LAYER_PRESET;
    return read_config(&config, nibble_preset_config(config.name));
}

/* ---- printing ----------------------------------------------------------- */

static bool add_list(cJSON *root, const char *key, const struct text_list *list)
{
    cJSON *array = cJSON_AddArrayToObject(root, key);
    for (size_t i = 0; array && i < list->count; i++)
        if (!cJSON_AddItemToArray(array, cJSON_CreateString(list->items[i])))
            return false;
    return array != NULL;
}

static bool add_option(cJSON *root, const struct settings *s, size_t index)
{
    const struct option_row *row = &option_rows[index];
    const char *key = row->key ? row->key : row->name, *text = s->given[index].text;
    if (row->kind == OPTION_LIST)
        return add_list(root, key, (const void *)((const char *)s + row->offset));
    if (row->kind == OPTION_FLAG || (row->optional && !*text))
        return cJSON_AddTrueToObject(root, key) != NULL;
    bool number = row->kind == OPTION_NUMBER || row->kind == OPTION_DECIMAL;
    return (number ? cJSON_AddRawToObject(root, key, text)
                   : cJSON_AddStringToObject(root, key, text)) != NULL;
}

bool config_print(const struct settings *s)
{
    cJSON *root = cJSON_CreateObject();
    bool ok = root && cJSON_AddStringToObject(root, "nibble", nibble_version());
    for (size_t i = 0; ok && i < option_count; i++)
        if (s->given[i].layer != LAYER_NONE && !option_rows[i].passing)
            ok = add_option(root, s, i);
    char *text = ok ? cJSON_Print(root) : NULL;
    if (text)
        puts(text);
    cJSON_free(text);
    cJSON_Delete(root);
    return text != NULL;
}

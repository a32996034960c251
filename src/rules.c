/* Rules: "PATTERN: SETTINGS". A rule is read as changes of the options, which then become
 * settings of the plan in the same way as the options themselves. */
#include "rules.h"
#include "core/sizes.h"
#include "options.h"
#include "targets.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { RULES_MAX = 1000 };

/* A rule while it is read. */
struct reading {
    struct nibble_options options; /* with the rule's changes */
    struct plan_rule *rule;
    bool plain;    /* it says "default" */
    size_t count;  /* of settings */
    unsigned seen; /* the groups of settings that were given, as bits */
    struct error *err;
};

/* ---- settings ---------------------------------------------------------- */

static bool set_type(struct nibble_options *options, const char *value)
{
    return nibble_type_parse(value, &options->type);
}

static bool set_method(struct nibble_options *options, const char *value)
{
    return nibble_method_parse(value, &options->method);
}

static bool set_scale_type(struct nibble_options *options, const char *value)
{
    return nibble_scale_type_parse(value, &options->scale_type);
}

static bool set_decode(struct nibble_options *options, const char *value)
{
    return nibble_decode_parse(value, &options->decode);
}

static bool set_block_size(struct nibble_options *options, const char *value)
{
    char *end;
    long long size = isdigit((unsigned char)*value) ? strtoll(value, &end, 10) : 0;
    if (size < 2 || size > INT32_MAX || *end)
        return false;
    options->granularity = NIBBLE_GRANULARITY_BLOCKS;
    options->block_size = (size_t)size;
    return true;
}

static bool set_per_channel(struct nibble_options *options, const char *value)
{
    (void)value;
    options->granularity = NIBBLE_GRANULARITY_PER_CHANNEL;
    return true;
}

static bool set_per_tensor(struct nibble_options *options, const char *value)
{
    (void)value;
    options->granularity = NIBBLE_GRANULARITY_PER_TENSOR;
    return true;
}

static bool set_symmetric(struct nibble_options *options, const char *value)
{
    (void)value;
    options->symmetry = NIBBLE_SYMMETRY_SYMMETRIC;
    return true;
}

static bool set_asymmetric(struct nibble_options *options, const char *value)
{
    (void)value;
    options->symmetry = NIBBLE_SYMMETRY_ASYMMETRIC;
    return true;
}

/* Groups, as bits. A rule has at most one setting of each. */
enum {
    SETS_TYPE = 1,
    SETS_GRANULARITY = 2,
    SETS_SYMMETRY = 4,
    METHOD = 8,
    SCALE_TYPE = 16,
    DECODE = 32
};

static const struct setting {
    const char *name;
    const char *values; /* NULL: it takes none */
    unsigned group;
    bool (*set)(struct nibble_options *options, const char *value);
} settings[] = {
    {"type", "int4, uint4, int8 or uint8", SETS_TYPE, set_type},
    {"block-size", "a whole number from 2 on", SETS_GRANULARITY, set_block_size},
    {"per-channel", NULL, SETS_GRANULARITY, set_per_channel},
    {"per-tensor", NULL, SETS_GRANULARITY, set_per_tensor},
    {"symmetric", NULL, SETS_SYMMETRY, set_symmetric},
    {"asymmetric", NULL, SETS_SYMMETRY, set_asymmetric},
    {"method", "rtn, search or exact", METHOD, set_method},
    {"scale-type", "float32 or float16", SCALE_TYPE, set_scale_type},
    {"decode", "run, load, portable or auto", DECODE, set_decode},
};

/* ---- reading a rule ---------------------------------------------------- */

static bool wrong(const struct reading *r, const char *what, const char *word)
{
    return error_set(r->err, STATUS_INVALID, "--rule '%s': '%s' %s", r->rule->text, word,
                     what);
}

static char *trim(char *text)
{
    text += strspn(text, " \t");
    size_t length = strlen(text);
    while (length > 0 && strchr(" \t", text[length - 1]))
        text[--length] = '\0';
    return text;
}

static const struct setting *setting_named(const char *name)
{
    for (size_t i = 0; i < COUNT_OF(settings); i++)
        if (strcmp(settings[i].name, name) == 0)
            return &settings[i];
    return NULL;
}

static bool read_setting(struct reading *r, char *word)
{
    char *value = strchr(word, '=');
    r->count++;
    if (strcmp(word, "keep") == 0)
        return r->rule->keep = true;
    if (strcmp(word, "float32") == 0)
        return r->rule->keep = r->rule->float32 = true;
    if (strcmp(word, "default") == 0)
        return r->plain = true;
    if (value) {
        *value++ = '\0';
        word = trim(word);
        value = trim(value);
    }
    const struct setting *setting = setting_named(word);
    if (!setting)
        return wrong(
            r,
            "is no setting: use keep, float32, default, type=, block-size=, per-channel, "
            "per-tensor, symmetric, asymmetric, method=, scale-type= or decode=",
            word);
    if (r->seen & setting->group)
        return wrong(r, "contradicts a setting before it", word);
    r->seen |= setting->group;
    if (!value != !setting->values)
        return wrong(
            r, setting->values ? "needs a value, as type=int8" : "takes no value", word);
    return setting->set(&r->options, value) ||
           error_set(r->err, STATUS_INVALID, "--rule '%s': %s takes %s, not '%s'",
                     r->rule->text, word, setting->values, value);
}

static bool read_settings(struct reading *r, char *text)
{
    char *rest = text;
    bool ok = true;
    while (ok && rest) {
        char *word = rest;
        rest = strchr(word, ',');
        if (rest)
            *rest++ = '\0';
        ok = read_setting(r, trim(word));
    }
    if (ok && r->count > 1 && (r->rule->keep || r->plain))
        return wrong(r, "stands alone",
                     r->rule->float32 ? "float32"
                     : r->rule->keep  ? "keep"
                                      : "default");
    return ok;
}

/* Forms are for the runtime that the options name. */
static bool check_form(const struct reading *r)
{
    if (!(r->seen & DECODE) || !target_refuses_decode(&r->options))
        return true;
    return error_set(r->err, STATUS_INVALID,
                     "--rule '%s': decode=%s and --target %s exclude each other",
                     r->rule->text, nibble_decode_name(r->options.decode),
                     nibble_target_name(r->options.target));
}

static void finish(const struct reading *r)
{
    struct plan_rule *rule = r->rule;
    rule->decides = rule->keep || r->seen & (SETS_TYPE | SETS_GRANULARITY);
    rule->scheme = options_scheme(&r->options);
    rule->granularity = (enum granularity)r->options.granularity;
    rule->block_size = r->options.block_size;
    rule->decode = target_decode(&r->options);
    rule->half_scales = r->options.scale_type == NIBBLE_SCALE_TYPE_FLOAT16;
}

/* `copy` is the text of the rule. It is cut into pieces, and the selector keeps some. */
static bool read_rule(const struct nibble_options *options, char *copy,
                      struct plan_rule *rule, struct error *err)
{
    struct reading r = {.options = *options, .rule = rule, .err = err};
    char *colon = strrchr(copy, ':'); /* names have colons, settings have none */
    if (!colon)
        return error_set(err, STATUS_INVALID,
                         "--rule '%s' has no settings: write 'PATTERN: type=int8', or "
                         "'PATTERN: keep'",
                         rule->text);
    *colon = '\0';
    char *pattern = trim(copy);
    rule->optional = *pattern == '?';
    if (rule->optional)
        pattern = trim(pattern + 1);
    if (!*pattern)
        return wrong(&r, "has no pattern before it", colon + 1);
    if (!read_settings(&r, colon + 1) || !check_form(&r))
        return false;
    finish(&r);
    return selector_make(&rule->selector, "--rule", pattern, err);
}

/* ---- all rules --------------------------------------------------------- */

static bool count_rules(const char *const *rules, size_t *count, struct error *err)
{
    for (*count = 0; rules && rules[*count]; ++*count)
        if (*count == RULES_MAX)
            return error_set(err, STATUS_INVALID, "there are more than %d rules",
                             RULES_MAX);
    return true;
}

bool rules_make(const struct nibble_options *options, struct plan_options *planning,
                struct error *err)
{
    size_t count;
    if (!count_rules(options->rules, &count, err) || count == 0)
        return err->status == STATUS_OK;
    struct plan_rule *rules = calloc(count, sizeof *rules);
    planning->rules = rules;
    for (size_t i = 0; rules && i < count; i++) {
        char *copy = strdup(options->rules[i]);
        rules[i].text = options->rules[i];
        if (!copy)
            return error_memory(err);
        if (!read_rule(options, copy, &rules[i], err)) {
            free(copy);
            return false;
        }
        rules[i].copy = copy;
        planning->rule_count++;
    }
    return rules || error_memory(err);
}

void rules_free(struct plan_options *planning)
{
    struct plan_rule *rules = (struct plan_rule *)(uintptr_t)planning->rules;
    for (size_t i = 0; i < planning->rule_count; i++) {
        selector_free(&rules[i].selector);
        free(rules[i].copy);
    }
    free(rules);
    planning->rules = NULL;
    planning->rule_count = 0;
}

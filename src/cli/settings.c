/* The checks across options. They touch files only to see whether two names mean the same
 * file. */
#include "cli/settings.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

bool usage_set(struct usage *usage, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    if (!usage->message[0])
        vsnprintf(usage->message, sizeof usage->message, format, args);
    va_end(args);
    return false;
}

struct nibble_options settings_options(const struct settings *s)
{
    struct nibble_options options = s->options;
    if (options.block_size)
        options.granularity = NIBBLE_GRANULARITY_BLOCKS;
    options.rules = s->rules.count ? s->rules.items : NULL;
    if (options.float16 &&
        s->given[option_find(s->command, "scale-type")].layer == LAYER_NONE)
        options.scale_type = NIBBLE_SCALE_TYPE_FLOAT16;
    options.external_data = s->external_data != NULL;
    options.data_name = s->external_data && *s->external_data ? s->external_data : NULL;
    options.json = s->json;
    options.page = s->page;
    return options;
}

static bool same_file(const char *a, const char *b)
{
    struct stat x, y;
    if (strcmp(a, b) == 0)
        return true;
    return stat(a, &x) == 0 && stat(b, &y) == 0 && S_ISREG(x.st_mode) &&
           x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

bool is_standard(const char *name)
{
    return name && strcmp(name, "-") == 0;
}

static bool check_output(const struct settings *s, struct usage *usage)
{
    if (s->dry_run || !(s->command->bit & (QUANTIZE | UPGRADE | REPORT)))
        return true;
    if (!s->output)
        return usage_set(usage, "no output is named: add -o OUT%s",
                         s->command->bit == QUANTIZE ? ", or --dry-run to write nothing"
                                                     : "");
    if (is_standard(s->output) && isatty(STDOUT_FILENO))
        return usage_set(usage,
                         "a model does not go to a terminal: redirect standard output "
                         "or give -o FILE");
    if (!is_standard(s->output) && !s->options.force && same_file(s->output, s->model))
        return usage_set(usage,
                         "'%s' is the model itself: name another output, or replace "
                         "it with -f",
                         s->output);
    if (is_standard(s->output) && s->external_data)
        return usage_set(usage,
                         "--external-data needs a file beside the output: give -o FILE");
    return true;
}

/* A report must not replace a model, and only one result can go to standard output. */
static bool check_report(const struct settings *s, const char *option, const char *path,
                         struct usage *usage)
{
    const char *const others[] = {s->model, s->quantized, s->dry_run ? NULL : s->output};
    if (is_standard(path) && is_standard(s->output) && !s->dry_run)
        return usage_set(usage,
                         "model and report can't both go to standard output: give "
                         "%s FILE or -o FILE",
                         option);
    for (size_t i = 0; path && i < sizeof others / sizeof *others; i++)
        if (others[i] && !is_standard(path) && same_file(path, others[i]))
            return usage_set(usage, "%s would replace the %s: name another file", option,
                             i == 2   ? "output"
                             : i == 1 ? "second model"
                                      : "model");
    return true;
}

static bool check_reports(const struct settings *s, struct usage *usage)
{
    if (s->json && s->page && same_file(s->json, s->page))
        return usage_set(usage, "--json and --report can't be the same: name two files");
    return check_report(s, "--json", s->json, usage) &&
           check_report(s, "--report", s->page, usage);
}

static bool check_compare(const struct settings *s, struct usage *usage)
{
    if (!s->quantized || !*s->quantized)
        return usage_set(usage, "compare takes two models: nibble compare FLOAT QUANT");
    if (is_standard(s->model) || is_standard(s->quantized))
        return usage_set(usage, "compare reads its models more than once: name files");
    if (!s->data && (s->layers || s->gate_top1 > 0 || s->seed))
        return usage_set(usage, "--%s needs --data: both models are run",
                         s->layers          ? "layers"
                         : s->gate_top1 > 0 ? "min-top1"
                                            : "seed");
    return true;
}

/* Checks options of quantize that need runs of the model. */
static bool check_data(const struct settings *s, struct usage *usage)
{
    bool alone = !s->data && s->stats.count == 0;
    if (alone && (s->save_stats || s->until))
        return usage_set(usage, "--%s needs --data, since the model must be run",
                         s->save_stats ? "save-stats" : "until");
    if (s->sequential && !s->data)
        return usage_set(usage, "--sequential needs --data, since the model must be run");
    if (alone)
        return true;
    if (s->dry_run)
        return usage_set(usage,
                         "--data and --dry-run exclude each other: a dry run makes "
                         "no codes that could fit the data");
    if (is_standard(s->model) || is_standard(s->output))
        return usage_set(usage, "--data needs to read models more than once: name files");
    return true;
}

bool settings_check(const struct settings *s, struct usage *usage)
{
    if (!s->model)
        return usage_set(usage, "no model is named: 'nibble %s%s--help' shows how",
                         s->bare ? "" : s->command->name, s->bare ? "" : " ");
    if (!*s->model)
        return usage_set(
            usage, "the model's name is empty: name a file, or - for standard input");
    if (is_standard(s->model) && isatty(STDIN_FILENO))
        return usage_set(usage,
                         "a model does not come from a terminal: redirect standard input "
                         "or name a file");
    if (s->command->bit == COMPARE && !check_compare(s, usage))
        return false;
    if (s->command->bit == QUANTIZE && !check_data(s, usage))
        return false;
    return check_output(s, usage) && check_reports(s, usage);
}

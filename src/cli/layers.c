/* Gives options their values, layer by layer: the command line, then a config, then a
 * preset. What a layer above has said stays. */
#include "cli/settings.h"

#include <string.h>

void settings_init(struct settings *settings)
{
    *settings = (struct settings){.command = &commands[0], .bare = true, .opset = 21};
    nibble_options_init(&settings->options);
}

/* The first command that takes the option. */
static const char *owner(const struct option_row *row)
{
    for (size_t i = 0; i < command_count; i++)
        if (row->commands & commands[i].bit)
            return commands[i].name;
    return "";
}

/* The row that was given and excludes this one. NULL if there is none. */
static const struct option_row *find_rival(const struct settings *s,
                                           const struct option_row *row)
{
    for (size_t i = 0; i < option_count; i++)
        if (s->given[i].layer != LAYER_NONE && &option_rows[i] != row &&
            (option_rows[i].rivals & row->rivals))
            return &option_rows[i];
    return NULL;
}

bool settings_give(struct settings *s, const struct option_row *row, const char *value,
                   enum layer layer, struct usage *usage)
{
    struct given *given = &s->given[row - option_rows];
    if (!(row->commands & s->command->bit))
        return usage_set(usage, "--%s is an option of 'nibble %s', not of 'nibble %s'",
                         row->name, owner(row), s->command->name);
    if (row->once && given->layer == layer)
        return usage_set(usage, "--%s is given twice: join the two as '(A)|(B)'",
                         row->name);
    const struct option_row *rival = find_rival(s, row);
    if (rival && s->given[rival - option_rows].layer < layer)
        return true;
    if (rival)
        return usage_set(usage, "--%s and --%s exclude each other: give one of them",
                         rival->name, row->name);
    if (given->layer != LAYER_NONE && given->layer < layer && row->kind != OPTION_LIST)
        return true;
    if (!option_set(row, s, value, usage))
        return false;
    *given = (struct given){layer, value ? value : ""};
    return true;
}

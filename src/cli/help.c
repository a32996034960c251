/* Prints the help pages from the tables of commands and options. This file knows columns,
 * but no option by name. */
#include "cli/settings.h"

#include <stdio.h>
#include <string.h>

enum { HELP_COLUMN = 28, LAST_COLUMN = 80 };

/* Prints the words of a paragraph in lines from HELP_COLUMN to LAST_COLUMN. */
static void print_wrapped(const char *text)
{
    const int width = LAST_COLUMN - HELP_COLUMN;
    while ((int)strlen(text) > width) {
        int length = width;
        while (length > 0 && text[length] != ' ')
            length--;
        printf("%.*s\n%*s", length, text, HELP_COLUMN, "");
        text += length + 1;
    }
    puts(text);
}

/* Prints "  -o, --output OUT" and its help. */
static void print_option(const struct option_row *row, const struct settings *defaults)
{
    char left[64] = "      ", help[512];
    if (row->letter)
        snprintf(left, sizeof left, "  -%c, ", row->letter);
    size_t used = strlen(left);
    snprintf(left + used, sizeof left - used, "--%s%s%s%s", row->name,
             row->optional   ? "[="
             : row->argument ? " "
                             : "",
             row->argument ? row->argument : "", row->optional ? "]" : "");
    if (strlen(left) >= HELP_COLUMN)
        printf("%s\n%*s", left, HELP_COLUMN, "");
    else
        printf("%-*s", HELP_COLUMN, left);
    option_help(row, defaults, help, sizeof help);
    print_wrapped(help);
}

/* Prints the options of a command, each heading before the first of its options. Returns
 * the number of those that were left out. */
static size_t print_options(unsigned bit, bool all)
{
    struct settings defaults;
    const char *heading = NULL;
    size_t left = 0;
    settings_init(&defaults);
    for (size_t i = 0; i < option_count; i++) {
        const struct option_row *row = &option_rows[i];
        if (!row->name)
            heading = row->help;
        if (!row->name || !(row->commands & bit))
            continue;
        if (row->rare && !all) {
            left++;
            continue;
        }
        if (heading)
            printf("\n%s:\n", heading);
        heading = NULL;
        print_option(row, &defaults);
    }
    return left;
}

/* Prints each synopsis on a line of its own after the program's name. */
static void print_synopsis(const char *lead, const char *synopsis)
{
    while (*synopsis) {
        int n = (int)strcspn(synopsis, "\n");
        printf("%s nibble %.*s\n", lead, n, synopsis);
        synopsis += n + (synopsis[n] == '\n');
        lead = "      ";
    }
}

static void print_program(void)
{
    puts("Usage: nibble COMMAND MODEL [options]\n"
         "       nibble MODEL -o OUT [options]\n"
         "\n"
         "Makes ONNX models smaller: quantizes their weights to 4 or 8 bits.\n"
         "\n"
         "Commands:");
    for (size_t i = 0; i < command_count; i++)
        printf("  %-10s %s\n", commands[i].name, commands[i].summary);
    puts("\n"
         "MODEL is a .onnx or .onnx.gz file, or - for standard input.\n"
         "Without a command nibble quantizes.\n"
         "'nibble COMMAND --help' lists the options of a command.\n"
         "\n"
         "Exit status: 0 done, 1 failed, 2 wrong usage, 3 done, but --strict found\n"
         "a weight that stays float, or compare a model below --min-snr or --min-top1.");
}

void help_print(const struct command *command, bool all)
{
    if (!command) {
        print_program();
        return;
    }
    print_synopsis("Usage:", command->synopsis);
    printf("\n%s\n", command->about);
    size_t left = print_options(command->bit, all);
    if (left > 0)
        printf("\n'nibble %s --help-all' lists %zu more options.\n", command->name, left);
}

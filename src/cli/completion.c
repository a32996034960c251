/* nibble completion SHELL: prints what a shell needs to complete the words of a command
 * line. All of it comes from the tables of commands and options. */
#include "cli/completion.h"
#include "cli/settings.h"

#include <stdio.h>
#include <string.h>

/* ---- pieces ------------------------------------------------------------- */

static bool takes_file(const struct option_row *row)
{
    return row->argument &&
           (strcmp(row->argument, "FILE") == 0 || strcmp(row->argument, "OUT") == 0 ||
            strcmp(row->argument, "DATA") == 0);
}

/* Prints the words of an option, with `between` them. */
static void put_words(const struct option_row *row, const char *between)
{
    for (size_t i = 0; row->words(i); i++)
        printf("%s%s", i ? between : "", row->words(i));
}

/* Prints text inside '...' of a shell, for which it must have no quote. */
static void put_text(const char *text, const char *replaced)
{
    for (; *text; text++)
        putchar(strchr(replaced, *text) ? ' ' : *text);
}

/* ---- bash ---------------------------------------------------------------- */

static void put_bash_options(const struct command *command)
{
    printf("        %s) options='", command->name);
    for (size_t i = 0; i < option_count; i++)
        if (option_rows[i].name && (option_rows[i].commands & command->bit))
            printf("--%s ", option_rows[i].name);
    puts("' ;;");
}

static void put_bash(void)
{
    puts("# bash completion of nibble, made by 'nibble completion bash'\n"
         "_nibble()\n"
         "{\n"
         "    local word=${COMP_WORDS[COMP_CWORD]} last=${COMP_WORDS[COMP_CWORD - 1]}\n"
         "    local command=quantize options=\n"
         "    COMPREPLY=()\n"
         "    case $last in");
    for (size_t i = 0; i < option_count; i++) {
        const struct option_row *row = &option_rows[i];
        if (row->kind != OPTION_WORD)
            continue;
        printf("        --%s) COMPREPLY=($(compgen -W '", row->name);
        put_words(row, " ");
        puts("' -- \"$word\")); return ;;");
    }
    puts("    esac\n"
         "    case ${COMP_WORDS[1]} in");
    for (size_t i = 0; i < command_count; i++)
        printf("        %s) command=%s ;;\n", commands[i].name, commands[i].name);
    puts("    esac\n"
         "    case $command in");
    for (size_t i = 0; i < command_count; i++)
        put_bash_options(&commands[i]);
    puts("    esac\n"
         "    if [[ $word == -* ]]; then\n"
         "        COMPREPLY=($(compgen -W \"$options\" -- \"$word\"))\n"
         "        return\n"
         "    fi\n"
         "    COMPREPLY=($(compgen -f -- \"$word\"))");
    printf("    ((COMP_CWORD == 1)) && COMPREPLY+=($(compgen -W 'help");
    for (size_t i = 0; i < command_count; i++)
        printf(" %s", commands[i].name);
    puts("' -- \"$word\"))\n"
         "}\n"
         "complete -o filenames -F _nibble nibble");
}

/* ---- zsh ----------------------------------------------------------------- */

static void put_zsh_option(const struct option_row *row)
{
    printf("            '%s--%s%s[", row->kind == OPTION_LIST ? "*" : "", row->name,
           row->argument ? "=" : "");
    put_text(row->help, "'[]:\\");
    putchar(']');
    if (row->argument)
        printf(":%s:", row->argument);
    if (row->kind == OPTION_WORD) {
        putchar('(');
        put_words(row, " ");
        putchar(')');
    } else if (takes_file(row)) {
        fputs("_files", stdout);
    }
    puts("' \\");
}

static void put_zsh(void)
{
    puts("#compdef nibble\n"
         "# zsh completion of nibble, made by 'nibble completion zsh'\n"
         "_nibble()\n"
         "{\n"
         "    local -a commands\n"
         "    commands=(");
    for (size_t i = 0; i < command_count; i++) {
        printf("        '%s:", commands[i].name);
        put_text(commands[i].summary, "'");
        puts("'");
    }
    puts("    )\n"
         "    if ((CURRENT == 2)) && [[ $words[2] != -* ]]; then\n"
         "        _describe command commands\n"
         "        _files\n"
         "        return\n"
         "    fi\n"
         "    case $words[2] in");
    for (size_t i = command_count; i-- > 0;) {
        /* quantize comes last, since it needs no name. */
        printf("    %s)\n        _arguments \\\n", i ? commands[i].name : "*");
        for (size_t j = 0; j < option_count; j++)
            if (option_rows[j].name && (option_rows[j].commands & commands[i].bit))
                put_zsh_option(&option_rows[j]);
        puts("            '*:file:_files' ;;");
    }
    puts("    esac\n"
         "}\n"
         "_nibble \"$@\"");
}

/* ---- fish ---------------------------------------------------------------- */

/* Prints the condition under which a command's options are offered. */
static void put_fish_commands(const struct option_row *row)
{
    fputs(" -n '", stdout);
    if (row->commands & commands[0].bit) {
        fputs("not __fish_seen_subcommand_from", stdout);
        for (size_t i = 0; i < command_count; i++)
            if (!(row->commands & commands[i].bit))
                printf(" %s", commands[i].name);
        fputs(" help", stdout);
    } else {
        fputs("__fish_seen_subcommand_from", stdout);
        for (size_t i = 0; i < command_count; i++)
            if (row->commands & commands[i].bit)
                printf(" %s", commands[i].name);
    }
    putchar('\'');
}

static void put_fish(void)
{
    puts("# fish completion of nibble, made by 'nibble completion fish'");
    for (size_t i = 0; i < command_count; i++) {
        printf("complete -c nibble -n __fish_use_subcommand -a %s -d '",
               commands[i].name);
        put_text(commands[i].summary, "'\\");
        puts("'");
    }
    for (size_t i = 0; i < option_count; i++) {
        const struct option_row *row = &option_rows[i];
        if (!row->name)
            continue;
        fputs("complete -c nibble", stdout);
        put_fish_commands(row);
        printf(" -l %s", row->name);
        if (row->letter)
            printf(" -s %c", row->letter);
        if (row->argument && !row->optional)
            fputs(takes_file(row) ? " -r" : " -x", stdout);
        if (row->kind == OPTION_WORD) {
            fputs(" -a '", stdout);
            put_words(row, " ");
            putchar('\'');
        }
        fputs(" -d '", stdout);
        put_text(row->help, "'\\");
        puts("'");
    }
}

bool completion_print(const char *shell)
{
    static const struct {
        const char *name;
        void (*put)(void);
    } shells[] = {{"bash", put_bash}, {"zsh", put_zsh}, {"fish", put_fish}};
    for (size_t i = 0; i < sizeof shells / sizeof *shells; i++) {
        if (strcmp(shells[i].name, shell) != 0)
            continue;
        shells[i].put();
        return true;
    }
    return false;
}

/* The program, from the command line to an exit status. It includes only nibble.h of the
 * library. */
#include "cli/commands.h"
#include "cli/completion.h"
#include "cli/terminal.h"

#include <string.h>

static int run(const struct settings *settings)
{
    if (settings->version)
        printf("nibble %s\n", nibble_version());
    else if (settings->help)
        help_print(settings->bare && settings->help != HELP_ALL ? NULL
                                                                : settings->command,
                   settings->help == HELP_ALL);
    else if (settings->print_config)
        return config_print(settings) ? EXIT_DONE : EXIT_FAILED;
    else
        return settings->command->run(settings);
    return EXIT_DONE;
}

/* True if the program only prints something about itself. */
static bool is_information(const struct settings *settings)
{
    return settings->help || settings->version || settings->print_config;
}

/* "nibble completion SHELL" is no command of the help page: packages call it. */
static bool is_completion(int argc, char **argv)
{
    return argc == 3 && strcmp(argv[1], "completion") == 0 && completion_print(argv[2]);
}

int main(int argc, char **argv)
{
    struct settings settings;
    struct usage usage = {{0}};

    terminal_init();
    if (is_completion(argc, argv))
        return stdout_finish() ? EXIT_DONE : EXIT_FAILED;
    bool ok = settings_parse(&settings, argc, argv, &usage) &&
              (is_information(&settings) || settings_check(&settings, &usage));
    if (!ok)
        message("%s", usage.message);
    int status = ok ? run(&settings) : EXIT_USAGE;
    settings_free(&settings);
    if (ok && !stdout_finish() && status != EXIT_USAGE)
        status = EXIT_FAILED;
    return status;
}

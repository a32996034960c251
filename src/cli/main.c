/* The program, from the command line to an exit status. It includes only nibble.h of the
 * library. */
#include "cli/commands.h"
#include "cli/terminal.h"

static int run(const struct settings *settings)
{
    if (settings->version)
        printf("nibble %s\n", nibble_version());
    else if (settings->help)
        help_print(settings->bare ? NULL : settings->command);
    else
        return settings->command->run(settings);
    return EXIT_DONE;
}

int main(int argc, char **argv)
{
    struct settings settings;
    struct usage usage = {{0}};

    terminal_init();
    if (!settings_parse(&settings, argc, argv, &usage) ||
        (!settings.help && !settings.version && !settings_check(&settings, &usage))) {
        message("%s", usage.message);
        return EXIT_USAGE;
    }
    int status = run(&settings);
    if (!stdout_finish() && status != EXIT_USAGE)
        status = EXIT_FAILED;
    return status;
}

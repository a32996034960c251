/* nibble report: reads JSON reports and has the library make a page of them. */
#include "cli/commands.h"
#include "cli/terminal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { READ_STEP = 64 << 10 };

/* Appends what is left of the stream to a string. NULL if memory ran out. */
static char *read_all(FILE *in)
{
    size_t room = READ_STEP, used = 0, n;
    char *text = malloc(room);
    while (text && (n = fread(text + used, 1, room - used - 1, in)) > 0) {
        used += n;
        if (used + 1 < room)
            continue;
        room *= 2;
        char *grown = realloc(text, room);
        if (!grown)
            free(text);
        text = grown;
    }
    if (text)
        text[used] = '\0';
    return text;
}

static char *read_report(const char *path)
{
    FILE *in = is_standard(path) ? stdin : fopen(path, "rbe");
    errno = in ? 0 : errno;
    char *text = in ? read_all(in) : NULL;
    bool failed = !text || ferror(in);
    if (failed)
        message("%s: %s", path, strerror(errno ? errno : ENOMEM));
    if (in && in != stdin)
        fclose(in);
    if (!failed)
        return text;
    free(text);
    return NULL;
}

int command_report(const struct settings *s)
{
    struct nibble_error error = {0};
    if (!has_folder(s->output))
        return EXIT_FAILED;
    char *first = read_report(s->model);
    char *second = first && s->quantized ? read_report(s->quantized) : NULL;
    enum nibble_status status = NIBBLE_STATUS_OK;
    bool ok = first && (second || !s->quantized);
    if (ok)
        status = nibble_page(first, second, s->output, NULL, &error);
    free(first);
    free(second);
    if (!ok)
        return EXIT_FAILED;
    if (status == NIBBLE_STATUS_OK)
        return EXIT_DONE;
    message_lines(error.message);
    return EXIT_FAILED;
}

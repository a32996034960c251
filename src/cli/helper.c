/* Starts a program of the Python package, because running a model needs a runtime, and
 * Python has one. Looks for the program beside this one first, then in PATH. */
#include "cli/helper.h"
#include "cli/commands.h"
#include "cli/terminal.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Runs the program beside this one, so that a virtual environment need not be active. */
static void exec_beside(const char *name, char **words)
{
    char path[PATH_MAX + NAME_MAX];
    ssize_t length = readlink("/proc/self/exe", path, PATH_MAX - 1);
    char *slash = length > 0 ? memrchr(path, '/', (size_t)length) : NULL;
    if (!slash)
        return;
    memcpy(slash + 1, name, strlen(name) + 1);
    execv(path, words);
}

int helper_run(const char *name, const struct settings *s)
{
    size_t count = 0;
    while (s->arguments[count])
        count++;
    char **words = calloc(count + 2, sizeof *words);
    if (!words) {
        message("out of memory");
        return EXIT_FAILED;
    }
    words[0] = (char *)(uintptr_t)name;
    memcpy(words + 1, s->arguments, count * sizeof *words);
    exec_beside(name, words);
    execvp(name, words);
    int code = errno;
    free(words);
    if (code == ENOENT)
        message("--data needs %s of the Python package, which runs the model: "
                "pip install 'nibble-onnx[runtime]'",
                name);
    else
        message("%s: %s", name, strerror(code));
    return EXIT_FAILED;
}

/* nibble compare: weights are compared by the library. Running models takes a runtime, so
 * with --data the Python package goes on: nibble-compare, started as git starts git-NAME.
 */
#include "cli/commands.h"
#include "cli/guard.h"
#include "cli/terminal.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char helper[] = "nibble-compare";

/* The program of that name beside this one: a virtual environment need not be active. */
static void exec_beside(char **words)
{
    char path[PATH_MAX + sizeof helper];
    ssize_t length = readlink("/proc/self/exe", path, PATH_MAX - 1);
    char *slash = length > 0 ? memrchr(path, '/', (size_t)length) : NULL;
    if (!slash)
        return;
    memcpy(slash + 1, helper, sizeof helper);
    execv(path, words);
}

/* Does not return where it succeeds. */
static int run_helper(const struct settings *s)
{
    size_t count = 0;
    while (s->arguments[count])
        count++;
    char **words = calloc(count + 2, sizeof *words);
    if (!words) {
        message("out of memory");
        return EXIT_FAILED;
    }
    words[0] = (char *)(uintptr_t)helper;
    memcpy(words + 1, s->arguments, count * sizeof *words);
    exec_beside(words);
    execvp(helper, words);
    int code = errno;
    free(words);
    if (code == ENOENT)
        message("--data runs both models, which %s of the Python package does: "
                "pip install 'nibble-onnx[runtime]'",
                helper);
    else
        message("%s: %s", helper, strerror(code));
    return EXIT_FAILED;
}

static bool print(const struct settings *s, const struct nibble_comparison *comparison)
{
    if (s->json && !write_json(s, nibble_comparison_json(comparison)))
        return false;
    if (s->quiet || (s->json && strcmp(s->json, "-") == 0))
        return true;
    char *text = nibble_comparison_text(comparison, terminal_columns(stdout));
    if (!text)
        message("out of memory while writing the report");
    bool ok = text && fputs(text, stdout) >= 0;
    free(text);
    return ok;
}

/* Whether all weights reach --min-snr: the first is the worst. */
static bool passes(const struct settings *s, const struct nibble_comparison *comparison)
{
    const struct nibble_weight_error *worst =
        comparison->weight_count > 0 ? comparison->weights[0] : NULL;
    bool found = worst && worst->found;
    if (s->gate_snr <= 0 || (!found && comparison->unchanged > 0) ||
        (found && worst->snr_db >= s->gate_snr))
        return true;
    if (found)
        message("%s has %.1f dB, and --min-snr asks for %g", worst->name, worst->snr_db,
                s->gate_snr);
    else
        message("no weight was found in both models: nothing to hold against --min-snr");
    return false;
}

int command_compare(const struct settings *s)
{
    struct nibble_comparison *comparison = NULL;
    struct nibble_error error = {0};
    struct nibble_options options = s->options;
    if (s->data)
        return run_helper(s);
    options.cancel = signals_catch();
    options.guard = guard_install();
    enum nibble_status status =
        nibble_compare(s->model, s->quantized, &options, &comparison, &error);
    signals_die();
    if (status != NIBBLE_STATUS_OK)
        return failed(&error);
    int result = !print(s, comparison)   ? EXIT_FAILED
                 : passes(s, comparison) ? EXIT_DONE
                                         : EXIT_STRICT;
    nibble_comparison_free(comparison);
    return result;
}
